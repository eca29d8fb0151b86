//! The fixture: an authority, a name server, a router, and a caller that keeps no state but the order's URL.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use paas_integration::{NameServer, Pebble, PebbleOptions};
use paas_router::{
    Limits, Router, Settings,
    acme::{
        Authority, ChallengeKind, Connected, Directory, OrderState, OrderUrl, PrivateKey, Problem, Validation,
        ValidationState,
    },
    feed::{Certificate, Challenge, FeedClient, Reports, Table},
};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Nothing here takes that long.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Stage {
    pub(crate) names: NameServer,
    pub(crate) pebble: Pebble,
    https: SocketAddr,
    feed: FeedClient,
    _reports: Reports,
    _folder: TempDir,
}

impl Stage {
    /// With an authority that does what it should.
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut PebbleOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = Settings {
            http: any_port,
            https: Some(any_port),
            inherited: Vec::new(),
            socket: folder.path().join("router.sock"),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            ssh: None,
            limits: Limits::default(),
        };
        let socket = settings.socket.clone();
        let router = Router::bind(settings).await.unwrap();
        let addresses = router.addresses();
        let tracker = TaskTracker::new();
        tracker.spawn(router.run(CancellationToken::new()));
        let (feed, reports) = FeedClient::connect(&socket, &tracker).await.unwrap();
        let https = addresses.https.unwrap();
        let names = NameServer::start();
        let mut options = PebbleOptions::new(&names, addresses.http.port(), https.port());
        change(&mut options);
        Self {
            pebble: Pebble::start(options),
            names,
            https,
            feed,
            _reports: reports,
            _folder: folder,
        }
    }

    pub(crate) fn directory(&self) -> Directory {
        Directory {
            url: self.pebble.directory(),
            ca_file: Some(self.pebble.ca_file()),
            email: Some("you@example.com".to_owned()),
            external_account: None,
        }
    }

    pub(crate) async fn connect(&self) -> Connected {
        Authority::connect(&self.directory(), None).await.unwrap()
    }

    /// Takes an order from its beginning to its end, and gives its chain.
    pub(crate) async fn issue(
        &self,
        authority: &Authority,
        names: &[&str],
        kind: ChallengeKind,
    ) -> Result<(String, PrivateKey), Problem> {
        let order = authority.order(&owned(names), None).await.unwrap();
        let key = PrivateKey::generate().unwrap();
        let chain = self.finish(authority, &order, &key, kind).await?;
        Ok((chain, key))
    }

    pub(crate) async fn finish(
        &self,
        authority: &Authority,
        order: &OrderUrl,
        key: &PrivateKey,
        kind: ChallengeKind,
    ) -> Result<String, Problem> {
        let finishing = async {
            loop {
                match authority.look(order).await.unwrap() {
                    OrderState::Issued { chain_pem } => return Ok(chain_pem),
                    OrderState::Failed(problem) => return Err(problem),
                    state => self.advance(authority, order, key, kind, state).await,
                }
                sleep(PAUSE).await;
            }
        };
        timeout(DEADLINE, finishing).await.expect("the order ends in time")
    }

    /// Does what the authority waits for.
    pub(crate) async fn advance(
        &self,
        authority: &Authority,
        order: &OrderUrl,
        key: &PrivateKey,
        kind: ChallengeKind,
        state: OrderState,
    ) {
        match state {
            OrderState::Validate(validations) => {
                let wanted: Vec<_> = validations
                    .iter()
                    .filter(|validation| validation.state == ValidationState::Wanted)
                    .collect();
                if !wanted.is_empty() {
                    self.show(&wanted, kind).await;
                }
                for validation in wanted {
                    authority.ready(order, &validation.name, kind).await.unwrap();
                }
            }
            OrderState::Ready => authority.finalize(order, key).await.unwrap(),
            OrderState::Processing | OrderState::Issued { .. } | OrderState::Failed(_) => {}
        }
    }

    /// Puts the challenges of these names in place.
    async fn show(&self, validations: &[&Validation], kind: ChallengeKind) {
        let mut challenges = Vec::new();
        for validation in validations {
            let offer = validation.offer(kind).expect("the challenge is offered");
            match kind {
                ChallengeKind::Http01 => challenges.push(offer.http_challenge()),
                ChallengeKind::TlsAlpn01 => challenges.push(offer.alpn_challenge(&validation.name).unwrap()),
                ChallengeKind::Dns01 => self.names.set_txt(&validation.dns_record(), &offer.dns_value()),
            }
        }
        self.publish(Vec::new(), challenges).await;
    }

    pub(crate) async fn publish(&self, certificates: Vec<Arc<Certificate>>, challenges: Vec<Challenge>) {
        let table = Table {
            certificates,
            challenges,
            ..Table::default()
        };
        let version = self.feed.publish(table).await.unwrap();
        self.feed.applied(version).await.unwrap();
    }

    /// Serves the certificate, and asks for it as a browser that trusts the authority does.
    pub(crate) async fn serve(&self, name: &str, chain_pem: String, key: &PrivateKey) {
        let certificate = Certificate {
            hostnames: vec![name.to_owned()],
            chain_pem,
            key_pem: key.pem().to_owned(),
        };
        self.publish(vec![Arc::new(certificate)], Vec::new()).await;
        let mut roots = RootCertStore::empty();
        let root = self.pebble.root();
        roots
            .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
            .unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(self.https).await.unwrap();
        let server = ServerName::try_from(name.to_owned()).unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(server, stream).await.expect("the chain is trusted");
    }
}

pub(crate) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

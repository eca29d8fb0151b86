//! A router with one app, and a certificate of an authority of its own.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use paas_router::{
    Addresses, Limits, Router, Settings,
    feed::{AppEntry, AppState, BackendEntry, Certificate, FeedClient, Policy, Reports, Table},
};
use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::origin::Origin;

pub(crate) const HOST: &str = "hello.test";
/// As authorities issue them.
const VALIDITY: Duration = Duration::from_hours(90 * 24);

pub(crate) struct Edge {
    pub(crate) addresses: Addresses,
    pub(crate) origin: Origin,
    folder: TempDir,
    stop: CancellationToken,
    runtime: Option<Runtime>,
    _feed: (FeedClient, Reports),
}

impl Edge {
    pub(crate) fn start(limits: Limits) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, authority) = certificate();
        std::fs::write(folder.path().join("authority.pem"), authority).expect("a file of the authority");
        let stop = CancellationToken::new();
        let starting = async {
            let tracker = TaskTracker::new();
            let origin = Origin::start(&tracker).await;
            let local = SocketAddr::from(([127, 0, 0, 1], 0));
            let settings = Settings {
                http: local,
                https: Some(local),
                inherited: Vec::new(),
                socket: folder.path().join("router.sock"),
                trusted_proxies: Vec::new(),
                proxy_protocol: false,
                ssh: None,
                limits,
            };
            let socket = settings.socket.clone();
            let router = Router::bind(settings).await.expect("ports to listen on");
            let addresses = router.addresses();
            let running = router.run(stop.clone());
            tracker.spawn(async move { running.await.expect("a router that ends well") });
            let (feed, reports) = FeedClient::connect(&socket, &tracker).await.expect("a feed");
            let version = feed.publish(table(origin.address, certificate)).await.expect("a table");
            feed.applied(version).await.expect("a table that is used");
            (addresses, origin, (feed, reports))
        };
        let (addresses, origin, feed) = runtime.block_on(starting);
        Self {
            addresses,
            origin,
            folder,
            stop,
            runtime: Some(runtime),
            _feed: feed,
        }
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.addresses.http
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.addresses.https.expect("a TLS port")
    }

    /// Who signed the certificate.
    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority.pem")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn table(address: SocketAddr, certificate: Certificate) -> Table {
    let backend = BackendEntry {
        dyno: Uuid::from_u128(2),
        name: "web.1".to_owned(),
        container: "container".to_owned(),
        address,
    };
    let app = AppEntry {
        app: Uuid::from_u128(1),
        name: "hello".to_owned(),
        // Some tools cannot be told a name besides the address.
        hostnames: vec![HOST.to_owned(), "127.0.0.1".to_owned()],
        state: AppState::Serving(vec![backend]),
        policy: Policy::default(),
    };
    Table {
        apps: vec![app],
        certificates: vec![Arc::new(certificate)],
        ..Table::default()
    }
}

/// A certificate for [`HOST`], which is also the default, and the authority that signed it.
fn certificate() -> (Certificate, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "Conformance");
    let authority_pem = authority.self_signed(&authority_key).expect("an authority").pem();
    let issuer = Issuer::new(authority, authority_key);

    let key = KeyPair::generate().expect("a key");
    let mut leaf = CertificateParams::new(vec![HOST.to_owned()]).expect("a name");
    leaf.distinguished_name.push(DnType::CommonName, HOST);
    let now = std::time::SystemTime::now();
    leaf.not_before = (now - Duration::from_hours(1)).into();
    leaf.not_after = (now + VALIDITY).into();
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    // Nobody fetches it; that there is none would be a finding.
    leaf.crl_distribution_points = vec![CrlDistributionPoint {
        uris: vec!["http://crl.test/1.crl".to_owned()],
    }];
    let chain = leaf.signed_by(&key, &issuer).expect("a certificate").pem();
    let certificate = Certificate {
        hostnames: vec![HOST.to_owned(), "*".to_owned()],
        chain_pem: chain,
        key_pem: key.serialize_pem(),
    };
    (certificate, authority_pem)
}

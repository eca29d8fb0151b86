use std::{io, sync::Arc};

use http::Request;
use paas_router::{
    Code,
    feed::{AppEntry, Certificate, Challenge, Table},
};
use rustls::{
    CipherSuite, ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, IpAddr, ServerName, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use uuid::Uuid;

use crate::{
    http2::Http2,
    support::{Answer, HOST, TestDyno, World, app, echoed, quick, serving},
};

pub(crate) fn certificate(hostname: &str) -> Certificate {
    certificate_of(&[hostname])
}

fn certificate_of(hostnames: &[&str]) -> Certificate {
    let hostnames: Vec<_> = hostnames.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(hostnames.clone()).unwrap();
    Certificate {
        hostnames,
        chain_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    }
}

/// Trusts one certificate, and offers these protocols.
pub(crate) fn client(trusted: &str, protocols: &[&str]) -> ClientConfig {
    client_of(&[&TLS13, &TLS12], trusted, protocols)
}

fn client_of(
    versions: &[&'static rustls::SupportedProtocolVersion],
    trusted: &str,
    protocols: &[&str],
) -> ClientConfig {
    client_with(aws_lc_rs::default_provider(), versions, trusted, protocols)
}

fn client_with(
    provider: CryptoProvider,
    versions: &[&'static rustls::SupportedProtocolVersion],
    trusted: &str,
    protocols: &[&str],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config
}

pub(crate) async fn connect(
    world: &World,
    name: ServerName<'static>,
    config: &Arc<ClientConfig>,
) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(world.addresses.https.unwrap()).await?;
    TlsConnector::from(config.clone()).connect(name, stream).await
}

pub(crate) async fn handshake(world: &World, name: &str, trusted: &Certificate) -> io::Result<TlsStream<TcpStream>> {
    let config = Arc::new(client(&trusted.chain_pem, &["http/1.1"]));
    connect(world, server(name), &config).await
}

pub(crate) fn server(name: &str) -> ServerName<'static> {
    ServerName::try_from(name.to_owned()).unwrap()
}

async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    Answer::read_to_end(stream).await
}

fn table(dyno: &TestDyno, certificates: Vec<Certificate>) -> Table {
    Table {
        apps: vec![app(HOST, serving(&[dyno]))],
        certificates: certificates.into_iter().map(Arc::new).collect(),
        ..Table::default()
    }
}

fn other_app(hostname: &str, dyno: &TestDyno) -> AppEntry {
    AppEntry {
        app: Uuid::from_u128(2),
        ..app(hostname, serving(&[dyno]))
    }
}

#[tokio::test]
async fn certificates_come_with_the_table_and_are_chosen_by_name() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::start(quick()).await;
    let (exact, wildcard) = (certificate(HOST), certificate("*.wild.test"));
    world.publish(table(&dyno, vec![])).await;
    assert!(handshake(&world, HOST, &exact).await.is_err());

    world.publish(table(&dyno, vec![exact.clone(), wildcard.clone()])).await;
    let mut stream = handshake(&world, HOST, &exact).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let headers = echoed(&get(&mut stream, HOST).await.body);
    assert_eq!(headers["x-forwarded-proto"], ["https"]);
    assert_eq!(
        headers["x-forwarded-port"],
        [world.addresses.https.unwrap().port().to_string()]
    );
    let record = world.record().await.to_string();
    assert!(
        record.ends_with(" protocol=http1.1 tls=true tls_version=tls1.3"),
        "{record}"
    );

    assert!(handshake(&world, "a.wild.test", &wildcard).await.is_ok());
    assert!(handshake(&world, "a.b.wild.test", &wildcard).await.is_err());
    assert!(handshake(&world, "unknown.test", &exact).await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_leaves_the_others_alone() {
    let world = World::start(quick()).await;
    let (good, mut bad) = (certificate("good.test"), certificate("bad.test"));
    bad.key_pem.clone_from(&good.key_pem);
    world
        .publish(Table {
            certificates: vec![Arc::new(bad.clone()), Arc::new(good.clone())],
            ..Table::default()
        })
        .await;
    assert!(handshake(&world, "good.test", &good).await.is_ok());
    assert!(handshake(&world, "bad.test", &bad).await.is_err());
    assert!(!format!("{bad:?}").contains("PRIVATE"), "a key in debug output");
}

#[tokio::test]
async fn http_2_is_agreed_on_and_recorded() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::start(quick()).await;
    let exact = certificate(HOST);
    world.publish(table(&dyno, vec![exact.clone()])).await;
    for (versions, word) in [(&TLS13, "tls1.3"), (&TLS12, "tls1.2")] {
        let config = Arc::new(client_of(&[versions], &exact.chain_pem, &["http/1.1", "h2"]));
        let stream = connect(&world, server(HOST), &config).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let http2 = Http2::over(stream, &h2::client::Builder::new()).await;
        let request = Request::get(format!("https://{HOST}/")).body(()).unwrap();
        let headers = echoed(&http2.ask(request).await.body);
        assert_eq!(headers["x-forwarded-proto"], ["https"]);
        let record = world.record().await.to_string();
        let end = format!(" protocol=http2.0 tls=true tls_version={word}");
        assert!(record.ends_with(&end), "{record}");
    }
}

#[tokio::test]
async fn the_hybrid_key_exchange_is_preferred() {
    let world = World::start(quick()).await;
    let dyno = TestDyno::named("web.1").await;
    let exact = certificate(HOST);
    world.publish(table(&dyno, vec![exact.clone()])).await;
    let stream = handshake(&world, HOST, &exact).await.unwrap();
    let connection = stream.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = connection.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
}

#[tokio::test]
async fn a_client_without_instructions_for_aes_is_not_made_to_use_it() {
    let world = World::start(quick()).await;
    let dyno = TestDyno::named("web.1").await;
    let exact = certificate(HOST);
    world.publish(table(&dyno, vec![exact.clone()])).await;
    let [aes_256, aes_128, chacha] = [0, 1, 2].map(|index| aws_lc_rs::DEFAULT_CIPHER_SUITES[index]);
    for (offered, expected) in [
        ([aes_256, aes_128, chacha], CipherSuite::TLS13_AES_128_GCM_SHA256),
        ([aes_128, chacha, aes_256], CipherSuite::TLS13_AES_128_GCM_SHA256),
        ([chacha, aes_128, aes_256], CipherSuite::TLS13_CHACHA20_POLY1305_SHA256),
    ] {
        let provider = CryptoProvider {
            cipher_suites: offered.to_vec(),
            ..aws_lc_rs::default_provider()
        };
        let config = client_with(provider, &[&TLS13], &exact.chain_pem, &["http/1.1"]);
        let stream = connect(&world, server(HOST), &Arc::new(config)).await.unwrap();
        let agreed = stream.get_ref().1.negotiated_cipher_suite().unwrap();
        assert_eq!(agreed.suite(), expected);
    }
}

#[tokio::test]
async fn a_session_is_resumed_for_its_own_name_only() {
    let dyno = TestDyno::named("web.1").await;
    for versions in [&TLS13, &TLS12] {
        let world = World::start(quick()).await;
        // One certificate for both, so that nothing but the name tells them apart.
        let both = certificate_of(&[HOST, "other.test"]);
        let mut both_apps = table(&dyno, vec![both.clone()]);
        both_apps.apps.push(other_app("other.test", &dyno));
        world.publish(both_apps).await;
        let config = Arc::new(client_of(&[versions], &both.chain_pem, &["http/1.1"]));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = connect(&world, server(HOST), &config).await.unwrap();
            // The tickets of TLS 1.3 come with the answer.
            get(&mut stream, HOST).await;
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        }
        assert!(
            kinds[0] != HandshakeKind::Resumed && kinds[1] == HandshakeKind::Resumed,
            "{kinds:?}"
        );

        let crossed = resume_elsewhere(&world, &config).await;
        assert_ne!(crossed, HandshakeKind::Resumed, "{versions:?}");
    }
}

/// Offers what was kept for `HOST` to `other.test`: the store answers for any name.
async fn resume_elsewhere(world: &World, config: &Arc<ClientConfig>) -> HandshakeKind {
    #[derive(Debug)]
    struct AnyName(Arc<dyn rustls::client::ClientSessionStore>);
    impl rustls::client::ClientSessionStore for AnyName {
        fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
            self.0.set_kx_hint(name, group);
        }
        fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
            self.0.kx_hint(name)
        }
        fn set_tls12_session(&self, name: ServerName<'static>, value: rustls::client::Tls12ClientSessionValue) {
            self.0.set_tls12_session(name, value);
        }
        fn tls12_session(&self, _: &ServerName<'_>) -> Option<rustls::client::Tls12ClientSessionValue> {
            self.0.tls12_session(&server(HOST))
        }
        fn remove_tls12_session(&self, name: &ServerName<'static>) {
            self.0.remove_tls12_session(name);
        }
        fn insert_tls13_ticket(&self, name: ServerName<'static>, value: rustls::client::Tls13ClientSessionValue) {
            self.0.insert_tls13_ticket(name, value);
        }
        fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<rustls::client::Tls13ClientSessionValue> {
            self.0.take_tls13_ticket(&server(HOST))
        }
    }
    let store = Arc::new(rustls::client::ClientSessionMemoryCache::new(16));
    let mut config = ClientConfig::clone(config);
    config.resumption = rustls::client::Resumption::store(Arc::new(AnyName(store)));
    let config = Arc::new(config);
    let mut stream = connect(world, server(HOST), &config).await.unwrap();
    get(&mut stream, HOST).await;
    let mut again = connect(world, server(HOST), &config).await.unwrap();
    get(&mut again, HOST).await;
    assert_eq!(again.get_ref().1.handshake_kind(), Some(HandshakeKind::Resumed));
    let stream = connect(world, server("other.test"), &config).await.unwrap();
    stream.get_ref().1.handshake_kind().unwrap()
}

#[tokio::test]
async fn the_default_certificate_is_for_names_that_nobody_has_and_for_clients_without_one() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::start(quick()).await;
    let (exact, mut default) = (certificate(HOST), certificate("unknown.test"));
    let any = rcgen::generate_simple_self_signed(["unknown.test".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    default.hostnames = vec!["*".to_owned()];
    default.chain_pem = any.cert.pem();
    default.key_pem = any.signing_key.serialize_pem();
    world.publish(table(&dyno, vec![exact.clone(), default.clone()])).await;
    assert!(handshake(&world, HOST, &exact).await.is_ok());
    assert!(handshake(&world, HOST, &default).await.is_err());
    let mut unknown = handshake(&world, "unknown.test", &default).await.unwrap();
    assert_eq!(get(&mut unknown, "unknown.test").await.status, 404);
    // A client that asks for an address names no server. Whatever it asks for afterwards, it did not mistake it.
    let config = Arc::new(client(&default.chain_pem, &[]));
    let address = ServerName::IpAddress(IpAddr::try_from("127.0.0.1").unwrap());
    let mut nameless = connect(&world, address, &config).await.unwrap();
    assert_eq!(get(&mut nameless, HOST).await.status, 200);
}

#[tokio::test]
async fn a_request_for_a_host_of_another_certificate_is_misdirected() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::start(quick()).await;
    let (one, both) = (certificate("one.test"), certificate_of(&[HOST, "also.test"]));
    let mut apps = table(&dyno, vec![one.clone(), both.clone()]);
    apps.apps.push(AppEntry {
        hostnames: vec!["one.test".to_owned(), "also.test".to_owned()],
        ..other_app("one.test", &dyno)
    });
    world.publish(apps).await;

    let config = Arc::new(client(&both.chain_pem, &["h2"]));
    let stream = connect(&world, server(HOST), &config).await.unwrap();
    let http2 = Http2::over(stream, &h2::client::Builder::new()).await;
    let ask = |host: &str| {
        let request = Request::get(format!("https://{host}/")).header("user-agent", "curl \"7\"");
        http2.ask(request.body(()).unwrap())
    };
    for (host, status) in [(HOST, 200), ("also.test", 200), ("one.test", 421), ("nobody.test", 404)] {
        assert_eq!(ask(host).await.status, status, "{host}");
    }
    let mut stream = handshake(&world, "one.test", &one).await.unwrap();
    assert_eq!(get(&mut stream, HOST).await.status, 421);
    for _ in 0..2 {
        assert_eq!(world.record().await.code, None);
    }
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H31), 421));
    let (start, end) = (
        "at=error code=H31 desc=\"Misdirected Request\" ",
        " agent=\"curl \\\"7\\\"\"",
    );
    let line = record.to_string();
    assert!(line.starts_with(start) && line.ends_with(end), "{line}");
}

#[tokio::test]
async fn a_validation_sees_the_challenge_certificate_and_nothing_else() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::start(quick()).await;
    let (served, challenge) = (certificate(HOST), certificate(HOST));
    let mut with_challenge = table(&dyno, vec![served.clone()]);
    with_challenge.challenges.push(Challenge::TlsAlpn01 {
        hostname: HOST.to_owned(),
        chain_pem: challenge.chain_pem.clone(),
        key_pem: challenge.key_pem.clone(),
    });
    assert!(
        !format!("{with_challenge:?}").contains("PRIVATE"),
        "a key in debug output"
    );
    world.publish(with_challenge).await;

    let authority = Arc::new(client(&challenge.chain_pem, &["acme-tls/1"]));
    let mut stream = connect(&world, server(HOST), &authority).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    // Whatever it sends, the connection only ends.
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: hello.test\r\n\r\n").await;
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");

    assert!(connect(&world, server("other.test"), &authority).await.is_err());
    // Everybody else still sees the certificate that is served, also a client that knows the protocol.
    assert!(handshake(&world, HOST, &served).await.is_ok());
    let browser = Arc::new(client(&served.chain_pem, &["acme-tls/1", "http/1.1"]));
    let stream = connect(&world, server(HOST), &browser).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));

    world.publish(table(&dyno, vec![served.clone()])).await;
    assert!(connect(&world, server(HOST), &authority).await.is_err());
}

#[tokio::test]
async fn http_challenges_are_answered_for_any_host_before_anything_else() {
    let world = World::start(quick()).await;
    let challenges = vec![Challenge::Http01 {
        token: "token-1".to_owned(),
        key_authorization: "token-1.thumbprint".to_owned(),
    }];
    world
        .publish(Table {
            challenges,
            ..Table::default()
        })
        .await;
    for (path, status, body) in [
        ("token-1", 200, "token-1.thumbprint"),
        ("token-2", 404, ""),
        ("", 404, ""),
        ("token-1/x", 404, ""),
    ] {
        let answer = world
            .send(&format!(
                "GET /.well-known/acme-challenge/{path} HTTP/1.1\r\nHost: anybody.test\r\nConnection: close\r\n\r\n"
            ))
            .await;
        assert_eq!(answer.status, status);
        assert!(body.is_empty() || answer.body == body, "{answer:?}");
    }
}

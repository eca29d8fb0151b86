use std::sync::Arc;

use paas_router::feed::{Certificate, Table};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::support::{Answer, HOST, TestDyno, World, app, echoed, quick, serving};

pub(crate) fn certificate(hostname: &str) -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec![hostname.to_owned()]).unwrap();
    Certificate {
        hostnames: vec![hostname.to_owned()],
        chain_pem: made.cert.pem(),
        key_pem: made.signing_key.serialize_pem(),
    }
}

pub(crate) async fn handshake(
    world: &World,
    name: &str,
    trusted: &Certificate,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(trusted.chain_pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(world.addresses.https.unwrap()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test]
async fn certificates_come_with_the_table_and_are_chosen_by_name() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::start(quick()).await;
    let (exact, wildcard) = (certificate(HOST), certificate("*.wild.test"));
    let table = |certificates| Table {
        apps: vec![app(HOST, serving(&[&dyno]))],
        certificates,
        ..Table::default()
    };
    world.publish(table(vec![])).await;
    assert!(handshake(&world, HOST, &exact).await.is_err());

    let both = vec![Arc::new(exact.clone()), Arc::new(wildcard.clone())];
    world.publish(table(both)).await;
    let mut stream = handshake(&world, HOST, &exact).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let headers = echoed(&Answer::read_to_end(&mut stream).await.body);
    assert_eq!(headers["x-forwarded-proto"], ["https"]);
    assert_eq!(
        headers["x-forwarded-port"],
        [world.addresses.https.unwrap().port().to_string()]
    );
    assert!(world.record().await.to_string().ends_with(" protocol=https"));

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

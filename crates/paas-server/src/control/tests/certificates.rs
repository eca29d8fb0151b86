//! Names, their rows, and what visitors are shown. Orders of a real authority are in `integration/tests/certificates.rs`.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use paas_core::{AcmState, DomainName};
use paas_router::certificate::{CertificateFacts, certificate_facts};
use paas_store::{
    acm,
    app::{self, AppRow},
    certificate::{self, Material},
    domain::{self, NewDomain},
};
use rcgen::{CertificateParams, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
    time_provider::TimeProvider,
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::server::{Server, TestRouter};
use crate::clock::Clock;

/// Visitors whose clock is the platform's.
#[derive(Debug)]
struct SameClock(Clock);

impl TimeProvider for SameClock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl Server {
    async fn add_domain(&self, app: &AppRow, hostname: &str) {
        let hostname: DomainName = hostname.parse().unwrap();
        let new = NewDomain {
            app: app.app.id,
            hostname: &hostname,
            certificate: None,
        };
        let mut conn = self.platform.store.connection().await.unwrap();
        domain::create(&mut conn, new, self.stamp()).await.unwrap();
    }

    /// The certificate that a visitor is shown who trusts this root; `None` when the handshake fails.
    async fn shown(&self, router: &TestRouter, hostname: &str, root_pem: &str) -> Option<CertificateDer<'static>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root_pem.as_bytes()).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clock = Arc::new(SameClock(self.platform.clock.clone()));
        let config = ClientConfig::builder_with_details(provider, clock)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(router.https).await.unwrap();
        let name = ServerName::try_from(hostname.to_owned()).unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.ok()?;
        Some(stream.get_ref().1.peer_certificates()?[0].clone())
    }

    /// Waits until visitors who trust our own authority are shown a certificate that they take.
    async fn is_trusted(&self, router: &TestRouter, hostname: &str) -> CertificateDer<'static> {
        let root = self.platform.settings.local_ca().join("root.pem");
        let root = async || tokio::fs::read_to_string(&root).await.unwrap_or_default();
        let trusted = self.becomes(async || {
            let root = root().await;
            !root.is_empty() && self.shown(router, hostname, &root).await.is_some()
        });
        assert!(trusted.await, "{hostname} is not trusted");
        self.shown(router, hostname, &root().await).await.unwrap()
    }

    async fn names(&self) -> Vec<String> {
        let mut conn = self.platform.store.connection().await.unwrap();
        let rows = acm::all(&mut conn).await.unwrap();
        rows.iter()
            .map(|row| format!("{} {}", row.hostname, row.acm.state.as_str()))
            .collect()
    }

    async fn names_become(&self, expected: &[&str]) {
        let become_so = self.becomes(async || self.names().await == expected);
        assert!(become_so.await, "{:?} instead of {expected:?}", self.names().await);
    }
}

fn facts(root_pem: &str) -> CertificateFacts {
    certificate_facts(root_pem).unwrap()
}

#[tokio::test]
async fn names_that_nobody_can_validate_are_certified_by_ourselves() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.is_trusted(&router, "hello.example.test").await;
    server.add_domain(&app, "shop.test").await;
    let leaf = server.is_trusted(&router, "shop.test").await;
    assert!(leaf != server.is_trusted(&router, "hello.example.test").await);
    server
        .names_become(&[
            "*.example.test local",
            "*.localhost.example.test local",
            "shop.test local",
        ])
        .await;
    let mut conn = server.platform.store.connection().await.unwrap();
    let row = &acm::list_of_app(&mut conn, app.app.id).await.unwrap()[0];
    assert_eq!(row.acm.state, AcmState::Local);
    let reason = row.acm.reason.clone().unwrap();
    assert!(reason.contains("local-ca/root.pem"), "{reason}");
}

#[tokio::test]
async fn a_certificate_of_ours_is_made_anew_at_two_thirds_of_its_life() {
    let (server, router) = Server::start().await;
    let first = server.is_trusted(&router, "hello.example.test").await;
    server.wait(50 * 24 * 3600);
    server.platform.wake_certificates.notify_one();
    assert!(first == server.is_trusted(&router, "hello.example.test").await);
    server.wait(15 * 24 * 3600);
    server.platform.wake_certificates.notify_one();
    let renewed = server.becomes(async || server.is_trusted(&router, "hello.example.test").await != first);
    assert!(renewed.await);
}

#[tokio::test]
async fn names_come_and_go_with_their_domains() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.add_domain(&app, "one.test").await;
    server.add_domain(&app, "two.test").await;
    server
        .names_become(&[
            "*.example.test local",
            "*.localhost.example.test local",
            "one.test local",
            "two.test local",
        ])
        .await;
    let mut conn = server.platform.store.connection().await.unwrap();
    let domain = domain::find(&mut conn, app.app.id, "one.test").await.unwrap().unwrap();
    domain::delete(&mut conn, domain.id, server.stamp()).await.unwrap();
    server
        .names_become(&[
            "*.example.test local",
            "*.localhost.example.test local",
            "two.test local",
        ])
        .await;
    app::set_acm(&mut conn, app.app.id, false, server.stamp())
        .await
        .unwrap();
    server
        .names_become(&["*.example.test local", "*.localhost.example.test local"])
        .await;
}

#[tokio::test]
async fn a_name_without_a_certificate_is_shown_ours_and_an_uploaded_one_goes_first() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.add_domain(&app, "shop.test").await;
    let ours = server.is_trusted(&router, "shop.test").await;

    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["shop.test".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    let now = server.platform.clock.now();
    let hostname: DomainName = "shop.test".parse().unwrap();
    let material = Material {
        hostnames: &[hostname],
        chain_pem: &certificate.pem(),
        key_pem: &key.serialize_pem(),
        not_before: now - TimeDelta::days(80),
        not_after: now + TimeDelta::days(5),
    };
    let mut conn = server.platform.store.connection().await.unwrap();
    let sealer = &server.platform.store.sealer;
    let uploaded = certificate::upload(&mut conn, sealer, app.app.id, "ours-1", material, server.stamp()).await;
    let id = domain::find(&mut conn, app.app.id, "shop.test")
        .await
        .unwrap()
        .unwrap()
        .id;
    domain::set_certificate(&mut conn, id, Some(uploaded.unwrap().id), server.stamp())
        .await
        .unwrap();
    let shown = server.becomes(async || {
        let shown = server.shown(&router, "shop.test", &certificate.pem()).await;
        shown.is_some_and(|shown| shown != ours)
    });
    assert!(shown.await, "the uploaded certificate is not shown");
    assert!(!facts(&certificate.pem()).issuer.contains("paas"));

    // It ends in five days: its owners hear of it, once.
    server.logs(&app, "expires").await;
    let log = server.log(&app).await;
    assert!(log.contains("heroku[acm]: Certificate for shop.test expires"), "{log}");
    assert!(log.contains("certs:update ours-1"), "{log}");
    for _ in 0..3 {
        let passes = server.names().await;
        server.platform.wake_certificates.notify_one();
        server
            .names_become(&passes.iter().map(String::as_str).collect::<Vec<_>>())
            .await;
    }
    assert_eq!(server.log(&app).await.matches("expires").count(), 1);
}

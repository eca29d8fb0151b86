//! Certificates are issued.

use std::time::Duration;

use chrono::TimeDelta;
use paas_router::{acme::ChallengeKind, certificate::certificate_facts};

use crate::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn http_01_through_the_router_ends_in_a_certificate_that_browsers_trust() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let (chain, key) = stage
        .issue(&authority, &["www.example.com"], ChallengeKind::Http01)
        .await
        .unwrap();
    assert_eq!(certificate_facts(&chain).unwrap().names, ["www.example.com"]);
    stage.serve("www.example.com", chain, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn tls_alpn_01_through_the_router_ends_in_a_certificate_that_browsers_trust() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let (chain, key) = stage
        .issue(&authority, &["www.example.com"], ChallengeKind::TlsAlpn01)
        .await
        .unwrap();
    stage.serve("www.example.com", chain, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn dns_01_covers_a_wildcard_and_its_parent_in_one_certificate() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let names = ["*.example.com", "example.com"];
    let (chain, key) = stage.issue(&authority, &names, ChallengeKind::Dns01).await.unwrap();
    let mut covered = certificate_facts(&chain).unwrap().names;
    covered.sort();
    assert_eq!(covered, names);
    stage.serve("example.com", chain, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn several_names_share_one_order() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let names = ["a.example.com", "b.example.com", "c.example.net"];
    let (chain, _) = stage.issue(&authority, &names, ChallengeKind::Http01).await.unwrap();
    let mut covered = certificate_facts(&chain).unwrap().names;
    covered.sort();
    assert_eq!(covered, names);
    assert_eq!(stage.pebble.orders(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_authority_that_refuses_nine_nonces_of_ten_gets_one_order_and_issues() {
    let stage = Stage::with(|options| options.bad_nonces = 90).await;
    let authority = stage.connect().await.authority;
    let issued = stage.issue(&authority, &["www.example.com"], ChallengeKind::Dns01);
    let (chain, key) = issued.await.unwrap();
    assert_eq!(stage.pebble.orders(), 1);
    stage.serve("www.example.com", chain, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn a_short_life_is_what_the_facts_say() {
    let stage = Stage::with(|options| options.validity = Duration::from_mins(5)).await;
    let authority = stage.connect().await.authority;
    let issued = stage.issue(&authority, &["www.example.com"], ChallengeKind::Dns01);
    let (chain, _) = issued.await.unwrap();
    let facts = certificate_facts(&chain).unwrap();
    let life = facts.not_after - facts.not_before;
    assert!((life - TimeDelta::minutes(5)).abs() < TimeDelta::seconds(5), "{life}");
    assert!(
        facts.issuer.starts_with("CN=Pebble Intermediate CA"),
        "{}",
        facts.issuer
    );
}

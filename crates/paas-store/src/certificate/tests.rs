use chrono::TimeDelta;

use super::*;
use crate::{
    app::set_acm,
    domain::{NewDomain, create, set_certificate},
    fixture::{World, domain as platform},
    testing::noon,
};

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn days(days: i64) -> DateTime<Utc> {
    noon() + TimeDelta::days(days)
}

/// Managed certificates for these names, valid from noon for so many days.
async fn issue(world: &World, hostnames: &[&str], valid_days: i64, chain_pem: &str) -> Certificate {
    let hostnames: Vec<_> = hostnames.iter().map(|text| name(text)).collect();
    let material = Material {
        hostnames: &hostnames,
        chain_pem,
        key_pem: "key",
        not_before: noon() - TimeDelta::days(1),
        not_after: days(valid_days),
    };
    issued_by_acme(&mut *world.conn().await, &world.store().sealer, material, noon())
        .await
        .unwrap()
}

async fn uploaded(world: &World, app: Id<App>, label: &str, hostname: &str) -> Certificate {
    let material = Material {
        hostnames: &[name(hostname)],
        chain_pem: label,
        key_pem: "canary",
        not_before: noon(),
        not_after: days(1),
    };
    let sealer = &world.store().sealer;
    upload(&mut *world.conn().await, sealer, app, label, material, world.stamp())
        .await
        .unwrap()
}

async fn add(world: &World, app: Id<App>, hostname: &str) -> domain::Domain {
    let new = NewDomain {
        app,
        hostname: &name(hostname),
        certificate: None,
    };
    create(&mut *world.conn().await, new, world.stamp()).await.unwrap()
}

/// `chain: names` of all that is served at noon.
async fn served(world: &World) -> Vec<String> {
    let served = all_served(&mut *world.conn().await, &platform(), noon()).await.unwrap();
    let mut lines: Vec<_> = served
        .iter()
        .map(|served| {
            let names = texts(&served.hostnames).join(" ");
            format!("{}: {names}", served.certificate.chain_pem)
        })
        .collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn an_uploaded_certificate_keeps_its_name_when_it_is_replaced() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let made = uploaded(&world, hello, "quiet-river-1", "www.example.com").await;
    let mut conn = world.conn().await;
    let sealer = &world.store().sealer;
    assert_eq!(key(sealer, &made).unwrap(), "canary");
    assert!(!format!("{made:?}").contains("canary"));
    for text in ["quiet-river-1", &made.id.to_string()] {
        assert_eq!(find(&mut conn, hello, text).await.unwrap(), Some(made.clone()));
        assert_eq!(find(&mut conn, other, text).await.unwrap(), None);
    }
    let material = Material {
        hostnames: &[name("*.example.com")],
        chain_pem: "new chain",
        key_pem: "new key",
        not_before: noon(),
        not_after: days(2),
    };
    let replaced = replace(&mut conn, sealer, made.id, material, world.stamp())
        .await
        .unwrap();
    assert_eq!((&replaced.source, replaced.id), (&made.source, made.id));
    assert_eq!(key(sealer, &replaced).unwrap(), "new key");
    let twice = upload(&mut conn, sealer, other, "quiet-river-1", material, world.stamp()).await;
    assert!(matches!(twice, Err(StoreError::NameTaken)));
    delete(&mut conn, made.id, world.stamp()).await.unwrap();
    let again = delete(&mut conn, made.id, world.stamp()).await;
    assert!(matches!(again, Err(StoreError::CertificateGone)));
    let events = event::list(&mut conn, hello, 3).await.unwrap();
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["destroy", "update", "create"]);
    assert!(!events.iter().any(|event| event.payload.to_string().contains("canary")));
}

#[tokio::test]
async fn a_managed_certificate_is_neither_replaced_nor_removed_by_people() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    add(&world, hello, "www.example.com").await;
    let issued = issue(&world, &["www.example.com"], 90, "acme").await;
    let mut conn = world.conn().await;
    assert_eq!(find(&mut conn, hello, &issued.id.to_string()).await.unwrap(), None);
    let refused = delete(&mut conn, issued.id, world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::CertificateGone)));
    assert_eq!(managed(&mut conn).await.unwrap(), std::slice::from_ref(&issued));
    assert_eq!(list_of_app(&mut conn, hello).await.unwrap(), [issued]);
    let events = event::list(&mut conn, hello, 1).await.unwrap();
    assert_eq!((events[0].resource.as_str(), events[0].actor), ("acm", None));
}

#[tokio::test]
async fn a_chosen_certificate_wins_and_a_managed_one_serves_the_rest() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let www = add(&world, hello, "www.example.org").await;
    add(&world, hello, "api.example.org").await;
    issue(&world, &["www.example.org", "api.example.org"], 90, "acme").await;
    let chosen = uploaded(&world, hello, "quiet-river-1", "*.example.org").await;
    assert_eq!(served(&world).await, ["acme: api.example.org www.example.org"]);

    let mut conn = world.conn().await;
    set_certificate(&mut conn, www.id, Some(chosen.id), world.stamp())
        .await
        .unwrap();
    assert_eq!(
        served(&world).await,
        ["acme: api.example.org", "quiet-river-1: www.example.org"]
    );
    set_acm(&mut conn, hello, false, world.stamp()).await.unwrap();
    assert_eq!(served(&world).await, ["quiet-river-1: www.example.org"]);
}

#[tokio::test]
async fn of_several_managed_certificates_the_newest_that_is_valid_serves() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    add(&world, hello, "www.example.org").await;
    issue(&world, &["www.example.org"], -1, "ended").await;
    assert_eq!(
        served(&world).await,
        ["ended: www.example.org"],
        "better than a stranger's"
    );
    issue(&world, &["www.example.org"], 30, "old").await;
    issue(&world, &["*.example.org"], 90, "wildcard").await;
    assert_eq!(served(&world).await, ["wildcard: www.example.org"]);
    issue(&world, &["www.example.org"], 91, "new").await;
    assert_eq!(served(&world).await, ["new: www.example.org"]);

    let mut conn = world.conn().await;
    assert_eq!(delete_expired(&mut conn, noon()).await.unwrap(), 1);
    assert_eq!(managed(&mut conn).await.unwrap().len(), 3);
}

#[tokio::test]
async fn an_authority_goes_before_our_own() {
    let world = World::new().await;
    let material = Material {
        hostnames: &[name("*.example.com")],
        chain_pem: "local",
        key_pem: "key",
        not_before: noon(),
        not_after: days(3650),
    };
    let sealer = &world.store().sealer;
    issued_locally(&mut *world.conn().await, sealer, material, noon())
        .await
        .unwrap();
    assert_eq!(served(&world).await, ["local: *.example.com"]);
    issue(&world, &["*.example.com", "example.com"], 90, "acme").await;
    assert_eq!(served(&world).await, ["acme: example.com *.example.com"]);
}

#[tokio::test]
async fn a_certificate_of_a_name_that_nobody_has_is_not_served() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    issue(&world, &["www.example.org", "hello.example.com"], 90, "acme").await;
    assert_eq!(served(&world).await, ["acme: hello.example.com"]);
    // A name that comes back is served at once.
    add(&world, hello, "www.example.org").await;
    assert_eq!(served(&world).await, ["acme: hello.example.com www.example.org"]);
}

use paas_core::App;

use super::*;
use crate::{app::begin_destroy, certificate, event, fixture::World, testing::noon};

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

async fn add(world: &World, app: Id<App>, hostname: &str) -> Result<Domain, StoreError> {
    let new = NewDomain {
        app,
        hostname: &name(hostname),
        certificate: None,
    };
    create(&mut *world.conn().await, new, world.stamp()).await
}

async fn upload(world: &World, app: Id<App>, label: &str) -> Id<Certificate> {
    let material = certificate::Material {
        hostnames: &[name("www.example.com")],
        chain_pem: "chain",
        key_pem: "key",
        not_before: noon(),
        not_after: noon(),
    };
    let sealer = &world.store().sealer;
    certificate::upload(&mut *world.conn().await, sealer, app, label, material, world.stamp())
        .await
        .unwrap()
        .id
}

fn is_taken(result: &Result<Domain, StoreError>) -> bool {
    matches!(result, Err(StoreError::DomainTaken))
}

#[tokio::test]
async fn a_domain_is_found_by_its_name_as_it_was_typed_and_by_its_id() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let made = add(&world, hello, "xn--bcher-kva.example").await.unwrap();
    add(&world, hello, "*.example.com").await.unwrap();
    let mut conn = world.conn().await;
    for text in ["Bücher.example", "xn--bcher-kva.example.", &made.id.to_string()] {
        assert_eq!(
            find(&mut conn, hello, text).await.unwrap(),
            Some(made.clone()),
            "{text}"
        );
        assert_eq!(find(&mut conn, other, text).await.unwrap(), None, "{text}");
    }
    for text in ["", "/", "www.example.com", "'; drop table domains; --"] {
        assert_eq!(find(&mut conn, hello, text).await.unwrap(), None, "{text}");
    }
    assert!(by_name(&mut conn, &name("*.example.com")).await.unwrap().is_some());
    assert_eq!(by_name(&mut conn, &name("www.example.com")).await.unwrap(), None);
    let names: Vec<_> = list_of_app(&mut conn, hello).await.unwrap();
    let names: Vec<_> = names.iter().map(|domain| domain.hostname.to_string()).collect();
    assert_eq!(names, ["*.example.com", "xn--bcher-kva.example"]);
    assert_eq!(count(&mut conn, hello).await.unwrap(), 2);
    assert_eq!(list_all(&mut conn).await.unwrap().len(), 2);
    assert_eq!(count(&mut conn, other).await.unwrap(), 0);
}

#[tokio::test]
async fn a_name_is_of_one_app() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    add(&world, hello, "www.example.com").await.unwrap();
    assert!(is_taken(&add(&world, hello, "www.example.com").await));
    assert!(is_taken(&add(&world, other, "www.example.com").await));
    // One owner may split what a wildcard takes.
    add(&world, other, "*.example.com").await.unwrap();
    add(&world, hello, "api.example.com").await.unwrap();
}

#[tokio::test]
async fn nobody_takes_requests_from_the_wildcard_of_somebody_else() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    add(&world, hello, "*.example.com").await.unwrap();
    add(&world, hello, "www.example.org").await.unwrap();

    let bob = world.database.account("bob").await;
    let new = app::NewApp {
        id: new_id(noon()),
        name: "bobs".parse().unwrap(),
        stack: "paas-12".to_owned(),
    };
    let by_bob = Stamp { by: bob, at: noon() };
    let mut conn = world.conn().await;
    let bobs = app::create(&mut conn, &world.store().sealer, new, by_bob)
        .await
        .unwrap();
    drop(conn);
    for taken in ["www.example.com", "*.example.com", "*.example.org"] {
        assert!(is_taken(&add(&world, bobs.app.id, taken).await), "{taken}");
    }
    for free in [
        "example.com",
        "a.b.example.com",
        "*.b.example.com",
        "*.www.example.org",
        "*.org",
        "xexample.com",
    ] {
        assert!(add(&world, bobs.app.id, free).await.is_ok(), "{free}");
    }
}

#[tokio::test]
async fn a_domain_takes_certificates_of_its_own_app_only() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    let (ours, theirs) = (
        upload(&world, hello, "quiet-river-1").await,
        upload(&world, other, "loud-sea-2").await,
    );
    let domain = add(&world, hello, "www.example.com").await.unwrap();
    assert_eq!((domain.certificate.clone(), domain.acm), (None, true));
    let mut conn = world.conn().await;
    let refused = set_certificate(&mut conn, domain.id, Some(theirs), world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::CertificateGone)));
    let with = set_certificate(&mut conn, domain.id, Some(ours), world.stamp()).await;
    assert_eq!(with.unwrap().certificate.unwrap().name, "quiet-river-1");
    let without = set_certificate(&mut conn, domain.id, None, world.stamp()).await;
    assert_eq!(without.unwrap().certificate, None);

    set_certificate(&mut conn, domain.id, Some(ours), world.stamp())
        .await
        .unwrap();
    certificate::delete(&mut conn, ours, world.stamp()).await.unwrap();
    let left = find(&mut conn, hello, "www.example.com").await.unwrap().unwrap();
    assert_eq!(left.certificate, None, "the domain outlives its certificate");
    let gone = set_certificate(&mut conn, new_id(noon()), None, world.stamp()).await;
    assert!(matches!(gone, Err(StoreError::DomainGone)));
}

#[tokio::test]
async fn names_are_free_as_soon_as_their_app_is_destroyed() {
    let world = World::new().await;
    let (hello, other) = (world.app("hello").await, world.app("other").await);
    add(&world, hello, "www.example.com").await.unwrap();
    let certificate = upload(&world, hello, "quiet-river-1").await;
    let mut conn = world.conn().await;
    begin_destroy(&mut conn, hello, world.stamp()).await.unwrap();
    assert_eq!(certificate::by_id(&mut conn, certificate).await.unwrap(), None);
    add(&world, other, "www.example.com").await.unwrap();
    assert!(matches!(
        add(&world, hello, "www.example.org").await,
        Err(StoreError::AppGone)
    ));
}

#[tokio::test]
async fn every_change_leaves_an_event() {
    let world = World::new().await;
    let hello = world.app("hello").await;
    let domain = add(&world, hello, "www.example.com").await.unwrap();
    let mut conn = world.conn().await;
    let removed = delete(&mut conn, domain.id, world.stamp()).await.unwrap();
    assert_eq!(removed, domain);
    assert!(matches!(
        delete(&mut conn, domain.id, world.stamp()).await,
        Err(StoreError::DomainGone)
    ));
    let events = event::list(&mut conn, hello, 2).await.unwrap();
    let told: Vec<_> = events
        .iter()
        .map(|event| {
            (
                event.action.as_str(),
                event.resource.as_str(),
                &event.payload["hostname"],
            )
        })
        .collect();
    let hostname = json!("www.example.com");
    assert_eq!(
        told,
        [("destroy", "domain", &hostname), ("create", "domain", &hostname)]
    );
}

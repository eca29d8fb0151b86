use paas_core::{AcmState, Authorities, Authority, DnsVerdict, Failure, Fault, Held, LedgerEntry, RenewalWindow};

use super::*;
use crate::{
    certificate::{self, Material},
    fixture::{World, seconds},
    testing::noon,
};

const DIRECTORY: &str = "https://ca.example/directory";

fn name(text: &str) -> DomainName {
    text.parse().unwrap()
}

fn server(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

fn strings(name: &str) -> Vec<String> {
    vec![name.to_owned()]
}

fn held() -> Held {
    Held {
        not_before: noon(),
        not_after: noon() + TimeDelta::days(90),
    }
}

fn order<'a>(names: &'a [String], key_pem: &'a str) -> NewOrder<'a> {
    NewOrder {
        directory: DIRECTORY,
        names,
        kind: OrderKind::First,
        key_pem,
    }
}

fn at(acm: &Acm) -> Standing<'_> {
    Standing {
        acm,
        window_due_at: None,
        fault: None,
    }
}

async fn managed(world: &World, hostname: &str) -> ManagedName {
    let mut conn = world.conn().await;
    let acm = Acm::new(noon());
    manage(&mut conn, &name(hostname), None, &acm, noon()).await.unwrap();
    find(&mut conn, &name(hostname)).await.unwrap().unwrap()
}

#[tokio::test]
async fn every_state_comes_back_as_it_was_saved() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let row = managed(&world, "www.example.com").await;
    assert!(lease(&mut conn, row.id, server(1), seconds(60), noon()).await.unwrap());
    let failure = |fault| Failure {
        authority: Authority::Production,
        fault,
        words: "Come back later".to_owned(),
    };
    let limited = Fault::Authority {
        retry_at: Some(noon() + TimeDelta::days(2)),
    };
    let new = Acm::new(noon());
    let verified = new.clone().dns_checked(DnsVerdict::PointsHere, noon());
    let ordering = verified
        .clone()
        .ordered(Authority::Staging, "https://ca/1".to_owned(), noon());
    let rehearsed = ordering.clone().rehearsed(seconds(5));
    let both = Authorities {
        has_staging: true,
        has_fallback: true,
    };
    let failing = rehearsed.clone().failed(failure(limited), false, both, seconds(6), 0.5);
    let failed = failing
        .clone()
        .failed(failure(Fault::Name), false, both, noon() + TimeDelta::days(40), 0.5);
    let issued = rehearsed
        .clone()
        .issued(Some(Authority::Fallback), &held(), seconds(9), 0.5);
    let window = RenewalWindow {
        start: seconds(100),
        end: seconds(200),
    };
    let advised = issued.clone().advised(window, seconds(10), 0.5);
    let local = Acm {
        state: AcmState::Local,
        ..new.clone()
    };
    let waiting = new
        .clone()
        .dns_checked(DnsVerdict::Wait("No record".to_owned()), noon());
    for acm in [
        new, verified, ordering, rehearsed, failing, failed, issued, advised, local, waiting,
    ] {
        assert!(
            save(
                &mut conn,
                &row,
                Standing {
                    window_due_at: Some(seconds(7)),
                    ..at(&acm)
                },
                server(1)
            )
            .await
            .unwrap()
        );
        let found = find(&mut conn, &row.hostname).await.unwrap().unwrap();
        assert_eq!((found.acm, found.window_due_at), (acm, Some(seconds(7))));
    }
}

#[tokio::test]
async fn one_server_at_a_time_works_on_a_name() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let row = managed(&world, "www.example.com").await;
    assert!(lease(&mut conn, row.id, server(1), seconds(60), noon()).await.unwrap());
    assert!(
        !lease(&mut conn, row.id, server(2), seconds(90), seconds(30))
            .await
            .unwrap()
    );
    assert!(
        lease(&mut conn, row.id, server(1), seconds(90), seconds(30))
            .await
            .unwrap(),
        "extended"
    );
    assert!(!save(&mut conn, &row, at(&row.acm), server(2)).await.unwrap());
    let key = order(&[], "key");
    assert!(
        !begin_order(&mut conn, &world.store().sealer, row.id, key, server(2), seconds(30))
            .await
            .unwrap()
    );
    assert_eq!(
        ledger(&world).await,
        [],
        "an order that is not placed is not in the ledger"
    );
    assert!(
        lease(&mut conn, row.id, server(2), seconds(150), seconds(91))
            .await
            .unwrap(),
        "it ran out"
    );
    assert!(!save(&mut conn, &row, at(&row.acm), server(1)).await.unwrap());
    release(&mut conn, row.id, server(2)).await.unwrap();
    assert!(
        lease(&mut conn, row.id, server(1), seconds(150), seconds(92))
            .await
            .unwrap()
    );
    // A clock that ran a day ahead must not lock a name for a day.
    let day = 24 * 3600;
    assert!(
        lease(&mut conn, row.id, server(1), seconds(day), seconds(day - 60))
            .await
            .unwrap()
    );
    assert!(
        lease(&mut conn, row.id, server(2), seconds(200), seconds(100))
            .await
            .unwrap()
    );
}

async fn ledger(world: &World) -> Vec<LedgerEntry> {
    acme_ledger::of_directory(
        &mut *world.conn().await,
        DIRECTORY,
        Authority::Production,
        seconds(1000),
    )
    .await
    .unwrap()
}

#[tokio::test]
async fn an_order_and_its_key_are_kept_until_it_ends() {
    let world = World::new().await;
    let sealer = &world.store().sealer;
    let mut conn = world.conn().await;
    let row = managed(&world, "www.example.com").await;
    let names = strings("www.example.com");
    lease(&mut conn, row.id, server(1), seconds(60), noon()).await.unwrap();
    assert!(
        begin_order(&mut conn, sealer, row.id, order(&names, "canary"), server(1), noon())
            .await
            .unwrap()
    );
    let entry = |failed_at| LedgerEntry::Order {
        authority: Authority::Production,
        names: names.clone(),
        kind: OrderKind::First,
        at: noon(),
        failed_at,
        is_invalid: failed_at.is_some(),
    };
    assert_eq!(ledger(&world).await, [entry(None)]);

    let acm = row.acm.clone().dns_checked(DnsVerdict::PointsHere, noon());
    let acm = acm.ordered(Authority::Production, "https://ca/1".to_owned(), noon());
    save(&mut conn, &row, at(&acm), server(1)).await.unwrap();
    let found = find(&mut conn, &row.hostname).await.unwrap().unwrap();
    assert_eq!(order_key(sealer, &found).unwrap().as_deref(), Some("canary"));
    assert_eq!(found.order.as_ref().unwrap().directory, DIRECTORY);
    let stored = sqlx::query_scalar::<_, Vec<u8>>("select order_key from acm");
    let stored = stored.fetch_one(&mut *conn).await.unwrap();
    assert!(!stored.windows(6).any(|bytes| bytes == b"canary"));

    let failure = Failure {
        authority: Authority::Production,
        fault: Fault::Name,
        words: "no".to_owned(),
    };
    let acm = acm.failed(failure, false, Authorities::default(), seconds(5), 0.0);
    save(
        &mut conn,
        &found,
        Standing {
            fault: Some(Fault::Name),
            ..at(&acm)
        },
        server(1),
    )
    .await
    .unwrap();
    let found = find(&mut conn, &row.hostname).await.unwrap().unwrap();
    assert_eq!(found.order, None);
    assert_eq!(ledger(&world).await, [entry(Some(seconds(5)))]);

    acme_ledger::record_account(&mut conn, DIRECTORY, noon()).await.unwrap();
    assert_eq!(ledger(&world).await.len(), 2);
    acme_ledger::prune(&mut conn, noon() + TimeDelta::days(7))
        .await
        .unwrap();
    assert_eq!(ledger(&world).await.len(), 2);
    acme_ledger::prune(&mut conn, noon() + TimeDelta::days(9))
        .await
        .unwrap();
    assert_eq!(ledger(&world).await, []);
}

#[tokio::test]
async fn names_go_with_their_app_and_can_be_asked_for() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let app = world.app("hello").await;
    let hostname = name("www.example.com");
    manage(&mut conn, &hostname, Some(app), &Acm::new(noon()), noon())
        .await
        .unwrap();
    manage(&mut conn, &hostname, Some(app), &Acm::new(seconds(9)), seconds(9))
        .await
        .unwrap();
    let row = find(&mut conn, &hostname).await.unwrap().unwrap();
    assert_eq!(row.acm, Acm::new(noon()), "what is managed already stays as it is");
    lease(&mut conn, row.id, server(1), seconds(60), noon()).await.unwrap();
    let acm = Acm {
        state: AcmState::Failed,
        ..row.acm.clone()
    };
    save(&mut conn, &row, at(&acm), server(1)).await.unwrap();
    refresh(&mut conn, app, seconds(10)).await.unwrap();
    assert_eq!(
        list_of_app(&mut conn, app).await.unwrap()[0].acm.state,
        AcmState::Failed,
        "somebody is at it"
    );
    release(&mut conn, row.id, server(1)).await.unwrap();
    refresh(&mut conn, app, seconds(10)).await.unwrap();
    let rows = list_of_app(&mut conn, app).await.unwrap();
    assert_eq!(rows[0].acm.next_at(), Some(seconds(10)));
    assert_eq!(all(&mut conn).await.unwrap(), rows);
    forget(&mut conn, row.id).await.unwrap();
    assert_eq!(all(&mut conn).await.unwrap(), []);
}

#[tokio::test]
async fn a_warning_is_given_once_for_each_certificate() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let material = Material {
        hostnames: &[name("www.example.com")],
        chain_pem: "chain",
        key_pem: "key",
        not_before: held().not_before,
        not_after: held().not_after,
    };
    let sealer = &world.store().sealer;
    let one = certificate::issued_by_acme(&mut conn, sealer, material, noon())
        .await
        .unwrap();
    let other = certificate::issued_by_acme(&mut conn, sealer, material, noon())
        .await
        .unwrap();
    for (certificate, days, is_new) in [(&one, 14, true), (&one, 14, false), (&one, 7, true), (&other, 14, true)] {
        assert_eq!(
            warn_once(&mut conn, certificate.id, days, noon()).await.unwrap(),
            is_new
        );
    }
}

//! Against a cloud on loopback that checks every signature. The real one was not asked.

mod fake;

use chrono::{DateTime, TimeDelta, Utc};

use self::fake::{ACCESS_KEY, Aws, SECRET};
use super::*;

const NAME: &str = "_acme-challenge.example.com";
const ABSOLUTE: &str = "_acme-challenge.example.com.";

fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn route53(aws: &Aws) -> Route53 {
    let metadata = Metadata::at(&aws.base);
    let settings = Route53Settings {
        endpoint: Some(aws.base.clone()),
        ..Route53Settings::default()
    };
    let route53 = Route53::new(settings, metadata, aws.clock.clone()).unwrap();
    Route53 {
        pauses: Pauses {
            busy: Duration::from_millis(1),
            sync: Duration::from_millis(1),
        },
        ..route53
    }
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn records_come_beside_those_of_others_and_go_alone() {
    let aws = Aws::start(noon()).await;
    let route53 = route53(&aws);
    let theirs = ("ZCOM".to_owned(), ABSOLUTE.to_owned());
    aws.cloud()
        .texts
        .insert(theirs, (300, values(&["\"theirs & <others'>\""])));

    route53.add(NAME, &values(&["one", "two"])).await.unwrap();
    let all = ["\"theirs & <others'>\"", "\"one\"", "\"two\""];
    assert_eq!(aws.texts("ZCOM", ABSOLUTE).unwrap(), (300, values(&all)));
    // Again: nothing to do, and nothing twice.
    route53.add(NAME, &values(&["two"])).await.unwrap();
    assert_eq!(aws.texts("ZCOM", ABSOLUTE).unwrap(), (300, values(&all)));

    route53.remove(NAME, &values(&["one", "two"])).await.unwrap();
    assert_eq!(aws.texts("ZCOM", ABSOLUTE).unwrap(), (300, values(&all[..1])));
    route53.remove(NAME, &values(&["one", "two"])).await.unwrap();
}

#[tokio::test]
async fn the_last_value_takes_the_records_with_it() {
    let aws = Aws::start(noon()).await;
    let route53 = route53(&aws);
    // A neighbour that a list would begin with.
    let neighbour = ("ZCOM".to_owned(), "_acme-challenge.example.com.au.".to_owned());
    aws.cloud()
        .texts
        .insert(neighbour.clone(), (60, values(&["\"other\""])));
    route53.add(NAME, &values(&["one"])).await.unwrap();
    assert_eq!(
        aws.texts("ZCOM", ABSOLUTE).unwrap(),
        (TTL_SECONDS, values(&["\"one\""]))
    );
    route53.remove(NAME, &values(&["one"])).await.unwrap();
    assert_eq!(aws.texts("ZCOM", ABSOLUTE), None);
    assert_eq!(aws.texts("ZCOM", &neighbour.1).unwrap().1, ["\"other\""]);
}

#[tokio::test]
async fn a_change_that_somebody_else_outran_is_made_anew() {
    let aws = Aws::start(noon()).await;
    let route53 = route53(&aws);
    aws.cloud().races = vec!["\"faster\"", "\"once more\""];
    route53.add(NAME, &values(&["one"])).await.unwrap();
    let all = values(&["\"faster\"", "\"once more\"", "\"one\""]);
    assert_eq!(aws.texts("ZCOM", ABSOLUTE).unwrap().1, all);
}

#[tokio::test]
async fn a_change_is_done_when_every_server_has_it() {
    let aws = Aws::start(noon()).await;
    aws.cloud().pending = 3;
    route53(&aws).add(NAME, &values(&["one"])).await.unwrap();
    let calls = aws.cloud().calls.clone();
    assert_eq!(calls.iter().filter(|call| *call == "GetChange").count(), 3, "{calls:?}");
}

#[tokio::test]
async fn the_longest_public_zone_holds_a_name() {
    let aws = Aws::start(noon()).await;
    aws.cloud().zones.extend([
        ("ZSUB", ("sub.example.com.", false)),
        ("ZPRIVATE", ("deep.sub.example.com.", true)),
        ("ZOTHER", ("b.example.com.", false)),
    ]);
    let route53 = route53(&aws);
    for (name, zone) in [
        ("_acme-challenge.sub.example.com", "ZSUB"),
        ("_acme-challenge.deep.sub.example.com", "ZSUB"),
        ("_acme-challenge.bub.example.com", "ZCOM"),
        ("_acme-challenge.example.com", "ZCOM"),
    ] {
        assert_eq!(route53.zone_of(name).await.unwrap(), zone, "{name}");
    }
    let error = route53.zone_of("_acme-challenge.example.org").await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("no public hosted zone for _acme-challenge.example.org"),
        "{error}"
    );

    aws.cloud().zones.insert("ZTWIN", ("example.com.", false));
    let error = route53.zone_of(NAME).await.unwrap_err();
    assert!(error.to_string().contains("--dns-route53=ZCOM"), "{error}");
}

#[tokio::test]
async fn a_zone_that_was_given_is_not_looked_for() {
    let aws = Aws::start(noon()).await;
    let route53 = Route53 {
        zone_id: Some("ZGIVEN".to_owned()),
        ..route53(&aws)
    };
    route53.add(NAME, &values(&["one"])).await.unwrap();
    assert!(aws.texts("ZGIVEN", ABSOLUTE).is_some());
    assert_eq!(
        aws.cloud().calls,
        ["ListResourceRecordSets", "ChangeResourceRecordSets"]
    );
}

#[tokio::test]
async fn a_busy_service_is_asked_again() {
    let aws = Aws::start(noon()).await;
    aws.cloud().refusals = vec![
        (400, "Throttling", "Rate exceeded"),
        (400, "PriorRequestNotComplete", "wait"),
        (503, "ServiceUnavailable", "later"),
    ];
    route53(&aws).add(NAME, &values(&["one"])).await.unwrap();
    assert!(aws.texts("ZCOM", ABSOLUTE).is_some());
}

#[tokio::test]
async fn a_service_that_stays_busy_is_given_up() {
    let aws = Aws::start(noon()).await;
    aws.cloud().refusals = vec![(400, "Throttling", "Rate exceeded"); 50];
    let error = route53(&aws).add(NAME, &values(&["one"])).await.unwrap_err();
    assert!(error.to_string().contains("Rate exceeded"), "{error}");
    assert_eq!(aws.cloud().calls.len(), TRIES as usize);
}

#[tokio::test]
async fn a_missing_permission_is_called_by_its_name() {
    let aws = Aws::start(noon()).await;
    let route53 = Route53 {
        zone_id: Some("ZCOM".to_owned()),
        ..route53(&aws)
    };
    aws.cloud().refusals = vec![(
        403,
        "AccessDenied",
        "User: arn:aws:sts::1:assumed-role/paas is not authorized",
    )];
    let words = route53.add(NAME, &values(&["one"])).await.unwrap_err().to_string();
    assert!(
        words.contains("allow route53:ListResourceRecordSets on arn:aws:route53:::hostedzone/ZCOM"),
        "{words}"
    );
    assert!(words.contains("assumed-role/paas is not authorized"), "{words}");
    // One try: patience does not help.
    assert_eq!(aws.cloud().calls.len(), 1);
}

#[tokio::test]
async fn wrong_keys_are_called_wrong() {
    let aws = Aws::start(noon()).await;
    let given = Credentials {
        access_key_id: ACCESS_KEY.to_owned(),
        secret_access_key: paas_api::Secret::new("wrong"),
        session_token: Some(paas_api::Secret::new(fake::SESSION)),
    };
    let credentials = CredentialsSource::new(Some(given), Metadata::at(&aws.base), aws.clock.clone());
    let route53 = Route53 {
        credentials,
        ..route53(&aws)
    };
    let words = route53.add(NAME, &values(&["one"])).await.unwrap_err().to_string();
    assert!(words.contains("does not accept these credentials"), "{words}");
    assert!(!words.contains(SECRET));
    assert_eq!(aws.cloud().credentials_asked, 0);
}

#[tokio::test]
async fn credentials_of_the_role_are_renewed_before_they_end() {
    let aws = Aws::start(noon()).await;
    let route53 = route53(&aws);
    route53.add(NAME, &values(&["one"])).await.unwrap();
    assert_eq!(aws.cloud().credentials_asked, 1);
    aws.clock.advance(TimeDelta::hours(5) + TimeDelta::minutes(54));
    route53.add(NAME, &values(&["two"])).await.unwrap();
    assert_eq!(aws.cloud().credentials_asked, 1);
    aws.clock.advance(TimeDelta::minutes(2));
    route53.add(NAME, &values(&["three"])).await.unwrap();
    assert_eq!(aws.cloud().credentials_asked, 2);
}

#[tokio::test]
async fn an_instance_without_a_role_says_what_it_needs() {
    let aws = Aws::start(noon()).await;
    aws.cloud().has_role = false;
    let words = route53(&aws)
        .add(NAME, &values(&["one"]))
        .await
        .unwrap_err()
        .to_string();
    assert!(words.contains("this instance has no role"), "{words}");
    assert!(words.contains("AWS_ACCESS_KEY_ID"), "{words}");
}

#[tokio::test]
async fn the_metadata_service_tells_the_public_address() {
    let aws = Aws::start(noon()).await;
    let finder = crate::dns::AddressFinder::new(Vec::new(), Metadata::at(&aws.base), true);
    let found = finder.current().await;
    assert_eq!(found.addresses, ["203.0.113.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(found.source, crate::dns::AddressSource::Metadata);
}

//! Orders fail, and the authority's words arrive.

use std::time::{Duration, Instant};

use paas_router::acme::{AcmeError, Authority, ChallengeKind, OrderState, ProblemKind, ValidationState};

use crate::stage::{DEADLINE, Stage, owned};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn a_name_that_cannot_be_looked_up_fails_in_the_authoritys_words() {
    let stage = Stage::start().await;
    stage.names.set_servfail("_acme-challenge.www.example.com");
    let authority = stage.connect().await.authority;
    let names = ["fine.example.com", "www.example.com"];
    let problem = stage.issue(&authority, &names, ChallengeKind::Dns01).await.unwrap_err();
    assert_eq!(problem.name.as_deref(), Some("www.example.com"));
    assert!(problem.kind.is_failed_validation(), "{problem:?}");
    assert!(!problem.kind.is_authoritys_fault());
    assert!(problem.words.contains("www.example.com"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn a_challenge_that_is_not_there_fails_as_unauthorized() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let order = authority.order(&owned(&["www.example.com"]), None).await.unwrap();
    // Nothing was put in place.
    authority
        .ready(&order, "www.example.com", ChallengeKind::Http01)
        .await
        .unwrap();
    let since = Instant::now();
    let problem = loop {
        match authority.look(&order).await.unwrap() {
            OrderState::Failed(problem) => break problem,
            state => assert!(since.elapsed() < DEADLINE, "{state:?}"),
        }
    };
    assert_eq!(problem.kind, ProblemKind::Unauthorized);
    assert!(problem.words.contains("404"), "{problem:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn a_name_that_the_authority_does_not_issue_for_is_refused_at_once() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let refused = authority.order(&owned(&["*.*.example.com"]), None).await.unwrap_err();
    let AcmeError::Refused(problem) = refused else {
        panic!("{refused:?}")
    };
    assert!(problem.words.contains("example.com"), "{problem:?}");
    assert_eq!(stage.pebble.orders(), 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_authority_that_is_down_is_unreachable_within_seconds_and_found_again() {
    let stage = Stage::start().await;
    let connected = stage.connect().await;
    let account = connected.new_account.unwrap();
    stage.pebble.kill();
    let since = Instant::now();
    let unreachable = Authority::connect(&stage.directory(), Some(&account))
        .await
        .unwrap_err();
    assert!(since.elapsed() < Duration::from_secs(30));
    assert!(unreachable.is_authoritys_fault());
    let AcmeError::Unreachable { words, .. } = &unreachable else {
        panic!("{unreachable:?}")
    };
    assert!(words.contains("Connection refused"), "{words}");
    stage.pebble.run();
    let authority = stage.connect().await.authority;
    assert!(
        stage
            .issue(&authority, &["www.example.com"], ChallengeKind::Dns01)
            .await
            .is_ok()
    );
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_authority_that_nobody_vouches_for_is_not_talked_to() {
    let stage = Stage::start().await;
    let mut directory = stage.directory();
    directory.ca_file = None;
    let unreachable = Authority::connect(&directory, None).await.unwrap_err();
    assert!(unreachable.to_string().contains("UnknownIssuer"), "{unreachable}");
    directory.url = directory.url.replace("https", "http");
    let refused = Authority::connect(&directory, None).await.unwrap_err();
    assert!(matches!(refused, AcmeError::Scheme(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_order_is_not_finalized_before_its_names_are_validated() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let order = authority.order(&owned(&["www.example.com"]), None).await.unwrap();
    let key = paas_router::acme::PrivateKey::generate().unwrap();
    let refused = authority.finalize(&order, &key).await.unwrap_err();
    assert!(matches!(refused, AcmeError::NotReady), "{refused:?}");
    let OrderState::Validate(validations) = authority.look(&order).await.unwrap() else {
        panic!("the order still waits")
    };
    assert_eq!(validations[0].state, ValidationState::Wanted);
}

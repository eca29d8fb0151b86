//! Whoever has the order's URL carries on, from any line.

use paas_router::acme::{Authority, ChallengeKind, OrderState, OrderUrl, PrivateKey, ProblemKind, ValidationState};
use tokio::time::timeout;

use crate::stage::{DEADLINE, Stage, owned};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn another_client_carries_on_after_every_single_step() {
    let stage = Stage::start().await;
    let connected = stage.connect().await;
    let account = connected.new_account.unwrap();
    let names = owned(&["a.example.com", "b.example.com"]);
    let order = connected.authority.order(&names, None).await.unwrap();
    drop(connected.authority);
    let (order, key) = (order.as_str().to_owned(), PrivateKey::generate().unwrap());
    let mut steps = Vec::new();
    let finishing = async {
        loop {
            // What is left after a crash: the account, the key and the URL.
            let connected = Authority::connect(&stage.directory(), Some(&account)).await.unwrap();
            assert_eq!(connected.new_account, None);
            let (authority, order) = (connected.authority, OrderUrl::new(order.clone()));
            let state = authority.look(&order).await.unwrap();
            let step = match &state {
                OrderState::Validate(_) => "validate",
                OrderState::Ready => "ready",
                OrderState::Processing => "processing",
                OrderState::Issued { .. } => "issued",
                OrderState::Failed(problem) => panic!("{problem}"),
            };
            if steps.last() != Some(&step) {
                steps.push(step);
            }
            if let OrderState::Issued { chain_pem } = state {
                return chain_pem;
            }
            let key = PrivateKey::from_pem(key.pem().to_owned());
            stage
                .advance(&authority, &order, &key, ChallengeKind::Dns01, state)
                .await;
        }
    };
    let chain = timeout(DEADLINE, finishing).await.expect("the order ends in time");
    steps.retain(|step| *step != "processing");
    assert_eq!(steps, ["validate", "ready", "issued"]);
    assert_eq!(stage.pebble.orders(), 1);
    stage.serve("b.example.com", chain, &key).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn saying_a_thing_twice_does_no_harm() {
    let stage = Stage::start().await;
    let authority = stage.connect().await.authority;
    let order = authority.order(&owned(&["www.example.com"]), None).await.unwrap();
    let key = PrivateKey::generate().unwrap();
    let state = authority.look(&order).await.unwrap();
    stage
        .advance(&authority, &order, &key, ChallengeKind::Dns01, state)
        .await;
    if let OrderState::Validate(validations) = authority.look(&order).await.unwrap() {
        // The authority may have looked between the order and its authorizations.
        let state = validations[0].state;
        let is_told = matches!(state, ValidationState::Told | ValidationState::Valid);
        assert!(is_told, "{state:?}");
    }
    let again = authority.ready(&order, "www.example.com", ChallengeKind::Dns01);
    again.await.unwrap();
    let chain = stage
        .finish(&authority, &order, &key, ChallengeKind::Dns01)
        .await
        .unwrap();
    authority.finalize(&order, &key).await.unwrap();
    let again = authority.ready(&order, "www.example.com", ChallengeKind::Dns01);
    again.await.unwrap();
    let look = authority.look(&order).await.unwrap();
    assert_eq!(look, OrderState::Issued { chain_pem: chain });
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn a_validation_that_the_authority_remembers_is_not_asked_for() {
    let stage = Stage::with(|options| options.reused_validations = 100).await;
    let authority = stage.connect().await.authority;
    let names = ["www.example.com"];
    stage.issue(&authority, &names, ChallengeKind::Dns01).await.unwrap();
    let order = authority.order(&owned(&names), None).await.unwrap();
    assert_eq!(authority.look(&order).await.unwrap(), OrderState::Ready);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs pebble"]
async fn an_order_that_the_authority_has_lost_is_gone_for_good() {
    let stage = Stage::start().await;
    let connected = stage.connect().await;
    let order = connected.authority.order(&owned(&["www.example.com"]), None).await;
    let order = order.unwrap();
    stage.pebble.kill();
    stage.pebble.run();
    let account = connected.new_account.unwrap();
    let connected = Authority::connect(&stage.directory(), Some(&account)).await.unwrap();
    assert!(connected.new_account.is_some_and(|new| new != account));
    let OrderState::Failed(problem) = connected.authority.look(&order).await.unwrap() else {
        panic!("the authority cannot know the order")
    };
    assert_eq!(problem.kind, ProblemKind::OrderGone);
}

//! Session affinity.

use std::collections::BTreeSet;

use paas_router::feed::{AppState, Policy};
use tokio::io::AsyncWriteExt;

use crate::{
    stream::upgrading,
    support::{Answer, HOST, TestDyno, World, quick, read_until, serving},
};

const ON: Policy = Policy {
    https_redirect: false,
    hsts: None,
    session_affinity: true,
    response_timeout: None,
    idle_timeout: None,
    boot_timeout: None,
    error_page: None,
    maintenance_page: None,
    sleep_after: None,
};

async fn ask(world: &World, cookie: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: a=b; {cookie}\r\nConnection: close\r\n\r\n");
    world.send(&request).await
}

/// The part of a `Set-Cookie` that comes back in a `Cookie`.
fn pair(answer: &Answer) -> String {
    answer.header("set-cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_client_stays_with_the_dyno_that_answered_it_first() {
    let names = ["web.1", "web.2", "web.3", "web.4"];
    let mut dynos = Vec::new();
    for name in names {
        dynos.push(TestDyno::named(name).await);
    }
    let all: Vec<_> = dynos.iter().collect();
    let world = World::ruled(quick(), ON, serving(&all)).await;
    let first = ask(&world, "").await;
    let cookie = pair(&first);
    let attributes = first.header("set-cookie").strip_prefix(&cookie);
    assert_eq!(attributes, Some("; Max-Age=86400; Path=/; HttpOnly"));
    assert!(cookie.starts_with("heroku-session-affinity="), "{cookie}");
    for _ in 0..20 {
        let next = ask(&world, &cookie).await;
        assert_eq!(
            (next.body.as_str(), next.header("set-cookie")),
            (first.body.as_str(), "")
        );
    }
    // Others go anywhere.
    let mut seen = BTreeSet::new();
    while seen.len() < names.len() {
        seen.insert(ask(&world, "").await.body);
    }
    // The dyno goes: another one takes over, and its name with it.
    let others: Vec<_> = dynos.iter().filter(|dyno| dyno.name != first.body).collect();
    world.rule(ON, serving(&others)).await;
    let second = ask(&world, &cookie).await;
    assert_ne!(second.body, first.body);
    let cookie = pair(&second);
    assert_eq!(ask(&world, &cookie).await.body, second.body);
}

#[tokio::test]
async fn a_dyno_that_takes_no_connection_costs_a_faithful_client_nothing() {
    let (dead, alive) = (TestDyno::named("web.1").await, TestDyno::named("web.2").await);
    let world = World::ruled(quick(), ON, serving(&[&dead])).await;
    let cookie = pair(&ask(&world, "").await);
    world.rule(ON, serving(&[&dead, &alive])).await;
    dead.kill().await;
    let answer = ask(&world, &cookie).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "web.2"));
    assert_ne!(pair(&answer), cookie);
}

#[tokio::test]
async fn a_cookie_that_somebody_made_up_is_as_good_as_none() {
    let (one, two) = (TestDyno::named("web.1").await, TestDyno::named("web.2").await);
    let world = World::ruled(quick(), ON, serving(&[&one, &two])).await;
    for forged in [
        "heroku-session-affinity=0000000000000000",
        "heroku-session-affinity=\"><x",
        "=",
    ] {
        let answer = ask(&world, forged).await;
        assert_eq!(answer.status, 200);
        assert_ne!(pair(&answer), "", "{forged}");
    }
    // Without the feature nobody gets a cookie.
    world.rule(Policy::default(), serving(&[&one, &two])).await;
    assert_eq!(ask(&world, "").await.header("set-cookie"), "");
    world.rule(ON, AppState::Crashed).await;
    assert_eq!(ask(&world, "").await.header("set-cookie"), "", "no dyno answered");
}

#[tokio::test]
async fn a_websocket_gets_its_cookie_with_the_101() {
    let dyno = upgrading().await;
    let world = World::ruled(quick(), ON, serving(&[&dyno])).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(answer.contains("heroku-session-affinity="), "{answer}");
}

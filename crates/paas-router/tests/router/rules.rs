//! What the rules of an app do to its requests.

use std::{sync::Arc, time::Duration};

use paas_router::{
    Code, Limits,
    feed::{AppEntry, AppState, Policy, Table},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};

use crate::{
    support::{Answer, HOST, TestDyno, World, app, full, quick, read_until, serving},
    tls::{certificate, handshake},
};

const YEAR: Duration = Duration::from_hours(8760);

#[tokio::test]
async fn plain_http_is_sent_to_https_and_only_there() {
    let dyno = TestDyno::named("web.1").await;
    let policy = Policy {
        https_redirect: true,
        ..Policy::default()
    };
    let mut world = World::ruled(quick(), policy, serving(&[&dyno])).await;
    let port = world.addresses.https.unwrap().port();
    for (method, status) in [("GET", 301), ("HEAD", 301), ("POST", 308), ("DELETE", 308)] {
        let request = format!(
            "{method} /a%20b?c=d HTTP/1.1\r\nHost: {HOST}:8080\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = world.send(&request).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{method}");
        assert_eq!(answer.header("location"), format!("https://{HOST}:{port}/a%20b?c=d"));
        let record = world.record().await;
        assert_eq!((record.status, record.code, record.dyno), (status, None, None));
    }
    // A certificate authority asks over plain HTTP, and gets an answer there.
    let answer = world.get("/.well-known/acme-challenge/x").await;
    assert_eq!(answer.status, 404);
    assert_eq!(dyno.requests.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test]
async fn hsts_is_on_every_answer_over_https_and_on_no_other() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let mut response = http::Response::new(full("hello"));
        if request.uri().path() == "/own" {
            let own = http::HeaderValue::from_static("max-age=1; includeSubDomains");
            response.headers_mut().insert("strict-transport-security", own);
        }
        response
    })
    .await;
    let world = World::start(quick()).await;
    let trusted = certificate(HOST);
    let table = |state| Table {
        apps: vec![AppEntry {
            policy: Policy {
                hsts: Some(YEAR),
                ..Policy::default()
            },
            ..app(HOST, state)
        }],
        certificates: vec![Arc::new(trusted.clone())],
        ..Table::default()
    };
    let over_https = async |path: &str| {
        let mut stream = handshake(&world, HOST, &trusted).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = Answer::read_to_end(&mut stream).await;
        let all: Vec<_> = answer
            .headers
            .get_all("strict-transport-security")
            .iter()
            .cloned()
            .collect();
        (answer.status, all)
    };
    world.publish(table(serving(&[&dyno]))).await;
    assert_eq!(over_https("/").await, (200, vec!["max-age=31536000".parse().unwrap()]));
    let own = vec!["max-age=1; includeSubDomains".parse().unwrap()];
    assert_eq!(over_https("/own").await, (200, own), "the app's own word counts");
    assert_eq!(world.get("/").await.header("strict-transport-security"), "");
    world.publish(table(AppState::Crashed)).await;
    assert_eq!(over_https("/").await, (503, vec!["max-age=31536000".parse().unwrap()]));
}

#[tokio::test]
async fn the_time_limits_are_the_apps_own() {
    let silent = TestDyno::answering("web.1", |_| std::future::pending()).await;
    let limit = Duration::from_millis(100);
    let generous = Limits::default();
    let policy = Policy {
        response_timeout: Some(limit),
        ..Policy::default()
    };
    let mut world = World::ruled(generous.clone(), policy, serving(&[&silent])).await;
    let started = Instant::now();
    world.expect_code(Code::H12).await;
    assert!(started.elapsed() >= limit);

    let half = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
        stream.write_all(head).await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let policy = Policy {
        idle_timeout: Some(limit),
        ..Policy::default()
    };
    world.rule(policy, serving(&[&half])).await;
    let (answer, record) = world.get_recorded().await;
    assert_eq!((answer.body.as_str(), record.code), ("half", Some(Code::H15)));

    let policy = Policy {
        boot_timeout: Some(limit),
        ..Policy::default()
    };
    world.rule(policy, AppState::Booting).await;
    world.expect_code(Code::H20).await;
}

#[tokio::test]
async fn an_app_shows_its_own_pages_in_a_frame() {
    let policy = Policy {
        error_page: Some("https://example.com/error?a=1&b='\"<".to_owned()),
        maintenance_page: Some("https://example.com/soon".to_owned()),
        ..Policy::default()
    };
    let mut world = World::start(quick()).await;
    for (state, code, shown) in [
        (
            AppState::Maintenance,
            Code::H80,
            "<iframe src=\"https://example.com/soon\">",
        ),
        (
            AppState::Crashed,
            Code::H10,
            "<iframe src=\"https://example.com/error?a=1&amp;b=&#39;&quot;&lt;\">",
        ),
        (AppState::Booting, Code::H20, "<iframe src=\"https://example.com/error"),
        (AppState::Blank, Code::H81, "<h1>There's nothing here, yet</h1>"),
    ] {
        world.rule(policy.clone(), state).await;
        let (answer, record) = world.get_recorded().await;
        assert_eq!((answer.status, record.code), (503, Some(code)));
        assert!(answer.body.contains(shown), "{}", answer.body);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        assert_eq!(answer.header("cache-control"), "no-cache, no-store");
    }
}

#[tokio::test]
async fn a_wildcard_takes_one_label_and_the_exact_name_wins() {
    let (wild, exact) = (TestDyno::named("wild").await, TestDyno::named("exact").await);
    let world = World::start(quick()).await;
    world
        .publish(Table {
            apps: vec![
                app("*.example.test", serving(&[&wild])),
                app("www.example.test", serving(&[&exact])),
            ],
            ..Table::default()
        })
        .await;
    for (host, status, body) in [
        ("a.example.test", 200, "wild"),
        ("A.Example.Test:80", 200, "wild"),
        ("www.example.test", 200, "exact"),
        ("example.test", 404, ""),
        ("a.b.example.test", 404, ""),
        ("aexample.test", 404, ""),
    ] {
        let answer = world
            .send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
            .await;
        assert_eq!(answer.status, status, "{host}");
        assert!(status == 404 || answer.body == body, "{host}: {}", answer.body);
    }
    let literal = world
        .send("GET / HTTP/1.1\r\nHost: *.example.test\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(literal.status, 400);
}

//! Requests that two servers could read differently (RFC 9112 §11.2), each with a canary behind it on the same connection.

use std::sync::atomic::Ordering;

use paas_router::Code;

use crate::support::{HOST, TestDyno, World, quick};

const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: hello.test\r\nConnection: close\r\n\r\n";

/// What comes after the request line, and the body.
const CASES: &[(&str, &str)] = &[
    (
        "length and chunked",
        "Host: hello.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked and length",
        "Host: hello.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "Host: hello.test\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "identity, chunked",
        "Host: hello.test\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "gzip, chunked",
        "Host: hello.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked, identity",
        "Host: hello.test\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "unknown coding",
        "Host: hello.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "Host: hello.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
    ),
    (
        "a list of lengths",
        "Host: hello.test\r\nContent-Length: 5, 6\r\n\r\nabcde",
    ),
    ("a signed length", "Host: hello.test\r\nContent-Length: +5\r\n\r\nabcde"),
    (
        "a hexadecimal length",
        "Host: hello.test\r\nContent-Length: 0x5\r\n\r\nabcde",
    ),
    (
        "a huge length",
        "Host: hello.test\r\nContent-Length: 99999999999999999999\r\n\r\nabcde",
    ),
    (
        "space before colon",
        "Host: hello.test\r\nContent-Length : 5\r\n\r\nabcde",
    ),
    (
        "tab in a name",
        "Host: hello.test\r\nTransfer-\tEncoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "folded line",
        "Host: hello.test\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n",
    ),
    (
        "bare line feed",
        "Host: hello.test\r\nX: a\nContent-Length: 5\r\n\r\nabcde",
    ),
    ("bare line feed at the end", "Host: hello.test\r\nX: a\r\n\n"),
    (
        "bare carriage return",
        "Host: hello.test\r\nX: a\rContent-Length: 5\r\n\r\n",
    ),
    ("NUL", "Host: hello.test\r\nX: a\0b\r\n\r\n"),
    ("no host", "X: a\r\n\r\n"),
    ("two hosts", "Host: hello.test\r\nHost: hello.test\r\n\r\n"),
    ("empty host", "Host:\r\n\r\n"),
    ("host with a path", "Host: hello.test/x\r\n\r\n"),
    ("host with a user", "Host: x@hello.test\r\n\r\n"),
    ("host with a space", "Host: hello.test x\r\n\r\n"),
    ("list of hosts", "Host: hello.test, x\r\n\r\n"),
    ("host with a bad port", "Host: hello.test:80x\r\n\r\n"),
];

#[tokio::test]
async fn ambiguous_requests_are_refused_and_nothing_behind_them_is_heard() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    for (name, rest) in CASES {
        let answer = world.send(&format!("POST / HTTP/1.1\r\n{rest}{CANARY}")).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.raw);
        assert_eq!(answer.raw.matches("HTTP/1.1 ").count(), 1, "{name}: {}", answer.raw);
    }
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_second_request_of_a_connection_is_looked_at_as_closely_as_the_first() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let good = "POST / HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST / HTTP/1.1\r\nHost: hello.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let (_, both) = CASES[0];
    let answer = world
        .send(&format!("{good}{chunked}POST / HTTP/1.1\r\n{both}{CANARY}"))
        .await;
    assert_eq!(answer.raw.matches("HTTP/1.1 200").count(), 2, "{}", answer.raw);
    assert_eq!(answer.raw.matches("HTTP/1.1 400").count(), 1, "{}", answer.raw);
    assert_eq!(dyno.requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn bad_chunks_end_the_connection_and_carry_no_canary() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        use http_body_util::BodyExt;
        let path = request.uri().path().to_owned();
        // A dyno that got a broken body does not answer as if it were whole.
        match request.into_body().collect().await {
            Ok(_) => http::Response::new(crate::support::full(path)),
            Err(_) => std::future::pending().await,
        }
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    for (name, body) in [
        ("size with a sign", "+3\r\nabc\r\n0\r\n\r\n"),
        ("size with 0x", "0x3\r\nabc\r\n0\r\n\r\n"),
        ("size with a space in front", " 3\r\nabc\r\n0\r\n\r\n"),
        ("huge size", "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
        ("no terminator", "3\r\nabc0\r\n\r\n"),
        ("wrong terminator", "3\r\nabcXX0\r\n\r\n"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = world.send(&format!("{head}{body}{CANARY}")).await;
        assert_ne!(answer.status, 200, "{name}: {}", answer.raw);
        assert!(!answer.raw.contains("/canary"), "{name}: {}", answer.raw);
    }
}

#[tokio::test]
async fn an_absolute_target_for_another_host_is_refused() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let request = format!("GET http://other.test/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n{CANARY}");
    assert_eq!(world.send(&request).await.status, 400);
    assert_eq!(
        world
            .send(&format!("CONNECT {HOST}:80 HTTP/1.1\r\nHost: {HOST}\r\n\r\n{CANARY}"))
            .await
            .status,
        400
    );
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refused_request_of_an_app_leaves_h26_with_its_cause() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let (_, both) = CASES[0];
    world.send(&format!("POST / HTTP/1.1\r\n{both}")).await;
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H26), 400));
    assert_eq!(record.cause.as_deref(), Some("content-length with transfer-encoding"));
    let answer = world
        .send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nExpect: miracles\r\n\r\n"))
        .await;
    assert_eq!(answer.status, 417);
}

#[tokio::test]
async fn overlong_lines_are_refused() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let long = "a".repeat(9000);
    assert_eq!(world.get(&format!("/{long}")).await.status, 400);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {long}\r\n\r\n");
    assert_eq!(world.send(&request).await.status, 400);
    assert_eq!(world.get(&format!("/{}", "a".repeat(8000))).await.status, 200);
}

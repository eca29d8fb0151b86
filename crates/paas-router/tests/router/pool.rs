use std::sync::atomic::Ordering;

use paas_router::Limits;
use tokio::io::AsyncWriteExt;

use crate::support::{HOST, TestDyno, World, app, quick, read_until};

#[tokio::test]
async fn connections_to_a_dyno_are_used_again() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    for _ in 0..50 {
        assert_eq!(world.get("/").await.body, "web.1");
    }
    let connections = dyno.connections.load(Ordering::SeqCst);
    assert!(connections < 10, "{connections} connections for 50 requests");
}

/// Answers once on each connection, says nothing about closing, and closes: the worst idle time there is.
async fn closing() -> TestDyno {
    TestDyno::speaking("web.1", |mut stream| async move {
        let head = read_until(&mut stream, "\r\n\r\n").await;
        if head.starts_with("POST") {
            read_until(&mut stream, "x").await;
        }
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
    })
    .await
}

#[tokio::test]
async fn a_dyno_that_closes_unused_connections_costs_no_request() {
    let dyno = closing().await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    for _ in 0..500 {
        let answer = world.get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    }
}

#[tokio::test]
async fn a_pooled_connection_that_dies_under_a_request_is_replaced() {
    // The first request of a connection is answered; the second is read, and the connection closed without a word.
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    for _ in 0..20 {
        assert_eq!(world.get("/").await.status, 200);
    }
}

#[tokio::test]
async fn a_connection_of_a_dyno_that_left_the_table_is_closed_at_once() {
    let (ended, mut has_ended) = tokio::sync::mpsc::channel(1);
    let dyno = TestDyno::speaking("web.1", move |mut stream| {
        let ended = ended.clone();
        async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                .await
                .unwrap();
            let rest = tokio::io::AsyncReadExt::read(&mut stream, &mut [0]).await;
            ended.send(rest.unwrap()).await.unwrap();
        }
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    assert_eq!(world.get("/").await.body, "ok");
    // The same dyno and address, but another container: nothing of the old one is reused.
    let mut entry = dyno.entry();
    entry.container = "another".to_owned();
    world
        .publish(paas_router::feed::Table {
            apps: vec![app(HOST, paas_router::feed::AppState::Serving(vec![entry]))],
            ..Default::default()
        })
        .await;
    assert_eq!(has_ended.recv().await, Some(0));
    assert_eq!(world.get("/").await.body, "ok");
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 2);
}

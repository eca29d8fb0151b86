//! gRPC: HTTP/2 on both sides, with trailers, streaming both ways.

use std::{sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use paas_router::Code;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{
    http2::Http2,
    support::{DEADLINE, HOST, TestDyno, World, quick, until},
};

/// Answers each message with itself, at once, and then says that all is well.
async fn echoing() -> TestDyno {
    TestDyno::speaking("web.1", |stream| async move {
        let tracker = TaskTracker::new();
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((request, mut respond))) = connection.accept().await {
            tracker.spawn(async move {
                assert_eq!(request.uri().authority().unwrap(), HOST);
                assert_eq!(request.headers()["te"], "trailers");
                let via = request.headers()["via"].clone();
                let head = Response::builder()
                    .header("content-type", "application/grpc")
                    .header("seen-via", via);
                let mut send = respond.send_response(head.body(()).unwrap(), false).unwrap();
                let mut body = request.into_body();
                while let Some(Ok(message)) = body.data().await {
                    body.flow_control().release_capacity(message.len()).unwrap();
                    send.send_data(message, false).unwrap();
                }
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                send.send_trailers(trailers).unwrap();
            });
        }
    })
    .await
}

fn call() -> Request<()> {
    Request::post(format!("http://{HOST}/echo.Echo/Say"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn messages_go_both_ways_while_the_call_lasts_and_its_status_comes_behind() {
    let dyno = echoing().await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    for _ in 0..3 {
        let mut send = http2.send.clone().ready().await.unwrap();
        let (response, mut stream) = send.send_request(call(), false).unwrap();
        stream.send_data(Bytes::from_static(b"one"), false).unwrap();
        let response = timeout(DEADLINE, response).await.unwrap().unwrap();
        assert_eq!(response.headers()["seen-via"], "2.0 paas");
        let mut body = response.into_body();
        assert_eq!(timeout(DEADLINE, body.data()).await.unwrap().unwrap().unwrap(), "one");
        stream.send_data(Bytes::from_static(b"two"), true).unwrap();
        assert_eq!(timeout(DEADLINE, body.data()).await.unwrap().unwrap().unwrap(), "two");
        let trailers = timeout(DEADLINE, body.trailers()).await.unwrap().unwrap().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
        let record = world.record().await;
        assert_eq!(
            (record.code, record.status, record.bytes),
            (None, 200, Some(6)),
            "{record}"
        );
    }
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_connection_of_a_dyno_dies_with_its_place_in_the_table() {
    let (old, new) = (echoing().await, echoing().await);
    let world = World::serving(quick(), &[&old]).await;
    let http2 = Http2::plain(&world).await;
    let ask = async || {
        let response = http2.start(call()).await;
        timeout(DEADLINE, response).await.unwrap().unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);
    world.serve(&[&new]).await;
    assert_eq!(ask().await, 200);
    assert_eq!(old.connections.load(Ordering::SeqCst), 1);
    assert_eq!(new.connections.load(Ordering::SeqCst), 1);
    new.kill().await;
    until(|| async { ask().await == 503 }).await;
    let drained = world.feed.drained(old.id, Duration::from_secs(5)).await.unwrap();
    assert_eq!(drained, paas_router::feed::DrainOutcome::Drained);
}

#[tokio::test]
async fn what_only_looks_like_it_goes_as_http_1() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let mut request = call();
    let web = HeaderValue::from_static("application/grpc-web+proto");
    request.headers_mut().insert("content-type", web);
    assert!(http2.ask(request).await.body.starts_with("POST /echo.Echo/Say\n"));
}

#[tokio::test]
async fn a_dyno_that_speaks_no_http_2_is_named_for_it() {
    const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // Takes the preface for a request, as most servers do; is confused; closes without a word.
    for answer in [ANSWER, b"what?", b""] {
        let dyno = TestDyno::speaking("web.1", move |mut stream| async move {
            let _ = stream.read(&mut [0; 24]).await;
            let _ = stream.write_all(answer).await;
        })
        .await;
        let mut world = World::serving(quick(), &[&dyno]).await;
        let http2 = Http2::plain(&world).await;
        let response = timeout(DEADLINE, http2.start(call()).await).await.unwrap().unwrap();
        assert_eq!(response.status(), 503);
        let record = world.record().await;
        assert_eq!(record.code, Some(Code::H17), "{record}");
    }
    // One that does speak it, and goes away.
    let dyno = TestDyno::speaking("web.1", |stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        let _asked = connection.accept().await;
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let response = timeout(DEADLINE, http2.start(call()).await).await.unwrap().unwrap();
    assert_eq!(response.status(), 503);
    let record = world.record().await;
    assert_eq!(record.code, Some(Code::H13), "{record}");
}

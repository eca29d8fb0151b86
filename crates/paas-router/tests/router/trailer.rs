//! What comes after a body, both ways, over both versions of HTTP.

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{io::AsyncWriteExt, time::timeout};

use crate::{
    http2::Http2,
    support::{Answer, Body, DEADLINE, HOST, TestDyno, World, echoed, full, quick},
};

fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
    list.iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect()
}

/// Answers with the trailers of the request, one in a line.
async fn listing() -> TestDyno {
    TestDyno::answering("web.1", |request| async move {
        let whole = request.into_body().collect().await.unwrap();
        let mut lines: Vec<_> = whole
            .trailers()
            .into_iter()
            .flatten()
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        lines.sort();
        Response::new(full(lines.concat()))
    })
    .await
}

/// Answers `body`, and then these trailers; hyper sends them to whoever says that it takes them.
async fn trailing(trailers: &'static [(&'static str, &'static str)]) -> TestDyno {
    TestDyno::answering("web.1", move |_| async move {
        let frames = [
            Frame::data(Bytes::from_static(b"body")),
            Frame::trailers(headers(trailers)),
        ];
        let body: Body = BodyExt::boxed(StreamBody::new(stream::iter(frames.map(Ok))));
        let names: Vec<_> = trailers.iter().map(|(name, _)| *name).collect();
        Response::builder()
            .header("trailer", names.join(", "))
            .body(body)
            .unwrap()
    })
    .await
}

#[tokio::test]
async fn trailers_of_a_request_reach_the_dyno_without_those_that_are_ours() {
    let dyno = listing().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
             Trailer: X-Sum, X-Forwarded-For, Authorization\r\n\r\n\
             3\r\nabc\r\n0\r\nX-Sum: 7\r\nX-Forwarded-For: 1.2.3.4\r\nAuthorization: x\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.body, "x-sum: 7\n");

    let http2 = Http2::plain(&world).await;
    let mut send = http2.send.clone().ready().await.unwrap();
    let request = Request::post(format!("http://{HOST}/")).header("trailer", "x-sum, x-request-id");
    let (response, mut stream) = send.send_request(request.body(()).unwrap(), false).unwrap();
    stream.send_data(Bytes::from_static(b"abc"), false).unwrap();
    stream
        .send_trailers(headers(&[("x-sum", "7"), ("x-request-id", "mine-mine-mine-mine-mine")]))
        .unwrap();
    let answer = crate::http2::answer(response.await.unwrap()).await.unwrap();
    assert_eq!(answer.body, "x-sum: 7\n");
}

#[tokio::test]
async fn a_dyno_hears_that_the_client_takes_trailers_and_of_no_other_coding() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nTE: gzip, Trailers\r\nConnection: close, TE\r\n\r\n");
    let seen = echoed(&world.send(&request).await.body);
    assert_eq!(
        (&seen["te"], &seen["connection"]),
        (&vec!["trailers".to_owned()], &vec!["te".to_owned()])
    );
}

#[tokio::test]
async fn trailers_of_a_response_reach_clients_that_take_them() {
    let dyno = trailing(&[("x-sum", "7")]).await;
    let world = World::serving(quick(), &[&dyno]).await;
    for (te, end) in [("TE: trailers\r\n", "0\r\nx-sum: 7\r\n\r\n"), ("", "0\r\n\r\n")] {
        let mut stream = world.connect().await;
        let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{te}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = Answer::read_to_end(&mut stream).await;
        assert_eq!(answer.body, format!("4\r\nbody\r\n{end}"));
    }
    // The dyno's connection is good for the next one.
    assert_eq!(dyno.connections.load(std::sync::atomic::Ordering::SeqCst), 1);

    let http2 = Http2::plain(&world).await;
    let request = Request::get(format!("http://{HOST}/"))
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut body = http2.start(request).await.await.unwrap().into_body();
    assert_eq!(body.data().await.unwrap().unwrap(), "body");
    assert!(body.data().await.is_none());
    let trailers = timeout(DEADLINE, body.trailers()).await.unwrap().unwrap();
    assert_eq!(trailers, Some(headers(&[("x-sum", "7")])));
}

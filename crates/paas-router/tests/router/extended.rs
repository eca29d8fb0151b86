//! Tunnels over HTTP/2 (RFC 8441): those of `WebSocket`, and others.

use bytes::Bytes;
use h2::{RecvStream, SendStream, ext::Protocol};
use http::{Request, Response, StatusCode};
use paas_router::Limits;
use tokio::time::timeout;

use crate::{
    http2::{Http2, get},
    stream::upgrading,
    support::{DEADLINE, HOST, TestDyno, World, quick, until},
};

fn connect(protocol: &'static str) -> Request<()> {
    let mut request = Request::connect(format!("http://{HOST}/chat"))
        .header("sec-websocket-version", "13")
        .body(())
        .unwrap();
    request.extensions_mut().insert(Protocol::from_static(protocol));
    request
}

async fn open(http2: &Http2, protocol: &'static str) -> (Response<RecvStream>, SendStream<Bytes>) {
    until(|| async {
        let send = http2.send.clone().ready().await.unwrap();
        send.is_extended_connect_protocol_enabled()
    })
    .await;
    let mut send = http2.send.clone().ready().await.unwrap();
    let (response, stream) = send.send_request(connect(protocol), false).unwrap();
    (timeout(DEADLINE, response).await.unwrap().unwrap(), stream)
}

async fn read(body: &mut RecvStream, length: usize) -> Vec<u8> {
    let mut read = Vec::new();
    while read.len() < length {
        let data = timeout(DEADLINE, body.data()).await.unwrap().unwrap().unwrap();
        body.flow_control().release_capacity(data.len()).unwrap();
        read.extend_from_slice(&data);
    }
    read
}

#[tokio::test]
async fn a_tunnel_is_one_stream_among_others() {
    let dyno = upgrading().await;
    let limits = Limits {
        client_idle: std::time::Duration::from_secs(2),
        tick: std::time::Duration::from_millis(50),
        ..Limits::default()
    };
    let mut world = World::serving(limits, &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let (response, mut stream) = open(&http2, "websocket").await;
    assert_eq!(response.status(), StatusCode::OK);
    for gone in ["connection", "upgrade", "sec-websocket-accept"] {
        assert!(!response.headers().contains_key(gone), "{gone}");
    }
    let mut body = response.into_body();
    for text in ["ping", &"x".repeat(200_000)] {
        let mut rest = Bytes::copy_from_slice(text.as_bytes());
        let writing = async {
            while !rest.is_empty() {
                stream.reserve_capacity(rest.len());
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx))
                    .await
                    .unwrap()
                    .unwrap();
                stream.send_data(rest.split_to(room), false).unwrap();
            }
        };
        let ((), echoed) = tokio::join!(writing, read(&mut body, text.len()));
        assert!(echoed == text.as_bytes());
    }
    // Another one beside it.
    assert_eq!(open(&http2, "echo/1").await.0.status(), StatusCode::OK);
    // A tunnel keeps its connection: longer than one without requests would live.
    let start = tokio::time::Instant::now();
    while start.elapsed() < std::time::Duration::from_secs(3) {
        stream.send_data(Bytes::from_static(b"again"), false).unwrap();
        assert_eq!(read(&mut body, 5).await, b"again");
    }
    stream.send_data(Bytes::new(), true).unwrap();
    while let Some(data) = timeout(DEADLINE, body.data()).await.unwrap() {
        assert_eq!(data.unwrap(), "");
    }
    let records = [world.record().await, world.record().await];
    let tunnel = records.iter().find(|record| record.status == 101).unwrap();
    assert_eq!((tunnel.code, &*tunnel.method), (None, "GET"));
}

#[tokio::test]
async fn a_dyno_that_goes_says_goodbye_to_websockets_over_http_2() {
    let dyno = upgrading().await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let (response, _stream) = open(&http2, "websocket").await;
    world.serve(&[]).await;
    let within = std::time::Duration::from_millis(50);
    world.feed.drained(dyno.id, within).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(read(&mut body, 4).await, [0x88, 0x02, 0x03, 0xe9]);
}

#[tokio::test]
async fn a_dyno_that_does_not_switch_opens_no_tunnel() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let (response, _stream) = open(&http2, "websocket").await;
    assert_eq!(response.status(), StatusCode::NOT_IMPLEMENTED);
    let body = crate::http2::answer(response).await.unwrap().body;
    let seen = crate::support::echoed(&body);
    assert!(body.starts_with("GET /chat\n"), "{body}");
    assert_eq!(
        (seen["upgrade"].as_slice(), seen["connection"].as_slice()),
        (&["websocket".to_owned()][..], &["upgrade".to_owned()][..])
    );
    assert_eq!(seen["sec-websocket-key"][0].len(), 24);
    assert_eq!(http2.ask(get("/")).await.status, 200);
}

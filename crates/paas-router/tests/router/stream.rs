use bytes::Bytes;
use futures_util::StreamExt;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper_util::rt::TokioIo;
use paas_router::{Limits, feed::Table};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};
use tokio_util::task::TaskTracker;

use crate::support::{Answer, Body, HOST, TestDyno, World, full, hasty, platform, quick, read_until};

/// A response body that a test writes piece by piece.
fn live(pieces: mpsc::Receiver<&'static str>) -> Body {
    let stream = futures_util::stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((Ok(Frame::data(Bytes::from_static(piece.as_bytes()))), pieces))
    });
    BodyExt::boxed(StreamBody::new(stream))
}

#[tokio::test]
async fn the_first_event_arrives_before_the_second_exists() {
    let (write, pieces) = mpsc::channel(1);
    let pieces = std::sync::Arc::new(std::sync::Mutex::new(Some(pieces)));
    let dyno = TestDyno::answering("web.1", move |_| {
        let pieces = pieces.lock().unwrap().take().unwrap();
        async {
            Response::builder()
                .header("content-type", "text/event-stream")
                .body(live(pieces))
                .unwrap()
        }
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    for event in ["data: one\n\n", "data: two\n\n"] {
        write.send(event).await.unwrap();
        read_until(&mut stream, event).await;
    }
    drop(write);
    let end = Answer::read_to_end(&mut stream).await;
    assert!(end.raw.ends_with("0\r\n\r\n"), "{end:?}");
}

#[tokio::test]
async fn an_upload_is_heard_while_it_is_sent() {
    let (tell, mut pieces) = mpsc::channel(1);
    let dyno = TestDyno::answering("web.1", move |request| {
        let tell = tell.clone();
        async move {
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(piece)) = body.next().await {
                tell.send(piece).await.unwrap();
            }
            Response::new(full("done"))
        }
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in ["one", "two"] {
        stream.write_all(format!("3\r\n{piece}\r\n").as_bytes()).await.unwrap();
        assert_eq!(pieces.recv().await.unwrap(), piece);
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(Answer::read_to_end(&mut stream).await.body, "done");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let body = request.into_body().map_err(std::io::Error::other).boxed();
        Response::new(body)
    })
    .await;
    let mut world = World::serving(Limits::default(), &[&dyno]).await;
    let sent: Vec<u8> = (0..20_000_000_u32).map(|index| (index % 251) as u8).collect();
    let (mut read, mut write) = world.connect().await.into_split();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        sent.len()
    );
    let body = sent.clone();
    let writing = async move {
        write.write_all(head.as_bytes()).await.unwrap();
        write.write_all(&body).await.unwrap();
        write
    };
    let reading = async {
        read_until(&mut read, "\r\n\r\n").await;
        let mut received = Vec::new();
        read.read_to_end(&mut received).await.unwrap();
        received
    };
    let (_write, received) = tokio::join!(writing, reading);
    // Echoed with chunks around, because the dyno did not know the length.
    assert!(received.len() >= sent.len());
    assert_eq!(world.record().await.bytes, Some(sent.len() as u64));
}

#[tokio::test]
async fn an_upgrade_becomes_a_tunnel_of_any_protocol() {
    let dyno = upgrading().await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head =
        format!("GET /chat HTTP/1.1\r\nHost: {HOST}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: echo/1\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let answer = read_until(&mut stream, "\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    assert!(
        answer.contains("upgrade: echo/1\r\n") && answer.contains("connection: upgrade\r\n"),
        "{answer}"
    );
    // Not HTTP at all, and longer than any header line may be.
    for text in ["ping\n\n".to_owned(), "x".repeat(20_000)] {
        stream.write_all(text.as_bytes()).await.unwrap();
        assert_eq!(read_until(&mut stream, &text).await, text);
    }
    drop(stream);
    let record = world.record().await;
    assert_eq!(
        (record.code, record.status, record.bytes),
        (None, 101, Some(20_006)),
        "{record}"
    );
}

#[tokio::test]
async fn a_silent_tunnel_is_closed_as_h15() {
    let dyno = upgrading().await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    Answer::read_to_end(&mut stream).await;
    assert_eq!(world.record().await.code, Some(paas_router::Code::H15));
}

#[tokio::test]
async fn an_upgrade_that_the_dyno_declines_is_an_ordinary_request() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let upgrade = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let answer = Answer::read_one(&mut stream).await;
    assert!(answer.body.contains("upgrade: websocket\n"), "{}", answer.body);
    stream
        .write_all(format!("GET /next HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert!(Answer::read_one(&mut stream).await.body.starts_with("GET /next\n"));
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_before_its_body() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        assert!(!request.headers().contains_key("expect"));
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(body))
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("PUT / HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert!(read_until(&mut stream, "\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    stream.write_all(b"body").await.unwrap();
    assert_eq!(Answer::read_one(&mut stream).await.body, "body");
}

#[tokio::test]
async fn an_old_client_gets_a_plain_body_and_a_close() {
    let dyno = TestDyno::answering("web.1", |_| async {
        let pieces = futures_util::stream::iter(["a", "b"].map(|piece| Ok(Frame::data(Bytes::from(piece)))));
        Response::new(BodyExt::boxed(StreamBody::new(pieces)))
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!(
            "GET / HTTP/1.0\r\nHost: {HOST}\r\nConnection: keep-alive\r\n\r\n"
        ))
        .await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "ab"), "{}", answer.raw);
    assert_eq!(answer.header("transfer-encoding"), "");
}

#[tokio::test]
async fn an_old_dyno_that_ends_its_body_by_closing_is_understood() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream
            .write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold")
            .await
            .unwrap();
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "3\r\nold\r\n0\r\n\r\n"));
    assert_eq!(world.record().await.code, None);
}

#[tokio::test]
async fn head_and_304_keep_their_length_and_have_no_body() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let status = if request.uri().path() == "/same" {
            StatusCode::NOT_MODIFIED
        } else {
            StatusCode::OK
        };
        let body = if status == StatusCode::OK {
            full("12345")
        } else {
            full("")
        };
        Response::builder()
            .status(status)
            .header("etag", "x")
            .body(body)
            .unwrap()
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"))
        .await;
    assert_eq!(
        (answer.status, answer.header("content-length"), answer.body.as_str()),
        (200, "5", "")
    );
    assert_eq!(world.record().await.code, None);
    assert_eq!(world.get("/same").await.status, 304);
    assert_eq!(world.record().await.code, None);
}

#[tokio::test]
async fn a_platform_host_has_no_timeouts() {
    let limits = hasty();
    let silence = (limits.first_byte + limits.idle) * 2;
    let api = TestDyno::answering("api", move |_| async move {
        // The wait itself is what is tested.
        tokio::time::sleep(silence).await;
        Response::new(full("pushed"))
    })
    .await;
    let world = World::start(limits).await;
    let platform_hosts = vec![platform("git.test", api.address)];
    world
        .publish(Table {
            platform_hosts,
            ..Table::default()
        })
        .await;
    let answer = world
        .send("POST /hello.git HTTP/1.1\r\nHost: git.test\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx")
        .await;
    assert_eq!(answer.body, "pushed");
}

/// Echoes after a 101.
pub(crate) async fn upgrading() -> TestDyno {
    let tracker = TaskTracker::new();
    TestDyno::answering("web.1", move |mut request| {
        let tracker = tracker.clone();
        async move {
            let protocol = request.headers()["upgrade"].clone();
            let upgrade = hyper::upgrade::on(&mut request);
            tracker.spawn(async move {
                let mut stream = TokioIo::new(upgrade.await.unwrap());
                let mut buffer = [0; 4096];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            });
            Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", protocol)
                .body(full(""))
                .unwrap()
        }
    })
    .await
}

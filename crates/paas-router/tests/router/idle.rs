//! Connections that wait: they come back whole, and they do not wait for ever.

use std::{sync::Arc, time::Duration};

use paas_router::{Code, Limits, feed::Table};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

use crate::{
    support::{Answer, DEADLINE, HOST, TestDyno, World, app, quick, read_until, serving},
    tls,
};

const TICK: Duration = Duration::from_millis(10);

fn ticking() -> Limits {
    Limits {
        tick: TICK,
        ..Limits::default()
    }
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n")
}

async fn answered(stream: &mut (impl AsyncRead + Unpin), path: &str) {
    let answer = Answer::read_one(stream).await;
    assert!(answer.body.starts_with(&format!("GET {path}\n")), "{answer:?}");
}

/// Requests whose bytes come at every moment there is between two looks at the connection.
async fn come_and_go(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut random = StdRng::seed_from_u64(7);
    for round in 0..120 {
        let paths: Vec<_> = (0..random.random_range(1..4))
            .map(|index| format!("/{round}/{index}"))
            .collect();
        let bytes: String = paths.iter().map(|path| get(path)).collect();
        let mut rest = bytes.as_bytes();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(random.random_range(1..=rest.len()));
            stream.write_all(piece).await.unwrap();
            stream.flush().await.unwrap();
            rest = later;
            if random.random_bool(0.3) {
                sleep(TICK.mul_f64(random.random_range(0.0..3.0))).await;
            }
        }
        for path in &paths {
            answered(&mut stream, path).await;
        }
        sleep(TICK.mul_f64(random.random_range(0.0..3.0))).await;
    }
}

#[tokio::test]
async fn no_byte_is_lost_between_two_requests() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(ticking(), &[&dyno]).await;
    futures_util::future::join_all((0..4).map(|_| async { come_and_go(world.connect().await).await })).await;
}

#[tokio::test]
async fn no_byte_is_lost_between_two_requests_over_tls() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::start(ticking()).await;
    let certificate = tls::certificate(HOST);
    world
        .publish(Table {
            apps: vec![app(HOST, serving(&[&dyno]))],
            certificates: vec![Arc::new(certificate.clone())],
            ..Table::default()
        })
        .await;
    come_and_go(tls::handshake(&world, HOST, &certificate).await.unwrap()).await;
}

#[tokio::test]
async fn a_request_that_comes_with_the_end_of_the_handshake_is_answered() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::start(quick()).await;
    let certificate = tls::certificate(HOST);
    world
        .publish(Table {
            apps: vec![app(HOST, serving(&[&dyno]))],
            certificates: vec![Arc::new(certificate.clone())],
            ..Table::default()
        })
        .await;
    // Driven by hand: the last flight of the handshake and the request leave in one write.
    let config = Arc::new(tls::client(&certificate.chain_pem, &["http/1.1"]));
    let mut connection = rustls::ClientConnection::new(config, tls::server(HOST)).unwrap();
    let mut stream = tokio::net::TcpStream::connect(world.addresses.https.unwrap())
        .await
        .unwrap();
    let mut is_asked = false;
    let mut answer = Vec::new();
    let talking = async {
        while !String::from_utf8_lossy(&answer).contains("GET /first\n") {
            if !connection.is_handshaking() && !is_asked {
                std::io::Write::write_all(&mut connection.writer(), get("/first").as_bytes()).unwrap();
                is_asked = true;
            }
            let mut flight = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut flight).unwrap();
            }
            stream.write_all(&flight).await.unwrap();
            let mut read = [0; 16 * 1024];
            let length = stream.read(&mut read).await.unwrap();
            assert!(length > 0, "closed after {:?}", String::from_utf8_lossy(&answer));
            connection.read_tls(&mut &read[..length]).unwrap();
            connection.process_new_packets().unwrap();
            let _ = std::io::Read::read_to_end(&mut connection.reader(), &mut answer);
        }
    };
    timeout(DEADLINE, Box::pin(talking)).await.expect("an answer in time");
}

#[tokio::test]
async fn a_connection_that_asks_for_nothing_is_closed() {
    let dyno = TestDyno::echoing_heads().await;
    let limits = Limits {
        client_idle: Duration::from_secs(2),
        ..ticking()
    };
    let world = World::serving(limits, &[&dyno]).await;
    for first in [None, Some("/")] {
        let start = Instant::now();
        let mut stream = world.connect().await;
        if let Some(path) = first {
            stream.write_all(get(path).as_bytes()).await.unwrap();
            answered(&mut stream, path).await;
        }
        assert_eq!(Answer::read_to_end(&mut stream).await.raw, "");
        assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off_however_its_bytes_come() {
    let dyno = TestDyno::echoing_heads().await;
    let limits = Limits {
        head: Duration::from_millis(300),
        ..ticking()
    };
    let world = World::serving(limits, &[&dyno]).await;
    for first in [None, Some("/")] {
        let mut stream = world.connect().await;
        if let Some(path) = first {
            stream.write_all(get(path).as_bytes()).await.unwrap();
            answered(&mut stream, path).await;
        }
        let trickle = async {
            stream.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
            while stream.write_all(b"x").await.is_ok() {
                sleep(TICK).await;
            }
        };
        let start = Instant::now();
        timeout(DEADLINE, trickle).await.expect("the router closes");
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_body_that_trickles_in_is_given_up() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let _ = http_body_util::BodyExt::collect(request.into_body()).await;
        http::Response::new(crate::support::full("never"))
    })
    .await;
    let limits = Limits {
        body_grace: Duration::from_millis(300),
        body_floor: 1000,
        ..ticking()
    };
    let mut world = World::serving(limits, &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let trickle = async {
        while stream.write_all(b"x").await.is_ok() {
            sleep(TICK).await;
        }
    };
    timeout(DEADLINE, trickle).await.expect("the router closes");
    assert_eq!(world.record().await.code, Some(Code::H28));
}

/// A dyno that counts the headers that it got.
async fn counting() -> TestDyno {
    TestDyno::speaking("web.1", |mut stream| async move {
        loop {
            let head = read_until(&mut stream, "\r\n\r\n").await;
            let count = head.matches("\r\nx: ").count().to_string();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}", count.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn a_thousand_headers_pass() {
    let dyno = counting().await;
    let mut world = World::serving(ticking(), &[&dyno]).await;
    let with = |count: usize| format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", "X: y\r\n".repeat(count));
    let mut stream = world.connect().await;
    // Alone, behind another one, with another one behind, and in pieces.
    for counts in [&[150][..], &[1, 999, 2], &[101, 102], &[99, 100, 3], &[999, 999]] {
        let bytes: String = counts.iter().map(|count| with(*count)).collect();
        let (first, second) = bytes.split_at(bytes.len() / 3);
        stream.write_all(first.as_bytes()).await.unwrap();
        sleep(TICK * 2).await;
        stream.write_all(second.as_bytes()).await.unwrap();
        for count in counts {
            assert_eq!(Answer::read_one(&mut stream).await.body, count.to_string());
            assert_eq!(world.record().await.code, None);
        }
    }
    let answer = world.send(&with(1000)).await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn names_and_methods_have_their_limits() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::serving(ticking(), &[&dyno]).await;
    for (method, name, status, cause) in [
        (127, 1000, 200, None),
        (128, 1, 400, Some("method too long")),
        (3, 1001, 400, Some("header name too long")),
    ] {
        let answer = world
            .send(&format!(
                "{} / HTTP/1.1\r\nHost: {HOST}\r\n{}: y\r\nConnection: close\r\n\r\n",
                "M".repeat(method),
                "x".repeat(name)
            ))
            .await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_eq!(world.record().await.cause.as_deref(), cause);
    }
}

//! Proxies in front of the router: whom they speak for, and who may speak.

use paas_router::{Limits, Settings, feed::Table};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::support::{Answer, HOST, TestDyno, World, app, echoed, quick, serving, settings};

async fn behind(trusted: &[&str], proxy_protocol: bool, limits: Limits) -> World {
    World::start_with(|directory| Settings {
        trusted_proxies: trusted.iter().map(|network| network.parse().unwrap()).collect(),
        proxy_protocol,
        ..settings(directory, limits)
    })
    .await
}

fn get(headers: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{headers}Connection: close\r\n\r\n")
}

fn forwarded(answer: &Answer) -> (String, String, String) {
    let seen = echoed(&answer.body);
    let of = |name: &str| seen[name].join("|");
    (of("x-forwarded-for"), of("x-forwarded-proto"), of("x-forwarded-port"))
}

fn thus(forwarded_for: &str, proto: &str, port: &str) -> (String, String, String) {
    (forwarded_for.to_owned(), proto.to_owned(), port.to_owned())
}

#[tokio::test]
async fn headers_of_a_trusted_proxy_are_believed_and_those_of_others_are_not() {
    let dyno = TestDyno::echoing_heads().await;
    let claims =
        "X-Forwarded-For: 1.1.1.1, 203.0.113.7, 127.0.0.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 8443\r\n";
    let mut world = behind(&["127.0.0.0/8"], false, quick()).await;
    world.serve(&[&dyno]).await;
    let answer = world.send(&get(claims)).await;
    assert_eq!(forwarded(&answer), thus("1.1.1.1, 203.0.113.7", "https", "8443"));
    let record = world.record().await.to_string();
    assert!(record.contains(" fwd=\"1.1.1.1, 203.0.113.7\" "), "{record}");
    assert!(record.ends_with(" tls=true tls_version=unknown"), "{record}");
    // Without a word it is the proxy itself that asks.
    let answer = world.send(&get("")).await;
    let port = world.addresses.http.port().to_string();
    assert_eq!(forwarded(&answer), thus("127.0.0.1", "http", &port));

    let world = behind(&["10.0.0.0/8"], false, quick()).await;
    world.serve(&[&dyno]).await;
    let answer = world.send(&get(claims)).await;
    let port = world.addresses.http.port().to_string();
    assert_eq!(
        forwarded(&answer),
        thus("1.1.1.1, 203.0.113.7, 127.0.0.9, 127.0.0.1", "http", &port)
    );
}

#[tokio::test]
async fn a_redirect_goes_to_where_the_proxy_listens_and_stops_there() {
    let dyno = TestDyno::echoing_heads().await;
    let world = behind(&["127.0.0.1"], false, quick()).await;
    let mut entry = app(HOST, serving(&[&dyno]));
    entry.policy.https_redirect = true;
    world
        .publish(Table {
            apps: vec![entry],
            ..Table::default()
        })
        .await;
    let answer = world.send(&get("X-Forwarded-Proto: http\r\n")).await;
    assert_eq!((answer.status, answer.header("location")), (301, "https://hello.test/"));
    assert_eq!(world.send(&get("X-Forwarded-Proto: https\r\n")).await.status, 200);
}

const V2: [u8; 28] = [
    0x0d, 0x0a, 0x0d, 0x0a, 0, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0, 12, 203, 0, 113, 7, 198, 51,
    100, 1, 0x12, 0x34, 0x01, 0xbb,
];

async fn introduced(world: &World, pieces: &[&[u8]]) -> Answer {
    let mut stream = world.connect().await;
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        if stream.write_all(piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    Answer::read_to_end(&mut stream).await
}

#[tokio::test]
async fn a_trusted_proxy_introduces_its_client() {
    let dyno = TestDyno::echoing_heads().await;
    let world = behind(&["127.0.0.1"], true, quick()).await;
    world.serve(&[&dyno]).await;
    let request = get("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n");
    let request = request.as_bytes();
    let line = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n";
    let bytes: Vec<_> = line.iter().map(std::slice::from_ref).chain([request]).collect();
    let together = [line, request].concat();
    for pieces in [&[&V2[..], request][..], &[line, request], &[&together], &bytes] {
        let answer = introduced(&world, pieces).await;
        // The client's own words are not the proxy's.
        assert_eq!(forwarded(&answer), thus("1.1.1.1, 203.0.113.7", "http", "443"));
    }
    let answer = introduced(&world, &[b"PROXY UNKNOWN\r\n", request]).await;
    assert!(forwarded(&answer).0.starts_with("1.1.1.1"), "{answer:?}");
    for malformed in [
        &b"PROXY TCP4 203.0.113.7\r\n"[..],
        b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443 and more and more and more and more and more and more and more\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x11\x11\0\0",
        b"",
    ] {
        assert_eq!(introduced(&world, &[malformed, request]).await.raw, "");
    }
}

#[tokio::test]
async fn nobody_else_can_introduce_a_client() {
    let dyno = TestDyno::echoing_heads().await;
    let world = behind(&["10.0.0.0/8"], true, quick()).await;
    world.serve(&[&dyno]).await;
    let request = get("");
    let request = request.as_bytes();
    let answer = introduced(&world, &[b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n", request]).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(introduced(&world, &[request]).await.status, 200);
}

#[tokio::test]
async fn one_address_has_so_many_connections() {
    let dyno = TestDyno::echoing_heads().await;
    let limits = Limits {
        connections_per_address: 2,
        ..quick()
    };
    let world = behind(&["127.0.0.1"], true, limits).await;
    world.serve(&[&dyno]).await;
    let enter = async |address: &str| -> TcpStream {
        let mut stream = world.connect().await;
        let line = format!("PROXY TCP4 {address} 198.51.100.1 4711 443\r\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        // A reset is as good as an answer, of those that are sent away.
        let _ = stream
            .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
            .await;
        stream
    };
    let (mut one, mut two) = (enter("203.0.113.7").await, enter("203.0.113.7").await);
    assert_eq!(Answer::read_one(&mut one).await.status, 200);
    assert_eq!(Answer::read_one(&mut two).await.status, 200);
    assert_eq!(Answer::read_to_end(&mut enter("203.0.113.7").await).await.raw, "");
    assert_eq!(Answer::read_one(&mut enter("203.0.113.8").await).await.status, 200);
    drop(one);
    crate::support::until(|| async {
        let mut again = enter("203.0.113.7").await;
        let mut byte = [0];
        tokio::io::AsyncReadExt::read(&mut again, &mut byte)
            .await
            .is_ok_and(|read| read == 1)
    })
    .await;
}

#[tokio::test]
async fn when_all_places_are_taken_the_longest_idle_makes_room() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        http::Response::new(crate::support::full("here"))
    })
    .await;
    let limits = Limits {
        connections: 3,
        first_byte: crate::support::DEADLINE,
        ..quick()
    };
    let world = World::serving(limits, &[&dyno]).await;
    let mut busy = world.connect().await;
    busy.write_all(format!("GET /never HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let mut idle = Vec::new();
    for _ in 0..2 {
        let mut stream = world.connect().await;
        stream
            .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
            .await
            .unwrap();
        assert_eq!(Answer::read_one(&mut stream).await.body, "here");
        idle.push(stream);
    }
    for _ in 0..2 {
        assert_eq!(world.get("/").await.body, "here");
    }
    assert_eq!(Answer::read_to_end(&mut idle[0]).await.raw, "");
    drop(busy);
}

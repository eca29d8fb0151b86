//! Dynos that answer in ways that two readers could understand differently.
//!
//! A client gets the answer as the router understood it, or none; and what a dyno says beyond its answer never becomes the
//! answer to somebody else.

use std::time::Duration;

use paas_router::Code;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
};

use crate::support::{Answer, HOST, TestDyno, World, hasty, quick, read_until};

/// Behind each trick: an answer that nobody asked for.
const POISON: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";

#[derive(Debug, Clone, Copy)]
enum Outcome {
    /// The client gets this status and this body.
    Clean(u16, &'static str),
    /// The client gets a page of the router.
    Failed,
    /// The answer has begun, and ends in a way that shows that it is not whole.
    Cut,
}

use Outcome::{Clean, Cut, Failed};

const TRICKS: &[(&str, &str, Outcome)] = &[
    // Lengths.
    (
        "two lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        Failed,
    ),
    (
        "a list of lengths",
        "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabc",
        Failed,
    ),
    (
        "a signed length",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        Failed,
    ),
    (
        "a negative length",
        "HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc",
        Failed,
    ),
    (
        "a hexadecimal length",
        "HTTP/1.1 200 OK\r\nContent-Length: 0x3\r\n\r\nabc",
        Failed,
    ),
    (
        "a length of 70 bits",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999999999999\r\n\r\nabc",
        Failed,
    ),
    (
        "the same length twice",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "length, then chunked",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        Clean(200, "3\r\nabc\r\n0\r\n\r\n"),
    ),
    (
        "chunked, then length",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        Clean(200, "3\r\nabc\r\n0\r\n\r\n"),
    ),
    (
        "more than the length",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef",
        Clean(200, "abc"),
    ),
    (
        "a body where none can be",
        "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\nabc",
        Clean(204, ""),
    ),
    (
        "a chunked body where none can be",
        "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        Clean(304, ""),
    ),
    // Chunks.
    (
        "a signed chunk",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n+3\r\nabc\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk of 70 bits",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a chunk longer than its size",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n",
        Cut,
    ),
    (
        "a trailer that would frame",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n",
        Clean(200, "3\r\nabc\r\n0\r\n\r\n"),
    ),
    // Lines.
    (
        "a folded line",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 3\r\n\r\nabc",
        Failed,
    ),
    (
        "space before the colon",
        "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\nabc",
        Failed,
    ),
    (
        "bare CR",
        "HTTP/1.1 200 OK\r\nX: a\rSet-Cookie: b\r\nContent-Length: 3\r\n\r\nabc",
        Failed,
    ),
    (
        "NUL",
        "HTTP/1.1 200 OK\r\nX: a\0\r\nContent-Length: 3\r\n\r\nabc",
        Failed,
    ),
    (
        "bare LF",
        "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
        Clean(200, "abc"),
    ),
    // First lines.
    ("not HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", Failed),
    ("HTTP/0.9", "<html>hello</html>\r\n\r\n", Failed),
    ("HTTP/1.2", "HTTP/1.2 200 OK\r\nContent-Length: 3\r\n\r\nabc", Failed),
    ("HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", Failed),
    (
        "a short status",
        "HTTP/1.1 20 OK\r\nContent-Length: 3\r\n\r\nabc",
        Failed,
    ),
    (
        "a long status",
        "HTTP/1.1 2000 OK\r\nContent-Length: 3\r\n\r\nabc",
        Failed,
    ),
    ("status 000", "HTTP/1.1 000 OK\r\nContent-Length: 3\r\n\r\nabc", Failed),
    (
        "no reason",
        "HTTP/1.1 200\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "a status of its own",
        "HTTP/1.1 799 Odd\r\nContent-Length: 3\r\n\r\nabc",
        Clean(799, "abc"),
    ),
    // Interim answers.
    (
        "103 first",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "100 twice",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "an upgrade that nobody asked for",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        Failed,
    ),
    // Ends.
    (
        "close, and more",
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "an old answer, kept",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
    (
        "an old answer",
        "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc",
        Clean(200, "abc"),
    ),
];

/// A dyno that does its trick for `/trick`, and answers other paths with their name.
async fn tricky(trick: String) -> TestDyno {
    TestDyno::speaking("web.1", move |mut stream| {
        let trick = trick.clone();
        async move {
            while let Some(head) = read_head(&mut stream).await {
                let path = head.split(' ').nth(1).unwrap_or_default();
                let answer = match path {
                    "/trick" => trick.clone(),
                    path => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len()),
                };
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    })
    .await
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trick_is_understood_in_one_way_and_the_next_answer_is_the_next_clients() {
    let mut failures = Vec::new();
    for (name, trick, outcome) in TRICKS {
        let dyno = tricky(format!("{trick}{POISON}")).await;
        let world = World::serving(quick(), &[&dyno]).await;
        for round in 0..10 {
            // The connection that the trick comes on has been used before.
            let before = world.get("/before").await;
            let answer = world.get("/trick").await;
            let is_as_expected = match outcome {
                Clean(status, body) => answer.status == *status && answer.body == *body,
                Failed => matches!(answer.status, 502 | 503) && answer.body.contains("</html>"),
                // What had not left the router yet need not come at all.
                Cut => matches!(answer.status, 0 | 200) && !answer.raw.ends_with("0\r\n\r\n"),
            };
            if !is_as_expected || before.body != "/before" || answer.raw.contains("poison") {
                failures.push(format!("{name}, {outcome:?}: {:?}", answer.raw));
                break;
            }
            for path in ["/next", "/after"] {
                let answer = world.get(path).await;
                if answer.body != path {
                    failures.push(format!("{name}: round {round}, {path} got {:?}", answer.raw));
                }
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// On a kept connection of a client, too: what was cut must not be followed by another answer.
#[tokio::test]
async fn a_client_that_is_kept_gets_its_own_answers_in_order() {
    let trick = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    let dyno = tricky(format!("{trick}{POISON}")).await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    for _ in 0..20 {
        for (path, body) in [("/trick", "abc"), ("/next", "/next"), ("/trick", "abc")] {
            let request = format!("GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            assert_eq!(Answer::read_one(&mut stream).await.body, body);
        }
    }
}

#[tokio::test]
async fn what_a_dyno_says_unasked_closes_its_connection() {
    let (closed, mut closes) = mpsc::channel(1);
    let dyno = TestDyno::speaking("web.1", move |mut stream| {
        let closed = closed.clone();
        async move {
            read_head(&mut stream).await;
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine";
            stream.write_all(answer.as_bytes()).await.unwrap();
            // Now it is idle: what comes is for nobody.
            if closed.capacity() > 0 {
                let late = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 6\r\n\r\npoison";
                stream.write_all(late.as_bytes()).await.unwrap();
            }
            while stream.read_u8().await.is_ok() {}
            let _ = closed.send(()).await;
        }
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    for _ in 0..5 {
        let answer = world.get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "mine"));
        closes.recv().await.unwrap();
        assert_eq!(world.record().await.code, None);
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_end_of_the_request_costs_the_connection() {
    let dyno = tricky("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly".to_owned()).await;
    let world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("POST /trick HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 60\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read_one(&mut stream).await.body, "early");
    // To a dyno that had been given this connection again, the rest of the body would be a request.
    let rest = format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let _ = stream.write_all(rest.as_bytes()).await;
    for path in ["/one", "/two", "/three"] {
        assert_eq!(world.get(path).await.body, path);
    }
    assert!(!Answer::read_to_end(&mut stream).await.raw.contains("/smuggled"));
}

#[tokio::test]
async fn interim_answers_without_end_are_no_first_byte() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_ok() {
            // Paced, so that it is time and not a buffer that ends it.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    let mut world = World::serving(hasty(), &[&dyno]).await;
    world.expect_code(Code::H12).await;
}

#[tokio::test]
async fn an_answer_that_comes_byte_by_byte_is_read_as_one() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        stream.set_nodelay(true).unwrap();
        while read_head(&mut stream).await.is_some() {
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\nContent-Length: 4\r\n\r\nslow" {
                stream.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
        }
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    for _ in 0..10 {
        let answer = world.get("/").await;
        assert_eq!(
            (answer.status, answer.header("x-slow"), &*answer.body),
            (200, "yes", "slow")
        );
    }
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        let line = format!("X: {}\r\n", "a".repeat(1000));
        while stream.write_all(line.as_bytes()).await.is_ok() {}
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world.get("/").await;
    assert!(matches!(answer.status, 502 | 503), "{}", answer.status);
    assert!(answer.body.contains("</html>"));
}

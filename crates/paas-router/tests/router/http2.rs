//! HTTP/2 towards clients, with prior knowledge on the plain port; `tls.rs` has it negotiated.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use h2::{
    Reason,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use paas_router::{Code, Limits};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::support::{Answer, DEADLINE, HOST, TestDyno, World, echoed, full, quick, read_until};

/// One HTTP/2 connection.
pub(crate) struct Http2 {
    pub(crate) send: SendRequest<Bytes>,
    /// How the connection ended.
    pub(crate) ended: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Http2 {
    pub(crate) async fn plain(world: &World) -> Self {
        Self::over(world.connect().await, &h2::client::Builder::new()).await
    }

    pub(crate) async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        builder: &h2::client::Builder,
    ) -> Self {
        let (send, connection) = builder.handshake(stream).await.unwrap();
        let ended = TaskTracker::new().spawn(connection);
        Self { send, ended }
    }

    pub(crate) async fn start(&self, request: Request<()>) -> ResponseFuture {
        let mut send = self.send.clone().ready().await.unwrap();
        send.send_request(request, true).unwrap().0
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(get(path)).await
    }

    pub(crate) async fn ask(&self, request: Request<()>) -> Answer {
        let response = self.start(request).await;
        answer(timeout(DEADLINE, response).await.unwrap().unwrap())
            .await
            .unwrap()
    }

    pub(crate) async fn ended(self) -> Result<(), h2::Error> {
        timeout(DEADLINE, self.ended).await.expect("the router closes").unwrap()
    }
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(format!("http://{HOST}{path}")).body(()).unwrap()
}

pub(crate) async fn answer(response: Response<h2::RecvStream>) -> Result<Answer, h2::Error> {
    let (parts, mut stream) = response.into_parts();
    let mut body = Vec::new();
    while let Some(data) = timeout(DEADLINE, stream.data()).await.expect("data in time") {
        let data = data?;
        stream.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        raw: body.clone(),
        body,
    })
}

#[tokio::test]
async fn a_request_reaches_the_dyno_as_http_1_with_the_host_of_its_authority() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let request = Request::get(format!("http://{HOST}/x?y"))
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let answer = http2.ask(request).await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.starts_with("GET /x?y\n"), "{}", answer.body);
    let headers = echoed(&answer.body);
    assert_eq!(headers["host"], [HOST]);
    assert_eq!(headers["cookie"], ["a=1; b=2"]);
    assert_eq!(headers["via"], ["2.0 paas"]);
    assert_eq!(headers["x-forwarded-proto"], ["http"]);
    assert_eq!(answer.header("via"), "1.1 paas");
    assert!(answer.headers.contains_key("date"));
    assert!(!answer.headers.contains_key("connection"));
    let record = world.record().await;
    assert_eq!((record.code, record.status), (None, 200));
    assert!(
        record
            .to_string()
            .ends_with(" protocol=http2.0 tls=false tls_version=unknown"),
        "{record}"
    );
}

#[tokio::test]
async fn a_preface_may_come_in_pieces_and_so_may_a_method_that_looks_like_it() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    for pieces in [&["P", "OST / HTTP/1.1\r\n"][..], &["P", "R", "I", "X / HTTP/1.1\r\n"]] {
        let mut stream = world.connect().await;
        stream.set_nodelay(true).unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            // The pieces have to arrive as such, most of the time.
            tokio::task::yield_now().await;
        }
        let rest = format!("Host: {HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        stream.write_all(rest.as_bytes()).await.unwrap();
        let method: String = pieces.concat().split(' ').next().unwrap().to_owned();
        let answer = Answer::read_to_end(&mut stream).await;
        assert!(answer.body.starts_with(&format!("{method} /\n")), "{answer:?}");
    }
    let mut stream = world.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" {
        stream.write_all(&[*byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    // An empty SETTINGS frame, and its acknowledgement among what the router says.
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
    let mut read = Vec::new();
    let acknowledged = async {
        while !read.windows(9).any(|frame| frame == [0, 0, 0, 4, 1, 0, 0, 0, 0]) {
            tokio::io::AsyncReadExt::read_buf(&mut stream, &mut read).await.unwrap();
        }
    };
    timeout(DEADLINE, acknowledged)
        .await
        .expect("an acknowledgement in time");
}

#[tokio::test]
async fn streams_do_not_wait_for_each_other() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waiting = gate.clone();
    let dyno = TestDyno::answering("web.1", move |request| {
        let gate = waiting.clone();
        async move {
            if request.uri().path() == "/slow" {
                gate.acquire().await.unwrap().forget();
            }
            Response::new(full(request.uri().path().to_owned()))
        }
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let slow = http2.start(get("/slow")).await;
    let quick = join_all((0..50).map(|_| http2.get("/quick"))).await;
    assert!(quick.iter().all(|answer| answer.body == "/quick"));
    gate.add_permits(1);
    assert_eq!(answer(slow.await.unwrap()).await.unwrap().body, "/slow");
}

#[tokio::test]
async fn large_bodies_pass_both_ways_unchanged() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        Response::new(request.into_body().map_err(std::io::Error::other).boxed())
    })
    .await;
    let mut world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let sent: String = (0..3_000_000)
        .map(|index| char::from(b"abcdefghijklmnopqrstuvw"[index % 23]))
        .collect();
    let mut send = http2.send.clone().ready().await.unwrap();
    let request = Request::post(format!("http://{HOST}/")).body(()).unwrap();
    let (response, mut stream) = send.send_request(request, false).unwrap();
    let body = sent.clone();
    let writing = async move {
        let mut rest = Bytes::from(body);
        while !rest.is_empty() {
            stream.reserve_capacity(rest.len());
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx))
                .await
                .unwrap()
                .unwrap();
            stream.send_data(rest.split_to(room), false).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
    };
    let reading = async { answer(response.await.unwrap()).await.unwrap() };
    let ((), answer) = tokio::join!(writing, reading);
    assert!(answer.body == sent, "{} of {} bytes", answer.body.len(), sent.len());
    assert_eq!(world.record().await.bytes, Some(sent.len() as u64));
}

#[tokio::test]
async fn what_a_dyno_could_read_differently_is_refused_and_the_connection_goes_on() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let request = |name: &str, value: &str| {
        Request::get(format!("http://{HOST}/"))
            .header(name, value)
            .body(())
            .unwrap()
    };
    for refused in [
        request("host", "other.test"),
        request("content_length", "5"),
        request("transfer_encoding", "chunked"),
        request("x", &"a".repeat(8193)),
        Request::get("http://a@hello.test/").body(()).unwrap(),
        Request::get(format!("http://{HOST}/{}", "a".repeat(8193)))
            .body(())
            .unwrap(),
    ] {
        assert_eq!(http2.ask(refused).await.status, 400);
    }
    assert_eq!(http2.ask(request("expect", "wonders")).await.status, 417);
    let connect = Request::connect(format!("{HOST}:80")).body(()).unwrap();
    assert_eq!(http2.ask(connect).await.status, 400);
    assert_eq!(http2.ask(request("host", HOST)).await.status, 200);
}

#[tokio::test]
async fn pages_and_answers_to_head_are_whole() {
    let dyno = TestDyno::answering("web.1", |_| async { Response::new(full("12345")) }).await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let page = http2.ask(Request::get("http://nobody.test/").body(()).unwrap()).await;
    assert_eq!(
        (page.status, page.header("content-length")),
        (404, page.body.len().to_string().as_str())
    );
    for host in ["nobody.test", HOST] {
        let head = http2
            .ask(Request::head(format!("http://{host}/")).body(()).unwrap())
            .await;
        assert_eq!(head.body, "");
        assert_ne!(head.header("content-length"), "");
    }
}

#[tokio::test]
async fn a_client_that_resets_a_stream_is_gone_from_that_stream_alone() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        if request.uri().path() == "/never" {
            std::future::pending::<()>().await;
        }
        Response::new(full("here"))
    })
    .await;
    let mut world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let mut send = http2.send.clone().ready().await.unwrap();
    let (response, mut stream) = send.send_request(get("/never"), false).unwrap();
    crate::support::until(|| async { dyno.requests.load(std::sync::atomic::Ordering::SeqCst) == 1 }).await;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    assert_eq!(world.record().await.code, Some(Code::H27));
    assert_eq!(http2.get("/").await.body, "here");
}

#[tokio::test]
async fn a_dyno_that_dies_in_the_middle_resets_the_stream_and_not_the_connection() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            .await
            .unwrap();
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    for _ in 0..2 {
        let response = http2.start(get("/")).await.await.unwrap();
        let error = answer(response).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(world.record().await.code, Some(Code::H18));
    }
}

#[tokio::test]
async fn a_stream_that_the_client_does_not_read_is_reset_and_not_the_connection() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let text = if request.uri().path() == "/large" {
            "x".repeat(1_000_000)
        } else {
            "small".to_owned()
        };
        Response::new(full(text))
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let mut roomy = h2::client::Builder::new();
    roomy.initial_connection_window_size(1 << 20);
    let http2 = Http2::over(world.connect().await, &roomy).await;
    let large = http2.start(get("/large")).await.await.unwrap();
    assert_eq!(http2.get("/small").await.body, "small");
    world.record().await;
    assert_eq!(world.record().await.code, Some(Code::H28));
    let mut stream = large.into_body();
    let error = loop {
        // Without releasing a byte of the window.
        match timeout(DEADLINE, stream.data()).await.unwrap().unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.reason(), Some(Reason::CANCEL));
    assert_eq!(http2.get("/small").await.body, "small");
}

#[tokio::test]
async fn a_stop_lets_streams_end_and_takes_no_new_ones() {
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let waiting = gate.clone();
    let dyno = TestDyno::answering("web.1", move |_| {
        let gate = waiting.clone();
        async move {
            gate.acquire().await.unwrap().forget();
            Response::new(full("done"))
        }
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let response = http2.start(get("/")).await;
    crate::support::until(|| async { dyno.requests.load(std::sync::atomic::Ordering::SeqCst) == 1 }).await;
    world.stop.cancel();
    // The client hears of it: nothing new is started.
    crate::support::until(|| async {
        match http2.send.clone().ready().await {
            Ok(mut send) => match send.send_request(get("/"), true) {
                Ok((response, _)) => timeout(Duration::from_millis(100), response)
                    .await
                    .is_ok_and(|r| r.is_err()),
                Err(_) => true,
            },
            Err(_) => true,
        }
    })
    .await;
    gate.add_permits(100);
    assert_eq!(answer(response.await.unwrap()).await.unwrap().body, "done");
    http2.ended().await.unwrap();
    timeout(DEADLINE, world.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go_whatever_frames_it_sends() {
    let dyno = TestDyno::named("web.1").await;
    let limits = Limits {
        client_idle: Duration::from_secs(2),
        ..quick()
    };
    let world = World::serving(limits, &[&dyno]).await;
    let (send, mut connection) = h2::client::handshake(world.connect().await).await.unwrap();
    let mut pings = connection.ping_pong().unwrap();
    let http2 = Http2 {
        send,
        ended: TaskTracker::new().spawn(connection),
    };
    assert_eq!(http2.get("/").await.body, "web.1");
    // Not as often as a flood of them.
    let pinging = async {
        while pings.ping(h2::Ping::opaque()).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(DEADLINE, pinging).await.expect("an end of the pings");
    http2.ended().await.unwrap();
}

#[tokio::test]
async fn streams_that_are_reset_in_a_hurry_end_the_connection() {
    let dyno = TestDyno::answering("web.1", |_| async {
        std::future::pending::<()>().await;
        Response::new(full(""))
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let resetting = async {
        for _ in 0..10_000 {
            let Ok(mut send) = http2.send.clone().ready().await else {
                return;
            };
            let Ok((_, mut stream)) = send.send_request(get("/"), false) else {
                return;
            };
            stream.send_reset(Reason::CANCEL);
        }
    };
    timeout(DEADLINE, resetting).await.unwrap();
    let error = http2.ended().await.unwrap_err();
    // Whoever still writes may lose the last words to the reset of the TCP connection.
    assert!(
        error.is_io() || error.reason() == Some(Reason::ENHANCE_YOUR_CALM),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it_before_its_body() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        Response::new(full(body))
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let mut send = http2.send.clone().ready().await.unwrap();
    let request = Request::put(format!("http://{HOST}/"))
        .header("expect", "100-continue")
        .body(())
        .unwrap();
    let (mut response, mut stream) = send.send_request(request, false).unwrap();
    let informed = std::future::poll_fn(|cx| response.poll_informational(cx));
    let informed = timeout(DEADLINE, informed).await.unwrap().unwrap().unwrap();
    assert_eq!(informed.status(), StatusCode::CONTINUE);
    stream.send_data(Bytes::from_static(b"body"), true).unwrap();
    assert_eq!(answer(response.await.unwrap()).await.unwrap().body, "body");
}

#[tokio::test]
async fn a_list_of_headers_that_is_too_long_is_answered_with_431() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let http2 = Http2::plain(&world).await;
    let mut request = get("/");
    let headers: &mut HeaderMap = request.headers_mut();
    for index in 0..20 {
        headers.insert(
            http::HeaderName::try_from(format!("x-{index}")).unwrap(),
            "a".repeat(4000).parse().unwrap(),
        );
    }
    let response = http2.start(request).await;
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    );
    assert_eq!(http2.get("/").await.body, "web.1");
}

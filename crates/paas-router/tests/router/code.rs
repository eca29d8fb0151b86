use std::time::Duration;

use paas_router::{
    Code, Limits,
    feed::{AppState, Table},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

use crate::support::{Answer, HOST, TestDyno, World, app, full, hasty, quick, read_until, serving};

#[tokio::test]
async fn states_without_a_dyno_answer_with_their_code() {
    let mut world = World::start(quick()).await;
    for (state, code) in [
        (AppState::Crashed, Code::H10),
        (AppState::NoWeb, Code::H14),
        (AppState::Maintenance, Code::H80),
        (AppState::Blank, Code::H81),
    ] {
        world.state(state).await;
        let record = world.expect_code(code).await;
        assert_eq!((record.dyno, record.connect_ms, record.service_ms), (None, None, None));
    }
}

#[tokio::test]
async fn the_line_of_a_record_is_herokus() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    world
        .send(&format!(
            "GET /x?y=1 HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: \" status=200\r\n\
             X-Request-Id: 0123456789-0123456789\r\nConnection: close\r\n\r\n"
        ))
        .await;
    let mut record = world.record().await;
    (record.connect_ms, record.service_ms) = (Some(1), Some(18));
    assert_eq!(
        record.to_string(),
        "at=info method=GET path=\"/x?y=1\" host=hello.test request_id=0123456789-0123456789 \
         fwd=\"\\\" status=200, 127.0.0.1\" dyno=web.1 connect=1ms service=18ms status=200 bytes=5 protocol=http1.1 tls=false tls_version=unknown"
    );
    world.state(AppState::NoWeb).await;
    let mut record = world.expect_code(Code::H14).await;
    record.request_id = "id".into();
    assert_eq!(
        record.to_string(),
        "at=error code=H14 desc=\"No web processes running\" method=GET path=\"/\" host=hello.test request_id=id \
         fwd=\"127.0.0.1\" dyno= connect= service= status=503 bytes= protocol=http1.1 tls=false tls_version=unknown"
    );
}

#[tokio::test]
async fn a_dyno_without_a_first_byte_in_time_is_h12() {
    let dyno = TestDyno::answering("web.1", |_| std::future::pending()).await;
    let mut world = World::serving(hasty(), &[&dyno]).await;
    let started = Instant::now();
    let record = world.expect_code(Code::H12).await;
    assert!(started.elapsed() >= hasty().first_byte);
    assert_eq!(record.dyno.as_deref(), Some("web.1"));
}

#[tokio::test]
async fn a_dyno_that_closes_without_a_byte_is_h13() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    world.expect_code(Code::H13).await;
}

#[tokio::test]
async fn a_dyno_that_does_not_speak_http_is_h17() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await.unwrap();
        let _ = stream.read(&mut [0]).await;
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    world.expect_code(Code::H17).await;
}

#[tokio::test]
async fn a_silence_in_the_middle_of_a_response_is_h15_and_a_close_is_h18() {
    for (code, waits) in [(Code::H15, true), (Code::H18, false)] {
        let dyno = TestDyno::speaking("web.1", move |mut stream| async move {
            read_until(&mut stream, "\r\n\r\n").await;
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                .await
                .unwrap();
            if waits {
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await;
        let mut world = World::serving(quick(), &[&dyno]).await;
        let (answer, record) = world.get_recorded().await;
        // The client sees that it was cut short, not a whole answer.
        assert_eq!(
            (answer.status, answer.header("content-length"), answer.body.as_str()),
            (200, "100", "half")
        );
        assert_eq!(
            (record.code, record.status, record.bytes),
            (Some(code), 503, Some(4)),
            "{record}"
        );
    }
}

#[tokio::test]
async fn refusing_dynos_are_h21_and_reported() {
    let dead = TestDyno::refusing("web.1").await;
    let mut world = World::serving(quick(), &[&dead]).await;
    world.get("/").await;
    let report = world.reports.next().await.unwrap();
    let paas_router::feed::Report::Refused { dyno, .. } = report else {
        panic!("{report:?}");
    };
    assert_eq!(dyno, *dead.id.as_uuid());
    assert_eq!(world.record().await.code, Some(Code::H21));
}

#[tokio::test]
async fn a_dyno_whose_backlog_is_full_is_h19() {
    // A listener that never accepts, and as many connections as it takes until one has to wait.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let mut dyno = TestDyno::named("web.1").await;
    dyno.address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while paas_router::probe(dyno.address, Duration::from_millis(300)).await {
        waiting.push(tokio::net::TcpStream::connect(dyno.address).await.unwrap());
    }
    let mut world = World::serving(hasty(), &[&dyno]).await;
    world.expect_code(Code::H19).await;
}

#[tokio::test]
async fn a_booting_app_waits_for_its_dyno() {
    let world = World::start(Limits::default()).await;
    let table = |state| Table {
        apps: vec![app(HOST, state), app("other.test", AppState::Maintenance)],
        ..Table::default()
    };
    world.publish(table(AppState::Booting)).await;
    let mut stream = world.connect().await;
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Whoever asks for another app afterwards is answered first.
    let other = world
        .send("GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(other.status, 503);
    let dyno = TestDyno::named("web.1").await;
    world.publish(table(serving(&[&dyno]))).await;
    assert_eq!(Answer::read_to_end(&mut stream).await.body, "web.1");
}

#[tokio::test]
async fn an_app_that_does_not_boot_in_time_is_h20() {
    let mut world = World::start(quick()).await;
    world.state(AppState::Booting).await;
    world.expect_code(Code::H20).await;
}

#[tokio::test]
async fn when_all_dynos_are_in_quarantine_a_request_waits_and_then_is_h99() {
    let dead = TestDyno::refusing("web.1").await;
    let limits = Limits {
        quarantine: Duration::from_mins(1),
        ..quick()
    };
    let mut world = World::serving(limits, &[&dead]).await;
    world.expect_code(Code::H21).await;
    world.expect_code(Code::H99).await;
    // A table with another dyno ends the wait.
    let alive = TestDyno::named("web.2").await;
    world.state(serving(&[&dead, &alive])).await;
    assert_eq!(world.get("/").await.body, "web.2");
}

#[tokio::test]
async fn a_client_that_goes_away_is_h27() {
    let (asked, mut was_asked) = tokio::sync::mpsc::channel(1);
    let dyno = TestDyno::answering("web.1", move |_| {
        let asked = asked.clone();
        async move {
            asked.send(()).await.unwrap();
            std::future::pending().await
        }
    })
    .await;
    let mut world = World::serving(Limits::default(), &[&dyno]).await;
    let mut stream = world.connect().await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    was_asked.recv().await.unwrap();
    drop(stream);
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H27), 499));
    assert!(
        record
            .to_string()
            .starts_with("at=warning code=H27 desc=\"Client Request Interrupted\" sock=client ")
    );
}

#[tokio::test]
async fn a_client_that_stops_in_the_middle_of_its_request_is_h28() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        use http_body_util::BodyExt;
        let _ = request.into_body().collect().await;
        std::future::pending().await
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\nhalf");
    stream.write_all(head.as_bytes()).await.unwrap();
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H28), 499), "{record}");
}

#[tokio::test]
async fn a_dyno_that_does_not_take_an_upload_is_h12() {
    let dyno = TestDyno::speaking("web.1", |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let (_read, mut write) = world.connect().await.into_split();
    let head = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000000\r\n\r\n");
    write.write_all(head.as_bytes()).await.unwrap();
    let sending = async {
        while write.write_all(&[0; 8192]).await.is_ok() {}
        std::future::pending::<()>().await;
    };
    let record = tokio::select! {
        record = world.record() => record,
        () = sending => unreachable!(),
    };
    assert_eq!(record.code, Some(Code::H12), "{record}");
}

#[tokio::test]
async fn a_client_that_does_not_take_its_response_is_h28() {
    let dyno = TestDyno::answering("web.1", |_| async { http::Response::new(full(vec![0; 50_000_000])) }).await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let mut stream = world.connect().await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    let record = world.record().await;
    assert_eq!(record.code, Some(Code::H28), "{record}");
    // The kernel keeps nothing of it for a client that may never come back.
    let mut rest = Vec::new();
    let end = stream.read_to_end(&mut rest).await.unwrap_err();
    assert_eq!(end.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_websocket_handshake_that_lost_its_upgrade_is_h23() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nSec-WebSocket-Version: 13\r\nConnection: close\r\n\r\n");
    assert_eq!(world.send(&head).await.status, 503);
    let record = world.record().await;
    assert_eq!((record.code, &record.dyno), (Some(Code::H23), &None), "{record}");
}

#[tokio::test]
async fn a_request_that_a_stop_cut_short_is_h24() {
    let (asked, mut was_asked) = tokio::sync::mpsc::channel(1);
    let dyno = TestDyno::answering("web.1", move |_| {
        let asked = asked.clone();
        async move {
            asked.send(()).await.unwrap();
            std::future::pending().await
        }
    })
    .await;
    let limits = Limits {
        drain: Duration::from_millis(50),
        ..Limits::default()
    };
    let mut world = World::serving(limits, &[&dyno]).await;
    let mut stream = world.connect().await;
    stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    was_asked.recv().await.unwrap();
    world.stop.cancel();
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H24), 503), "{record}");
    assert!(
        record
            .to_string()
            .starts_with("at=error code=H24 desc=\"Forced close\" method=GET ")
    );
}

#[tokio::test]
async fn a_response_that_breaks_a_limit_is_h25() {
    let cookie = |bytes: usize| format!("HTTP/1.1 200 OK\r\nSet-Cookie: {}\r\n\r\n", "a".repeat(bytes));
    let reason = format!("HTTP/1.1 200 {}\r\n\r\n", "a".repeat(8193));
    for (head, limit) in [
        (cookie(8193), "oversized cookie"),
        (cookie(1_000_000), "oversized header"),
        (reason, "oversized status line"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n".to_owned(),
            "invalid content length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n".to_owned(),
            "invalid content length",
        ),
    ] {
        let dyno = TestDyno::speaking("web.1", move |mut stream| {
            let head = head.clone();
            async move {
                read_until(&mut stream, "\r\n\r\n").await;
                // The router may have seen enough before all of it has left.
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.read(&mut [0]).await;
            }
        })
        .await;
        let mut world = World::serving(quick(), &[&dyno]).await;
        let (answer, record) = world.get_recorded().await;
        assert_eq!((answer.status, record.status), (502, 502), "{limit}");
        assert!(!answer.raw.contains("aaaa") && !answer.raw.contains("Set-Cookie"));
        let line = record.to_string();
        let expected = format!("at=error code=H25 desc=\"HTTP restriction: {limit}\" method=GET ");
        assert!(line.starts_with(&expected), "{line}");
        assert!(line.contains(" dyno=web.1 "), "{line}");
    }
    let dyno = TestDyno::speaking("web.1", move |mut stream| async move {
        read_until(&mut stream, "\r\n\r\n").await;
        let cookie = "a".repeat(8192);
        let head = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.header("set-cookie").len()), (200, 8192));
}

/// Answers every request with a head like this.
async fn heading(header: String) -> TestDyno {
    TestDyno::speaking("web.1", move |mut stream| {
        let head = format!("HTTP/1.1 200 OK\r\n{header}Content-Length: 2\r\n\r\nok");
        async move {
            loop {
                let request = read_until(&mut stream, "\r\n\r\n").await;
                if request.starts_with("POST") {
                    read_until(&mut stream, "body").await;
                }
                // The router may have seen enough before all of it has left.
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_head_may_be_as_large_as_on_heroku() {
    let line = |bytes: usize| format!("X: {}\r\n", "a".repeat(bytes - 1));
    let many = |count: usize| "X: y\r\n".repeat(count);
    for header in [line(512 * 1024), many(900), line(8000).repeat(60)] {
        let bytes = header.len();
        let dyno = heading(header).await;
        let world = World::serving(quick(), &[&dyno]).await;
        let answer = world.get("/").await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "ok"), "{bytes} bytes");
        assert!(answer.raw.len() > bytes);
        // What cannot be asked twice finds room that others have made.
        let post = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody");
        assert_eq!(world.send(&post).await.status, 200, "{bytes} bytes");
    }
    for header in [line(512 * 1024 + 1), line(2 << 20), many(1100)] {
        let dyno = heading(header).await;
        let mut world = World::serving(quick(), &[&dyno]).await;
        for _ in 0..2 {
            let (answer, record) = world.get_recorded().await;
            assert_eq!((answer.status, record.code), (502, Some(Code::H25)), "{record}");
            assert!(record.to_string().contains("oversized header"), "{record}");
        }
    }
}

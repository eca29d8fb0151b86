use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Response;
use paas_router::{
    Limits,
    feed::{AppState, DrainOutcome},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{
    stream::upgrading,
    support::{Answer, DEADLINE, HOST, TestDyno, World, full, quick, read_until, until},
};

const LOAD: usize = 8;
const SWAPS: usize = 60;

/// Sends requests until told to stop, on connections that are kept and on new ones in turn.
async fn load(world: &World, done: &AtomicBool, served: &AtomicUsize) {
    while !done.load(Ordering::SeqCst) {
        let mut stream = TcpStream::connect(world.addresses.http).await.unwrap();
        for method in ["GET", "POST", "GET", "DELETE"] {
            let body = if method == "POST" {
                "Content-Length: 4\r\n\r\nbody"
            } else {
                "\r\n"
            };
            let request = format!("{method} / HTTP/1.1\r\nHost: {HOST}\r\n{body}");
            stream.write_all(request.as_bytes()).await.unwrap();
            let answer = Answer::read_one(&mut stream).await;
            assert_eq!(answer.status, 200, "{}", answer.raw);
            assert!(answer.body.starts_with("web."), "{}", answer.raw);
            served.fetch_add(1, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swaps_under_load_drop_nothing_though_dynos_die_once_drained() {
    let mut dyno = TestDyno::named("web.0").await;
    let world = Arc::new(World::serving(Limits::default(), &[&dyno]).await);
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let tracker = TaskTracker::new();
    let clients: Vec<_> = (0..LOAD)
        .map(|_| {
            let (world, done, served) = (world.clone(), done.clone(), served.clone());
            tracker.spawn(async move { load(&world, &done, &served).await })
        })
        .collect();
    for number in 1..=SWAPS {
        let next = TestDyno::named(&format!("web.{number}")).await;
        world.serve(&[&next]).await;
        let outcome = timeout(DEADLINE, world.feed.drained(dyno.id, DEADLINE))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(outcome, DrainOutcome::Drained);
        // Everything of it breaks now: a request that was still there would fail.
        dyno.kill().await;
        dyno = next;
        let (before, served) = (served.load(Ordering::SeqCst), &served);
        until(|| async move { served.load(Ordering::SeqCst) >= before + LOAD }).await;
    }
    done.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(served.load(Ordering::SeqCst) > LOAD * SWAPS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dyno_that_is_killed_costs_no_request_once_another_is_in_the_table() {
    let (dead, alive) = (TestDyno::named("web.1").await, TestDyno::named("web.2").await);
    let world = World::serving(Limits::default(), &[&dead]).await;
    assert_eq!(world.get("/").await.body, "web.1");
    dead.kill().await;
    // The table is wrong now; a request that finds out waits for the right one.
    let (answer, ()) = tokio::join!(world.get("/"), async { world.serve(&[&alive]).await });
    assert_eq!(answer.body, "web.2");
}

#[tokio::test]
async fn a_drain_waits_for_the_request_in_flight_and_no_longer() {
    let (go, gone) = mpsc::channel::<()>(1);
    let (asked, mut was_asked) = mpsc::channel(1);
    let gone = Arc::new(tokio::sync::Mutex::new(gone));
    let dyno = TestDyno::answering("web.1", move |_| {
        let (gone, asked) = (gone.clone(), asked.clone());
        async move {
            asked.send(()).await.unwrap();
            gone.lock().await.recv().await;
            Response::new(full("slow"))
        }
    })
    .await;
    let other = TestDyno::named("web.2").await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    assert_eq!(
        world.feed.drained(dyno.id, Duration::ZERO).await.unwrap(),
        DrainOutcome::StillRouted
    );
    let draining = async {
        was_asked.recv().await.unwrap();
        world.serve(&[&other]).await;
        let early = world.feed.drained(dyno.id, Duration::ZERO).await.unwrap();
        assert_eq!(early, DrainOutcome::Unfinished { requests: 1 });
        assert_eq!(world.get("/").await.body, "web.2");
        let drained = world.feed.drained(dyno.id, DEADLINE);
        go.send(()).await.unwrap();
        drained.await.unwrap()
    };
    let (answer, outcome) = tokio::join!(world.get("/"), draining);
    assert_eq!(answer.body, "slow");
    assert_eq!(outcome, DrainOutcome::Drained);
}

#[tokio::test]
async fn a_websocket_gets_the_drain_limit_and_then_a_close_frame() {
    let (dyno, other) = (upgrading().await, TestDyno::named("web.2").await);
    let mut world = World::serving(Limits::default(), &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    world.serve(&[&other]).await;
    // It still works while it may: a whole frame, as the dyno would send it.
    stream.write_all(b"\x01\x05hello").await.unwrap();
    assert_eq!(read_until(&mut stream, "hello").await, "\u{1}\u{5}hello");
    let outcome = world.feed.drained(dyno.id, Duration::from_millis(100)).await.unwrap();
    assert_eq!(outcome, DrainOutcome::Unfinished { requests: 0 });
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(
        rest,
        [0x88, 0x02, 0x03, 0xe9],
        "a close frame that says 1001, going away"
    );
    let record = world.record().await;
    assert_eq!((record.status, record.code), (101, None));
    assert_eq!(
        world.feed.drained(dyno.id, DEADLINE).await.unwrap(),
        DrainOutcome::Drained
    );
}

#[tokio::test]
async fn a_dyno_that_the_router_never_heard_of_is_drained() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::start(quick()).await;
    assert_eq!(
        world.feed.drained(dyno.id, DEADLINE).await.unwrap(),
        DrainOutcome::Drained
    );
}

#[tokio::test]
async fn a_whole_table_is_a_whole_table() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    assert_eq!(world.get("/").await.status, 200);
    world.state(AppState::Maintenance).await;
    assert!(world.get("/").await.body.contains("maintenance"));
    world.publish(paas_router::feed::Table::default()).await;
    assert_eq!(world.get("/").await.status, 404);
}

#[tokio::test]
async fn a_connect_to_a_dyno_that_left_is_given_up_at_once() {
    // A dyno that accepts nothing yet: the router's connect hangs in the kernel.
    let (mut leaving, other) = (TestDyno::named("web.1").await, TestDyno::named("web.2").await);
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    leaving.address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while paas_router::probe(leaving.address, Duration::from_millis(300)).await {
        waiting.push(TcpStream::connect(leaving.address).await.unwrap());
    }
    let limits = Limits {
        connect: Duration::from_mins(1),
        ..Limits::default()
    };
    let world = World::serving(limits, &[&leaving]).await;
    let mut stream = world.connect().await;
    let request = format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx");
    stream.write_all(request.as_bytes()).await.unwrap();
    // Whoever asks afterwards is answered first, so the request is on its way.
    let other_host = "GET / HTTP/1.1\r\nHost: other.test\r\nConnection: close\r\n\r\n";
    assert_eq!(world.send(other_host).await.status, 404);
    world.serve(&[&other]).await;
    // Long before the connect would have failed, and though nobody accepts there.
    assert_eq!(Answer::read_to_end(&mut stream).await.body, "web.2");
    assert_eq!(
        world.feed.drained(leaving.id, DEADLINE).await.unwrap(),
        DrainOutcome::Drained
    );
    // Whoever answers at that address by now hears nothing of it.
    waiting.clear();
    while let Ok(accepted) = timeout(Duration::from_millis(300), listener.accept()).await {
        let mut heard = Vec::new();
        // However it ends, it ends without a word.
        let _ = accepted.unwrap().0.read_to_end(&mut heard).await;
        assert_eq!(String::from_utf8_lossy(&heard), "");
    }
}

use std::{sync::Arc, time::Duration};

use http::Response;
use paas_router::{Limits, Router, RouterError};
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc, time::timeout};

use crate::{
    stream::upgrading,
    support::{Answer, DEADLINE, HOST, TestDyno, World, full, quick, read_until, settings, until},
};

#[tokio::test]
async fn a_stop_lets_requests_end_and_accepts_no_more() {
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
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let idle = world.connect().await;
    let stopping = async {
        was_asked.recv().await.unwrap();
        world.stop.cancel();
        until(|| async { TcpStream::connect(world.addresses.http).await.is_err() }).await;
        go.send(()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(world.get("/"), stopping);
    assert_eq!(answer.body, "slow");
    timeout(DEADLINE, world.ended).await.unwrap().unwrap();
    timeout(DEADLINE, world.feed.closed()).await.unwrap();
    assert!(!world.directory.path().join("router.sock").exists());
    drop(idle);
}

#[tokio::test]
async fn a_stop_waits_no_longer_than_the_drain_limit() {
    let dyno = upgrading().await;
    let limits = Limits {
        drain: Duration::from_millis(200),
        ..Limits::default()
    };
    let mut world = World::serving(limits, &[&dyno]).await;
    let mut stream = world.connect().await;
    let head = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    read_until(&mut stream, "\r\n\r\n").await;
    world.stop.cancel();
    Answer::read_to_end(&mut stream).await;
    // The last records still leave.
    assert_eq!(world.record().await.status, 101);
    timeout(DEADLINE, world.ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_second_router_on_the_same_socket_is_refused_and_a_dead_one_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let first = Router::bind(settings(&directory, quick())).await.unwrap();
    let second = Router::bind(settings(&directory, quick())).await;
    assert!(matches!(second, Err(RouterError::AlreadyRunning { .. })));
    // Dropped without a stop, it leaves its socket file as a killed one would.
    let http = first.addresses().http;
    drop(first);
    assert!(directory.path().join("router.sock").exists());
    let mut same_port = settings(&directory, quick());
    same_port.http = http;
    let third = Router::bind(same_port).await.unwrap();
    assert_eq!(third.addresses().http, http);
}

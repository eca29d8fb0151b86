//! Receivers that are slow, dead or wrong, and servers that die.

use tokio::net::TcpListener;

use super::{BACKLOG_LINES, World, receiver};
use crate::{
    log_drain::{backlog::Backlog, place::PlaceFile},
    testing::{own_loopback, receiver::HttpReceiver},
};

#[tokio::test]
async fn a_receiver_that_comes_back_gets_what_was_said_meanwhile() {
    let world = World::new().await;
    let host = own_loopback();
    let mut receiver = receiver::Syslog::at((host, 0).into()).await;
    let drain = world.drain(&receiver.url()).await;
    let _running = world.start(&drain);
    world.say("one");
    assert_eq!(receiver.message().await, "one");
    let address = receiver.address();
    drop(receiver);
    // What is written before the end of the connection is known is lost: syslog has no answers.
    let told = format!("delivers nothing: no connection to syslog://{host}");
    let mut said = Vec::new();
    let tells = async {
        while !world.log().await.iter().any(|line| line.contains(&told)) {
            said.push(format!("number {}", said.len()));
            world.say(&said[said.len() - 1]);
            tokio::time::sleep(super::LOOK_AGAIN).await;
        }
    };
    tokio::time::timeout(super::LIMIT, tells).await.unwrap();
    let mut receiver = receiver::Syslog::at(address).await;
    let mut seen = vec![receiver.message().await];
    world.say("last");
    said.push("last".to_owned());
    while seen.last().is_none_or(|last| last != "last") {
        seen.push(receiver.message().await);
    }
    seen.retain(|message| !message.starts_with("Drain d."));
    // Nothing is missing from the first that found nobody.
    assert!(said.ends_with(&seen) && seen.len() > 1, "{seen:?} of {said:?}");
}

#[tokio::test]
async fn a_server_that_is_killed_goes_on_where_it_was() {
    let world = World::new().await;
    let mut receiver = receiver::Syslog::bind().await;
    let drain = world.drain(&receiver.url()).await;
    let running = world.start(&drain);
    for message in ["one", "two"] {
        world.say(message);
        assert_eq!(receiver.message().await, message);
    }
    let place = world.platform.logs.directory(world.app).join("drain-test");
    let saved = tokio::time::timeout(super::LIMIT, async {
        while !std::fs::read_to_string(&place).is_ok_and(|text| text.starts_with("2 ")) {
            tokio::time::sleep(super::LOOK_AGAIN).await;
        }
    });
    saved.await.unwrap();
    drop(running);
    receiver.closed().await;
    world.say("three");
    let _running = world.start(&drain);
    assert_eq!(receiver.message().await, "three");
}

#[tokio::test]
async fn a_request_that_fails_comes_again_with_its_number() {
    let world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    let drain = world.drain(&format!("http://{}/in", receiver.address())).await;
    let _running = world.start(&drain);
    world.say("one");
    let first = receiver.serve(Some("500 Internal Server Error")).await;
    let second = receiver.serve(None).await;
    let third = receiver.serve(Some("200 OK")).await;
    let id = first.header("logplex-frame-id");
    for again in [&second, &third] {
        assert_eq!(again.header("logplex-frame-id"), id);
        assert_eq!(again.body, first.body);
    }
    let place = format!("http://{}", receiver.address());
    world.logs(&format!("delivers nothing: {place} answers 500")).await;
    let password = world.log().await.iter().any(|line| line.contains("/in"));
    assert!(!password, "paths may be secret");
}

#[tokio::test]
async fn a_drain_that_is_stuck_holds_up_no_other() {
    let world = World::new().await;
    // Takes connections, and never a byte.
    let stuck = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dead = world.drain(&format!("syslog://{}", stuck.local_addr().unwrap())).await;
    let mut receiver = receiver::Syslog::bind().await;
    let living = world.drain(&receiver.url()).await;
    let path = world.platform.logs.directory(world.app).join("drain-dead");
    let connector = world.connector();
    let sender = super::Sender::new(world.platform.clone(), connector, dead, PlaceFile::new(path));
    let stop = world.platform.stop.clone();
    world.platform.tracker.spawn(async move {
        stop.run_until_cancelled(sender.run()).await;
    });
    let _running = world.start(&living);
    let long = "x".repeat(9_000);
    // As much as the log keeps, and more than the sockets do.
    for number in 0..1_400 {
        world.say(&format!("{number} {long}"));
    }
    for number in 0..1_400 {
        let message = receiver.message().await;
        assert!(message.starts_with(&format!("{number} ")), "{}", &message[..20]);
    }
}

#[tokio::test]
async fn a_drain_that_is_too_far_behind_says_what_it_dropped() {
    let world = World::new().await;
    let mut receiver = receiver::Syslog::bind().await;
    let drain = world.drain(&receiver.url()).await;
    let lines: Vec<_> = (0..=BACKLOG_LINES)
        .map(|number| paas_core::LogLine {
            at: world.platform.clock.now(),
            source: paas_core::LogSource::App,
            process: "web.1".to_owned(),
            message: format!("line {number}"),
        })
        .collect();
    world.platform.logs.append(world.app, &lines);
    let _running = world.start(&drain);
    let dropped = BACKLOG_LINES / 2 + 1;
    assert_eq!(
        receiver.frame().await,
        format!(
            "<172>1 2026-01-02T03:04:05.000000+00:00 {} heroku logplex - - Error L10 (output buffer overflow): {dropped} \
             messages dropped since 2026-01-02T03:04:05+00:00.\n",
            drain.token
        )
    );
    for number in dropped..=BACKLOG_LINES {
        assert_eq!(receiver.message().await, format!("line {number}"));
    }
}

#[tokio::test]
async fn what_was_passed_over_is_told_once_a_batch_goes_through() {
    let world = World::new().await;
    let now = world.platform.clock.now();
    let path = world.platform.logs.directory(world.app).join("drain");
    let open = || Backlog::open(world.platform.logs.clone(), world.app, PlaceFile::new(path.clone()), 0);
    world.say("one");
    world.say("two");
    let mut backlog = open();
    let batch = backlog.next(std::time::Duration::ZERO, now).await.unwrap().unwrap();
    assert_eq!(batch.lines.len(), 2);
    backlog.pass_over(&batch);
    world.say("three");
    // After a restart too.
    let mut backlog = open();
    let batch = backlog.next(std::time::Duration::ZERO, now).await.unwrap().unwrap();
    assert_eq!((batch.lines.len(), batch.dropped), (1, 2));
    assert_eq!(batch.to_send(now).len(), 2);
    backlog.delivered(&batch);
    world.say("four");
    let batch = backlog.next(std::time::Duration::ZERO, now).await.unwrap().unwrap();
    assert_eq!((batch.lines.len(), batch.dropped), (1, 0));
    assert_eq!(batch.to_send(now).len(), 1);
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_not_followed() {
    let world = World::with(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let drain = world.drain(&format!("http://localhost:{port}")).await;
    let _running = world.start(&drain);
    world.say("one");
    tokio::select! {
        _ = listener.accept() => panic!("it was followed"),
        () = world.logs("is this machine itself") => {}
    }
}

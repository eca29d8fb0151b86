//! How people go, or are sent away.

use std::{io::ErrorKind, net::Shutdown, time::Duration};

use paas_core::Id;
use paas_engine::{Behaviour, ContainerId};
use russh::{
    ChannelMsg,
    client::{Handle, Msg},
};
use serde_json::{Value, json};
use tokio::{
    io::AsyncReadExt as _,
    net::UnixStream,
    time::{Instant, sleep, timeout},
};

use super::{Client, PATIENCE, Server, key, server};
use crate::{
    sessions::Holder,
    ssh::{LIFE, Reservation},
    strangers::MOST_STRANGERS,
};

const LOOK_AGAIN: Duration = Duration::from_millis(5);

async fn within_patience(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(LOOK_AGAIN).await;
        }
    };
    timeout(PATIENCE, wait).await.expect(what);
}

impl Server {
    /// Comes by a connection that can break.
    async fn come_by_line(&self, reservation: &Value) -> (Handle<Client>, std::os::unix::net::UnixStream) {
        let line = std::os::unix::net::UnixStream::connect(self.platform.settings.ssh_socket()).unwrap();
        line.set_nonblocking(true).unwrap();
        let stream = UnixStream::from_std(line.try_clone().unwrap()).unwrap();
        let handle = self.come_by(stream, reservation, key(1)).await;
        (handle.expect("they are let in"), line)
    }
}

async fn hears(channel: &mut russh::Channel<Msg>) {
    loop {
        let message = timeout(PATIENCE, channel.wait()).await.expect("something is said");
        if let ChannelMsg::Data { .. } = message.expect("the channel goes on") {
            return;
        }
    }
}

#[tokio::test]
async fn whoever_goes_without_a_word_leaves_nothing_running() {
    let server = server().await;
    let flood = "water".repeat(2_000_000);
    server
        .engine
        .teach_command("bin/flood", Behaviour::exits(0).saying(&flood));
    server.engine.teach_command("stat -L", Behaviour::exits(0).saying("5"));
    server
        .engine
        .teach_command("exec tail", Behaviour::exits(0).saying(&flood));
    server
        .engine
        .teach_command("bin/deaf", Behaviour::deaf().saying("la la la"));
    let reservation = server.reserved().await;
    let tasks = || server.platform.tracker.len();
    let before = tasks();

    // What it says is not taken.
    let (handle, line) = server.come_by_line(&reservation).await;
    let mut flooded = handle.channel_open_session().await.unwrap();
    flooded.exec(true, "bin/flood").await.unwrap();
    hears(&mut flooded).await;
    assert!(tasks() > before);
    line.shutdown(Shutdown::Both).unwrap();
    within_patience("nothing of a program is left", || tasks() <= before).await;

    // Neither are the answers about a file.
    let (handle, line) = server.come_by_line(&reservation).await;
    let mut copying = handle.channel_open_session().await.unwrap();
    copying.request_subsystem(true, "sftp").await.unwrap();
    let mut requests = b"\0\0\0\x15\x03\0\0\0\x01\0\0\0\x04/big\0\0\0\x01\0\0\0\0".to_vec();
    for piece in 0..200_u64 {
        requests.extend_from_slice(b"\0\0\0\x19\x05\0\0\0\x02\0\0\0\x04\0\0\0\0");
        requests.extend_from_slice(&(piece * 32_768).to_be_bytes());
        requests.extend_from_slice(&32_768_u32.to_be_bytes());
    }
    copying.data_bytes(requests).await.unwrap();
    hears(&mut copying).await;
    line.shutdown(Shutdown::Both).unwrap();
    within_patience("nothing of a copy is left", || tasks() <= before).await;

    // And what they say is not read: the connection's end is behind it.
    let (handle, line) = server.come_by_line(&reservation).await;
    let mut unheard = handle.channel_open_session().await.unwrap();
    unheard.exec(true, "bin/deaf").await.unwrap();
    hears(&mut unheard).await;
    for _ in 0..1_000 {
        unheard.data_bytes(&b"?"[..]).await.unwrap();
    }
    // All of it has gone out when this has an answer, or cannot have one any more.
    let _ = timeout(Duration::from_millis(100), handle.send_ping()).await;
    line.shutdown(Shutdown::Both).unwrap();
    within_patience("nothing of who was not heard is left", || tasks() <= before).await;
}

#[tokio::test]
async fn strangers_without_a_word_keep_nobody_out() {
    let server = server().await;
    let reservation = server.reserved().await;
    let path = server.platform.settings.ssh_socket();
    let mut silent = Vec::new();
    for _ in 0..=MOST_STRANGERS {
        silent.push(UnixStream::connect(&path).await.unwrap());
    }
    assert!(server.come_by_ssh(&reservation, key(1)).await.is_some());
    // The first two have made place, and nobody else had to.
    for stranger in &mut silent[..2] {
        let mut said = Vec::new();
        let read = timeout(PATIENCE, stranger.read_to_end(&mut said)).await;
        // What it does not take may be lost to it.
        let _ = read.expect("it is sent away");
    }
    let mut greeting = [0; 8];
    silent[2].read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting, b"SSH-2.0-");
    let mut rest = [0; 64];
    while silent[2].try_read(&mut rest).is_ok_and(|length| length > 0) {}
    assert_eq!(silent[2].try_read(&mut rest).unwrap_err().kind(), ErrorKind::WouldBlock);
    drop(silent);
    // They are not waited for at the end either.
    server.platform.stop.cancel();
    server.platform.tracker.close();
    let waited = timeout(PATIENCE, server.platform.tracker.wait()).await;
    waited.expect("all end");
}

#[tokio::test]
async fn what_a_reservation_let_in_ends_with_it() {
    let server = server().await;
    server.listen();
    let mut left = Duration::from_secs(1);
    let handle = loop {
        let holder = Holder {
            account: server.account.id,
            authorization: Id::from_uuid(uuid::Uuid::new_v4()),
            app: Id::from_uuid(uuid::Uuid::new_v4()),
        };
        let session = server.platform.sessions.begin(holder);
        let public = key(1).public_key().clone();
        let mut reservation = Reservation::new(server.account.id, ContainerId::new("dyno"), public, session);
        reservation.made_at = Instant::now() + left - LIFE;
        let ssh = &server.platform.ssh;
        let user = ssh.reserve(reservation).unwrap();
        let reserved = json!({ "client_user": user, "proxy_public_key": ssh.public_key().unwrap() });
        if let Some(handle) = server.come_by_ssh(&reserved, key(1)).await {
            break handle;
        }
        // The machine is busy: it was over before they came.
        left *= 2;
    };
    within_patience("the connection ends", || handle.is_closed()).await;
}

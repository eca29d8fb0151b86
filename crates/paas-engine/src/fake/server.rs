//! The listener of a fake dyno: real enough for a router.

use std::net::IpAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::DYNO_PORT;

/// Answers every request with `body` until `life` ends. `None` when somebody else listens there.
pub(super) fn listen(tracker: &TaskTracker, address: IpAddr, body: String, life: CancellationToken) -> Option<()> {
    let listener = std::net::TcpListener::bind((address, DYNO_PORT)).ok()?;
    listener.set_nonblocking(true).ok()?;
    let listener = TcpListener::from_std(listener).ok()?;
    let connections = tracker.clone();
    tracker.spawn(life.clone().run_until_cancelled_owned(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = answer(stream, body.clone());
            connections.spawn(life.clone().run_until_cancelled_owned(answer));
        }
    }));
    Some(())
}

async fn answer(mut stream: TcpStream, body: String) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read_buf(&mut head).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let length = body.len();
    let response = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    if stream.write_all(response.as_bytes()).await.is_ok() {
        // A client that is gone does not want to know.
        let _ = stream.shutdown().await;
    }
}

//! The server behind every proxy: it answers as fast as it can, and always the same.

use std::{net::SocketAddr, sync::Arc};

use anyhow::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::TaskTracker;

const PAGE_BYTES: usize = 512;
const KIB: usize = 1024;
const STATUS: &str = "HTTP/1.1 200 OK\r\n";

/// Every answer, made once.
struct Answers {
    page: Vec<u8>,
    hundred_kib: Vec<u8>,
    ten_mib: Vec<u8>,
    /// Which origin this is.
    port: Vec<u8>,
}

pub(crate) async fn serve(port: u16) -> Result<()> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port))).await?;
    let answers = Arc::new(Answers {
        page: answer(&[b'x'; PAGE_BYTES]),
        hundred_kib: answer(&vec![b'x'; 100 * KIB]),
        ten_mib: answer(&vec![b'x'; 10 * KIB * KIB]),
        port: answer(format!("{port:05}").as_bytes()),
    });
    let connections = TaskTracker::new();
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answers = answers.clone();
        connections.spawn(async move {
            // Whoever breaks off has had enough.
            let _ = converse(stream, &answers).await;
        });
    }
}

/// Answers each request head; none of the proxies sends a body.
async fn converse(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(4 * KIB);
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let is_last = head
            .windows(17)
            .any(|bytes| bytes.eq_ignore_ascii_case(b"connection: close"));
        let answer = match head.get(4..9) {
            Some(b"/100k") => &answers.hundred_kib,
            Some(b"/10m ") => &answers.ten_mib,
            Some(b"/port") => &answers.port,
            _ => &answers.page,
        };
        if is_last {
            // The header that says so follows the status line.
            let (status, rest) = answer.split_at(STATUS.len());
            return stream
                .write_all(&[status, b"Connection: close\r\n", rest].concat())
                .await;
        }
        stream.write_all(answer).await?;
        head.clear();
    }
}

fn answer(body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "{STATUS}Server: origin\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\n\
         Content-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}

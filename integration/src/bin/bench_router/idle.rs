//! What connections cost that are there and do nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use crate::{
    cost,
    handshake::{connect, connector},
    proxy::{HOST, Proxy},
    sample::Sample,
};

const CONNECTIONS: usize = 10_000;
/// A proxy may take back what a connection used a moment after its last request.
const SETTLE: Duration = Duration::from_secs(5);

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Opens them one by one, each with one request, and compares the memory of the proxy before and after.
pub(crate) async fn run(tls: bool, proxy: &Proxy) -> Result<Sample> {
    let id = proxy.id.context("a proxy that runs")?;
    let connector = connector(false)?;
    let mut connections: Vec<Box<dyn Stream>> = Vec::with_capacity(CONNECTIONS);
    let mut before = 0;
    let begun = Instant::now();
    // What the first one brings with it, all share.
    for number in 0..=CONNECTIONS {
        let mut stream: Box<dyn Stream> = if tls {
            Box::new(connect(&connector, proxy.address(true)).await?)
        } else {
            Box::new(TcpStream::connect(proxy.address(false)).await?)
        };
        request(&mut stream)
            .await
            .with_context(|| format!("connection {number}"))?;
        if number == 0 {
            sleep(SETTLE).await;
            before = cost::proportional_kib(id);
        } else {
            connections.push(stream);
        }
    }
    let elapsed = begun.elapsed();
    sleep(SETTLE).await;
    let after = cost::proportional_kib(id);
    // Still there, all of them: whoever closes idle connections has none that cost.
    let mut failed = 0;
    for stream in &mut connections {
        failed += u64::from(request(stream).await.is_err());
    }
    #[expect(clippy::cast_precision_loss, reason = "KiB and connections are far below 2^52")]
    let idle_kib = after.saturating_sub(before) as f64 / CONNECTIONS as f64;
    Ok(Sample {
        requests: CONNECTIONS as u64,
        elapsed,
        failed,
        memory_kib: Some(after),
        idle_kib: Some(idle_kib),
        ..Sample::default()
    })
}

async fn request(stream: &mut Box<dyn Stream>) -> Result<()> {
    let request = format!("GET /port HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "closed");
        // The body is five digits, in one piece or in a chunk.
        let mut parts = answer.splitn(2, |byte| *byte == b'\n');
        let head_end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let has_body = head_end.is_some_and(|end| answer.len() >= end + 9);
        if has_body && parts.next().is_some_and(|line| line.starts_with(b"HTTP/1.1 200")) {
            return Ok(());
        }
    }
}

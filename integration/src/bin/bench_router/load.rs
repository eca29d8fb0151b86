//! Load: `wrk` for HTTP/1.1, `h2load` for HTTP/2, our own client for handshakes.

use std::{fmt::Write, fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
};

use crate::{
    cost, handshake,
    plan::Row,
    proxy::{HOST, Proxy},
    sample::{Sample, percentile},
};

const CONNECTIONS: usize = 64;
/// Bodies fill the buffers of every connection.
const BODY_CONNECTIONS: usize = 16;
const H2_CONNECTIONS: usize = 16;
/// Together fewer than 200: an app may have no more requests waiting for each of its dynos (H11).
const H2_STREAMS: usize = 12;
/// Firefox's, with two cookies.
const BROWSER: [(&str, &str); 9] = [
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    (
        "Cookie",
        "session=c2Vzc2lvbi1pZC1vZi1hLXR5cGljYWwtYXBwLXdpdGgtc2lnbmF0dXJl; theme=dark",
    ),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Priority", "u=0, i"),
];

/// Loads a proxy, and says what came of it and what it cost.
pub(crate) async fn run(row: Row, proxy: &Proxy, seconds: u64, directory: &Path) -> Result<Sample> {
    let before = proxy.id.map(cost::processor_time).unwrap_or_default();
    let sample = match row {
        Row::Http2 => h2load(proxy, seconds, directory).await,
        Row::Handshake | Row::Resumption => handshake::run(proxy, row == Row::Resumption, seconds).await,
        row => wrk(row, proxy, seconds, directory).await,
    };
    let sample = sample.with_context(|| format!("{} through {}", row.name(), proxy.kind.name()))?;
    Ok(proxy.with_cost(sample, before))
}

/// What the script prints at the end.
#[derive(Deserialize)]
struct Printed {
    requests: u64,
    us: u64,
    p50: u64,
    p99: u64,
    failed: u64,
}

async fn wrk(row: Row, proxy: &Proxy, seconds: u64, directory: &Path) -> Result<Sample> {
    let script = directory.join("wrk.lua");
    fs::write(&script, lua(row))?;
    let (path, connections) = match row {
        Row::Body100K => ("/100k", BODY_CONNECTIONS),
        Row::Body10M => ("/10m", BODY_CONNECTIONS),
        _ => ("/", CONNECTIONS),
    };
    let is_tls = row == Row::Tls;
    let scheme = if is_tls { "https" } else { "http" };
    let url = format!("{scheme}://{HOST}:{}{path}", proxy.address(is_tls).port());
    let output = Command::new("wrk")
        .args(["--threads", "1", "--timeout", "10", "--script"])
        .arg(&script)
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s"), &url])
        .stderr(Stdio::inherit())
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with('{'));
    let printed: Printed = serde_json::from_str(line.with_context(|| format!("wrk said {text}"))?)?;
    Ok(Sample {
        requests: printed.requests,
        elapsed: Duration::from_micros(printed.us),
        p50: Duration::from_micros(printed.p50),
        p99: Duration::from_micros(printed.p99),
        failed: printed.failed,
        ..Sample::default()
    })
}

fn lua(row: Row) -> String {
    let hosts = row.hosts();
    let mut script = String::new();
    match row {
        Row::NewConnection => script.push_str("wrk.headers['Connection'] = 'close'\n"),
        Row::Browser => {
            for (name, value) in BROWSER {
                let _ = writeln!(script, "wrk.headers['{name}'] = '{value}'");
            }
        }
        // Every host in turn; one host pays for the script as well.
        Row::Hosts1 | Row::Hosts1000 | Row::Hosts10000 => {
            let _ = write!(
                script,
                "local requests, at = {{}}, 0
function init(args)
  requests[1] = wrk.format('GET', '/', {{ Host = '{HOST}' }})
  for i = 1, {hosts} - 1 do
    requests[i + 1] = wrk.format('GET', '/', {{ Host = 'h' .. i .. '.bench.test' }})
  end
end
function request()
  at = at % {hosts} + 1
  return requests[at]
end
"
            );
        }
        _ => {}
    }
    script.push_str(
        "function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{\"requests\":%d,\"us\":%d,\"p50\":%d,\"p99\":%d,\"failed\":%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.timeout + e.status))
end
",
    );
    script
}

async fn h2load(proxy: &Proxy, seconds: u64, directory: &Path) -> Result<Sample> {
    let log = directory.join("h2load.log");
    // It appends.
    let _ = fs::remove_file(&log);
    let port = proxy.address(true).port();
    let output = Command::new("h2load")
        .args(["--clients", &H2_CONNECTIONS.to_string()])
        .args(["--max-concurrent-streams", &H2_STREAMS.to_string()])
        .args(["--duration", &seconds.to_string()])
        .arg(format!("--log-file={}", log.display()))
        .arg(format!("https://{HOST}:{port}/"))
        .output()
        .await?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        text.contains("Application protocol: h2"),
        "h2load did not get HTTP/2: {text}"
    );
    // start in µs, status, duration in µs
    let lines = fs::read_to_string(&log)?;
    let mut durations = Vec::new();
    let mut failed = 0;
    for line in lines.lines() {
        let mut fields = line.split('\t').skip(1);
        match (fields.next(), fields.next().and_then(|field| field.parse().ok())) {
            (Some("200"), Some(us)) => durations.push(Duration::from_micros(us)),
            _ => failed += 1,
        }
    }
    durations.sort_unstable();
    Ok(Sample {
        requests: durations.len() as u64,
        elapsed: Duration::from_secs(seconds),
        p50: percentile(&durations, 50),
        p99: percentile(&durations, 99),
        failed,
        ..Sample::default()
    })
}

/// One request on a connection of its own; what the body says.
pub(crate) async fn get(address: SocketAddr, host: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no whole head")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "{head}");
    Ok(body.to_owned())
}

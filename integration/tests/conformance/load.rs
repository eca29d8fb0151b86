//! h2load: many streams on many connections, none of them lost.

use std::process::Command;

use paas_integration::Output;
use paas_router::Limits;

use crate::edge::{Edge, HOST};

fn expect_all_answered(edge: &Edge, url: &str, arguments: &[&str]) {
    let mut command = Command::new("h2load");
    command
        .args(["-n", "2000", "-c", "10"])
        .args(arguments)
        .arg(format!("--connect-to=127.0.0.1:{}", port(edge, url)))
        .arg(url);
    let output = Output::of(&mut command, "");
    output
        .expect_success()
        .expect("2000 succeeded, 0 failed, 0 errored, 0 timeout")
        .expect("status codes: 2000 2xx");
}

fn port(edge: &Edge, url: &str) -> u16 {
    if url.starts_with("https") {
        edge.https().port()
    } else {
        edge.http().port()
    }
}

#[test]
#[ignore = "needs nghttp2-client from Debian"]
fn every_stream_is_answered() {
    let edge = Edge::start(Limits::default());
    let (plain, secured) = (format!("http://{HOST}/"), format!("https://{HOST}/"));
    expect_all_answered(&edge, &plain, &["--h1"]);
    expect_all_answered(&edge, &secured, &["--h1"]);
    expect_all_answered(&edge, &plain, &["-m", "20", "-p", "h2c"]);
    expect_all_answered(&edge, &secured, &["-m", "20"]);
    // Bodies up: 16 KiB each.
    let body = edge.file("body");
    std::fs::write(&body, vec![b'x'; 16 << 10]).expect("a file");
    let body = body.to_string_lossy();
    expect_all_answered(&edge, &secured, &["-m", "20", "-d", &body]);
}

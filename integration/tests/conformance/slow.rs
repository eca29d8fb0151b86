//! slowhttptest: many clients who take their time, and one who does not.

use std::{process::Command, time::Duration};

use paas_integration::Output;
use paas_router::Limits;

use crate::edge::Edge;

/// In the place of Heroku's minutes.
const LIMIT: Duration = Duration::from_secs(2);

/// Runs the tool: its clients must be gone long before it gives up, and its probe must be served all the while.
fn expect_bounded(arguments: &[&str], path: &str) {
    let limits = Limits {
        client_idle: LIMIT,
        idle: LIMIT,
        ..Limits::default()
    };
    let edge = Edge::start(limits);
    let mut command = Command::new("slowhttptest");
    command
        .args(arguments)
        // Connections, new ones per second, the length of the test, and how long a probe may take.
        .args(["-c", "150", "-r", "100", "-l", "20", "-p", "2", "-u"])
        .arg(format!("http://{}{path}", edge.http()));
    let output = Output::of(&mut command, "");
    let text = output.text();
    assert!(text.contains("No open connections left"), "{arguments:?}: {text}");
    assert!(!text.contains("service available:   NO"), "{arguments:?}: {text}");
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn heads_that_drip_are_cut_off() {
    // A line each second: the whole head has a limit, not each of its bytes.
    expect_bounded(&["-H", "-i", "1", "-x", "20"], "/");
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn bodies_that_stop_are_cut_off() {
    expect_bounded(&["-B", "-i", "10", "-s", "8192", "-x", "10"], "/");
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn readers_that_stop_are_cut_off() {
    expect_bounded(
        &["-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32", "-k", "1"],
        "/large",
    );
}

//! slowhttptest: many clients who take their time, and one who does not.

use std::{fs, process::Command, time::Duration};

use paas_integration::{Background, Output, eventually};
use paas_router::Limits;

use crate::edge::Edge;

/// In the place of Heroku's minutes.
const LIMIT: Duration = Duration::from_secs(2);
/// For everything besides, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(15);

fn edge() -> Edge {
    Edge::start(Limits {
        client_idle: LIMIT,
        head: LIMIT,
        idle: LIMIT,
        ..Limits::default()
    })
}

fn command(edge: &Edge, arguments: &[&str], path: &str) -> Command {
    let mut command = Command::new("slowhttptest");
    command
        .args(arguments)
        // New connections per second, the length of the test, and how long a probe may take.
        .args(["-r", "100", "-l", "20", "-p", "5", "-u"])
        .arg(format!("http://{}{path}", edge.http()));
    command
}

/// The tool's clients must be gone long before it gives up, and its probe must be served all the while.
fn expect_bounded(arguments: &[&str]) {
    let edge = edge();
    let output = Output::of(&mut command(&edge, arguments, "/"), "");
    let text = output.text();
    assert!(text.contains("No open connections left"), "{arguments:?}: {text}");
    assert!(!text.contains("service available:   NO"), "{arguments:?}: {text}");
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn heads_that_drip_are_cut_off() {
    // A line each second: the whole head has a limit, not each of its bytes.
    expect_bounded(&["-c", "200", "-H", "-i", "1", "-x", "20"]);
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn bodies_that_stop_are_cut_off() {
    expect_bounded(&["-c", "200", "-B", "-i", "10", "-s", "8192", "-x", "10"]);
}

#[test]
#[ignore = "needs slowhttptest from Debian"]
fn readers_that_stop_are_cut_off_and_nothing_is_kept_for_them() {
    let edge = edge();
    // Each fills the kernel's buffers, megabytes, before it is found out.
    let arguments = ["-c", "40", "-X", "-w", "10", "-y", "20", "-n", "5", "-z", "32"];
    let tool = Background::start(&mut command(&edge, &arguments, "/large"));
    eventually("the tool connects", PATIENCE, || sockets(edge.http().port()) > 20);
    // The tool does not notice a reset before it reads again, and then calls it none: the kernel knows better.
    eventually("the readers are gone", LIMIT + PATIENCE, || {
        sockets(edge.http().port()) == 0
    });
    assert!(!tool.text().contains("service available:   NO"), "{}", tool.text());
}

/// How many connections of this port the kernel knows, in whatever state but the listening and the forgotten.
fn sockets(port: u16) -> usize {
    const LISTEN: &str = "0A";
    const TIME_WAIT: &str = "06";
    let local = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").expect("the kernel's table");
    let rows = table
        .lines()
        .skip(1)
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1].ends_with(&local) && ![LISTEN, TIME_WAIT].contains(&row[3]))
        .count()
}

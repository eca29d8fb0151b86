//! Beside what a dyno runs: shells, files and connections, by SSH on the port of the apps.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::Command,
    time::Duration,
};

use paas_integration::{Background, Heroku, Output, Platform, eventually, free_address, request, within};

const SOON: Duration = Duration::from_mins(1);
/// Written into the client.
const SOCKS: ([u8; 4], u16) = ([127, 0, 0, 1], 1080);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn people_come_to_running_dynos_by_ssh() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    app.push().expect_success();

    let status = heroku.run_for(&app, &["ps:exec", "--status"]);
    status.expect_success().expect("Heroku Exec").expect("web.1");
    // Each of these makes a key first, and takes its time for it.
    let mut said = heroku.terminal(&["ps:exec", "-a", "hello", "--", "echo dyno $DYNO in $HOME; tty"]);
    said.sees("dyno web.1 in /app", SOON).sees("/dev/pts/", SOON);
    said.finish(SOON).expect_success();

    let mut terminal = heroku.terminal(&["ps:exec", "-a", "hello"]);
    terminal
        .sees("Connecting to", SOON)
        .types("echo is $((6 * 7)); stty size\r")
        .sees("is 42", SOON)
        .sees("24 80", SOON)
        // What Ctrl-C is to end has to be there: bash itself lets it pass between a line and its command.
        .types("sh -c 'echo now $((40 + 1)); exec sleep 1000'\r")
        .sees("now 41", SOON)
        .types("\x03")
        .sees("^C", SOON)
        .types("echo still $((40 + 2))\r")
        .sees("still 42", SOON)
        .types("sleep 4711\r")
        .sees("sleep 4711", SOON);
    let is_running = || {
        let listed = app.paas(&[
            "ps:exec",
            "--",
            "sh",
            "-c",
            "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '",
        ]);
        listed.stdout.contains("sleep 4711")
    };
    eventually("it runs", SOON, is_running);
    // Whoever goes hangs up, and the dyno goes on.
    drop(terminal);
    eventually("nothing of it is left", SOON, || !is_running());
    app.runs(&["web.1"], SOON);

    let made = app.paas(&[
        "ps:exec",
        "--",
        "sh",
        "-c",
        "head -c 3000000 /dev/urandom > /tmp/big; sha256sum < /tmp/big; echo port $PORT",
    ]);
    let words: Vec<_> = made.expect_success().stdout.split_whitespace().collect();
    let sum = words.iter().find(|word| word.len() == 64).expect("a sum");
    let port = words.last().expect("the dyno's port");
    heroku
        .run_for(&app, &["ps:copy", "/tmp/big", "--output", "copied"])
        .expect_success();
    let mut sha256sum = Command::new("sha256sum");
    let copied = Output::of(sha256sum.arg(heroku.home().join("copied")), "");
    assert!(copied.stdout.starts_with(sum), "{copied:?} is not {sum}");
    // The client never ends when it is told that there is no such file: it throws, and keeps its connection.

    let near = free_address();
    let forwarding = heroku.start(&["ps:forward", &format!("{}:{port}", near.port()), "-a", "hello"]);
    forwarding.hears("SOCKSv5 proxy server started on port 1080", SOON);
    eventually("the app answers at the forwarded port", SOON, || answers(near));
    end(forwarding);

    let proxying = heroku.start(&["ps:socks", "-a", "hello"]);
    proxying.hears("SOCKSv5 proxy server started on port 1080", SOON);
    let port = port.parse().expect("a port");
    let answer = within(SOON, || through_socks(port)).expect("the app answers through the proxy");
    assert!(answer.starts_with("HTTP/1.") && answer.ends_with("web.1"), "{answer}");
    end(proxying);
    assert_eq!(heroku.strays(), Vec::<String>::new());
    app.logs("Opening dyno web.1 for SSH by user you@example.com", SOON);
    heroku.covers(&["ps:copy", "ps:exec", "ps:forward", "ps:socks"]);
}

fn answers(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok() && request(address, "GET", "/", &[("Host", "localhost")], "").is_some()
}

fn end(command: Background) {
    command.kill();
    eventually("the port of the proxy is free", SOON, || {
        TcpListener::bind(SocketAddr::from(SOCKS)).is_ok()
    });
}

/// Asks the dyno's own port by the proxy (RFC 1928).
fn through_socks(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(SocketAddr::from(SOCKS)).ok()?;
    stream.set_read_timeout(Some(SOON)).ok()?;
    stream.write_all(&[5, 1, 0]).ok()?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).ok()?;
    let [high, low] = port.to_be_bytes();
    stream.write_all(&[5, 1, 0, 1, 127, 0, 0, 1, high, low]).ok()?;
    let mut connected = [0; 10];
    stream.read_exact(&mut connected).ok()?;
    // The app ends the connection behind its answer.
    stream
        .write_all(b"GET /dyno HTTP/1.0\r\nHost: localhost\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

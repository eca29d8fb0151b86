//! Commands in dynos, with `paas`: run once, or beside what runs.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use paas_integration::{App, Background, Platform, Terminal, binary, eventually, free_address};

const SOON: Duration = Duration::from_mins(1);
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

/// As from another machine: the upgrade goes through the router, in TLS.
#[test]
#[ignore = "needs docker"]
fn a_command_talks_through_the_router_over_https() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let from_afar = |arguments: &[&str]| {
        let mut command = app.command(&binary("paas"));
        command
            .env("PAAS_URL", format!("https://localhost:{}", platform.https().port()))
            .env("PAAS_API_KEY", platform.token())
            .env("SSL_CERT_FILE", platform.data_dir().join("local-ca/root.pem"))
            .args(arguments);
        command
    };
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(TEN_MEGABYTES / 10).collect();
    let mut echo = from_afar(&["run", "-a", "hello", "-x", "cat"]);
    let (code, echoed) = feed(&mut echo, &bytes);
    assert_eq!(code, 0);
    assert!(echoed == bytes, "{} bytes came back", echoed.len());
    let mut shell = Terminal::start(&from_afar(&["ps:exec", "-a", "hello"]), (100, 30));
    shell.types("stty size; exit 7\r").sees("30 100", SOON);
    shell.finish(SOON).expect_code(7);
}

#[test]
#[ignore = "needs docker"]
fn commands_run_once_byte_for_byte_and_the_next_server_knows_them() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();

    // Every byte there is, both ways at once.
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(TEN_MEGABYTES + 17).collect();
    let (code, echoed) = run(&app, &["run", "-x", "cat"], &bytes);
    assert_eq!(code, 0);
    assert!(echoed == bytes, "{} bytes came back", echoed.len());
    let failed = app.paas(&["run", "-x", "--", "sh", "-c", "echo out; echo no >&2; exit 3"]);
    assert_eq!(failed.expect_code(3).stdout, "out\n");
    failed.expect("no\n").expect("Process exited with code 3");
    app.paas(&["run", "false"]).expect_success();
    app.paas(&["run", "-e", "GREETING=hi", "printenv", "GREETING"])
        .expect_success()
        .expect("hi\n");
    app.paas(&["run", "--size", "huge", "true"])
        .expect_code(1)
        .expect("Dyno size must be one of");

    // One that talks into the log goes on without the server, one that talked to a person does not.
    let script = "echo before; while [ ! -f /tmp/go ]; do sleep 0.1; done; echo after";
    let detached = app.paas(&["run:detached", "--", "sh", "-c", script]);
    let detached = dyno_in(&detached.expect_success().stdout);
    app.logs(&format!("app[{detached}]: before"), SOON);
    eventually("what ran before is gone", SOON, || app.states().len() == 2);
    let attached = app.start_paas(&[
        "run",
        "sh",
        "-c",
        "trap 'echo hung up > /tmp/x; exit' HUP; sleep 1000 & wait",
    ]);
    eventually("three dynos are up", SOON, || {
        app.states().values().filter(|state| *state == "up").count() == 3
    });
    platform.kill();
    platform.serve(&[]);
    attached.finish(SOON).expect_code(1).expect("broke off");
    eventually("the attached one is gone", SOON, || app.states().len() == 2);
    app.paas(&["ps:exec", "-d", &detached, "touch", "/tmp/go"])
        .expect_success();
    app.logs(&format!("app[{detached}]: after"), SOON);
    app.logs(&format!("heroku[{detached}]: Process exited with status 0"), SOON);
    eventually("only the web dyno is left", SOON, || app.states().len() == 1);
    assert_eq!(platform.engine().containers().len(), 1);
    let log = app.log();
    assert_eq!(log.matches(&format!("app[{detached}]: before")).count(), 1, "{log}");
}

#[test]
#[ignore = "needs docker"]
fn programs_files_and_connections_beside_a_dyno() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();

    let mut command = app.command(&binary("paas"));
    command.args(["ps:exec", "-a", "hello"]);
    let mut terminal = Terminal::start(&command, (97, 31));
    terminal
        .sees("up", SOON)
        .types("stty size; echo I am $DYNO\r")
        .sees("31 97", SOON)
        .sees("I am web.1", SOON)
        .types("head -c 100000 /dev/urandom > /tmp/noise; sha256sum < /tmp/noise; exit 5\r");
    terminal.finish(SOON).expect_code(5);
    let noise = app.paas(&["ps:exec", "sha256sum", "/tmp/noise"]);
    let sum = noise
        .expect_success()
        .stdout
        .split(' ')
        .next()
        .expect("a sum")
        .to_owned();

    let copied = Background::start(
        app.command(&binary("paas"))
            .args(["ps:copy", "/tmp/noise", "-a", "hello"]),
    );
    copied.finish(SOON).expect_success();
    let mut check = app.command("/usr/bin/sha256sum".as_ref());
    let here = Background::start(check.arg("noise")).finish(SOON);
    assert!(here.expect_success().stdout.starts_with(&sum), "{here:?}");
    let again = Background::start(
        app.command(&binary("paas"))
            .args(["ps:copy", "/tmp/noise", "-a", "hello"]),
    );
    again.finish(SOON).expect_code(1).expect("already exists");
    app.paas(&["ps:copy", "/no/such/file"])
        .expect_code(1)
        .expect("No such file");
    app.paas(&["ps:exec", "-d", "web.9", "true"])
        .expect_code(1)
        .expect("Couldn't find that dyno");

    let port = free_address().port();
    let forwarding = app.start_paas(&["ps:forward", &format!("{port}:5000")]);
    forwarding.hears("Use CTRL+C", SOON);
    for _ in 0..3 {
        let answer = ask(TcpStream::connect(("127.0.0.1", port)).expect("it listens"), &[]);
        assert!(answer.ends_with("hello one"), "{answer}");
    }
    forwarding.kill();

    let port = free_address().port();
    let proxy = app.start_paas(&["ps:socks", "--port", &port.to_string()]);
    proxy.hears("Use CTRL+C", SOON);
    // By name, as the dyno knows it: its own.
    let mut greeting = vec![5, 1, 0, 5, 1, 0, 3, 9];
    greeting.extend(b"localhost\x13\x88");
    let answer = ask(TcpStream::connect(("127.0.0.1", port)).expect("it listens"), &greeting);
    assert!(answer.ends_with("hello one"), "{answer}");
    proxy.kill();
    // The dyno has noticed nothing.
    app.runs(&["web.1"], SOON);
    assert_eq!(app.page("/"), "hello one");
}

/// Runs `paas` with bytes that are no text.
fn run(app: &App<'_>, arguments: &[&str], input: &[u8]) -> (i32, Vec<u8>) {
    let mut command = app.command(&binary("paas"));
    feed(command.args(arguments).args(["-a", app.name()]), input)
}

fn feed(command: &mut Command, input: &[u8]) -> (i32, Vec<u8>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("paas starts");
    let mut stdin = child.stdin.take().expect("standard input was piped");
    let input = input.to_vec();
    let writer = thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("a child can be waited for");
    writer.join().expect("writing does not panic").expect("all was taken");
    (output.status.code().unwrap_or(-1), output.stdout)
}

/// The name of the one-off dyno in what a command said.
fn dyno_in(text: &str) -> String {
    let mut words = text.split_whitespace();
    words
        .find(|word| word.starts_with("run."))
        .expect("a dyno's name")
        .to_owned()
}

/// Asks a web dyno for its page, after an introduction to whoever is in between.
fn ask(mut stream: TcpStream, introduction: &[u8]) -> String {
    stream.set_read_timeout(Some(SOON)).expect("a socket has a timeout");
    stream.write_all(introduction).expect("it listens");
    stream
        .write_all(b"GET / HTTP/1.0\r\nHost: hello\r\n\r\n")
        .expect("it listens");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    String::from_utf8_lossy(&answer).into_owned()
}

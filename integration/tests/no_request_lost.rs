//! Nothing that a developer does to an app costs one of its visitors an answer.

use std::{
    io::{Read, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use paas_integration::{App, Load, Platform, Target, eventually};

const SOON: Duration = Duration::from_mins(1);
/// Longer than a push takes, shorter than the router's patience.
const SLOW_SECONDS: u32 = 26;

#[test]
#[ignore = "needs docker"]
fn no_request_is_lost_while_an_app_with_one_dyno_changes() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    let load = Load::start(platform.http(), &[Target::new(app.host())]);

    app.says("two").push().expect_success();
    app.serves("hello two", SOON);
    is_quiet(&platform, &app, &["web.1"]);
    load.expect_no_failure("a push");

    app.paas(&["config:set", "GREETING=good day"]).expect_success();
    app.serves("good day two", SOON);
    is_quiet(&platform, &app, &["web.1"]);
    load.expect_no_failure("a config change");

    app.paas(&["ps:scale", "web=3"]).expect_success();
    is_quiet(&platform, &app, &["web.1", "web.2", "web.3"]);
    load.expect_no_failure("scaling up");

    app.paas(&["ps:scale", "web=1"]).expect_success();
    is_quiet(&platform, &app, &["web.1"]);
    load.expect_no_failure("scaling down");

    app.paas(&["rollback"]).expect_success();
    app.serves("hello two", SOON);
    is_quiet(&platform, &app, &["web.1"]);
    load.expect_no_failure("a rollback");

    let before = platform.engine().dyno("web.1");
    app.paas(&["ps:restart"]).expect_success();
    eventually("another container runs web.1", SOON, || {
        platform.engine().dyno("web.1").is_some_and(|now| Some(now) != before)
    });
    is_quiet(&platform, &app, &["web.1"]);
    load.expect_no_failure("a restart");

    load.stop().expect_all_answered();
}

#[test]
#[ignore = "needs docker"]
fn what_is_under_way_when_a_new_release_takes_over_ends_as_if_nothing_had_happened() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);

    thread::scope(|scope| {
        let slow = scope.spawn(|| app.page(&format!("/slow?{SLOW_SECONDS}")));
        let mut socket = WebSocket::open(&platform, &app);
        assert_eq!(socket.echo("before"), "before");

        app.says("two").push().expect_success();
        assert!(
            !slow.is_finished(),
            "the slow request ended before the new release served"
        );
        assert_eq!(app.page("/"), "hello two");
        assert_eq!(socket.echo("after"), "after");
        assert_eq!(slow.join().expect("an answer came"), "hello one");
    });
    is_quiet(&platform, &app, &["web.1"]);
}

/// Waits until exactly these dynos run, and the containers of no others are there any more.
#[track_caller]
fn is_quiet(platform: &Platform, app: &App<'_>, dynos: &[&str]) {
    app.runs(dynos, SOON);
    let engine = platform.engine();
    eventually("the containers of what was replaced are gone", SOON, || {
        engine.containers().len() == dynos.len()
    });
}

/// As much of RFC 6455 as an echo takes.
struct WebSocket(TcpStream);

impl WebSocket {
    #[track_caller]
    fn open(platform: &Platform, app: &App<'_>) -> Self {
        let mut stream = TcpStream::connect(platform.http()).expect("the router accepts");
        stream.set_read_timeout(Some(SOON)).expect("a limit can be set");
        let request = format!(
            "GET /socket HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            app.host()
        );
        stream.write_all(request.as_bytes()).expect("the router reads");
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("an answer comes");
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head);
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        Self(stream)
    }

    /// Sends a short text, and gives back what came for it.
    #[track_caller]
    fn echo(&mut self, text: &str) -> String {
        let length = u8::try_from(text.len()).expect("a short text");
        // Final text frame; masked, with a mask that changes nothing.
        let head = [0x81, 0x80 | length, 0, 0, 0, 0];
        self.0
            .write_all(&[&head, text.as_bytes()].concat())
            .expect("the router reads");
        let mut frame = vec![0; 2 + text.len()];
        self.0.read_exact(&mut frame).expect("a message comes back");
        assert_eq!(frame[..2], [0x81, length], "a text of the same length");
        String::from_utf8_lossy(&frame[2..]).into_owned()
    }
}

//! Certificates come by themselves, from a real authority, and are there before the old ones end.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use paas_integration::{App, Options, PebbleOptions, Platform, Visitor, eventually, request, within};

const NAME: &str = "www.example.com";
/// DNS, order, validation, certificate.
const SOON: Duration = Duration::from_mins(1);

fn platform(authority: PebbleOptions) -> Platform {
    Platform::with(Options {
        authority: Some(authority),
        ..Options::default()
    })
}

/// Waits until visitors who trust the authority come through.
#[track_caller]
fn is_trusted(visitor: &Visitor, name: &str, limit: Duration) {
    let mut last = Err("never tried".to_owned());
    let trusted = within(limit, || {
        last = visitor.visit(name);
        last.is_ok().then_some(())
    });
    assert!(
        trusted.is_some(),
        "not within {limit:?}: {name} over HTTPS, but {last:?}"
    );
}

#[track_caller]
fn add_domain(app: &App<'_>, name: &str) {
    app.paas(&["domains:add", name]).expect_success();
}

/// Waits until people are told this about the certificates of the app.
#[track_caller]
fn is_told(app: &App<'_>, text: &str) {
    let told = within(SOON, || certs_auto(app).contains(text).then_some(()));
    assert!(told.is_some(), "not told: {text:?} in\n{}", certs_auto(app));
}

/// What people are told about the certificates of the app.
#[track_caller]
fn certs_auto(app: &App<'_>) -> String {
    app.paas(&["certs:auto"]).expect_success().stdout.clone()
}

#[test]
#[ignore = "needs docker and pebble"]
fn a_domain_is_added_and_serves_over_https_with_no_further_step() {
    let platform = platform(PebbleOptions {
        bad_nonces: 50,
        ..PebbleOptions::default()
    });
    let app = platform.app("hello");
    app.push().expect_success();
    add_domain(&app, NAME);
    app.paas(&["domains:wait", NAME]).expect_success();
    let visitor = platform.visitor();
    is_trusted(&visitor, NAME, SOON);
    let visit = visitor.visit(NAME).unwrap();
    assert_eq!((visit.status, visit.body.as_str()), (200, "hello one"));
    // Names that nobody added get no order, however often they are called.
    for _ in 0..5 {
        assert!(visitor.visit("other.example.com").is_err());
    }
    assert_eq!(platform.pebble().orders(), 1);
}

#[test]
#[ignore = "needs docker and pebble"]
fn no_order_is_placed_before_the_name_points_here() {
    let platform = platform(PebbleOptions::default());
    let app = platform.app("hello");
    platform.names().add_a(NAME, &["192.0.2.7"]);
    add_domain(&app, NAME);
    is_told(&app, "192.0.2.7");
    assert_eq!(platform.pebble().orders(), 0);
    platform.names().clear_a(NAME);
    app.paas(&["certs:auto:refresh"]).expect_success();
    is_trusted(&platform.visitor(), NAME, SOON);
    assert_eq!(platform.pebble().orders(), 1);
}

/// Two thirds of three minutes go by before the first renewal.
#[test]
#[ignore = "needs docker and pebble"]
fn the_old_certificate_serves_while_its_renewal_fails_and_no_handshake_does() {
    let platform = platform(PebbleOptions {
        validity: Duration::from_mins(3),
        ..PebbleOptions::default()
    });
    let app = platform.app("hello");
    add_domain(&app, NAME);
    let visitor = platform.visitor();
    is_trusted(&visitor, NAME, SOON);
    let visits = visitor.keep_visiting(NAME);
    // The authority cannot look the name up any more; whether we can is another matter.
    platform.names().set_servfail(NAME);
    let failed = within(Duration::from_mins(4), || {
        (platform.pebble().orders() == 2).then_some(())
    });
    assert!(failed.is_some(), "{}\n{:?}", certs_auto(&app), visits.seen());
    is_told(&app, "could not resolve");
    assert_eq!(visits.seen().leaves.len(), 1, "{:?}", visits.seen());

    platform.names().clear_servfail(NAME);
    app.paas(&["certs:auto:refresh"]).expect_success();
    let renewed = within(SOON, || (visits.seen().leaves.len() == 2).then_some(()));
    let seen = visits.seen();
    assert!(renewed.is_some(), "{}\n{seen:?}", certs_auto(&app));
    assert!(seen.failures.is_empty(), "{seen:?}");
    assert!(seen.handshakes > 100, "{seen:?}");
    assert_eq!(
        platform.pebble().orders(),
        3,
        "the first one, the one that failed, and the last one"
    );
}

#[test]
#[ignore = "needs docker and pebble"]
fn an_order_is_carried_on_by_the_server_after_the_one_that_was_killed() {
    let gate = Gate::start();
    let platform = platform(PebbleOptions {
        http_port: gate.port,
        ..PebbleOptions::default()
    });
    let app = platform.app("hello");
    add_domain(&app, NAME);
    let challenge = within(SOON, || gate.asked()).expect("the authority looks at the challenge");
    let held = Instant::now();
    platform.kill();
    platform.serve(&[]);
    eventually("the challenge is in place again", SOON, || {
        let answer = platform.get(NAME, &challenge);
        answer.is_some_and(|answer| answer.status == 200)
    });
    gate.open(platform.http());
    // Pebble waits for fifteen seconds: after that another order is right, and comes a minute later.
    let is_in_time = held.elapsed() < Duration::from_secs(12);
    is_trusted(&platform.visitor(), NAME, 3 * SOON);
    // Servers that come and go while there is nothing to do place no orders.
    for _ in 0..3 {
        platform.kill();
        platform.serve(&[]);
    }
    is_trusted(&platform.visitor(), NAME, SOON);
    assert!(!is_in_time || platform.pebble().orders() == 1);
}

#[test]
#[ignore = "needs docker and pebble"]
fn an_authority_that_is_down_is_asked_again_when_it_is_back() {
    let platform = platform(PebbleOptions::default());
    let app = platform.app("hello");
    platform.pebble().kill();
    add_domain(&app, NAME);
    is_told(&app, "does not answer");
    platform.pebble().run();
    // By itself after a minute or two; or at once for who does not want to wait.
    app.paas(&["certs:auto:refresh"]).expect_success();
    is_trusted(&platform.visitor(), NAME, SOON);
    assert_eq!(platform.pebble().orders(), 1);
}

/// Stands between the authority and the router, and keeps an HTTP-01 validation waiting.
struct Gate {
    port: u16,
    asked: Arc<OnceLock<String>>,
    router: Arc<OnceLock<SocketAddr>>,
}

impl Gate {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let gate = Self {
            port: listener.local_addr().expect("it is bound").port(),
            asked: Arc::default(),
            router: Arc::default(),
        };
        let (asked, router) = (gate.asked.clone(), gate.router.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, router) = (asked.clone(), router.clone());
                thread::spawn(move || pass(&stream, &asked, &router));
            }
        });
        gate
    }

    /// The path that the authority asks for.
    fn asked(&self) -> Option<String> {
        self.asked.get().cloned()
    }

    fn open(&self, router: SocketAddr) {
        self.router.set(router).expect("a gate opens once");
    }
}

/// Forwards one request as soon as the gate is open.
fn pass(mut stream: &TcpStream, asked: &OnceLock<String>, router: &OnceLock<SocketAddr>) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned));
    let path = path.expect("the authority sends a request");
    lines.find(String::is_empty).expect("the authority sends a whole head");
    let path = asked.get_or_init(|| path);
    let answer = request(*router.wait(), "GET", path, &[("Host", NAME)], "").expect("the router answers");
    let (status, body) = (answer.status, answer.body);
    let head = format!(
        "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nConnection: close",
        body.len()
    );
    // The authority may have given up.
    let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes());
}

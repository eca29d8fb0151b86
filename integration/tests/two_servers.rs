//! Two control planes on one database: they share names, and place no order twice.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use paas_integration::{Options, PebbleOptions, Platform, request, within};

const NAMES: usize = 8;
/// All orders, two servers, on a machine that has other things to do.
const SOON: Duration = Duration::from_mins(2);

/// Stands before the routers of both, as a load balancer does, and finds the one that knows a challenge.
struct Balancer {
    port: u16,
    routers: Arc<OnceLock<[SocketAddr; 2]>>,
}

impl Balancer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let balancer = Self {
            port: listener.local_addr().expect("it is bound").port(),
            routers: Arc::default(),
        };
        let routers = balancer.routers.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let routers = routers.clone();
                thread::spawn(move || pass(&stream, &routers));
            }
        });
        balancer
    }
}

/// Forwards one request.
fn pass(mut stream: &TcpStream, routers: &OnceLock<[SocketAddr; 2]>) {
    let lines: Vec<String> = BufReader::new(stream)
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let Some(path) = lines.first().and_then(|line| line.split(' ').nth(1)) else {
        return;
    };
    let header = |line: &String| line.strip_prefix("Host: ").map(str::to_owned);
    let host = lines.iter().find_map(header).unwrap_or_default();
    let answers = routers.wait().iter().filter_map(|router| {
        let answer = request(*router, "GET", path, &[("Host", host.as_str())], "");
        answer.filter(|answer| answer.status == 200)
    });
    let body = answers.map(|answer| answer.body).next().unwrap_or_default();
    let length = body.len();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    // The authority may have given up.
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

#[test]
#[ignore = "needs docker and pebble"]
fn two_servers_on_one_database_place_one_order_for_each_name() {
    let balancer = Balancer::start();
    let first = Platform::with(Options {
        authority: Some(PebbleOptions {
            http_port: balancer.port,
            ..PebbleOptions::default()
        }),
        ..Options::default()
    });
    let second = Platform::start();
    let routers = [first.http(), second.http()];
    balancer.routers.set(routers).expect("it is set once");

    // The second one goes on with the first one's database and its key.
    second.terminate();
    let key = |platform: &Platform| platform.data_dir().join("key");
    fs::copy(key(&first), key(&second)).expect("the sealing key can be copied");
    let socket = first.data_dir().join("postgres/run");
    let database = format!("postgres://paas@localhost/paas?host={}", socket.display());
    let ca_file = first.pebble().ca_file().display().to_string();
    second.serve(&[
        "--database-url",
        &database,
        "--acme-directory",
        &first.pebble().directory(),
        "--acme-ca-file",
        &ca_file,
        "--dns-server",
        &first.names().address().to_string(),
        "--public-address",
        "127.0.0.1",
    ]);
    let app = first.app("hello");
    let names: Vec<String> = (0..NAMES).map(|number| format!("n{number}.example.com")).collect();
    for name in &names {
        app.paas(&["domains:add", name]).expect_success();
    }
    // Whoever ordered a certificate, both have it.
    for platform in [&first, &second] {
        let visitor = paas_integration::Visitor::new(platform.https(), &first.pebble().root());
        for name in &names {
            let mut last = None;
            let trusted = within(SOON, || {
                last = Some(visitor.visit(name));
                matches!(last, Some(Ok(_))).then_some(())
            });
            assert!(
                trusted.is_some(),
                "not within {SOON:?}: {name} over HTTPS, but {last:?}"
            );
        }
    }
    assert_eq!(first.pebble().orders(), NAMES, "{}\n{}", first.log(), second.log());
    let ordered = |platform: &Platform| platform.log().matches("certificate ordered").count();
    assert_eq!(ordered(&first) + ordered(&second), NAMES);
    // Servers that come and go while there is nothing to do place none either.
    for _ in 0..2 {
        first.kill();
        first.serve(&[]);
    }
    assert_eq!(first.pebble().orders(), NAMES);
    second.terminate();
}

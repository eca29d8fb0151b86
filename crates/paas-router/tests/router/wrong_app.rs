//! No request ever reaches a wrong app: whatever its host, however old the table, whoever has an address by now.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::Response;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use paas_core::Id;
use paas_router::{
    Limits,
    feed::{AppState, BackendEntry, DrainOutcome, Table},
};
use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::support::{Answer, DEADLINE, HOST, TestDyno, World, app, full, quick, read_until, serving, until};

const OTHER: &str = "other.test";

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
}

/// The dyno's address in the hands of another container of another dyno.
fn reused(dyno: &TestDyno) -> BackendEntry {
    BackendEntry {
        dyno: Uuid::now_v7(),
        container: "another container".to_owned(),
        ..dyno.entry()
    }
}

#[tokio::test]
async fn a_host_that_nobody_has_is_nobodys() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::start(quick()).await;
    world
        .publish(Table {
            apps: vec![app(HOST, serving(&[&dyno])), app("*.wild.test", serving(&[&dyno]))],
            ..Table::default()
        })
        .await;
    let port = world.addresses.http.port();
    for host in [
        "unknown.test",
        "test",
        "hello",
        "xhello.test",
        "hello.testx",
        "hello.test.evil.test",
        "www.hello.test",
        "wild.test",
        "a.b.wild.test",
        "localhost",
        "127.0.0.1",
        "[::1]",
        &format!("127.0.0.1:{port}"),
        &dyno.address.to_string(),
        "xn--hello.test",
        "hello_test",
    ] {
        let answer = world.send(&get(host)).await;
        assert_eq!(answer.status, 404, "{host}");
        assert!(answer.body.contains("No such app"), "{host}");
    }
    for host in [
        "hello.test@evil.test",
        "hello.test,other",
        "hello.test/",
        "*.wild.test",
        "hello.test\0",
    ] {
        assert_eq!(world.send(&get(host)).await.status, 400, "{host}");
    }
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 0);
    assert_eq!(
        world.send(&get("Hello.Test.")).await.status,
        200,
        "the same name, written otherwise"
    );
}

#[tokio::test]
async fn before_its_first_table_a_router_knows_nobody() {
    let world = World::start(quick()).await;
    for host in [HOST, OTHER, "127.0.0.1"] {
        let answer = world.send(&get(host)).await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, "1"));
    }
}

#[tokio::test]
async fn a_connection_is_not_used_for_whoever_gets_the_address_next() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::start(quick()).await;
    let table = |first: AppState, second: AppState| Table {
        apps: vec![app(HOST, first), app(OTHER, second)],
        ..Table::default()
    };
    world.publish(table(serving(&[&dyno]), AppState::Booting)).await;
    for _ in 0..3 {
        assert_eq!(world.send(&get(HOST)).await.body, "web.1");
    }
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 1);
    // Its address is another app's: the old app's requests wait, and the new one's open a connection of their own.
    let next = AppState::Serving(vec![reused(&dyno)]);
    world.publish(table(AppState::Booting, next)).await;
    assert_eq!(world.send(&get(HOST)).await.status, 503);
    assert_eq!(dyno.requests.load(Ordering::SeqCst), 3, "nothing more of the first app");
    assert_eq!(world.send(&get(OTHER)).await.status, 200);
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 2);
    // The same dyno in a new container is somebody else, too.
    let restarted = BackendEntry {
        container: "its next attempt".to_owned(),
        ..dyno.entry()
    };
    world.publish(table(serving(&[&dyno]), AppState::NoWeb)).await;
    assert_eq!(world.send(&get(HOST)).await.status, 200);
    world
        .publish(table(AppState::Serving(vec![restarted]), AppState::NoWeb))
        .await;
    assert_eq!(world.send(&get(HOST)).await.status, 200);
    assert_eq!(dyno.connections.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_request_that_waits_is_not_handed_to_the_next_owner_of_its_hostname() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::start(Limits::default()).await;
    let owner = |id: u128, state| {
        let mut entry = app(HOST, state);
        entry.app = Uuid::from_u128(id);
        Table {
            apps: vec![entry],
            ..Table::default()
        }
    };
    world.publish(owner(1, AppState::Asleep)).await;
    let mut stream = world.connect().await;
    stream.write_all(get(HOST).as_bytes()).await.unwrap();
    // It waits: it has called for its app.
    world.event().await;
    world.publish(owner(2, serving(&[&dyno]))).await;
    assert_eq!(Answer::read_to_end(&mut stream).await.status, 404);
    let record = world.record().await;
    assert_eq!(
        (record.app, record.status, record.dyno),
        (Uuid::from_u128(1), 404, None)
    );
    assert_eq!(world.get("/").await.body, "web.1");
}

/// An address that one container after the other gets.
struct Address {
    address: SocketAddr,
    tenant: Arc<Mutex<Tenant>>,
}

#[derive(Clone)]
struct Tenant {
    dyno: Uuid,
    says: String,
    alive: CancellationToken,
}

impl Tenant {
    fn of(host: &str) -> Self {
        Self {
            dyno: Uuid::now_v7(),
            says: host.to_owned(),
            alive: CancellationToken::new(),
        }
    }
}

impl Address {
    /// Whoever connects belongs to the tenant of that moment, and dies with it.
    async fn new(host: &str, tracker: &TaskTracker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tenant = Arc::new(Mutex::new(Tenant::of(host)));
        let (current, tasks) = (tenant.clone(), tracker.clone());
        tracker.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let tenant = current.lock().unwrap().clone();
                tasks.spawn(async move {
                    let service = service_fn(|_| {
                        let says = tenant.says.clone();
                        async { Ok::<_, std::convert::Infallible>(Response::new(full(says))) }
                    });
                    tokio::select! {
                        _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service) => {}
                        () = tenant.alive.cancelled() => {}
                    }
                });
            }
        });
        Self { address, tenant }
    }

    fn entry(&self) -> BackendEntry {
        let tenant = self.tenant.lock().unwrap();
        BackendEntry {
            dyno: tenant.dyno,
            name: "web.1".to_owned(),
            container: format!("container of {}", tenant.dyno),
            address: self.address,
        }
    }

    /// The container ends, and a container of another app gets the address at once.
    fn pass_to(&self, host: &str) {
        let mut tenant = self.tenant.lock().unwrap();
        tenant.alive.cancel();
        *tenant = Tenant::of(host);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_that_get_each_others_addresses_under_load_never_get_each_others_requests() {
    const HOSTS: [&str; 2] = [HOST, OTHER];
    let tracker = TaskTracker::new();
    let addresses = [Address::new(HOST, &tracker).await, Address::new(OTHER, &tracker).await];
    let world = Arc::new(World::start(Limits::default()).await);
    let publish = async |states: [AppState; 2]| {
        let [first, second] = states;
        let apps = vec![app(HOST, first), app(OTHER, second)];
        world
            .publish(Table {
                apps,
                ..Table::default()
            })
            .await;
    };
    let up = |address: &Address| AppState::Serving(vec![address.entry()]);
    publish([up(&addresses[0]), up(&addresses[1])]).await;
    let (done, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> = (0..8)
        .map(|number| {
            let (world, done, served) = (world.clone(), done.clone(), served.clone());
            let host = HOSTS[number % 2];
            tracker.spawn(async move {
                let mut stream = world.connect().await;
                while !done.load(Ordering::SeqCst) {
                    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                    stream.write_all(request.as_bytes()).await.unwrap();
                    let answer = Answer::read_one(&mut stream).await;
                    assert_eq!((answer.status, answer.body.as_str()), (200, host));
                    served.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for round in 0..40 {
        let leaving: Vec<_> = addresses.iter().map(|address| address.entry().dyno).collect();
        // As the controller does: out of the table, drained, ended; only then has somebody else the address.
        publish([AppState::Booting, AppState::Booting]).await;
        for dyno in leaving {
            let drained = world.feed.drained(Id::from_uuid(dyno), DEADLINE);
            assert_eq!(
                timeout(DEADLINE, drained).await.unwrap().unwrap(),
                DrainOutcome::Drained
            );
        }
        let (first, second) = if round % 2 == 0 { (1, 0) } else { (0, 1) };
        addresses[first].pass_to(HOST);
        addresses[second].pass_to(OTHER);
        publish([up(&addresses[first]), up(&addresses[second])]).await;
        let (before, served) = (served.load(Ordering::SeqCst), &served);
        until(|| async move { served.load(Ordering::SeqCst) >= before + 16 }).await;
    }
    done.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_comes_late_is_nobodys() {
    let connections = Arc::new(AtomicUsize::new(0));
    let (go, gone) = (CancellationToken::new(), connections.clone());
    let late = go.clone();
    let dyno = TestDyno::speaking("web.1", move |mut stream| {
        let (late, is_first) = (late.clone(), gone.fetch_add(1, Ordering::SeqCst) == 0);
        async move {
            loop {
                read_until(&mut stream, "\r\n\r\n").await;
                if is_first {
                    late.cancelled().await;
                }
                let body = if is_first { "late" } else { "next" };
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{body}");
                if stream.write_all(head.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await;
    let limits = Limits {
        first_byte: Duration::from_secs(5),
        ..quick()
    };
    let world = World::serving(limits, &[&dyno]).await;
    assert_eq!(world.get("/").await.status, 503, "the router gave up");
    go.cancel();
    for _ in 0..5 {
        assert_eq!(world.get("/").await.body, "next");
    }
    assert_eq!(
        connections.load(Ordering::SeqCst),
        2,
        "the connection of the late answer was closed"
    );
}

//! The fixture: `World` is a router with a feeder, `TestDyno` answers behind it, `Answer` is what a client got.

use std::{
    collections::HashMap,
    fmt::Write,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use paas_core::{Dyno, Id};
use paas_router::{
    Addresses, Code, Limits, Router, Settings,
    feed::{AccessRecord, AppEntry, AppState, BackendEntry, FeedClient, PlatformHost, Policy, Report, Reports, Table},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

/// Nothing here takes that long; a test that waits longer has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// The hostname of the app in most tests.
pub(crate) const HOST: &str = "hello.test";

pub(crate) type Body = BoxBody<Bytes, std::io::Error>;

pub(crate) struct World {
    pub(crate) addresses: Addresses,
    pub(crate) feed: FeedClient,
    pub(crate) reports: Reports,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
    pub(crate) ended: tokio::task::JoinHandle<()>,
    pub(crate) directory: TempDir,
}

/// Numbers that make every timeout quick to reach but those that count how quickly a dyno answers: a test's dyno shares its
/// processor with the router.
pub(crate) fn quick() -> Limits {
    Limits {
        idle: Duration::from_millis(800),
        boot: Duration::from_millis(600),
        quarantine: Duration::from_millis(300),
        swap: Duration::from_millis(300),
        tick: Duration::from_millis(50),
        ..Limits::default()
    }
}

/// For tests in which a dyno does not answer, or takes no connection.
pub(crate) fn hasty() -> Limits {
    Limits {
        connect: Duration::from_millis(500),
        first_byte: Duration::from_millis(600),
        ..quick()
    }
}

/// A loopback address of this process alone, most likely: nobody else gets a port there that was let go.
pub(crate) fn own_loopback() -> Ipv4Addr {
    let [_, _, high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, 64 | (high & 0x3f), low, 1)
}

impl World {
    pub(crate) async fn start(limits: Limits) -> Self {
        Self::start_with(|directory| settings(directory, limits)).await
    }

    pub(crate) async fn start_with(settings: impl FnOnce(&TempDir) -> Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = settings(&directory);
        let path = settings.socket.clone();
        let router = Router::bind(settings).await.unwrap();
        let addresses = router.addresses();
        let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
        let running = router.run(stop.clone());
        let ended = tracker.spawn(async move { running.await.unwrap() });
        let (feed, reports) = FeedClient::connect(&path, &tracker).await.unwrap();
        Self {
            addresses,
            feed,
            reports,
            tracker,
            stop,
            ended,
            directory,
        }
    }

    /// A router that has one app, `HOST`, with these dynos.
    pub(crate) async fn serving(limits: Limits, dynos: &[&TestDyno]) -> Self {
        let world = Self::start(limits).await;
        world.serve(dynos).await;
        world
    }

    pub(crate) async fn serve(&self, dynos: &[&TestDyno]) {
        self.state(serving(dynos)).await;
    }

    pub(crate) async fn state(&self, state: AppState) {
        self.publish(Table {
            apps: vec![app(HOST, state)],
            ..Table::default()
        })
        .await;
    }

    /// A router that has one app, `HOST`, with these rules and dynos.
    pub(crate) async fn ruled(limits: Limits, policy: Policy, state: AppState) -> Self {
        let world = Self::start(limits).await;
        world.rule(policy, state).await;
        world
    }

    pub(crate) async fn rule(&self, policy: Policy, state: AppState) {
        let entry = AppEntry {
            policy,
            ..app(HOST, state)
        };
        self.publish(Table {
            apps: vec![entry],
            ..Table::default()
        })
        .await;
    }

    pub(crate) async fn publish(&self, table: Table) {
        let version = self.feed.publish(table).await.unwrap();
        timeout(DEADLINE, self.feed.applied(version)).await.unwrap().unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        ))
        .await
    }

    /// Writes these bytes and reads until the router closes.
    pub(crate) async fn send(&self, bytes: &str) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(bytes.as_bytes()).await.unwrap();
        Answer::read_to_end(&mut stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addresses.http).await.unwrap()
    }

    /// The next report that is no access record.
    pub(crate) async fn event(&mut self) -> Report<'static> {
        loop {
            match timeout(DEADLINE, self.reports.next()).await.expect("a report in time") {
                Some(Report::Access(_)) => {}
                Some(report) => return report,
                None => panic!("the feed is closed"),
            }
        }
    }

    pub(crate) async fn record(&mut self) -> AccessRecord<'static> {
        loop {
            match timeout(DEADLINE, self.reports.next()).await.expect("a record in time") {
                Some(Report::Access(record)) => return record,
                Some(_) => {}
                None => panic!("the feed is closed"),
            }
        }
    }

    /// Fetches the app and returns what the client saw and what the record says.
    pub(crate) async fn get_recorded(&mut self) -> (Answer, AccessRecord<'static>) {
        let answer = self.get("/").await;
        (answer, self.record().await)
    }

    pub(crate) async fn expect_code(&mut self, code: Code) -> AccessRecord<'static> {
        let (answer, record) = self.get_recorded().await;
        assert_eq!(record.code, Some(code), "{record}");
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("</html>"), "{}", answer.body);
        record
    }
}

pub(crate) fn settings(directory: &TempDir, limits: Limits) -> Settings {
    Settings {
        http: SocketAddr::from(([127, 0, 0, 1], 0)),
        https: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        inherited: Vec::new(),
        socket: directory.path().join("router.sock"),
        trusted_proxies: Vec::new(),
        proxy_protocol: false,
        ssh: None,
        limits,
    }
}

pub(crate) fn app(hostname: &str, state: AppState) -> AppEntry {
    AppEntry {
        app: id_of(hostname),
        name: "hello".to_owned(),
        hostnames: vec![hostname.to_owned()],
        state,
        policy: Policy::default(),
    }
}

/// An id that follows from the hostname: no two apps of a table share one.
pub(crate) fn id_of(hostname: &str) -> Uuid {
    let bytes = hostname.bytes().rev().take(16);
    Uuid::from_u128(bytes.fold(0, |id, byte| id << 8 | u128::from(byte)))
}

pub(crate) fn serving(dynos: &[&TestDyno]) -> AppState {
    AppState::Serving(dynos.iter().map(|dyno| dyno.entry()).collect())
}

pub(crate) fn platform(hostname: &str, address: SocketAddr) -> PlatformHost {
    PlatformHost {
        hostname: hostname.to_owned(),
        address,
    }
}

/// What a client read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// Everything, when more than one answer may have come.
    pub(crate) raw: String,
}

impl Answer {
    pub(crate) async fn read_to_end(stream: &mut (impl AsyncReadExt + Unpin)) -> Self {
        let mut raw = Vec::new();
        // A reset after the answer is an end, too.
        let _ = timeout(DEADLINE, stream.read_to_end(&mut raw))
            .await
            .expect("the router closes");
        Self::parse(&String::from_utf8_lossy(&raw))
    }

    /// Reads one response with a `Content-Length`, and leaves the connection open.
    pub(crate) async fn read_one(stream: &mut (impl AsyncReadExt + Unpin)) -> Self {
        let head = read_until(stream, "\r\n\r\n").await;
        let mut answer = Self::parse(&head);
        let length = answer.header("content-length").parse().unwrap();
        let mut body = vec![0; length];
        timeout(DEADLINE, stream.read_exact(&mut body)).await.unwrap().unwrap();
        answer.body = String::from_utf8(body).unwrap();
        answer
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn parse(raw: &str) -> Self {
        let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1))
            .and_then(|status| status.parse().ok());
        let headers = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                (
                    name.parse::<HeaderName>().unwrap(),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect();
        Self {
            status: status.unwrap_or(0),
            headers,
            body: body.to_owned(),
            raw: raw.to_owned(),
        }
    }
}

/// Reads up to and with a mark.
pub(crate) async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), mark: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(mark.as_bytes()) {
        let byte = timeout(DEADLINE, stream.read_u8()).await.expect("bytes in time");
        read.push(byte.unwrap_or_else(|error| panic!("{error} after {:?}", String::from_utf8_lossy(&read))));
    }
    String::from_utf8(read).unwrap()
}

/// A dyno: a listener that dies with this.
pub(crate) struct TestDyno {
    pub(crate) id: Id<Dyno>,
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: Arc<AtomicUsize>,
    alive: CancellationToken,
}

impl Drop for TestDyno {
    fn drop(&mut self) {
        self.alive.cancel();
    }
}

impl TestDyno {
    /// Answers each request with this.
    pub(crate) async fn answering<F, R>(name: &str, respond: F) -> Self
    where
        F: Fn(Request<Incoming>) -> R + Send + Sync + Clone + 'static,
        R: Future<Output = Response<Body>> + Send,
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let count = requests.clone();
        let mut dyno = Self::speaking(name, move |stream| {
            let (respond, count) = (respond.clone(), count.clone());
            async move {
                let service = service_fn(move |request| {
                    count.fetch_add(1, Ordering::SeqCst);
                    let respond = respond.clone();
                    async move { Ok::<_, std::convert::Infallible>(respond(request).await) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                let _ = connection.with_upgrades().await;
            }
        })
        .await;
        dyno.requests = requests;
        dyno
    }

    /// Answers with its name.
    pub(crate) async fn named(name: &str) -> Self {
        let text = name.to_owned();
        Self::answering(name, move |_| {
            let text = text.clone();
            async { Response::new(full(text)) }
        })
        .await
    }

    /// Answers with the head of the request as it came, one header in a line.
    pub(crate) async fn echoing_heads() -> Self {
        Self::answering("web.1", |request| async move {
            let mut text = format!("{} {}\n", request.method(), request.uri());
            for (name, value) in request.headers() {
                writeln!(text, "{name}: {}", value.to_str().unwrap()).unwrap();
            }
            Response::new(full(text))
        })
        .await
    }

    /// Does what it likes with each connection.
    pub(crate) async fn speaking<F, R>(name: &str, speak: F) -> Self
    where
        F: Fn(TcpStream) -> R + Send + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((own_loopback(), 0)).await.unwrap();
        let dyno = Self {
            id: Id::from_uuid(Uuid::now_v7()),
            name: name.to_owned(),
            address: listener.local_addr().unwrap(),
            connections: Arc::default(),
            requests: Arc::default(),
            alive: CancellationToken::new(),
        };
        let (alive, connections) = (dyno.alive.clone(), dyno.connections.clone());
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = alive.cancelled() => return,
                };
                connections.fetch_add(1, Ordering::SeqCst);
                let (alive, speaking) = (alive.clone(), speak(stream));
                tracker.spawn(async move {
                    tokio::select! {
                        () = speaking => {}
                        () = alive.cancelled() => {}
                    }
                });
            }
        });
        dyno
    }

    /// A dyno whose address nobody listens on.
    pub(crate) async fn refusing(name: &str) -> Self {
        let dyno = Self::named(name).await;
        dyno.kill().await;
        dyno
    }

    /// Stops listening and breaks every connection, as SIGKILL does.
    pub(crate) async fn kill(&self) {
        self.alive.cancel();
        until(|| async { TcpStream::connect(self.address).await.is_err() }).await;
    }

    pub(crate) fn entry(&self) -> BackendEntry {
        BackendEntry {
            dyno: *self.id.as_uuid(),
            name: self.name.clone(),
            container: format!("container-{}", self.id),
            address: self.address,
        }
    }
}

/// Asks until the answer is yes.
pub(crate) async fn until<F: Future<Output = bool>>(mut condition: impl FnMut() -> F) {
    let asking = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    timeout(DEADLINE, asking).await.expect("the condition in time");
}

pub(crate) fn full(text: impl Into<Bytes>) -> Body {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// The lines of an echoed head.
pub(crate) fn echoed(body: &str) -> HashMap<String, Vec<String>> {
    let mut headers = HashMap::<_, Vec<_>>::new();
    for (name, value) in body.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        headers.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    headers
}

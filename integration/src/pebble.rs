//! A certificate authority of a test's own: Pebble, with a name server that says what the test wants.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    ops::Range,
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Background, Output, front::Front, request, within};

/// Both answer within moments.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Another process may take a port between the look and the use.
const ATTEMPTS: usize = 5;
/// Below the ports that the kernel gives out by itself, above those of the platforms.
const PORTS: Range<u16> = 22_000..32_000;

/// A running authority. Dropping it ends it.
pub struct Pebble {
    folder: TempDir,
    options: PebbleOptions,
    address: SocketAddr,
    management: SocketAddr,
    process: Mutex<Option<Background>>,
    front: Option<Front>,
}

/// What an authority is like.
#[derive(Debug, Clone)]
pub struct PebbleOptions {
    /// Where it looks names up.
    pub dns: SocketAddr,
    /// Where it connects for HTTP-01, whatever the name.
    pub http_port: u16,
    /// Where it connects for TLS-ALPN-01.
    pub tls_port: u16,
    /// How many of a hundred nonces it refuses.
    pub bad_nonces: u8,
    /// How many of a hundred names it takes as validated when they were before.
    pub reused_validations: u8,
    /// How long it thinks before it looks at a challenge.
    pub validation_pause: Duration,
    /// How long certificates are valid.
    pub validity: Duration,
    /// Key id and key, in base64url, when it wants accounts bound to a customer.
    pub external_account: Option<(String, String)>,
    /// When it would like its certificates to be renewed (RFC 9773).
    pub renewal: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// It takes no orders for so long: a limit is reached.
    pub rest: Option<Duration>,
}

/// `pebble-challtestsrv`: a name server over which a test has full control. Every name is 127.0.0.1 at first.
pub struct NameServer {
    dns: SocketAddr,
    management: SocketAddr,
    _process: Background,
}

impl Pebble {
    #[track_caller]
    pub fn start(options: PebbleOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("paas-pebble-").tempdir();
        let mut pebble = Self {
            folder: folder.expect("the folder of temporary files can be written"),
            options,
            address: free_address(),
            management: free_address(),
            process: Mutex::default(),
            front: None,
        };
        pebble.write_certificate();
        for _ in 0..ATTEMPTS {
            if pebble.try_run() {
                pebble.put_front();
                return pebble;
            }
            (pebble.address, pebble.management) = (free_address(), free_address());
        }
        panic!("pebble does not start:\n{}", pebble.log());
    }

    /// Its directory, for an ACME client.
    pub fn directory(&self) -> String {
        match &self.front {
            Some(front) => front.directory(),
            None => format!("https://localhost:{}/dir", self.address.port()),
        }
    }

    /// Would like its certificates to be renewed between these two from now on. It has said something of the kind before.
    #[track_caller]
    pub fn suggest_renewal(&self, from: DateTime<Utc>, to: DateTime<Utc>) {
        self.front().suggest(from, to);
    }

    /// The certificates that it was asked about, by what RFC 9773 calls them.
    #[track_caller]
    pub fn asked_about(&self) -> Vec<String> {
        self.front().asked()
    }

    /// How many orders it refused because it takes none.
    #[track_caller]
    pub fn refused(&self) -> usize {
        self.front().refused()
    }

    #[track_caller]
    fn front(&self) -> &Front {
        self.front.as_ref().expect("the authority has more than Pebble has")
    }

    /// Where it needs one.
    fn put_front(&mut self) {
        let PebbleOptions { renewal, rest, .. } = self.options;
        if renewal.is_none() && rest.is_none() {
            return;
        }
        let front = Front::start(self.folder.path(), self.address);
        if let Some((from, to)) = renewal {
            front.suggest(from, to);
        }
        front.rest(rest);
        self.front = Some(front);
    }

    /// What a client has to trust in order to talk to it.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// The root of the certificates that it issues, in PEM. Another one after a restart.
    #[track_caller]
    pub fn root(&self) -> String {
        self.fetch(self.management, "roots/0").expect_success().stdout.clone()
    }

    /// Others who ask here have to trust what this one's clients trust.
    #[track_caller]
    pub fn trust_also(&self, other: &Self) {
        let ca = fs::read(other.ca_file()).expect("an authority has a certificate");
        let trusted = OpenOptions::new().append(true).open(self.ca_file());
        let written = trusted.and_then(|mut trusted| trusted.write_all(&ca));
        written.expect("a temporary file can be written");
    }

    /// What it has said since its last start.
    pub fn log(&self) -> String {
        self.lock().as_ref().map(Background::text).unwrap_or_default()
    }

    /// How many orders were placed since its last start, refused nonces apart.
    pub fn orders(&self) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains("Added order ")).count()
    }

    /// Ends it on the spot.
    pub fn kill(&self) {
        if let Some(process) = self.lock().take() {
            process.kill();
        }
    }

    /// Starts it again where it was: it has lost every account and order.
    #[track_caller]
    pub fn run(&self) {
        assert!(self.try_run(), "pebble does not start again:\n{}", self.log());
    }

    fn try_run(&self) -> bool {
        let PebbleOptions {
            dns,
            http_port,
            tls_port,
            bad_nonces,
            reused_validations,
            validation_pause,
            validity,
            external_account,
            renewal: _,
            rest: _,
        } = &self.options;
        let path = |name| self.folder.path().join(name);
        let mut config = json!({
            "listenAddress": self.address.to_string(),
            "managementListenAddress": self.management.to_string(),
            "certificate": path("cert.pem"),
            "privateKey": path("key.pem"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "certificateValidityPeriod": validity.as_secs(),
            "externalAccountBindingRequired": external_account.is_some(),
        });
        if let Some((id, key)) = external_account {
            config["externalAccountMACKeys"] = json!({ id: key });
        }
        let config = json!({ "pebble": config });
        fs::write(path("config.json"), config.to_string()).expect("a temporary file can be written");
        let mut pebble = Command::new("pebble");
        pebble
            .env("PEBBLE_VA_NOSLEEP", u8::from(validation_pause.is_zero()).to_string())
            .env("PEBBLE_VA_SLEEPTIME", validation_pause.as_secs().to_string())
            .env("PEBBLE_WFE_NONCEREJECT", bad_nonces.to_string())
            .env("PEBBLE_AUTHZREUSE", reused_validations.to_string())
            .arg("-strict")
            .arg("-config")
            .arg(path("config.json"))
            .arg("-dnsserver")
            .arg(dns.to_string());
        self.kill();
        let process = Background::start(&mut pebble);
        // Nobody else has our certificate: whoever answers with it is this one.
        let answers = |(address, path)| self.fetch(address, path).code == 0;
        let doors = [(self.address, "dir"), (self.management, "roots/0")];
        let is_up = await_start(&process, || doors.into_iter().all(answers));
        *self.lock() = Some(process);
        is_up
    }

    fn fetch(&self, address: SocketAddr, path: &str) -> Output {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*", "--cacert"])
            .arg(self.ca_file())
            .arg(format!("https://{address}/{path}"));
        Output::of(&mut curl, "")
    }

    /// Debian's package brings none.
    fn write_certificate(&self) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let ca = params.self_signed(&key).expect("a certificate can be made");
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().expect("a key can be made");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).and_then(|params| params.signed_by(&key, &issuer));
        let certificate = certificate.expect("a certificate can be made");
        for (name, pem) in [
            ("ca.pem", ca.pem()),
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            fs::write(self.folder.path().join(name), pem).expect("a temporary file can be written");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Background>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PebbleOptions {
    /// An authority that does what it should.
    pub fn new(names: &NameServer, http_port: u16, tls_port: u16) -> Self {
        Self {
            dns: names.address(),
            http_port,
            tls_port,
            ..Self::default()
        }
    }
}

impl Default for PebbleOptions {
    /// One that does what it should, and that is told later where to look.
    fn default() -> Self {
        Self {
            dns: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            http_port: 0,
            tls_port: 0,
            bad_nonces: 0,
            reused_validations: 0,
            validation_pause: Duration::ZERO,
            validity: Duration::from_hours(90 * 24),
            external_account: None,
            renewal: None,
            rest: None,
        }
    }
}

impl NameServer {
    #[track_caller]
    pub fn start() -> Self {
        for _ in 0..ATTEMPTS {
            let (dns, management) = (free_address(), free_address());
            let mut server = Command::new("pebble-challtestsrv");
            server
                .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
                .arg("-dns01")
                .arg(dns.to_string())
                .arg("-management")
                .arg(management.to_string());
            let process = Background::start(&mut server);
            let listens = |address: &SocketAddr| TcpStream::connect(address).is_ok();
            if await_start(&process, || [dns, management].iter().all(listens)) {
                return Self {
                    dns,
                    management,
                    _process: process,
                };
            }
        }
        panic!("pebble-challtestsrv does not start");
    }

    /// Where it answers, UDP and TCP.
    pub fn address(&self) -> SocketAddr {
        self.dns
    }

    /// Where it is told what to answer, in HTTP.
    pub fn management(&self) -> SocketAddr {
        self.management
    }

    /// Names that are not told apart are here; an empty text for nowhere.
    #[track_caller]
    pub fn set_default_ipv4(&self, address: &str) {
        self.tell("set-default-ipv4", &json!({ "ip": address }));
    }

    #[track_caller]
    pub fn add_a(&self, name: &str, addresses: &[&str]) {
        self.tell("add-a", &json!({ "host": dot(name), "addresses": addresses }));
    }

    #[track_caller]
    pub fn clear_a(&self, name: &str) {
        self.tell("clear-a", &json!({ "host": dot(name) }));
    }

    #[track_caller]
    pub fn add_aaaa(&self, name: &str, addresses: &[&str]) {
        self.tell("add-aaaa", &json!({ "host": dot(name), "addresses": addresses }));
    }

    #[track_caller]
    pub fn clear_aaaa(&self, name: &str) {
        self.tell("clear-aaaa", &json!({ "host": dot(name) }));
    }

    /// Adds one value to those of the name.
    #[track_caller]
    pub fn set_txt(&self, name: &str, value: &str) {
        self.tell("set-txt", &json!({ "host": dot(name), "value": value }));
    }

    #[track_caller]
    pub fn clear_txt(&self, name: &str) {
        self.tell("clear-txt", &json!({ "host": dot(name) }));
    }

    #[track_caller]
    pub fn add_caa(&self, name: &str, tag: &str, value: &str) {
        let policies = json!([{ "tag": tag, "value": value }]);
        self.tell("add-caa", &json!({ "host": dot(name), "policies": policies }));
    }

    /// The name cannot be looked up at all until [`NameServer::clear_servfail`].
    #[track_caller]
    pub fn set_servfail(&self, name: &str) {
        self.tell("set-servfail", &json!({ "host": dot(name) }));
    }

    #[track_caller]
    pub fn clear_servfail(&self, name: &str) {
        self.tell("clear-servfail", &json!({ "host": dot(name) }));
    }

    #[track_caller]
    fn tell(&self, what: &str, body: &Value) {
        let answer = request(self.management, "POST", &format!("/{what}"), &[], body.to_string());
        answer.expect("the name server's management answers").expect_status(200);
    }
}

/// Names are whole in DNS.
fn dot(name: &str) -> String {
    format!("{name}.")
}

/// A port of the loopback that nobody uses, TCP and UDP, and that the kernel gives to nobody.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let span = PORTS.end - PORTS.start;
    // Tests that run at once begin at different places.
    let start = std::process::id().wrapping_mul(16) % u32::from(span);
    let start = u16::try_from(start).expect("it is below the span");
    let addresses = std::iter::repeat_with(|| {
        let offset = start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % span;
        SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS.start + offset))
    });
    addresses
        .take(usize::from(span))
        .find(|address| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok())
        .expect("a port is free")
}

/// Whether it is there in time; not when it ended, because somebody else has its port.
fn await_start(process: &Background, is_up: impl Fn() -> bool) -> bool {
    let started = within(START_LIMIT, || {
        if process.has_ended() {
            return Some(false);
        }
        is_up().then_some(true)
    });
    started == Some(true)
}

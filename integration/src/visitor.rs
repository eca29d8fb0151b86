//! HTTPS as browsers do it: the chain is verified, the name and the date too.

use std::{
    collections::BTreeSet,
    fmt,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

const LIMIT: Duration = Duration::from_secs(35);
/// Between two handshakes of one kind.
const PAUSE: Duration = Duration::from_millis(20);

/// Somebody who trusts some roots, and asks one router for every name.
#[derive(Clone)]
pub struct Visitor {
    router: SocketAddr,
    config: Arc<ClientConfig>,
}

/// A page over HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    pub status: u16,
    pub body: String,
    /// The certificate that was shown, in DER.
    pub leaf: Vec<u8>,
}

/// Visits without an end, one after the other, each with a handshake of its own.
pub struct Visits {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Seen>>,
    worker: Option<JoinHandle<()>>,
}

/// What came of them.
#[derive(Clone, Default)]
pub struct Seen {
    pub handshakes: u64,
    pub failures: Vec<String>,
    pub leaves: BTreeSet<Vec<u8>>,
}

impl Visitor {
    /// With root certificates in PEM.
    #[track_caller]
    pub fn new(router: SocketAddr, pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        for root in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots
                .add(root.expect("a root certificate is PEM"))
                .expect("a root certificate can be read");
        }
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has TLS 1.2 and 1.3")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        let config = Arc::new(config);
        Self { router, config }
    }

    /// Makes a handshake and asks for `/`. An error says what a browser would have complained about.
    pub fn visit(&self, host: &str) -> Result<Visit, String> {
        let words = |error: std::io::Error| error.to_string();
        let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
        let connection = ClientConnection::new(self.config.clone(), name).map_err(|error| error.to_string())?;
        let stream = TcpStream::connect_timeout(&self.router, LIMIT).map_err(words)?;
        stream.set_read_timeout(Some(LIMIT)).map_err(words)?;
        stream.set_write_timeout(Some(LIMIT)).map_err(words)?;
        let mut stream = StreamOwned::new(connection, stream);
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).map_err(words)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).map_err(words)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer was cut off")?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let leaf = stream.conn.peer_certificates().and_then(<[_]>::first);
        Ok(Visit {
            status: status.ok_or("the answer has no status")?,
            body: body.to_owned(),
            leaf: leaf.ok_or("no certificate was shown")?.to_vec(),
        })
    }

    /// Visits this name until it is stopped.
    pub fn keep_visiting(&self, host: &str) -> Visits {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Seen::default())));
        let (visitor, host) = (self.clone(), host.to_owned());
        let (stopped, tally) = (stop.clone(), seen.clone());
        let worker = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let visit = visitor.visit(&host);
                let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                tally.handshakes += 1;
                match visit {
                    Ok(visit) => drop(tally.leaves.insert(visit.leaf)),
                    Err(words) => tally.failures.push(words),
                }
                drop(tally);
                thread::sleep(PAUSE);
            }
        });
        let worker = Some(worker);
        Visits { stop, seen, worker }
    }
}

impl Visits {
    /// What has come of them until now.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Visits {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            // It says what went wrong by itself.
            let _ = worker.join();
        }
    }
}

/// As a person wants to read it.
impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (leaves, failures) = (self.leaves.len(), self.failures.len());
        write!(
            f,
            "{} handshakes, {leaves} certificates, {failures} failed",
            self.handshakes
        )?;
        for words in self.failures.iter().take(5) {
            write!(f, "\n  {words}")?;
        }
        Ok(())
    }
}

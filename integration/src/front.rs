//! What stands before an authority and passes everything on, with what Debian's Pebble does not know: renewal information
//! (RFC 9773), and a limit that is reached.

use std::{
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use serde_json::{Value, json};

/// Whoever says nothing for so long is not ours.
const LIMIT: Duration = Duration::from_secs(10);

/// Where Pebble takes orders.
const NEW_ORDER: &str = "/order-plz";

/// A server of its own. Dropping it ends it.
pub(crate) struct Front {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// The authority itself.
    behind: SocketAddr,
    client: Arc<ClientConfig>,
    url: String,
    manners: Mutex<Manners>,
    is_over: AtomicBool,
}

#[derive(Default)]
struct Manners {
    /// When the authority would like its certificates to be renewed.
    window: Option<(DateTime<Utc>, DateTime<Utc>)>,
    /// For how long it takes no orders.
    rest: Option<Duration>,
    /// The certificates that were asked about.
    asked: Vec<String>,
    /// Orders that were refused.
    refused: usize,
}

/// A request or an answer.
struct Message {
    /// The first line and the headers, each with its end.
    head: String,
    body: Vec<u8>,
}

impl Front {
    /// With the certificate of the authority behind it, which is in `folder`.
    pub(crate) fn start(folder: &Path, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            behind,
            client: client(folder),
            url: format!("https://localhost:{}", address.port()),
            manners: Mutex::default(),
            is_over: AtomicBool::new(false),
        });
        let (config, serving) = (server(folder), shared.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (config, serving) = (config.clone(), serving.clone());
                // The client may go at any time.
                thread::spawn(move || serving.serve(stream, config));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn directory(&self) -> String {
        format!("{}/dir", self.shared.url)
    }

    pub(crate) fn suggest(&self, from: DateTime<Utc>, to: DateTime<Utc>) {
        self.shared.manners().window = Some((from, to));
    }

    pub(crate) fn rest(&self, rest: Option<Duration>) {
        self.shared.manners().rest = rest;
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.shared.manners().asked.clone()
    }

    pub(crate) fn refused(&self) -> usize {
        self.shared.manners().refused
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // Whoever waits for a client gets one, and looks.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<()> {
        stream.set_read_timeout(Some(LIMIT))?;
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        let mut stream = BufReader::new(StreamOwned::new(connection, stream));
        let request = Message::read(&mut stream, 0)?;
        let answer = match self.own_answer(&request) {
            Some(answer) => answer,
            None => self.pass(request)?,
        };
        let stream = stream.get_mut();
        stream.write_all(&answer.bytes())?;
        stream.conn.send_close_notify();
        stream.flush()
    }

    /// What the authority behind would not understand.
    fn own_answer(&self, request: &Message) -> Option<Message> {
        let mut manners = self.manners();
        if let Some(certificate) = request.path().strip_prefix("/renewal/") {
            manners.asked.push(certificate.to_owned());
            let (from, to) = manners.window?;
            let window = json!({ "start": from.to_rfc3339(), "end": to.to_rfc3339() });
            let body = json!({ "suggestedWindow": window });
            return Some(Message::answer("200 OK", "Retry-After: 1\r\n", &body));
        }
        let rest = manners.rest.filter(|_| request.path() == NEW_ORDER)?;
        manners.refused += 1;
        let problem = json!({
            "type": "urn:ietf:params:acme:error:rateLimited",
            "detail": "too many certificates already issued",
        });
        let headers = format!("Retry-After: {}\r\nReplay-Nonce: none\r\n", rest.as_secs());
        Some(Message::answer("429 Too Many Requests", &headers, &problem))
    }

    /// Says to the authority behind what was said here, under our own name: the addresses that it gives lead here.
    fn pass(&self, mut request: Message) -> io::Result<Message> {
        // No chunks: an answer without a length ends with its connection.
        request.head = request.head.replacen(" HTTP/1.1\r\n", " HTTP/1.0\r\n", 1);
        let (path, replaces) = (request.path().to_owned(), request.replaces());
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let connection = ClientConnection::new(self.client.clone(), name).map_err(io::Error::other)?;
        let stream = TcpStream::connect(self.behind)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let mut stream = StreamOwned::new(connection, stream);
        stream.write_all(&request.bytes())?;
        let mut answer = Message::read(&mut BufReader::new(stream), u64::MAX)?;
        let mut body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if path == "/dir" && self.manners().window.is_some() {
            body["renewalInfo"] = format!("{}/renewal", self.url).into();
        } else if let Some(replaces) = replaces.filter(|_| path == NEW_ORDER && body["finalize"].is_string()) {
            body["replaces"] = replaces;
        } else {
            return Ok(answer);
        }
        answer.body = body.to_string().into_bytes();
        Ok(answer)
    }

    fn manners(&self) -> MutexGuard<'_, Manners> {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Message {
    fn answer(status: &str, headers: &str, body: &Value) -> Self {
        Self {
            head: format!("HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\n"),
            body: body.to_string().into_bytes(),
        }
    }

    /// With a body of `length` if it does not say how long it is.
    fn read(stream: &mut impl BufRead, mut length: u64) -> io::Result<Self> {
        let mut head = String::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().map_err(io::Error::other)?;
            } else if line == "\r\n" {
                break;
            } else if !lower.starts_with("connection:") {
                head.push_str(&line);
            }
        }
        // An answer to HEAD has a length and no body.
        let mut body = Vec::new();
        stream.take(length).read_to_end(&mut body).or_else(|error| {
            let is_end = error.kind() == io::ErrorKind::UnexpectedEof;
            if is_end { Ok(0) } else { Err(error) }
        })?;
        Ok(Self { head, body })
    }

    fn bytes(&self) -> Vec<u8> {
        let length = self.body.len();
        let head = format!("{}Content-Length: {length}\r\nConnection: close\r\n\r\n", self.head);
        [head.as_bytes(), &self.body].concat()
    }

    fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    /// The certificate that an order is to replace.
    fn replaces(&self) -> Option<Value> {
        let jose: Value = serde_json::from_slice(&self.body).ok()?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(jose["payload"].as_str()?).ok()?;
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        payload.get("replaces").cloned()
    }
}

fn server(folder: &Path) -> Arc<ServerConfig> {
    let read = |name| fs::read(folder.join(name)).expect("the authority has a certificate");
    let chain = CertificateDer::from_pem_slice(&read("cert.pem")).expect("a certificate is PEM");
    let key = PrivateKeyDer::from_pem_slice(&read("key.pem")).expect("a key is PEM");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(vec![chain], key);
    Arc::new(config.expect("the key is that of the certificate"))
}

fn client(folder: &Path) -> Arc<ClientConfig> {
    let pem = fs::read(folder.join("ca.pem")).expect("the authority has a certificate");
    let root = CertificateDer::from_pem_slice(&pem).expect("a certificate is PEM");
    let mut roots = RootCertStore::empty();
    roots.add(root).expect("a root certificate can be read");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

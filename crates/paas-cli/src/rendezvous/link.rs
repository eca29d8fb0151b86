//! One upgraded connection, in TLS or without.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use paas_api::{
    ErrorBody,
    rendezvous::{Frame, PROTOCOL},
};
use rustix::event::PollFlags;
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use ureq::http::Uri;

use crate::{
    error::{Error, Result},
    platform_url::PlatformUrl,
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
const LARGEST_HEAD: usize = 64 * 1024;

/// Frames both ways. Nothing here waits after the connection was made.
#[derive(Debug)]
pub(crate) struct Link {
    socket: TcpStream,
    tls: Option<ClientConnection>,
    /// What is to be sent, before it is sealed.
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Link {
    /// Upgrades a request of `path` to the API.
    pub(crate) fn open(base: &PlatformUrl, path: &str) -> Result<Self> {
        let url = base.to_string();
        let unreachable = |error: io::Error| Error::Unreachable {
            url: url.clone(),
            why: error.kind().to_string(),
        };
        let bad = |why: &str| Error::BadAnswer {
            url: url.clone(),
            why: why.to_owned(),
        };
        let uri: Uri = url.parse().map_err(|_| Error::BadUrl(url.clone()))?;
        let is_sealed = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if is_sealed { 443 } else { 80 });
        let socket = connect(&host, port).map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        socket.set_read_timeout(Some(ANSWER_TIMEOUT)).map_err(unreachable)?;
        let tls = if is_sealed {
            Some(tls(host).map_err(|why| bad(&why))?)
        } else {
            None
        };
        let mut link = Self {
            socket,
            tls,
            outgoing: format!(
                "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: {PROTOCOL}\r\n\r\n",
                base.authority()
            )
            .into_bytes(),
            incoming: Vec::new(),
        };
        let head = link.head().map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout { url: url.clone() },
            ErrorKind::InvalidData => bad(&error.to_string()),
            _ => unreachable(error),
        })?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        match status {
            Some(101) => {}
            Some(status) => return Err(link.refusal(status, &head)),
            None => return Err(bad("an answer without a status")),
        }
        link.socket.set_nonblocking(true).map_err(unreachable)?;
        Ok(link)
    }

    pub(crate) fn send(&mut self, frame: Frame<'_>) {
        frame.write(&mut self.outgoing);
    }

    /// How much waits to be sent.
    pub(crate) fn backlog(&self) -> usize {
        self.outgoing.len()
    }

    /// What to poll for.
    pub(crate) fn wanted(&self, reads: bool) -> PollFlags {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, reads);
        let has_sealed = self.tls.as_ref().is_some_and(|tls| tls.wants_write());
        wanted.set(PollFlags::OUT, has_sealed || !self.outgoing.is_empty());
        wanted
    }

    /// Sends what can be sent now.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        loop {
            let sent = match &mut self.tls {
                Some(tls) => {
                    // Its own buffer is bounded; what does not fit waits here.
                    let taken = tls.writer().write(&self.outgoing)?;
                    self.outgoing.drain(..taken);
                    if !tls.wants_write() {
                        return Ok(());
                    }
                    tls.write_tls(&mut self.socket)
                }
                None if self.outgoing.is_empty() => return Ok(()),
                None => {
                    let sent = self.socket.write(&self.outgoing);
                    if let Ok(sent) = sent {
                        self.outgoing.drain(..sent);
                    }
                    sent
                }
            };
            match sent {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what has come; `false` when nothing more will.
    pub(crate) fn receive(&mut self) -> io::Result<bool> {
        match self.read_once() {
            Ok(is_open) => Ok(is_open),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(true),
            // Closed without a goodbye: what was said is known from the frames.
            Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Takes the frames that are whole.
    pub(crate) fn take(&mut self, mut act: impl FnMut(Frame<'_>)) -> Result<()> {
        let mut used = 0;
        while let Some((frame, length)) = Frame::read(&self.incoming[used..]).map_err(|_| Error::BrokenOff)? {
            act(frame);
            used += length;
        }
        self.incoming.drain(..used);
        Ok(())
    }

    fn read_once(&mut self) -> io::Result<bool> {
        let mut piece = [0; 16 * 1024];
        let Some(tls) = &mut self.tls else {
            let length = self.socket.read(&mut piece)?;
            self.incoming.extend_from_slice(&piece[..length]);
            return Ok(length > 0);
        };
        let is_open = tls.read_tls(&mut self.socket)? > 0;
        tls.process_new_packets()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        loop {
            match tls.reader().read(&mut piece) {
                Ok(0) => return Ok(false),
                Ok(length) => self.incoming.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(is_open),
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends the request, and reads the head of the answer.
    fn head(&mut self) -> io::Result<String> {
        loop {
            self.flush()?;
            if let Some(end) = self.incoming.windows(4).position(|end| end == b"\r\n\r\n") {
                let head: Vec<u8> = self.incoming.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.incoming.len() > LARGEST_HEAD {
                return Err(io::Error::new(
                    ErrorKind::InvalidData,
                    "the head of the answer has no end",
                ));
            }
            if !self.read_once()? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn refusal(&mut self, status: u16, head: &str) -> Error {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let length = length.unwrap_or(0).min(LARGEST_HEAD);
        while self.incoming.len() < length && matches!(self.read_once(), Ok(true)) {}
        let body: Option<ErrorBody> = serde_json::from_slice(&self.incoming).ok();
        let body = body.unwrap_or_else(|| ErrorBody {
            id: String::new(),
            message: format!("The platform answered {status}"),
            url: None,
            resource: None,
        });
        Error::Api {
            status,
            id: body.id,
            message: body.message,
            url: body.url,
            resource: body.resource,
            request_id: None,
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The first address that answers.
fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn tls(host: String) -> Result<ClientConnection, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(rustls::ConfigBuilder::with_platform_verifier)
        .map_err(|error| error.to_string())?;
    let mut config = config.with_no_client_auth();
    // An upgrade is HTTP/1.1's.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(host).map_err(|error| error.to_string())?;
    ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())
}

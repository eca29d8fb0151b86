//! An archive is fetched from where somebody says that it is.
//!
//! Only to addresses that the internet has a route to; each redirection is judged anew. An operator whose sources are
//! inside may allow more (`--allow-private-sources`).

use std::{fmt, io, net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, StatusCode, Uri, header, uri::PathAndQuery};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::{fs::File, io::AsyncWriteExt, time::timeout};

use super::MAXIMUM_ARCHIVE_BYTES;
use crate::outbound::{ConnectError, Connector, Host, Policy, Socket, Target, addresses, basic};

/// GitHub needs one.
const MOST_REDIRECTIONS: u32 = 5;
/// Until an answer begins, and between two pieces of it.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);
const WHOLE_LIMIT: Duration = Duration::from_mins(10);
const USER_AGENT: &str = concat!("paasd/", env!("CARGO_PKG_VERSION"));

/// Why nothing was fetched, in words for the person who named the address.
#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("the address of a source must be a whole https URL")]
    BadUrl,
    #[error("there is no address of {host}")]
    Unknown { host: String },
    #[error(
        "{host} is inside of a private network, where this platform fetches nothing: upload the source to one of POST /sources"
    )]
    Private { host: String },
    #[error("{host} does not answer in time")]
    Silent { host: String },
    #[error("{host} cannot be reached: {source}")]
    Unreachable {
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{host} answered {status}")]
    Refused { host: String, status: StatusCode },
    #[error("{host} sends us from one place to the next without end")]
    Lost { host: String },
    #[error("the source is too large (maximum is 512 MiB packed)")]
    TooLarge,
    #[error("a source cannot be written")]
    Disk(#[source] io::Error),
}

/// Where a source is. What comes after the path, and a password, are permissions and are never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(Uri);

impl Address {
    /// `https` only, unless private places are allowed.
    pub(crate) fn parse(url: &str, allows_private: bool) -> Result<Self, FetchError> {
        let uri: Uri = url.parse().map_err(|_| FetchError::BadUrl)?;
        let has_scheme = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => allows_private,
            _ => false,
        };
        if !has_scheme || uri.host().is_none_or(str::is_empty) {
            return Err(FetchError::BadUrl);
        }
        Ok(Self(uri))
    }

    pub(crate) fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    fn host_and_port(&self) -> String {
        let port = self.0.port_u16().map_or_else(String::new, |port| format!(":{port}"));
        format!("{}{port}", self.host())
    }

    fn is_tls(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    pub(super) fn port(&self) -> u16 {
        self.0.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// `user:password@` before the host, as some code hosts give them out.
    fn authorization(&self) -> Option<HeaderValue> {
        let (user_info, _) = self.0.authority()?.as_str().rsplit_once('@')?;
        Some(basic(user_info))
    }

    fn redirected(&self, location: &str, allows_private: bool) -> Result<Self, FetchError> {
        if location.starts_with('/') && !location.starts_with("//") {
            let authority = self.0.authority().map(http::uri::Authority::as_str);
            let scheme = self.0.scheme_str().unwrap_or("https");
            let url = format!("{scheme}://{}{location}", authority.unwrap_or_default());
            return Self::parse(&url, allows_private);
        }
        Self::parse(location, allows_private)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or("https");
        write!(f, "{scheme}://{}{}", self.host_and_port(), self.0.path())
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes what is at `address` into the file `target`, which must not exist, and tells where it was in the end.
pub(crate) async fn fetch(connector: &Connector, address: &Address, target: &Path) -> Result<Address, FetchError> {
    let fetched = timeout(WHOLE_LIMIT, follow(connector, address, target)).await;
    let fetched = fetched.unwrap_or_else(|_| {
        Err(FetchError::Silent {
            host: address.host().to_owned(),
        })
    });
    if fetched.is_err() {
        // It may not have been made yet; what stays behind is swept later.
        let _ = tokio::fs::remove_file(target).await;
    }
    fetched
}

async fn follow(connector: &Connector, address: &Address, target: &Path) -> Result<Address, FetchError> {
    let allows_private = matches!(connector.policy(), Policy::Anywhere);
    let mut address = address.clone();
    for _ in 0..=MOST_REDIRECTIONS {
        let Some(location) = get(connector, &address, target).await? else {
            return Ok(address);
        };
        address = address.redirected(&location, allows_private)?;
    }
    Err(FetchError::Lost {
        host: address.host().to_owned(),
    })
}

/// One request: the file is written, or there is another place to look at.
async fn get(connector: &Connector, address: &Address, target: &Path) -> Result<Option<String>, FetchError> {
    let host = address.host();
    let stream = connect(connector, address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(host, error))?;
    let mut request = Request::get(address.0.path_and_query().map_or("/", PathAndQuery::as_str))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::HOST, address.host_and_port())
        .header(header::CONNECTION, "close");
    if let Some(authorization) = address.authorization() {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| FetchError::BadUrl)?;
    let talk = async {
        let response = timeout(SILENCE_LIMIT, sender.send_request(request)).await;
        let response = response
            .map_err(|_| silent(host))?
            .map_err(|error| unreachable(host, error))?;
        let status = response.status();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|value| value.to_str().ok()).map(str::to_owned);
            let host = host.to_owned();
            return location.map(Some).ok_or(FetchError::Refused { host, status });
        }
        if status != StatusCode::OK {
            let host = host.to_owned();
            return Err(FetchError::Refused { host, status });
        }
        save(host, response.into_body(), target).await.map(|()| None)
    };
    let drive = async {
        // Whoever waits for an answer hears of its end, good or bad.
        let _ = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        outcome = talk => outcome,
        never = drive => never,
    }
}

async fn connect(connector: &Connector, address: &Address) -> Result<Box<dyn Socket>, FetchError> {
    let connected = connector.connect(&place(address)).await;
    connected.map_err(|error| refused(address, error))
}

/// Looked up once and used: a second answer of the same name may be another one.
pub(super) async fn look_up(address: &Address, allows_private: bool) -> Result<Vec<SocketAddr>, FetchError> {
    let policy = if allows_private {
        Policy::Anywhere
    } else {
        Policy::Public
    };
    let found = addresses(&policy, &place(address)).await;
    found.map_err(|error| refused(address, error))
}

fn place(address: &Address) -> Target {
    let bare = bare(address.host());
    Target {
        scheme: if address.is_tls() { "https" } else { "http" },
        host: bare.parse().map_or_else(|_| Host::Name(bare.to_owned()), Host::Address),
        port: address.port(),
        is_tls: address.is_tls(),
    }
}

fn refused(address: &Address, error: ConnectError) -> FetchError {
    let host = address.host();
    match error {
        ConnectError::Resolve { .. } => FetchError::Unknown { host: host.to_owned() },
        ConnectError::Closed { .. } => FetchError::Private { host: host.to_owned() },
        ConnectError::Silent { .. } => silent(host),
        ConnectError::Connect { source, .. } | ConnectError::Certificate { source, .. } => unreachable(host, source),
    }
}

async fn save(host: &str, mut body: Incoming, target: &Path) -> Result<(), FetchError> {
    let mut file = File::create_new(target).await.map_err(FetchError::Disk)?;
    let mut bytes = 0;
    while let Some(frame) = timeout(SILENCE_LIMIT, body.frame()).await.map_err(|_| silent(host))? {
        let frame = frame.map_err(|error| unreachable(host, error))?;
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len() as u64;
        if bytes > MAXIMUM_ARCHIVE_BYTES {
            return Err(FetchError::TooLarge);
        }
        file.write_all(&data).await.map_err(FetchError::Disk)?;
    }
    file.flush().await.map_err(FetchError::Disk)
}

/// An address of the sixth version without its brackets.
pub(super) fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn unreachable(host: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> FetchError {
    FetchError::Unreachable {
        host: host.to_owned(),
        source: source.into(),
    }
}

fn silent(host: &str) -> FetchError {
    FetchError::Silent { host: host.to_owned() }
}

#[cfg(test)]
mod tests;

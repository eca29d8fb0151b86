//! What the router tells about one request, and Heroku's line for it.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

use chrono::{DateTime, Utc};
use http::Version;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::code::Code;

/// One request of one app, after its end. The router lends its texts only until they are encoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord<'a> {
    pub app: Uuid,
    #[serde(with = "chrono::serde::ts_microseconds")]
    pub at: DateTime<Utc>,
    pub code: Option<Code>,
    /// Why a request was refused as malformed, or which limit a response breaks; with H26 and H25 only.
    pub cause: Option<Cow<'a, str>>,
    /// The `User-Agent` of a misdirected request; with H31 only.
    pub agent: Option<Cow<'a, str>>,
    pub method: Cow<'a, str>,
    /// Path and query.
    pub path: Cow<'a, str>,
    pub host: Cow<'a, str>,
    pub request_id: Cow<'a, str>,
    /// The addresses of `X-Forwarded-For`, the client's own last.
    pub fwd: Cow<'a, str>,
    pub dyno: Option<Cow<'a, str>>,
    pub connect_ms: Option<u64>,
    pub service_ms: Option<u64>,
    pub status: u16,
    /// Bytes of the response body that were handed to the client.
    pub bytes: Option<u64>,
    pub protocol: Protocol,
    pub tls: Tls,
}

/// The version of HTTP between the client and the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    Http10,
    Http11,
    Http2,
}

/// Whether the client talks TLS, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tls {
    None,
    V12,
    V13,
    /// Not with the router: a trusted proxy in front of it says that its client does.
    Elsewhere,
}

impl Protocol {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "http1.0",
            Self::Http11 => "http1.1",
            Self::Http2 => "http2.0",
        }
    }
}

impl From<Version> for Protocol {
    fn from(version: Version) -> Self {
        match version {
            Version::HTTP_2 => Self::Http2,
            Version::HTTP_11 => Self::Http11,
            _ => Self::Http10,
        }
    }
}

impl Tls {
    pub const fn is_used(self) -> bool {
        !matches!(self, Self::None)
    }

    const fn version(self) -> &'static str {
        match self {
            Self::V12 => "tls1.2",
            Self::V13 => "tls1.3",
            Self::None | Self::Elsewhere => "unknown",
        }
    }
}

impl fmt::Display for AccessRecord<'_> {
    /// The line of Heroku's Router 2.0 (Dev Center, *HTTP Routing*, "Heroku router log format"); a number that is not known
    /// is empty.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => {
                write!(f, "at={} code={code} desc=\"{}", code.level(), code.description())?;
                match &self.cause {
                    Some(cause) if code == Code::H25 => write!(f, ": {cause}\" ")?,
                    Some(cause) => write!(f, "\" cause=\"{cause}\" ")?,
                    None => f.write_str("\" ")?,
                }
                if let Some(socket) = code.socket() {
                    write!(f, "sock={socket} ")?;
                }
            }
            None => f.write_str("at=info ")?,
        }
        write!(f, "method={} path=\"", self.method)?;
        escape(f, &self.path)?;
        write!(f, "\" host={} request_id={} fwd=\"", self.host, self.request_id)?;
        escape(f, &self.fwd)?;
        write!(f, "\" dyno={} connect=", self.dyno.as_deref().unwrap_or_default())?;
        if let Some(connect) = self.connect_ms {
            write!(f, "{connect}ms")?;
        }
        f.write_str(" service=")?;
        if let Some(service) = self.service_ms {
            write!(f, "{service}ms")?;
        }
        write!(f, " status={} bytes=", self.status)?;
        if let Some(bytes) = self.bytes {
            write!(f, "{bytes}")?;
        }
        let (protocol, tls) = (self.protocol.as_str(), self.tls);
        write!(
            f,
            " protocol={protocol} tls={} tls_version={}",
            tls.is_used(),
            tls.version()
        )?;
        if let Some(agent) = &self.agent {
            f.write_str(" agent=\"")?;
            escape(f, agent)?;
            f.write_char('"')?;
        }
        Ok(())
    }
}

/// A client must not be able to write fields of its own into the line.
fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            control if control.is_control() => write!(f, "{}", control.escape_default())?,
            plain => f.write_char(plain)?,
        }
    }
    Ok(())
}

//! What the router tells about one request, and Heroku's line for it.

use std::fmt::{self, Write};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::code::Code;

/// One request of one app, after its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessRecord {
    pub app: Uuid,
    pub at: DateTime<Utc>,
    pub code: Option<Code>,
    /// Why a request was refused as malformed, or which limit a response breaks; with H26 and H25 only.
    pub cause: Option<String>,
    pub method: String,
    /// Path and query.
    pub path: String,
    pub host: String,
    pub request_id: String,
    /// The addresses of `X-Forwarded-For`, the client's own last.
    pub fwd: String,
    pub dyno: Option<String>,
    pub connect_ms: Option<u64>,
    pub service_ms: Option<u64>,
    pub status: u16,
    /// Bytes of the response body that were handed to the client.
    pub bytes: Option<u64>,
    pub protocol: Protocol,
}

/// How the client talks to the router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Protocol {
    Http,
    Https,
}

impl Protocol {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl fmt::Display for AccessRecord {
    /// Heroku's router line (Dev Center, *HTTP Routing*, "Heroku router log format"); a number that is not known is empty.
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
        write!(f, " protocol={}", self.protocol.as_str())
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

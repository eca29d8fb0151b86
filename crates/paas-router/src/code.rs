//! Heroku's H-codes: everything that the router answers by itself (Dev Center, *Heroku Error Codes*).
//!
//! Absent, because they cannot occur here: H16 (retired), H22 (connections beyond the limit are closed before anybody knows
//! for which app they are), H32 (a handshake without a certificate is refused by TLS), H82 (no dyno hours are counted), H83.

use std::fmt;

use http::StatusCode;
use serde::{Deserialize, Serialize};

/// Why a request did not get the whole response of a dyno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Code {
    /// Every web dyno crashed.
    H10,
    /// More requests wait than the app's dynos could ever get through.
    H11,
    /// No first byte in 30 s.
    H12,
    /// The dyno closed the connection without a response.
    H13,
    /// Web is scaled to zero.
    H14,
    /// The dyno was silent for 55 s in the middle of a response.
    H15,
    /// The dyno sent something that is not HTTP.
    H17,
    /// The dyno closed the connection in the middle of a response.
    H18,
    /// No dyno accepted a connection in time.
    H19,
    /// No dyno answered 75 s after the request came.
    H20,
    /// Every dyno refused the connection.
    H21,
    /// A WebSocket handshake that lost its `Upgrade` on the way: whatever stands before us does not speak WebSocket.
    H23,
    /// The router was stopped, and the request had not ended in time.
    H24,
    /// The response breaks a limit; its description says which.
    H25,
    /// The request is malformed.
    H26,
    /// The client went away.
    H27,
    /// The client was silent for 55 s.
    H28,
    /// The request came over a connection whose certificate is another host's.
    H31,
    /// Maintenance mode.
    H80,
    /// No release has code.
    H81,
    /// Our own fault.
    H99,
}

/// A page that an app can bring.
pub(crate) enum Page {
    /// `ERROR_PAGE_URL`
    Error,
    /// `MAINTENANCE_PAGE_URL`
    Maintenance,
}

impl Code {
    pub const fn as_str(self) -> &'static str {
        self.facts().0
    }

    pub const fn description(self) -> &'static str {
        self.facts().1
    }

    /// `at=` in the router's line.
    pub const fn level(self) -> &'static str {
        match self {
            Self::H80 | Self::H81 => "info",
            Self::H27 | Self::H28 => "warning",
            _ => "error",
        }
    }

    /// `sock=` in the router's line: which side closed.
    pub const fn socket(self) -> Option<&'static str> {
        match self {
            Self::H17 | Self::H18 => Some("backend"),
            Self::H27 => Some("client"),
            _ => None,
        }
    }

    /// The status in the record; 499 stands for a client that is no longer there to get one.
    pub fn status(self) -> StatusCode {
        match self {
            Self::H25 => StatusCode::BAD_GATEWAY,
            Self::H26 => StatusCode::BAD_REQUEST,
            Self::H31 => StatusCode::MISDIRECTED_REQUEST,
            Self::H27 | Self::H28 => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
            _ => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Which page of the app's own may be shown for it (Dev Center, *Error Pages*); `None` where it is not the app that failed.
    pub(crate) const fn page(self) -> Option<Page> {
        match self {
            Self::H80 => Some(Page::Maintenance),
            Self::H23 | Self::H26 | Self::H27 | Self::H28 | Self::H31 | Self::H81 => None,
            _ => Some(Page::Error),
        }
    }

    const fn facts(self) -> (&'static str, &'static str) {
        match self {
            Self::H10 => ("H10", "App crashed"),
            Self::H11 => ("H11", "Backlog too deep"),
            Self::H12 => ("H12", "Request timeout"),
            Self::H13 => ("H13", "Connection closed without response"),
            Self::H14 => ("H14", "No web processes running"),
            Self::H15 => ("H15", "Idle connection"),
            Self::H17 => ("H17", "Poorly formatted HTTP response"),
            Self::H18 => ("H18", "Server Request Interrupted"),
            Self::H19 => ("H19", "Backend connection timeout"),
            Self::H20 => ("H20", "App boot timeout"),
            Self::H21 => ("H21", "Backend connection refused"),
            Self::H23 => ("H23", "Endpoint misconfigured"),
            Self::H24 => ("H24", "Forced close"),
            Self::H25 => ("H25", "HTTP restriction"),
            Self::H26 => ("H26", "Request Error"),
            Self::H27 => ("H27", "Client Request Interrupted"),
            Self::H28 => ("H28", "Client Connection Idle"),
            Self::H31 => ("H31", "Misdirected Request"),
            Self::H80 => ("H80", "Maintenance mode"),
            Self::H81 => ("H81", "Blank app"),
            Self::H99 => ("H99", "Platform error"),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

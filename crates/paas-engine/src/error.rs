//! What can go wrong with an engine. What is not there is `None`, not an error.

use std::{error::Error as StdError, io};

use thiserror::Error;

type Cause = Box<dyn StdError + Send + Sync>;

#[derive(Debug, Error)]
pub enum EngineError {
    /// Nobody answers: try again later.
    #[error(
        "no container engine answers at {address}: is Docker installed and running, and may this user open its socket?"
    )]
    Unavailable {
        address: String,
        #[source]
        source: Cause,
    },
    #[error("no container engine that we can use: {reason}")]
    Unsupported { reason: String },
    #[error("the engine's disk is full while {doing}")]
    DiskFull { doing: &'static str },
    #[error("there is no image {image}")]
    NoImage { image: String },
    #[error("{what} is in use")]
    InUse { what: String },
    /// Someone else on this machine uses these addresses: another pool is needed.
    #[error("subnet {subnet} overlaps with a network that exists already; choose another address pool")]
    SubnetTaken { subnet: String },
    /// The name belongs to an object of another platform, or of none.
    #[error("{what} exists already, but is not this platform's")]
    Foreign { what: String },
    /// A step of a Dockerfile failed: the app's fault, not ours. The message is for the person who wrote it.
    #[error("{message}")]
    Build { message: String },
    #[error("cancelled while {doing}")]
    Cancelled { doing: &'static str },
    /// What we were to send ended early.
    #[error("the input broke off while {doing}")]
    Input {
        doing: &'static str,
        #[source]
        source: io::Error,
    },
    /// The engine said no.
    #[error("the engine refused {doing}: {message}")]
    Refused { doing: &'static str, message: String },
    /// The connection broke, or the engine's answer made no sense.
    #[error("the engine's answer was lost while {doing}")]
    Broken {
        doing: &'static str,
        #[source]
        source: Cause,
    },
}

impl EngineError {
    /// Whether the same call may well succeed a little later, with nothing changed.
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Broken { .. })
    }
}

impl From<EngineError> for io::Error {
    fn from(error: EngineError) -> Self {
        Self::other(error)
    }
}

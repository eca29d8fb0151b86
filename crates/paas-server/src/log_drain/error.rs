//! Why lines were not delivered.

use std::time::Duration;

use thiserror::Error;

use crate::outbound::ConnectError;

/// Why lines were not delivered, in words for the app's people: nothing secret of the drain is in them.
#[derive(Debug, Error)]
pub(super) enum DrainError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{place} takes nothing within {} seconds", limit.as_secs())]
    Silent { place: String, limit: Duration },
    #[error("the connection to {place} broke")]
    Broken {
        place: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("{place} answers {status}")]
    Refused { place: String, status: http::StatusCode },
}

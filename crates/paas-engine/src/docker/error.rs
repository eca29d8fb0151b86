//! Docker's answers, as our errors.

use bollard::errors::Error;

use super::DockerEngine;
use crate::{EngineError, Result};

/// Says what we were doing when Docker said no.
pub(super) trait Explain<T> {
    fn explain(self, engine: &DockerEngine, doing: &'static str) -> Result<T>;

    /// `None` for what is not there.
    fn explain_if_found(self, engine: &DockerEngine, doing: &'static str) -> Result<Option<T>>;
}

impl<T> Explain<T> for Result<T, Error> {
    fn explain(self, engine: &DockerEngine, doing: &'static str) -> Result<T> {
        self.map_err(|error| explain(error, &engine.address, doing))
    }

    fn explain_if_found(self, engine: &DockerEngine, doing: &'static str) -> Result<Option<T>> {
        match self {
            Err(error) if status(&error) == Some(404) => Ok(None),
            other => other.map(Some).explain(engine, doing),
        }
    }
}

/// The HTTP status of Docker's answer, if that is what the error is.
pub(super) const fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// The words of Docker itself, if it said any.
pub(super) fn message(error: &Error) -> Option<&str> {
    match error {
        Error::DockerResponseServerError { message, .. }
        | Error::DockerStreamError { error: message }
        | Error::DockerContainerWaitError { error: message, .. } => Some(message.trim_end()),
        _ => None,
    }
}

fn explain(error: Error, address: &str, doing: &'static str) -> EngineError {
    if let Some(message) = message(&error) {
        let message = message.to_owned();
        // The one thing that an operator must read first, wherever it happened.
        if message.contains("no space left on device") {
            return EngineError::DiskFull { doing };
        }
        return EngineError::Refused { doing, message };
    }
    let is_unreachable = match &error {
        Error::SocketNotFoundError(_) => true,
        Error::HyperLegacyError { err } => err.is_connect(),
        _ => false,
    };
    let source = error.into();
    if is_unreachable {
        let address = address.to_owned();
        EngineError::Unavailable { address, source }
    } else {
        EngineError::Broken { doing, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> EngineError {
        let error = Error::DockerResponseServerError {
            status_code: 500,
            message: message.to_owned(),
        };
        explain(error, "socket", "committing a layer")
    }

    #[test]
    fn a_full_disk_is_told_apart() {
        for message in [
            "write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
            "error creating overlay mount to /var/lib/docker/overlay2: no space left on device",
            "open /var/lib/containerd/meta.db: no space left on device: unknown",
        ] {
            assert!(matches!(refusal(message), EngineError::DiskFull { .. }), "{message}");
        }
        let stream = Error::DockerStreamError {
            error: "ApplyLayer exit status 1: write /f: no space left on device".to_owned(),
        };
        assert!(matches!(explain(stream, "socket", "x"), EngineError::DiskFull { .. }));
    }

    #[test]
    fn what_docker_refuses_comes_in_its_own_words() {
        let error = refusal("conflict: unable to remove repository reference\n");
        assert_eq!(
            error.to_string(),
            "the engine refused committing a layer: conflict: unable to remove repository reference"
        );
        assert!(!error.is_temporary());
    }

    #[test]
    fn a_missing_socket_means_that_nobody_answers() {
        let error = explain(Error::SocketNotFoundError("/x".to_owned()), "/x", "listing");
        assert!(matches!(error, EngineError::Unavailable { .. }) && error.is_temporary());
        assert!(matches!(
            explain(Error::RequestTimeoutError, "/x", "listing"),
            EngineError::Broken { .. }
        ));
    }
}

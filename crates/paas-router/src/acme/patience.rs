//! How often one call is repeated before the caller hears of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{AcmeError, ProblemKind, transport::TransportError};

/// An authority that takes one nonce in ten still gets through: the client underneath tries three times for each of these.
const NONCES: u32 = 60;
/// Failures of other kinds: more patience is the caller's, who writes down when to come back.
const FAILURES: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// All attempts of one call.
const LIMIT: Duration = Duration::from_secs(90);

/// What may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Looking, and saying again what was said.
    Anything,
    /// Only what certainly was not handled: an order or an account made twice counts twice.
    Unhandled,
}

/// The patience for one call.
pub(super) struct Patience {
    repeat: Repeat,
    nonces: u32,
    failures: u32,
    since: Instant,
}

impl Patience {
    pub(super) fn new(repeat: Repeat) -> Self {
        Self {
            repeat,
            nonces: NONCES,
            failures: FAILURES,
            since: Instant::now(),
        }
    }

    /// Waits until the call may be repeated, or gives its error back.
    pub(super) async fn after(&mut self, error: instant_acme::Error) -> Result<(), AcmeError> {
        let is_unhandled = is_unhandled(&error);
        let error = AcmeError::from(error);
        let is_bad_nonce = error
            .problem()
            .is_some_and(|problem| problem.kind == ProblemKind::BadNonce);
        let is_transient = match &error {
            AcmeError::Unreachable { .. } => true,
            AcmeError::Refused(problem) => problem.kind == ProblemKind::ServerInternal && problem.retry_after.is_none(),
            _ => false,
        };
        let left = LIMIT.saturating_sub(self.since.elapsed());
        if is_bad_nonce && self.nonces > 1 && !left.is_zero() {
            self.nonces -= 1;
            return Ok(());
        }
        let may_repeat = is_transient && (is_unhandled || self.repeat == Repeat::Anything);
        let pause = FIRST_PAUSE * 2_u32.pow(FAILURES - self.failures);
        if !may_repeat || self.failures <= 1 || pause > left {
            return Err(error);
        }
        self.failures -= 1;
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

fn is_unhandled(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Other(other) = error else {
        return false;
    };
    matches!(other.downcast_ref(), Some(TransportError::NotConnected { .. }))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::acme::Problem;

    fn refused(kind: &str, status: u16) -> instant_acme::Error {
        let body = format!(r#"{{"type":"urn:ietf:params:acme:error:{kind}","detail":"words"}}"#);
        let status = http::StatusCode::from_u16(status).unwrap();
        let problem = Problem::of_response(status, &http::HeaderMap::new(), body.as_bytes());
        instant_acme::Error::Other(Box::new(TransportError::Refused(problem)))
    }

    fn broken() -> instant_acme::Error {
        let (url, words) = ("https://ca.test".to_owned(), "connection reset".to_owned());
        instant_acme::Error::Other(Box::new(TransportError::Broken { url, words }))
    }

    fn not_connected() -> instant_acme::Error {
        let (url, words) = ("https://ca.test".to_owned(), "connection refused".to_owned());
        instant_acme::Error::Other(Box::new(TransportError::NotConnected { url, words }))
    }

    /// How often a call that always fails in this way is made.
    async fn attempts(repeat: Repeat, fail: fn() -> instant_acme::Error) -> u32 {
        let mut patience = Patience::new(repeat);
        let mut attempts = 1;
        while patience.after(fail()).await.is_ok() {
            attempts += 1;
        }
        attempts
    }

    #[test]
    fn a_nonce_that_is_not_taken_is_a_reason_to_try_again_at_once() {
        let attempts = attempts(Repeat::Unhandled, || refused("badNonce", 400));
        assert_eq!(attempts.now_or_never(), Some(NONCES));
    }

    #[tokio::test]
    async fn what_may_have_been_handled_is_not_repeated_when_it_counts() {
        let internal = || refused("serverInternal", 500);
        assert_eq!(attempts(Repeat::Unhandled, broken).await, 1);
        assert_eq!(attempts(Repeat::Unhandled, internal).await, 1);
        let (connecting, reading, asking) = tokio::join!(
            attempts(Repeat::Unhandled, not_connected),
            attempts(Repeat::Anything, broken),
            attempts(Repeat::Anything, internal),
        );
        assert_eq!([connecting, reading, asking], [FAILURES; 3]);
    }

    #[tokio::test]
    async fn a_refusal_is_final() {
        for fail in [
            || refused("rateLimited", 429),
            || refused("unauthorized", 403),
            || refused("malformed", 400),
        ] {
            assert_eq!(attempts(Repeat::Anything, fail).await, 1);
        }
    }
}

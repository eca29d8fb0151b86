//! What an authority says when it refuses (RFC 8555 §6.7).

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode, header};
use thiserror::Error;

/// The longest words that are kept.
const LONGEST: usize = 2000;
const TYPES: &str = "urn:ietf:params:acme:error:";

/// A refusal, in the authority's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{words}")]
pub struct Problem {
    pub kind: ProblemKind,
    /// The name that it is about, when it is about one.
    pub name: Option<String>,
    /// Exactly what the authority said, but for control characters: authorities quote what a name answered, and whoever
    /// owns the name could talk to our terminals.
    pub words: String,
    /// How long the authority wants to be left alone.
    pub retry_after: Option<Duration>,
    /// Of the HTTP response, when there was one of its own.
    pub(super) status: Option<u16>,
}

/// Problems that are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    RateLimited,
    Caa,
    Dns,
    /// The authority could not connect to the name.
    Connection,
    /// The authority connected, and was shown something else.
    Unauthorized,
    /// The authority connected, and TLS failed.
    Tls,
    /// The authority does not issue for the name.
    RejectedIdentifier,
    Malformed,
    /// The certificate has been replaced by another order already (RFC 9773 §5).
    AlreadyReplaced,
    AccountUnknown,
    /// Somebody has to visit a page of the authority's first.
    UserActionRequired,
    BadNonce,
    ServerInternal,
    /// The authority knows nothing of the order: it expired, or the authority lost it.
    OrderGone,
    /// Another type of RFC 8555 (without its prefix), or an HTTP status without a problem.
    Other(String),
}

impl ProblemKind {
    /// The problem lies with the authority, or with how often we asked it, not with the name.
    pub fn is_authoritys_fault(&self) -> bool {
        matches!(
            self,
            Self::RateLimited | Self::BadNonce | Self::ServerInternal | Self::UserActionRequired
        )
    }

    /// A validation failed: these count against a limit of their own.
    pub fn is_failed_validation(&self) -> bool {
        matches!(
            self,
            Self::Caa | Self::Dns | Self::Connection | Self::Unauthorized | Self::Tls
        )
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::RateLimited => "rateLimited",
            Self::Caa => "caa",
            Self::Dns => "dns",
            Self::Connection => "connection",
            Self::Unauthorized => "unauthorized",
            Self::Tls => "tls",
            Self::RejectedIdentifier => "rejectedIdentifier",
            Self::Malformed => "malformed",
            Self::AlreadyReplaced => "alreadyReplaced",
            Self::AccountUnknown => "accountDoesNotExist",
            Self::UserActionRequired => "userActionRequired",
            Self::BadNonce => "badNonce",
            Self::ServerInternal => "serverInternal",
            Self::OrderGone => "orderGone",
            Self::Other(kind) => kind,
        }
    }

    fn of(kind: &str) -> Self {
        match kind {
            "rateLimited" => Self::RateLimited,
            "caa" => Self::Caa,
            "dns" => Self::Dns,
            "connection" => Self::Connection,
            "unauthorized" | "incorrectResponse" => Self::Unauthorized,
            "tls" => Self::Tls,
            "rejectedIdentifier" | "unsupportedIdentifier" => Self::RejectedIdentifier,
            "malformed" => Self::Malformed,
            "alreadyReplaced" => Self::AlreadyReplaced,
            "accountDoesNotExist" => Self::AccountUnknown,
            "userActionRequired" => Self::UserActionRequired,
            "badNonce" => Self::BadNonce,
            "serverInternal" => Self::ServerInternal,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Problem {
    /// What a response that is an error says.
    pub(super) fn of_response(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let problem = match serde_json::from_slice::<instant_acme::Problem>(body) {
            Ok(problem) if problem.r#type.is_some() || problem.detail.is_some() => Self::from(problem),
            // Something in between answered, not the authority.
            _ => Self {
                kind: ProblemKind::Other(status.as_u16().to_string()),
                name: None,
                words: format!("HTTP {status}"),
                retry_after: None,
                status: None,
            },
        };
        let kind = match problem.kind {
            ProblemKind::Other(_) if status.is_server_error() => ProblemKind::ServerInternal,
            ProblemKind::Other(_) if status == StatusCode::TOO_MANY_REQUESTS => ProblemKind::RateLimited,
            kind => kind,
        };
        Self {
            kind,
            retry_after: retry_after(headers),
            status: Some(status.as_u16()),
            ..problem
        }
    }

    pub(super) fn of_name(self, name: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            ..self
        }
    }

    /// For an authority that fails an order and does not say why.
    pub(super) fn unexplained() -> Self {
        Self {
            kind: ProblemKind::Other("invalid".to_owned()),
            name: None,
            words: "the order is invalid, and the authority does not say why".to_owned(),
            retry_after: None,
            status: None,
        }
    }

    pub(super) fn order_gone(self) -> Self {
        Self {
            kind: ProblemKind::OrderGone,
            ..self
        }
    }
}

impl From<instant_acme::Problem> for Problem {
    fn from(problem: instant_acme::Problem) -> Self {
        let instant_acme::Problem {
            r#type,
            detail,
            status,
            subproblems,
        } = problem;
        let kind = r#type.unwrap_or_default();
        let kind = kind.strip_prefix(TYPES).unwrap_or(&kind);
        let mut words = detail.unwrap_or_else(|| kind.to_owned());
        let mut name = None;
        for subproblem in &subproblems {
            let about = subproblem
                .identifier
                .as_ref()
                .map(|about| about.authorized(false).to_string());
            let detail = subproblem.detail.as_deref().unwrap_or_default();
            match &about {
                Some(about) => words = format!("{words}; {about}: {detail}"),
                None => words = format!("{words}; {detail}"),
            }
            name = name.or(about);
        }
        Self {
            kind: ProblemKind::of(kind),
            name: name.filter(|_| subproblems.len() == 1),
            words: printable(&words),
            retry_after: None,
            status,
        }
    }
}

fn printable(words: &str) -> String {
    let spaced = |character: char| if character.is_control() { ' ' } else { character };
    words.chars().map(spaced).take(LONGEST).collect()
}

/// RFC 9110 §10.2.3. A date counts from the date of the response, so that a clock that is wrong does no harm.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| chrono::DateTime::parse_from_rfc2822(text).ok();
    let wait = date(after)? - date(text(header::DATE)?)?;
    Some(wait.to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(header::HeaderName, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (name.clone(), http::HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn a_refusal_keeps_the_words_and_the_time_to_wait() {
        let body = br#"{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many certificates (50) already issued for \"example.com\"","status":429}"#;
        let headers = headers(&[(header::RETRY_AFTER, "3600")]);
        let problem = Problem::of_response(StatusCode::TOO_MANY_REQUESTS, &headers, body);
        assert_eq!(problem.kind, ProblemKind::RateLimited);
        assert_eq!(
            problem.words,
            "too many certificates (50) already issued for \"example.com\""
        );
        assert_eq!(problem.retry_after, Some(Duration::from_hours(1)));
        assert!(problem.kind.is_authoritys_fault());
    }

    #[test]
    fn names_that_were_refused_are_in_the_words() {
        let body = br#"{"type":"urn:ietf:params:acme:error:malformed","detail":"Some identifiers were rejected","subproblems":[
            {"type":"urn:ietf:params:acme:error:rejectedIdentifier","detail":"forbidden by policy","identifier":{"type":"dns","value":"example.net"}}]}"#;
        let problem = Problem::of_response(StatusCode::BAD_REQUEST, &HeaderMap::new(), body);
        assert_eq!(
            problem.words,
            "Some identifiers were rejected; example.net: forbidden by policy"
        );
        assert_eq!(problem.name.as_deref(), Some("example.net"));
    }

    #[test]
    fn words_cannot_talk_to_a_terminal() {
        let body =
            br#"{"type":"urn:ietf:params:acme:error:unauthorized","detail":"Invalid response: \"\u001b[2Jhello\n\""}"#;
        let problem = Problem::of_response(StatusCode::FORBIDDEN, &HeaderMap::new(), body);
        assert_eq!(problem.words, "Invalid response: \" [2Jhello \"");
    }

    #[test]
    fn a_page_of_somebody_in_between_is_the_authoritys_fault() {
        let problem = Problem::of_response(StatusCode::BAD_GATEWAY, &HeaderMap::new(), b"<html>");
        assert_eq!(problem.kind, ProblemKind::ServerInternal);
        assert_eq!(problem.words, "HTTP 502 Bad Gateway");
    }

    #[test]
    fn a_date_to_come_back_counts_from_the_date_of_the_response() {
        let headers = headers(&[
            (header::DATE, "Fri, 31 Dec 1999 23:00:00 GMT"),
            (header::RETRY_AFTER, "Fri, 31 Dec 1999 23:59:59 GMT"),
        ]);
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(3599)));
    }
}

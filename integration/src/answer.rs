//! Requests through the router and to the API.

use std::{fmt, net::SocketAddr, time::Duration};

use serde_json::Value;
use ureq::{Agent, http::Request};

/// Longer than the router's own limit of 30 s.
const LIMIT: Duration = Duration::from_secs(40);
const LARGEST_BODY: u64 = 256 * 1024 * 1024;

/// An HTTP answer, read whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|(header, value)| (header == name).then_some(value.as_str()))
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// Answered with this status and not another one.
    #[track_caller]
    pub fn expect_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "status {}", self.status)?;
        for (name, value) in &self.headers {
            writeln!(f, "{name}: {value}")?;
        }
        writeln!(f, "\n{}", self.body)
    }
}

/// Sends one request, on a connection of its own. `None` when no HTTP answer came: refused, cut off, too late.
#[track_caller]
pub fn request(
    to: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Option<Answer> {
    let mut request = Request::builder().method(method).uri(format!("http://{to}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(LIMIT))
        .max_redirects(0)
        .proxy(None)
        .allow_non_standard_methods(true)
        .build()
        .new_agent();
    let body = body.as_ref();
    let answered = if body.is_empty() {
        agent.run(request.body(()).expect("a test writes valid requests"))
    } else {
        agent.run(request.body(body).expect("a test writes valid requests"))
    };
    let mut response = answered.ok()?;
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect();
    Some(Answer {
        status: response.status().as_u16(),
        headers,
        body: response.body_mut().read_to_string().ok()?,
    })
}

/// All bytes of what is at a path; not every answer is a text.
#[track_caller]
pub fn download(from: SocketAddr, path: &str) -> Vec<u8> {
    let agent = Agent::config_builder()
        .timeout_global(Some(LIMIT))
        .proxy(None)
        .build()
        .new_agent();
    let response = agent.get(format!("http://{from}{path}")).call();
    let mut response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
    let body = response.body_mut().with_config().limit(LARGEST_BODY);
    body.read_to_vec().unwrap_or_else(|error| panic!("{path}: {error}"))
}

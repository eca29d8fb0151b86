//! The HTTP client of the Platform API.
//!
//! The token goes to the API's own host and nowhere else: redirects are not followed, and streams, whose URLs are
//! their own permission, are read without it.

use std::{fs::File, io::BufReader, sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use paas_api::{ErrorBody, PageRange, Secret};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Serialize, de::DeserializeOwned};
use ureq::{
    Agent, Body, BodyReader,
    http::{HeaderName, Request, Response, StatusCode, Uri, header},
    tls::{RootCerts, TlsConfig},
};

use crate::{
    error::{Error, Result},
    platform_url::PlatformUrl,
};

/// The API as one user.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) base: PlatformUrl,
    agent: Agent,
    credentials: Credentials,
    /// Headers that go with every request.
    brought: Vec<(&'static str, Secret)>,
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Credentials {
    None,
    /// Nobody in particular: for what is asked before there is a token.
    Anybody,
    Token {
        token: Secret,
        is_from_environment: bool,
    },
    Password {
        email: String,
        password: Secret,
    },
}

/// A body that is read while it is written.
pub(crate) struct Stream {
    pub(crate) reader: BufReader<BodyReader<'static>>,
    pub(crate) is_event_stream: bool,
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer may take as long as the work that it reports, and the longest is the end of an app's dynos.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(3);
/// A stream of events says something at least every 30 s: a comment, when there is nothing to say.
const SILENCE: Duration = Duration::from_secs(90);
const USER_AGENT: &str = concat!("paas-cli/", env!("CARGO_PKG_VERSION"));

impl Client {
    pub(crate) fn new(base: PlatformUrl, credentials: Credentials) -> Self {
        // A proxy from the environment is for other machines.
        let proxy = if base.is_loopback() {
            None
        } else {
            ureq::Proxy::try_from_env()
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_recv_response(Some(RESPONSE_TIMEOUT))
            .user_agent(USER_AGENT)
            .build()
            .new_agent();
        Self {
            base,
            agent,
            credentials,
            brought: Vec::new(),
        }
    }

    /// The same API as somebody else.
    pub(crate) fn with(&self, credentials: Credentials) -> Self {
        Self {
            base: self.base.clone(),
            agent: self.agent.clone(),
            credentials,
            brought: Vec::new(),
        }
    }

    /// The same user, who brings something more: a code, or the password again.
    pub(crate) fn bringing(&self, header: &'static str, value: Secret) -> Self {
        let brought = self.brought.iter().cloned().chain([(header, value)]);
        Self {
            brought: brought.collect(),
            ..self.with(self.credentials.clone())
        }
    }

    pub(crate) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.call("GET", path, None, None::<&()>)?)
    }

    /// One page of a list.
    pub(crate) fn page<T: DeserializeOwned>(&self, path: &str, range: &PageRange) -> Result<Vec<T>> {
        self.read(self.call("GET", path, Some(&range.to_string()), None::<&()>)?)
    }

    /// A list whole, page after page: `Next-Range` is the next page's `Range`, verbatim.
    pub(crate) fn list<T: DeserializeOwned>(&self, path: &str, field: &str) -> Result<Vec<T>> {
        let mut range = Some(format!("{field} ..; max={}", PageRange::LARGEST_MAX));
        let mut items = Vec::new();
        while let Some(wanted) = range {
            let response = self.call("GET", path, Some(&wanted), None::<&()>)?;
            let next = response
                .headers()
                .get("next-range")
                .and_then(|value| value.to_str().ok());
            let next = next.filter(|next| response.status() == StatusCode::PARTIAL_CONTENT && **next != wanted);
            range = next.map(str::to_owned);
            items.extend(self.read::<Vec<T>>(response)?);
        }
        Ok(items)
    }

    pub(crate) fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.call("POST", path, None, Some(body))?)
    }

    /// Makes something, and reads a header of the answer beside it.
    pub(crate) fn post_reading<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        header: &str,
    ) -> Result<(T, Option<Secret>)> {
        let response = self.call("POST", path, None, Some(body))?;
        let value = response.headers().get(header).and_then(|value| value.to_str().ok());
        let value = value.map(Secret::new);
        Ok((self.read(response)?, value))
    }

    pub(crate) fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.call("PATCH", path, None, Some(body))?)
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.call("PUT", path, None, Some(body))?)
    }

    /// Puts a file at a URL that is its own permission.
    pub(crate) fn upload(&self, url: &str, file: File) -> Result<()> {
        let uri: Uri = url
            .parse()
            .map_err(|_| self.bad_answer("a place for an upload without an address"))?;
        let response = self.agent.put(uri).content_type("application/gzip").send(file);
        self.refusal(response.map_err(|error| transport(url, error))?).map(drop)
    }

    /// An action whose answer says nothing more than that it was accepted.
    pub(crate) fn act(&self, path: &str) -> Result<()> {
        self.call("POST", path, None, Some(&serde_json::Map::new())).map(drop)
    }

    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.call("DELETE", path, None, None::<&()>).map(drop)
    }

    /// Deletes something, and reads what it was.
    pub(crate) fn delete_reading<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.read(self.call("DELETE", path, None, None::<&()>)?)
    }

    /// The same with something to say about it.
    pub(crate) fn delete_with<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.read(self.call("DELETE", path, None, Some(body))?)
    }

    /// Opens a stream of plain text, which may be silent for as long as the work that it tells of.
    pub(crate) fn text_stream(&self, url: &str) -> Result<Stream> {
        self.stream(url, None, &[(header::ACCEPT, "text/plain")])
    }

    /// Opens a stream of events, behind the last one seen.
    pub(crate) fn event_stream(&self, url: &str, last_id: Option<&str>) -> Result<Stream> {
        let mut headers = vec![(header::ACCEPT, "text/event-stream")];
        headers.extend(last_id.map(|id| (HeaderName::from_static("last-event-id"), id)));
        self.stream(url, Some(SILENCE), &headers)
    }

    fn stream(&self, url: &str, silence: Option<Duration>, headers: &[(HeaderName, &str)]) -> Result<Stream> {
        let uri: Uri = url
            .parse()
            .map_err(|_| self.bad_answer("a stream without an address"))?;
        let mut request = self.agent.get(uri).config().timeout_per_read(silence).build();
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let response = self.refusal(request.call().map_err(|error| transport(url, error))?)?;
        let content_type = response.headers().get(header::CONTENT_TYPE);
        let is_event_stream = content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        Ok(Stream {
            reader: BufReader::new(response.into_body().into_reader()),
            is_event_stream,
        })
    }

    /// Hands somebody else's request on, with the path that it has and whatever permission it brings.
    pub(crate) fn forward(&self, request: Request<Vec<u8>>) -> Result<Response<Body>> {
        let (mut head, body) = request.into_parts();
        let url = format!("{}{}", self.base, head.uri);
        head.uri = url.parse().map_err(|_| self.bad_answer("no such address"))?;
        let failed = |error| transport(&self.base.to_string(), error);
        if body.is_empty() {
            return self.agent.run(Request::from_parts(head, ())).map_err(failed);
        }
        // Some methods have no body as a rule, and Heroku's command sends one.
        let request = self.agent.configure_request(Request::from_parts(head, body));
        let request = request.allow_non_standard_methods(true).build();
        self.agent.run(request).map_err(failed)
    }

    fn call<B: Serialize>(
        &self,
        method: &str,
        path: &str,
        range: Option<&str>,
        body: Option<&B>,
    ) -> Result<Response<Body>> {
        let authorization = match &self.credentials {
            Credentials::None => return Err(Error::NotLoggedIn),
            Credentials::Anybody => None,
            Credentials::Token { token, .. } => Some(format!("Bearer {}", token.expose())),
            Credentials::Password { email, password } => {
                let both = STANDARD.encode(format!("{email}:{}", password.expose()));
                Some(format!("Basic {both}"))
            }
        };
        let url = format!("{}{path}", self.base);
        let mut request = Request::builder()
            .method(method)
            .uri(&url)
            .header(header::ACCEPT, paas_api::ACCEPT);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        for (name, value) in &self.brought {
            request = request.header(*name, value.expose());
        }
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        let failed = |error| transport(&self.base.to_string(), error);
        let response = if let Some(body) = body {
            let body = serde_json::to_vec(body).map_err(std::io::Error::from)?;
            let request = request.header(header::CONTENT_TYPE, "application/json").body(body);
            self.agent.run(request.map_err(|error| failed(error.into()))?)
        } else {
            self.agent.run(request.body(()).map_err(|error| failed(error.into()))?)
        };
        self.refusal(response.map_err(failed)?)
    }

    fn read<T: DeserializeOwned>(&self, mut response: Response<Body>) -> Result<T> {
        response.body_mut().read_json().map_err(|error| match error {
            ureq::Error::Json(error) => self.bad_answer(&error.to_string()),
            other => transport(&self.base.to_string(), other),
        })
    }

    /// An answer that is not a success becomes an error.
    fn refusal(&self, mut response: Response<Body>) -> Result<Response<Body>> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let url = self.base.to_string();
        if status.is_redirection() {
            let location = response.headers().get(header::LOCATION);
            let location = location.map_or_else(|| "nowhere".into(), |value| String::from_utf8_lossy(value.as_bytes()));
            let location = location.into_owned();
            return Err(Error::Redirected { url, location });
        }
        let request_id = response
            .headers()
            .get("request-id")
            .and_then(|id| id.to_str().ok())
            .map(str::to_owned);
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| ErrorBody {
            id: String::new(),
            message: format!("{url} answered {status}"),
            url: None,
            resource: None,
        });
        Err(match (&self.credentials, status) {
            (Credentials::Password { .. }, StatusCode::UNAUTHORIZED) => Error::LoginRefused,
            (
                &Credentials::Token {
                    is_from_environment, ..
                },
                StatusCode::UNAUTHORIZED,
            ) => Error::TokenRefused {
                message: body.message,
                is_from_environment,
            },
            _ => Error::Api {
                status: status.as_u16(),
                id: body.id,
                message: body.message,
                url: body.url,
                resource: body.resource,
                request_id,
            },
        })
    }

    fn bad_answer(&self, why: &str) -> Error {
        Error::BadAnswer {
            url: self.base.to_string(),
            why: why.to_owned(),
        }
    }
}

/// One segment of a path: ids and names may hold anything that a user typed.
pub(crate) fn segment(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    match text {
        // Encoded or not, dots alone would climb.
        "." | ".." => text.replace('.', "%252E"),
        _ => utf8_percent_encode(text, KEPT).to_string(),
    }
}

fn transport(url: &str, error: ureq::Error) -> Error {
    let url = url.to_owned();
    let unreachable = |why: String| Error::Unreachable { url: url.clone(), why };
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            unreachable("no connection in time".into())
        }
        ureq::Error::Timeout(_) => Error::Timeout { url },
        ureq::Error::HostNotFound => unreachable("no such host".into()),
        ureq::Error::ConnectionFailed => unreachable("no connection".into()),
        // The kind alone, without the number of the system's error.
        ureq::Error::Io(error) if error.raw_os_error().is_some() => unreachable(error.kind().to_string()),
        ureq::Error::Protocol(error) => Error::BadAnswer {
            url,
            why: error.to_string(),
        },
        other => unreachable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_cannot_leave_its_place() {
        assert_eq!(segment("web.1"), "web.1");
        assert_eq!(segment("a/b?c#d"), "a%2Fb%3Fc%23d");
        assert_eq!(segment(".."), "%252E%252E");
    }
}

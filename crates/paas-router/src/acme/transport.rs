//! Requests to an authority, each in bounded time, with errors that say what happened.

use std::{error::Error, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use instant_acme::{BodyWrapper, BytesResponse, HttpClient};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use thiserror::Error;

use super::{AcmeError, Directory, Problem, ProblemKind};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// One request, from the look-up of the name to the last byte of the answer.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
const IDLE_LIMIT: Duration = Duration::from_secs(15);
const LONGEST_ANSWER: usize = 1024 * 1024;
/// When to ask for a renewal window again if the authority does not say (RFC 9773 §4.3.3).
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("21600");
/// RFC 8555 §6.1: the client says who it is.
const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("paas/", env!("CARGO_PKG_VERSION"), " instant-acme"));

#[derive(Clone)]
pub(super) struct Transport {
    client: Client<HttpsConnector<HttpConnector>, BodyWrapper<Bytes>>,
}

#[derive(Debug, Error)]
pub(super) enum TransportError {
    /// The request certainly was not handled.
    #[error("connect to {url}: {words}")]
    NotConnected { url: String, words: String },
    /// The request may have been handled.
    #[error("ask {url}: {words}")]
    Broken { url: String, words: String },
    #[error(transparent)]
    Refused(Problem),
}

impl Transport {
    /// Trusts what the platform trusts, and what is in the directory's `ca_file`.
    pub(super) async fn new(directory: &Directory) -> Result<Self, AcmeError> {
        if !directory.url.starts_with("https://") {
            return Err(AcmeError::Scheme(directory.url.clone()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(AcmeError::Tls)?
            .with_root_certificates(roots(directory).await?)
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(config)
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .build(connector);
        Ok(Self { client })
    }

    async fn exchange(self, mut request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, TransportError> {
        let url = request.uri().to_string();
        let is_get = request.method() == Method::GET;
        request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
        let answered = tokio::time::timeout(REQUEST_LIMIT, self.answer(request, &url)).await;
        let response = answered.unwrap_or_else(|_| {
            let words = format!("no answer within {} s", REQUEST_LIMIT.as_secs());
            Err(TransportError::Broken { url, words })
        })?;
        let (mut parts, body) = response.into_parts();
        if is_error(parts.status) {
            let problem = Problem::of_response(parts.status, &parts.headers, &body);
            // The client knows how to deal with this one itself, a few times.
            if problem.kind != ProblemKind::BadNonce || parts.status != StatusCode::BAD_REQUEST {
                return Err(TransportError::Refused(problem));
            }
        }
        if is_get {
            parts.headers.entry(header::RETRY_AFTER).or_insert(ASK_AGAIN);
        }
        let body = Box::new(body);
        Ok(BytesResponse { parts, body })
    }

    async fn answer(&self, request: Request<BodyWrapper<Bytes>>, url: &str) -> Result<Response<Bytes>, TransportError> {
        let broken = |words| TransportError::Broken {
            url: url.to_owned(),
            words,
        };
        let response = match self.client.request(request).await {
            Ok(response) => response,
            Err(error) if error.is_connect() => {
                return Err(TransportError::NotConnected {
                    url: url.to_owned(),
                    words: reasons(&error),
                });
            }
            Err(error) => return Err(broken(reasons(&error))),
        };
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await;
        let body = body.map_err(|error| broken(reasons(error.as_ref())))?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, instant_acme::Error>> + Send>> {
        let exchange = self.clone().exchange(request);
        Box::pin(async move {
            exchange
                .await
                .map_err(|error| instant_acme::Error::Other(Box::new(error)))
        })
    }
}

async fn roots(directory: &Directory) -> Result<RootCertStore, AcmeError> {
    let mut roots = RootCertStore::empty();
    // What the platform has and rustls cannot read is not worth failing for.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = &directory.ca_file {
        let unreadable = |source| AcmeError::CaFile {
            path: path.clone(),
            source,
        };
        let pem = tokio::fs::read(path).await.map_err(unreadable)?;
        let certificates = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
        let certificates = certificates.map_err(|error| unreadable(io::Error::other(error)))?;
        if certificates.is_empty() {
            return Err(unreadable(io::Error::other("there is no certificate in it")));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| unreadable(io::Error::other(error)))?;
        }
    }
    if roots.is_empty() {
        return Err(AcmeError::NoRoots);
    }
    Ok(roots)
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The innermost reason is the one that says something: "connection refused".
fn reasons(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        words = format!("{words}: {error}");
        inner = error.source();
    }
    words
}

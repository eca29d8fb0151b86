//! A small HTTP client: one request, its whole answer, within a limit.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::crypto::aws_lc_rs;
use tokio::time::timeout;

/// Answers of metadata services and of Route 53 are a few kilobytes.
const MAXIMUM_BYTES: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("reading this machine's CA certificates")]
    Roots(#[source] io::Error),
    #[error("{host} does not answer within {} seconds", limit.as_secs())]
    Silent { host: String, limit: Duration },
    #[error("asking {host}")]
    Request {
        host: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

#[derive(Clone)]
pub(super) struct PlainFetcher(Client<HttpConnector, Full<Bytes>>);

#[derive(Clone)]
pub(super) struct Fetcher(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl PlainFetcher {
    pub(super) fn new() -> Self {
        Self(
            Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(0)
                .build_http(),
        )
    }

    pub(super) async fn fetch(&self, request: Request<Full<Bytes>>, limit: Duration) -> Result<Answer, FetchError> {
        let host = host(&request);
        within(host, limit, self.0.request(request)).await
    }
}

impl Fetcher {
    /// Trusts what the machine trusts. Plain HTTP is for tests.
    pub(super) fn new() -> Result<Self, FetchError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(aws_lc_rs::default_provider())
            .map_err(FetchError::Roots)?
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    pub(super) async fn fetch(&self, request: Request<Full<Bytes>>, limit: Duration) -> Result<Answer, FetchError> {
        let host = host(&request);
        within(host, limit, self.0.request(request)).await
    }
}

fn host(request: &Request<Full<Bytes>>) -> String {
    request.uri().authority().map(ToString::to_string).unwrap_or_default()
}

async fn within(
    host: String,
    limit: Duration,
    response: hyper_util::client::legacy::ResponseFuture,
) -> Result<Answer, FetchError> {
    let fetch = async {
        let response = response.await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAXIMUM_BYTES).collect().await?;
        let body = body.to_bytes();
        Ok(Answer { status, body })
    };
    match timeout(limit, fetch).await {
        Ok(answer) => answer.map_err(|source| FetchError::Request { host, source }),
        Err(_) => Err(FetchError::Silent { host, limit }),
    }
}

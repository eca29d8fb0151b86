//! The metadata service of a cloud instance (EC2's `IMDSv2`, which others imitate).

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::Full;

use super::fetch::{FetchError, PlainFetcher};

/// Where an instance finds it.
const BASE: &str = "http://169.254.169.254";
/// It is next door, or it is not there. That of a test shares its processor.
const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 20 } else { 1 });

#[derive(Clone)]
pub(crate) struct Metadata {
    base: String,
    fetcher: PlainFetcher,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum MetadataError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the metadata service answers {status} for {path}")]
    Refused { path: String, status: StatusCode },
}

impl Metadata {
    pub(crate) fn of_this_machine() -> Self {
        Self::at(BASE)
    }

    /// The service under another address: tests have their own.
    pub(crate) fn at(base: &str) -> Self {
        Self {
            base: base.to_owned(),
            fetcher: PlainFetcher::new(),
        }
    }

    /// An address of the instance; `None` also where there is no such service.
    pub(super) async fn address(&self, path: &str) -> Option<IpAddr> {
        match self.get(path).await {
            Ok(text) => text?.trim().parse().ok(),
            Err(error) => {
                tracing::debug!(%error, "no metadata service");
                None
            }
        }
    }

    /// One value under `/latest/meta-data/`; `None` when the instance has none of the kind.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<String>, MetadataError> {
        // IMDSv2: a session begins with a PUT, which no forged link or redirect can make.
        let token = Request::builder()
            .method(Method::PUT)
            .uri(format!("{}/latest/api/token", self.base))
            .header("x-aws-ec2-metadata-token-ttl-seconds", "60");
        let token = self.text("latest/api/token", token).await?;
        let value = Request::builder()
            .uri(format!("{}/latest/meta-data/{path}", self.base))
            .header("x-aws-ec2-metadata-token", token.unwrap_or_default().trim());
        self.text(path, value).await
    }

    async fn text(&self, path: &str, request: http::request::Builder) -> Result<Option<String>, MetadataError> {
        let request = request
            .body(Full::<Bytes>::default())
            .map_err(|source| FetchError::Request {
                host: self.base.clone(),
                source: source.into(),
            })?;
        let answer = self.fetcher.fetch(request, LIMIT).await?;
        match answer.status {
            StatusCode::OK => Ok(Some(String::from_utf8_lossy(&answer.body).into_owned())),
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(MetadataError::Refused {
                path: path.to_owned(),
                status,
            }),
        }
    }
}

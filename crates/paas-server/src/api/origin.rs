//! Under which URL a client reached us: links in answers must lead it back the same way.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{header, request::Parts, uri::Authority};

use super::{error::ApiError, state::Api};

/// `http://127.0.0.1:5050`, `https://api.example.com`: whatever stood in front of the path.
pub(super) struct Origin(String);

impl Origin {
    /// An absolute URL; `path` begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

impl FromRequestParts<Arc<Api>> for Origin {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, ApiError> {
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let host = header(header::HOST)
            .and_then(|host| host.parse::<Authority>().ok())
            .filter(|host| !host.as_str().contains('@'));
        let host = host.map_or_else(|| api.platform.settings.api.to_string(), |host| host.to_string());
        // Set by our own router; whoever reaches the loopback listener directly can only mislead itself.
        let scheme = match header(header::HeaderName::from_static("x-forwarded-proto")) {
            Some("https") => "https",
            _ => "http",
        };
        Ok(Self(format!("{scheme}://{host}")))
    }
}

//! Under which URL a client reached us, and by which token: links in answers must lead it back the same way, and those that
//! are their own permission are good for no longer than its own.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::{header, request::Parts, uri::Authority};

use paas_core::Id;
use paas_store::{account::Account, authorization::Authorization};

use super::{auth::Caller, error::ApiError, state::Api};
use crate::config::Settings;

pub(super) struct Origin {
    /// `http://127.0.0.1:5050`, `https://api.example.com`: whatever stood in front of the path.
    base: String,
    /// `None`: the endpoint asks nobody who they are.
    reader: Option<Reader>,
}

/// For whom links are made.
#[derive(Clone, Copy)]
pub(super) struct Reader {
    pub(super) account: Id<Account>,
    pub(super) authorization: Id<Authorization>,
}

impl Origin {
    /// Where everybody reaches this platform; for nobody in particular.
    pub(super) fn of_platform(settings: &Settings) -> Self {
        Self {
            base: settings.api_url().trim_end_matches('/').to_owned(),
            reader: None,
        }
    }

    /// An absolute URL; `path` begins with a slash.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) const fn reader(&self) -> Option<Reader> {
        self.reader
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
        // The gate has found out who asks before any handler takes its arguments.
        let reader = parts.extensions.get::<Caller>().map(|caller| Reader {
            account: caller.account.id,
            authorization: caller.authorization.id,
        });
        Ok(Self {
            base: format!("{scheme}://{host}"),
            reader,
        })
    }
}

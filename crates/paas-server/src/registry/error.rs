//! Refusals in the form that registry clients read (Distribution Specification, *Error Codes*); Docker shows the message.

use std::io;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use thiserror::Error;

use crate::git::Refusal;

#[derive(Debug, Error)]
pub(crate) enum RegistryError {
    #[error("log in first: docker login with any user name, and a token as the password (paas auth:token)")]
    Unauthenticated,
    #[error("{0}")]
    Forbidden(String),
    #[error("there is no such app, or you do not have access to it: an image is called HOST/APP/PROCESS_TYPE")]
    NoApp,
    #[error("an image is called HOST/APP/PROCESS_TYPE, such as registry.example.com/hello/web")]
    BadName,
    #[error("a digest is sha256: and 64 hexadecimal digits")]
    BadDigest,
    #[error("a tag is up to 128 letters, digits, dots, dashes and underscores")]
    BadTag,
    #[error("what was sent is not what its digest says")]
    WrongDigest,
    #[error("there is no such blob")]
    NoBlob,
    #[error("there is no such image: push it first (paas container:push)")]
    NoManifest,
    #[error("{0}")]
    BadManifest(String),
    #[error("{0} has not been uploaded")]
    MissingBlob(String),
    #[error("there is no such upload: it has ended, or was given up")]
    NoUpload,
    #[error("the next byte of this upload is {0}")]
    WrongRange(u64),
    #[error("somebody else writes to this upload")]
    UploadBusy,
    #[error("too many uploads are under way for this app: wait until some have ended")]
    TooManyUploads,
    #[error("{what} is too large (maximum is {maximum_mib} MiB)")]
    TooLarge { what: &'static str, maximum_mib: u64 },
    #[error("the upload broke off, or sent nothing for a minute")]
    BrokeOff,
    #[error("the platform's disk is nearly full: nothing can be pushed until its operator makes room")]
    DiskFull,
    #[error("the platform is busy with itself: try again in a moment")]
    Unavailable,
    #[error("the platform could not store or read the image")]
    Disk(#[from] io::Error),
}

impl RegistryError {
    fn code(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Unauthenticated => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "DENIED"),
            Self::NoApp => (StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
            Self::BadName => (StatusCode::NOT_FOUND, "NAME_INVALID"),
            Self::BadDigest | Self::WrongDigest => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            Self::BadTag => (StatusCode::BAD_REQUEST, "TAG_INVALID"),
            Self::NoBlob => (StatusCode::NOT_FOUND, "BLOB_UNKNOWN"),
            Self::NoManifest => (StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
            Self::BadManifest(_) => (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
            Self::MissingBlob(_) => (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"),
            Self::NoUpload => (StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
            Self::WrongRange(_) => (StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID"),
            Self::UploadBusy => (StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
            Self::BrokeOff => (StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID"),
            Self::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID"),
            Self::TooManyUploads => (StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS"),
            Self::DiskFull => (StatusCode::INSUFFICIENT_STORAGE, "DENIED"),
            Self::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Self::Disk(error) if error.kind() == io::ErrorKind::StorageFull => {
                (StatusCode::INSUFFICIENT_STORAGE, "DENIED")
            }
            Self::Disk(_) => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        }
    }
}

impl From<Refusal> for RegistryError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthenticated => Self::Unauthenticated,
            Refusal::NotFound => Self::NoApp,
            Refusal::Forbidden(why) => Self::Forbidden(why),
            Refusal::Unavailable => Self::Unavailable,
        }
    }
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let (status, code) = self.code();
        if let Self::Disk(error) = &self {
            tracing::error!(%error, "the registry cannot use its disk");
        }
        let body = json!({ "errors": [{ "code": code, "message": self.to_string(), "detail": null }] });
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        match self {
            Self::Unauthenticated => {
                // Without a challenge no client sends what it knows (RFC 9110, 11.6.1).
                let challenge = HeaderValue::from_static("Basic realm=\"paas registry\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::WrongRange(next) => {
                let range = format!("0-{}", next.saturating_sub(1));
                if let Ok(range) = HeaderValue::from_str(&range) {
                    headers.insert(header::RANGE, range);
                }
            }
            _ => {}
        }
        response
    }
}

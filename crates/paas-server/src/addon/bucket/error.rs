//! Why a bucket does not do as it is asked, in words for people.

use http::StatusCode;
use thiserror::Error;

use crate::{aws::CredentialsError, outbound::ExchangeError};

#[derive(Debug, Error)]
pub(crate) enum BucketError {
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    #[error("the bucket refuses {action} ({status}{}{code}): {message}", if code.is_empty() { "" } else { " " })]
    Refused {
        action: &'static str,
        status: StatusCode,
        /// As S3 calls it; empty where nothing was said.
        code: String,
        message: String,
    },
    #[error("the bucket's answer to {action} is not understood: {reason}")]
    Garbled { action: &'static str, reason: String },
}

impl BucketError {
    pub(super) fn refused(action: &'static str, status: StatusCode, code: String, message: String) -> Self {
        let message = match (message.is_empty(), status) {
            (false, _) => message,
            (true, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED) => {
                "the keys are wrong, or may not do that".to_owned()
            }
            (true, StatusCode::NOT_FOUND) => "there is nothing of that name".to_owned(),
            (true, StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT) => {
                "it is in another region".to_owned()
            }
            (true, _) => "it does not say why".to_owned(),
        };
        Self::Refused {
            action,
            status,
            code,
            message,
        }
    }

    pub(crate) fn garbled(action: &'static str, reason: &str) -> Self {
        let reason = reason.to_owned();
        Self::Garbled { action, reason }
    }

    pub(super) fn says(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }

    /// Whether what was asked about is not there, while the bucket is.
    pub(super) fn is_absence(&self) -> bool {
        let Self::Refused { status, code, .. } = self else {
            return false;
        };
        *status == StatusCode::NOT_FOUND && code != "NoSuchBucket"
    }

    /// Whether the same request may work in a moment.
    pub(super) fn is_temporary(&self) -> bool {
        match self {
            Self::Exchange(_) | Self::Garbled { .. } => true,
            // Where there is no metadata service, there is none in an hour either: then it is told.
            Self::Credentials(error) => matches!(error, CredentialsError::NoMetadata { .. }),
            Self::Refused { status, code, .. } => {
                status.is_server_error()
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    // Of a success that came to nothing.
                    || status.is_success()
                    || ["RequestTimeout", "SlowDown", "OperationAborted"].contains(&code.as_str())
            }
        }
    }

    /// Whether somebody has to change something before it can work.
    pub(crate) fn is_refusal(&self) -> bool {
        match self {
            Self::Credentials(_) | Self::Refused { .. } => !self.is_temporary(),
            Self::Exchange(_) | Self::Garbled { .. } => false,
        }
    }

    /// Whether the bucket finds fault with what came of an upload in parts: it has to be begun anew.
    pub(crate) fn is_about_parts(&self) -> bool {
        ["InvalidPart", "InvalidPartOrder", "EntityTooSmall"]
            .iter()
            .any(|code| self.says(code))
    }

    /// Whether it is about one object, and says nothing about the others.
    pub(crate) fn is_about_object(&self) -> bool {
        self.is_about_parts() || self.says("EntityTooLarge") || self.says("KeyTooLongError")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> BucketError {
        let status = StatusCode::from_u16(status).unwrap();
        BucketError::refused("s3:PutObject", status, code.to_owned(), String::new())
    }

    #[test]
    fn what_is_refused_is_told_apart_from_what_may_work_in_a_moment() {
        for (status, code, is_refusal) in [
            (403, "AccessDenied", true),
            (403, "", true),
            (404, "NoSuchBucket", true),
            (301, "PermanentRedirect", true),
            (400, "InvalidRequest", true),
            (400, "RequestTimeout", false),
            (503, "SlowDown", false),
            (500, "", false),
            (429, "", false),
            (200, "InternalError", false),
        ] {
            let error = refused(status, code);
            assert_eq!(error.is_refusal(), is_refusal, "{error}");
            assert_eq!(error.is_temporary(), !is_refusal, "{error}");
        }
    }

    #[test]
    fn nothing_of_a_name_is_no_error_of_the_bucket() {
        assert!(refused(404, "NoSuchKey").is_absence());
        assert!(refused(404, "").is_absence());
        assert!(!refused(404, "NoSuchBucket").is_absence());
        assert!(!refused(403, "").is_absence());
        let words = refused(403, "").to_string();
        assert!(words.contains("s3:PutObject (403 Forbidden)"), "{words}");
    }
}

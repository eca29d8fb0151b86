//! The body of every answer that is not a success.

use serde::{Deserialize, Serialize};

/// `{"id", "message", "url"?, "resource"?}`. Heroku's clients print `message`, then the id and the URL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One of [`ErrorId`]'s words; a text, because a client must survive an id that it does not know.
    pub id: String,
    pub message: String,
    /// Where to read more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// What was not found: `app`, `release`, `session`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

/// What went wrong, in Heroku's words (Platform API Reference, *Errors*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorId {
    BadRequest,
    Unauthorized,
    Forbidden,
    /// The operator has disabled the account.
    Suspended,
    /// A code is wanted beside the password: Heroku's command asks for one when it sees this.
    TwoFactor,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    TooLarge,
    RangeNotSatisfiable,
    InvalidParams,
    /// It would replace or destroy something: Heroku's command asks, and says so.
    ConfirmationRequired,
    RateLimit,
    Internal,
    Maintenance,
}

impl ErrorId {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::Suspended => "suspended",
            Self::TwoFactor => "two_factor",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::PreconditionFailed => "precondition_failed",
            Self::TooLarge => "request_entity_too_large",
            Self::RangeNotSatisfiable => "requested_range_not_satisfiable",
            Self::InvalidParams => "invalid_params",
            Self::ConfirmationRequired => "confirmation_required",
            Self::RateLimit => "rate_limit",
            Self::Internal => "internal_server_error",
            Self::Maintenance => "service_unavailable",
        }
    }

    /// The status that always goes with this id.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::Suspended | Self::TwoFactor => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::PreconditionFailed => 412,
            Self::TooLarge => 413,
            Self::RangeNotSatisfiable => 416,
            Self::InvalidParams | Self::ConfirmationRequired => 422,
            Self::RateLimit => 429,
            Self::Internal => 500,
            Self::Maintenance => 503,
        }
    }
}

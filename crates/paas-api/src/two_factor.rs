//! The second factor of an account: an authenticator app.

use serde::{Deserialize, Serialize};

use crate::Secret;

/// The header that brings a code: of the app, or one of the recovery codes.
pub const TWO_FACTOR_CODE: &str = "heroku-two-factor-code";
/// The header that brings the password again.
pub const PASSWORD: &str = "heroku-password";

/// `POST /account/two-factor`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTwoFactor {
    pub password: Secret,
}

/// What an authenticator app is told. Shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoFactor {
    /// `otpauth://totp/…`, for a QR code.
    pub otpauth_url: Secret,
    /// The same in base32, for typing.
    pub secret: Secret,
}

/// `POST /account/two-factor/actions/confirm`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoFactorConfirmation {
    /// What the app shows now.
    pub code: Secret,
}

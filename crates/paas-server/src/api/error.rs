//! The one type that every refusal becomes, and its JSON.
//!
//! What a client reads is written on purpose, here or where the error is made. What went wrong inside goes to the log,
//! once, at the edge (`protocol.rs`), together with the request id.

use std::{error::Error, fmt, sync::Arc};

use axum::{
    Json,
    extract::rejection::PathRejection,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use paas_api::{ErrorBody, ErrorId};
use paas_core::{ConfigError, NameError, ProcessType};
use paas_store::StoreError;

/// How long a client should wait while the database comes back.
const RETRY_AFTER_SECONDS: u32 = 5;

/// An answer that is not a success.
#[derive(Debug)]
pub(crate) struct ApiError {
    id: ErrorId,
    message: String,
    resource: Option<&'static str>,
    retry_after_seconds: Option<u32>,
    /// For the log only.
    cause: Option<Cause>,
}

/// What an answer of 500 or 503 hides; rides on the response to the edge.
#[derive(Clone)]
pub(super) struct Cause(Arc<dyn Error + Send + Sync>);

impl ApiError {
    pub(crate) fn new(id: ErrorId, message: impl Into<String>) -> Self {
        Self {
            id,
            message: message.into(),
            resource: None,
            retry_after_seconds: None,
            cause: None,
        }
    }

    /// Whether the same request may well be answered a little later.
    pub(crate) const fn is_unavailable(&self) -> bool {
        self.id.status() >= 500
    }

    /// `Couldn't find that app.`
    pub(crate) fn not_found(resource: &'static str) -> Self {
        Self::not_found_as(resource, resource)
    }

    /// The same for a thing that is called otherwise among machines: `Couldn't find that add-on.`, an `add_on`.
    pub(super) fn not_found_as(words: &'static str, resource: &'static str) -> Self {
        Self {
            resource: Some(resource),
            ..Self::new(ErrorId::NotFound, format!("Couldn't find that {words}."))
        }
    }

    /// The same refusal in other words.
    pub(super) fn saying(self, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }

    /// Nobody has this address; whoever asks can do nothing about it alone.
    pub(super) fn unknown_user() -> Self {
        Self {
            resource: Some("user"),
            ..Self::new(
                ErrorId::NotFound,
                "Couldn't find that user. The operator of this platform adds people, with `paasd user create EMAIL`.",
            )
        }
    }

    /// `Couldn't find that process type (clock).`, and which ones there are.
    pub(super) fn unknown_process_type(name: &str, known: &[ProcessType]) -> Self {
        let known: Vec<&str> = known.iter().map(ProcessType::as_str).collect();
        let hint = if known.is_empty() {
            "Process types come from the Procfile: deploy a release whose Procfile has it.".to_owned()
        } else {
            format!("The deployed release has: {}.", known.join(", "))
        };
        Self {
            resource: Some("formation"),
            ..Self::new(
                ErrorId::NotFound,
                format!("Couldn't find that process type ({name}). {hint}"),
            )
        }
    }

    /// An image that was not pushed, in words of its own.
    pub(super) fn unknown_image(message: impl Into<String>) -> Self {
        Self {
            resource: Some("image"),
            ..Self::new(ErrorId::NotFound, message)
        }
    }

    /// The endpoint itself does not exist, in Heroku's words.
    pub(super) fn no_endpoint() -> Self {
        Self::new(
            ErrorId::NotFound,
            "The requested API endpoint was not found. Are you using the right HTTP verb (i.e. `GET` vs. `POST`), and \
             did you specify your intended version with the `Accept` header?",
        )
    }

    /// A request that the framework has refused, in our words.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (id, message) = match status {
            StatusCode::NOT_FOUND => return Self::no_endpoint(),
            StatusCode::METHOD_NOT_ALLOWED => {
                (ErrorId::MethodNotAllowed, "This endpoint does not take that HTTP verb.")
            }
            StatusCode::PAYLOAD_TOO_LARGE => (ErrorId::TooLarge, "The request body is too large."),
            status if status.is_server_error() => (
                ErrorId::Internal,
                "Internal server error. The server's log has the details, under this request's Request-Id.",
            ),
            _ => (
                ErrorId::BadRequest,
                "The path, the query or a header of this request is not what this endpoint takes: see \
                 GET /schema.",
            ),
        };
        Self::new(id, message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(ErrorId::Unauthorized, "Invalid credentials provided.")
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorId::InvalidParams, message)
    }

    /// A refusal whose words are written where it was found out.
    pub(super) fn from_display(error: impl fmt::Display) -> Self {
        Self::invalid(error.to_string())
    }

    pub(super) fn rate_limit(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self {
            retry_after_seconds: Some(retry_after_seconds),
            ..Self::new(ErrorId::RateLimit, message)
        }
    }

    /// Something of ours broke; the client learns no more than that.
    pub(crate) fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            cause: Some(Cause(Arc::new(cause))),
            ..Self::new(
                ErrorId::Internal,
                "Internal server error. The server's log has the details, under this request's Request-Id.",
            )
        }
    }

    /// The disk is full: nothing was kept, and nothing else was harmed.
    pub(super) fn full(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            retry_after_seconds: Some(60),
            cause: Some(Cause(Arc::new(cause))),
            ..Self::new(
                ErrorId::Maintenance,
                "The platform's disk is full, so the upload was not kept. Its operator has to make room first.",
            )
        }
    }

    pub(super) fn unavailable(cause: impl Error + Send + Sync + 'static) -> Self {
        Self {
            retry_after_seconds: Some(RETRY_AFTER_SECONDS),
            cause: Some(Cause(Arc::new(cause))),
            ..Self::new(
                ErrorId::Maintenance,
                "The platform's database does not answer at the moment. Running apps are not affected: please try \
                 again in a few seconds.",
            )
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.id.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    pub(crate) const fn id(&self) -> ErrorId {
        self.id
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let body = ErrorBody {
            id: self.id.as_str().to_owned(),
            message: self.message,
            url: None,
            resource: self.resource.map(str::to_owned),
        };
        let mut response = (status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"paas\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(cause);
        }
        response
    }
}

impl From<NameError> for ApiError {
    fn from(error: NameError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<PathRejection> for ApiError {
    fn from(_: PathRejection) -> Self {
        Self::new(
            ErrorId::BadRequest,
            "The path of this request is not percent-encoded UTF-8.",
        )
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Query(_)
            | StoreError::BadAddress(_)
            | StoreError::Migrate(_)
            | StoreError::Corrupt { .. }
            | StoreError::Seal(_) => Self::internal(error),
            StoreError::BadText => Self::invalid("A text in this request holds a NUL character. Please leave it out."),
            StoreError::NameTaken => Self::invalid("Name is already taken."),
            StoreError::EmailTaken => Self::invalid("Email is already taken."),
            StoreError::KeyTaken => Self::invalid("This SSH key is in use already."),
            StoreError::DomainTaken => Self::invalid("The domain name is currently in use by another app."),
            StoreError::DomainGone => Self::not_found("domain"),
            StoreError::CertificateGone => Self::not_found("certificate"),
            StoreError::DrainTaken => Self::invalid("Url has already been taken: this app has that drain."),
            StoreError::TooManyDrains => Self::invalid(format!(
                "You have already added the maximum of {} drains. Remove one first.",
                paas_store::log_drain::MAXIMUM_PER_APP
            )),
            StoreError::DrainGone => Self::not_found("drain"),
            StoreError::TooManyWebhooks => Self::invalid(format!(
                "An app can have a maximum of {} webhooks. Remove one first: paas webhooks:remove",
                paas_store::webhook::MAXIMUM_PER_APP,
            )),
            StoreError::WebhookGone => Self::not_found("webhook"),
            StoreError::AddonGone => Self::not_found_as("add-on", "add_on"),
            StoreError::CredentialGone => Self::not_found("credential"),
            StoreError::ProviderInUse => {
                Self::invalid("Apps have add-ons of this provider. Destroy those first: it has to hear of that.")
            }
            StoreError::BackupRunning => Self::invalid(
                "Another backup or restore of this add-on is running. Wait for it, or stop it with `paas pg:backups:cancel`.",
            ),
            StoreError::UpgradeRunning => Self::invalid(
                "An upgrade of this add-on is under way. Wait for it with `paas pg:upgrade:wait`, or end it with `paas pg:upgrade:cancel`.",
            ),
            StoreError::AttachmentTaken => Self::invalid("Attachment name is already taken."),
            StoreError::CredentialTaken => Self::invalid("Credential name is already taken."),
            StoreError::LastAttachment => Self::invalid(
                "Cannot destroy last attachment to billing app. Give the add-on another name there first, with `paas addons:attach`.",
            ),
            StoreError::AttachedConfig { keys } => {
                let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
                Self::invalid(format!(
                    "Cannot overwrite attachment values {}. They come from an add-on: see `paas addons`, and detach it there.",
                    keys.join(", ")
                ))
            }
            StoreError::ConfigTaken { key } => Self::invalid(format!(
                "The app has the config var {key} already, which the add-on would set. Unset it first, with `paas \
                 config:unset {key}`, or choose another name with --as."
            )),
            StoreError::BuildPending => Self::new(
                ErrorId::Conflict,
                "Another build of this app is under way. Please wait until it has ended, or cancel it.",
            ),
            StoreError::BuildEnded => Self::new(ErrorId::Conflict, "This build has already ended."),
            StoreError::AppGone => Self::not_found("app"),
            StoreError::TeamGone => Self::not_found("team"),
            StoreError::NotInTeam => Self::new(
                ErrorId::Forbidden,
                "Only the admins and members of a team bring apps into it. Ask one of them: see `paas members`.",
            ),
            StoreError::TeamHasApps => Self::invalid(
                "This team still owns apps. Destroy them first, or give them to somebody else with `paas apps:transfer`.",
            ),
            StoreError::LastAdmin => Self::invalid(
                "A team always has an admin, and this is the last one. Make somebody else admin first, with `paas members:set \
                 EMAIL --role admin`.",
            ),
            StoreError::CollaboratorTaken => Self::invalid("User is already a collaborator on the app."),
            StoreError::TransferPending => Self::invalid(
                "This app is offered to somebody already. Take that offer back first, with `paas apps:transfers:cancel`.",
            ),
            StoreError::TransferEnded => Self::new(ErrorId::Conflict, "This transfer has already ended."),
            StoreError::UnknownProcessType { process_type } => Self::unknown_process_type(process_type.as_str(), &[]),
            StoreError::Config(error) => error.into(),
            StoreError::Quantity(error) => error.into(),
            StoreError::UnknownRelease { .. } => Self::not_found("release"),
            StoreError::ReleaseExpired { version } => Self::invalid(format!(
                "Cannot go back to {version}: it has expired, and its image has been removed. Only the newest releases of an \
                 app are kept. Push its commit again, or choose a release that is eligible for rollback."
            )),
            StoreError::NotEligible { version } => Self::invalid(format!(
                "Cannot roll back to {version}: it has no code, did not succeed, or its image has been removed. See which \
                 releases are eligible for rollback."
            )),
        }
    }
}

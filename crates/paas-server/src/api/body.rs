//! Request bodies: JSON, whatever the `Content-Type` says, because old clients forget it.

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
};
use paas_api::ErrorId;
use serde::de::DeserializeOwned;

use super::error::ApiError;

/// The largest body of a request that is not an upload: all config vars of an app fit in many times over.
pub(super) const MAXIMUM_BODY_BYTES: usize = 1024 * 1024;

/// A parsed JSON body. An empty one is an empty object: `POST /apps` needs nothing else.
pub(super) struct Body<T>(pub(super) T);

impl<S, T> FromRequest<S> for Body<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let bytes = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| refusal(&rejection))?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    // Two steps, because "this is not JSON" and "this JSON does not fit" have different ids.
    let value: serde_json::Value = serde_json::from_slice(bytes).map_err(|error| {
        ApiError::new(
            ErrorId::BadRequest,
            format!(
                "The request body is not valid JSON: see line {}, column {}.",
                error.line(),
                error.column()
            ),
        )
    })?;
    if !value.is_object() {
        return Err(ApiError::new(
            ErrorId::BadRequest,
            "The request body must be a JSON object.",
        ));
    }
    // serde's message can repeat a value, and the value of a config var is a secret; so that is cut out.
    serde_json::from_value(value).map_err(|error| ApiError::invalid(explain(&error)))
}

fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    // Only `invalid type`, `invalid value` and their like repeat what was sent; the other texts are about names, or ours.
    if !text.starts_with("invalid ") {
        return format!("The request body does not fit: {text}.");
    }
    match text.split_once(", expected ") {
        Some((_, expected)) => format!("The request body does not fit: a value is not {expected}."),
        None => "The request body does not fit: a value has the wrong type.".to_owned(),
    }
}

fn refusal(rejection: &BytesRejection) -> ApiError {
    if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
        ApiError::new(
            ErrorId::TooLarge,
            format!("The request body is too large (maximum is {MAXIMUM_BODY_BYTES} bytes)."),
        )
    } else {
        ApiError::new(ErrorId::BadRequest, "The request body could not be read to its end.")
    }
}

#[cfg(test)]
mod tests {
    use paas_api::{AppUpdate, ConfigVarsUpdate, NewApp};

    use super::*;

    #[test]
    fn a_value_never_comes_back_in_a_message() {
        let error = parse::<ConfigVarsUpdate>(br#"{"KEY":["canary"]}"#).err().unwrap();
        assert_eq!(error.id(), ErrorId::InvalidParams);
        assert!(!error.to_string().contains("canary"), "{error}");
        let error = parse::<ConfigVarsUpdate>(br#"{"KEY":12345}"#).err().unwrap();
        assert!(!error.to_string().contains("12345"), "{error}");
    }

    #[test]
    fn broken_json_and_misfitting_json_are_told_apart() {
        let id = |bytes: &[u8]| parse::<AppUpdate>(bytes).err().map(|error| error.id());
        assert_eq!(id(b""), None);
        assert_eq!(id(b"{"), Some(ErrorId::BadRequest));
        assert_eq!(id(b"[]"), Some(ErrorId::BadRequest));
        assert_eq!(id(br#"{"maintenance":"yes"}"#), Some(ErrorId::InvalidParams));
        assert_eq!(id(br#"{"maintainance":true}"#), Some(ErrorId::InvalidParams));
    }

    #[test]
    fn fields_that_other_clients_send_are_ignored() {
        assert!(parse::<NewApp>(br#"{"name":"abc","kernel":null,"locked":false}"#).is_ok());
    }
}

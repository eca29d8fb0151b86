//! What Heroku has and this platform does not have yet: empty lists and honest 404s, because Heroku's own command asks
//! for these beside what it wants to show.

use serde_json::Value;

use super::{
    auth::{Caller, OwnApp},
    error::ApiError,
    page::Page,
};

pub(super) async fn list(_: Caller) -> Page<Value> {
    Page::whole(Vec::new())
}

pub(super) async fn list_of_app(_: OwnApp) -> Page<Value> {
    Page::whole(Vec::new())
}

pub(super) async fn feature(_: Caller) -> ApiError {
    ApiError::not_found("feature")
}

pub(super) async fn telemetry_drain(_: Caller) -> ApiError {
    ApiError::not_found("telemetry drain")
}

pub(super) async fn new_telemetry_drain(_: Caller) -> ApiError {
    ApiError::invalid(
        "This platform sends no OpenTelemetry. Send the log on with a log drain, and memory and load with it: enable the \
         feature log-runtime-metrics.",
    )
}

pub(super) async fn pipeline(_: Caller) -> ApiError {
    ApiError::not_found("pipeline")
}

pub(super) async fn pipeline_coupling(_: OwnApp) -> ApiError {
    ApiError::not_found("pipeline coupling")
}

pub(super) async fn review_app(_: OwnApp) -> ApiError {
    ApiError::not_found("review app")
}

pub(super) async fn space(_: Caller) -> ApiError {
    ApiError::not_found("space")
}

/// Eco dynos have no hours here: they run as long as they like. Heroku's command says nothing about hours then.
pub(super) async fn quota(_: Caller) -> ApiError {
    ApiError::not_found("quota")
}

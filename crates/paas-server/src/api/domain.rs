//! Domains: the one that the platform gives each app.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::Domain;
use paas_store::app::AppRow;

use super::{app, auth::OwnApp, error::ApiError, page::Page, state::Api};

pub(super) async fn list(State(api): State<Arc<Api>>, OwnApp { row, .. }: OwnApp) -> Page<Domain> {
    Page::whole(vec![answer(&api, &row)])
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<Domain>, ApiError> {
    let domain = answer(&api, &row);
    if name.eq_ignore_ascii_case(&domain.hostname) || name == domain.id.to_string() {
        Ok(Json(domain))
    } else {
        Err(ApiError::not_found("domain"))
    }
}

fn answer(api: &Api, row: &AppRow) -> Domain {
    Domain {
        acm_status: None,
        acm_status_reason: None,
        app: app::reference(&row.app),
        cname: None,
        created_at: row.app.created_at.into(),
        hostname: api.platform.settings.domain.child(row.app.name.as_str()).to_string(),
        // It comes and goes with the app, and there is one: the app's id serves for both.
        id: *row.app.id.as_uuid(),
        kind: "heroku".to_owned(),
        sni_endpoint: None,
        status: "none".to_owned(),
        updated_at: row.app.updated_at.into(),
    }
}

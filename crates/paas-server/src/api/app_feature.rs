//! Switches of an app: Heroku's, and ours that Heroku's own command can turn on.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AppFeature, AppFeatureUpdate};
use paas_core::Routing;
use paas_store::{app::AppRow, routing};
use uuid::{Uuid, uuid};

use super::{auth::OwnApp, body::Body, error::ApiError, page::Page, state::Api};

/// For how long browsers insist on HTTPS once they were told to: what lists of such sites ask for (hstspreload.org).
const HSTS: Duration = Duration::from_hours(365 * 24);

struct Feature {
    id: Uuid,
    name: &'static str,
    display_name: &'static str,
    description: &'static str,
    doc_url: &'static str,
    is_enabled: fn(&Routing) -> bool,
    switch: fn(&mut Routing, bool),
}

static FEATURES: [Feature; 3] = [
    Feature {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e10"),
        name: "hsts",
        display_name: "HTTP Strict Transport Security",
        description: "Tell browsers to come back over HTTPS only, for a year",
        doc_url: "https://www.rfc-editor.org/rfc/rfc6797",
        is_enabled: |routing| routing.hsts.is_some(),
        switch: |routing, on| routing.hsts = on.then_some(HSTS),
    },
    Feature {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e11"),
        name: "http-session-affinity",
        display_name: "Session Affinity",
        description: "Send the requests of one browser to one dyno",
        doc_url: "https://devcenter.heroku.com/articles/session-affinity",
        is_enabled: |routing| routing.session_affinity,
        switch: |routing, on| routing.session_affinity = on,
    },
    Feature {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e12"),
        name: "https-redirect",
        display_name: "HTTPS Redirect",
        description: "Redirect plain HTTP to HTTPS",
        doc_url: "https://www.rfc-editor.org/rfc/rfc9110#name-https-uri-scheme",
        is_enabled: |routing| routing.https_redirect,
        switch: |routing, on| routing.https_redirect = on,
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Page<AppFeature>, ApiError> {
    let mut connection = api.connection().await?;
    let routing = routing::get(&mut connection, row.app.id).await?;
    let answers = FEATURES.iter().map(|feature| answer(&row, feature, &routing));
    Ok(Page::whole(answers.collect()))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<AppFeature>, ApiError> {
    let feature = find(&name)?;
    let mut connection = api.connection().await?;
    let routing = routing::get(&mut connection, row.app.id).await?;
    Ok(Json(answer(&row, feature, &routing)))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<AppFeatureUpdate>,
) -> Result<Json<AppFeature>, ApiError> {
    let feature = find(&name)?;
    let mut transaction = api.store().begin().await?;
    let mut routing = routing::get(&mut transaction, row.app.id).await?;
    if (feature.is_enabled)(&routing) != update.enabled {
        (feature.switch)(&mut routing, update.enabled);
        routing::set(&mut transaction, row.app.id, &routing, api.stamp(&caller.account)).await?;
        transaction.commit().await?;
        let verb = if update.enabled { "Enable" } else { "Disable" };
        let what = format!("{verb} feature {}", feature.name);
        api.announce(row.app.id, &what, &caller.account);
    }
    Ok(Json(answer(&row, feature, &routing)))
}

fn find(name_or_id: &str) -> Result<&'static Feature, ApiError> {
    let is_wanted = |feature: &&Feature| feature.name == name_or_id || feature.id.to_string() == name_or_id;
    FEATURES
        .iter()
        .find(is_wanted)
        .ok_or_else(|| ApiError::not_found("feature"))
}

fn answer(row: &AppRow, feature: &Feature, routing: &Routing) -> AppFeature {
    AppFeature {
        created_at: row.app.created_at.into(),
        description: feature.description.to_owned(),
        display_name: feature.display_name.to_owned(),
        doc_url: feature.doc_url.to_owned(),
        enabled: (feature.is_enabled)(routing),
        feedback_email: row.owner.email.clone(),
        id: feature.id,
        name: feature.name.to_owned(),
        state: "general".to_owned(),
        updated_at: row.app.updated_at.into(),
    }
}

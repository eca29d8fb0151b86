//! Switches of an app: Heroku's, and ours that Heroku's own command can turn on.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::{AppFeature, AppFeatureUpdate};
use paas_core::{Feature, Features, Routing};
use paas_store::{PgConnection, StoreError, app::AppRow, feature, routing};
use uuid::{Uuid, uuid};

use super::{
    auth::OwnApp,
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
};

/// For how long browsers insist on HTTPS once they were told to: what lists of such sites ask for (hstspreload.org).
const HSTS: Duration = Duration::from_hours(365 * 24);

struct Entry {
    id: Uuid,
    name: &'static str,
    display_name: &'static str,
    description: &'static str,
    doc_url: &'static str,
    state: &'static str,
    switch: Switch,
}

/// What a feature switches.
#[derive(Clone, Copy)]
enum Switch {
    /// A rule of the router.
    Rule {
        is_on: fn(&Routing) -> bool,
        set: fn(&mut Routing, bool),
    },
    Dynos(Feature),
}

/// Shown by `features`.
const GENERAL: &str = "general";
/// Shown by `labs`.
const LABS: &str = "beta";

static ENTRIES: [Entry; 7] = [
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e10"),
        name: "hsts",
        display_name: "HTTP Strict Transport Security",
        description: "Tell browsers to come back over HTTPS only, for a year",
        doc_url: "https://www.rfc-editor.org/rfc/rfc6797",
        state: GENERAL,
        switch: Switch::Rule {
            is_on: |routing| routing.hsts.is_some(),
            set: |routing, on| routing.hsts = on.then_some(HSTS),
        },
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e11"),
        name: "http-session-affinity",
        display_name: "Session Affinity",
        description: "Send the requests of one browser to one dyno",
        doc_url: "https://devcenter.heroku.com/articles/session-affinity",
        state: GENERAL,
        switch: Switch::Rule {
            is_on: |routing| routing.session_affinity,
            set: |routing, on| routing.session_affinity = on,
        },
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e12"),
        name: "https-redirect",
        display_name: "HTTPS Redirect",
        description: "Redirect plain HTTP to HTTPS",
        doc_url: "https://www.rfc-editor.org/rfc/rfc9110#name-https-uri-scheme",
        state: GENERAL,
        switch: Switch::Rule {
            is_on: |routing| routing.https_redirect,
            set: |routing, on| routing.https_redirect = on,
        },
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e13"),
        name: "log-runtime-metrics",
        display_name: "Runtime Metrics",
        description: "Log the memory and load of every dyno every 20 seconds",
        doc_url: "https://devcenter.heroku.com/articles/log-runtime-metrics",
        state: LABS,
        switch: Switch::Dynos(Feature::LogRuntimeMetrics),
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e14"),
        name: "preboot",
        display_name: "Preboot",
        description: "Boot new dynos before old ones stop: here it is always so, on or off",
        doc_url: "https://devcenter.heroku.com/articles/preboot",
        state: GENERAL,
        switch: Switch::Dynos(Feature::Preboot),
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e15"),
        name: "runtime-dyno-metadata",
        display_name: "Dyno Metadata",
        description: "Tell dynos about their app and release in HEROKU_* variables, from their next start on",
        doc_url: "https://devcenter.heroku.com/articles/dyno-metadata",
        state: LABS,
        switch: Switch::Dynos(Feature::RuntimeDynoMetadata),
    },
    Entry {
        id: uuid!("6f1c1e5a-43a1-4f0d-8b5e-0d5f7a3c9e16"),
        name: "runtime-heroku-exec",
        display_name: "Exec",
        description: "Let people enter running dynos with ps:exec",
        doc_url: "https://devcenter.heroku.com/articles/exec",
        state: GENERAL,
        switch: Switch::Dynos(Feature::RuntimeHerokuExec),
    },
];

/// How everything stands that a feature may switch.
struct Standing {
    routing: Routing,
    features: Features,
}

impl Standing {
    async fn of(conn: &mut PgConnection, row: &AppRow) -> Result<Self, StoreError> {
        Ok(Self {
            routing: routing::get(conn, row.app.id).await?,
            features: feature::get(conn, row.app.id).await?,
        })
    }

    fn is_on(&self, entry: &Entry) -> bool {
        match entry.switch {
            Switch::Rule { is_on, .. } => is_on(&self.routing),
            Switch::Dynos(feature) => self.features.is_on(feature),
        }
    }
}

const FIELDS: [Field<AppFeature>; 2] = [
    Field {
        name: "name",
        key: |one| Key::Text(one.name.clone()),
    },
    Field {
        name: "id",
        key: |one| Key::Text(one.id.to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<AppFeature>, ApiError> {
    let mut connection = api.connection().await?;
    let standing = Standing::of(&mut connection, &row).await?;
    let answers = ENTRIES.iter().map(|entry| answer(&row, entry, standing.is_on(entry)));
    page(&range, answers.collect(), &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<AppFeature>, ApiError> {
    let entry = find(&name)?;
    let mut connection = api.connection().await?;
    let standing = Standing::of(&mut connection, &row).await?;
    Ok(Json(answer(&row, entry, standing.is_on(entry))))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<AppFeatureUpdate>,
) -> Result<Json<AppFeature>, ApiError> {
    let entry = find(&name)?;
    let on = update.enabled;
    let mut transaction = api.store().begin().await?;
    let mut standing = Standing::of(&mut transaction, &row).await?;
    if standing.is_on(entry) != on {
        let (app, stamp) = (row.app.id, api.stamp(&caller.account));
        match entry.switch {
            Switch::Rule { set, .. } => {
                set(&mut standing.routing, on);
                routing::set(&mut transaction, app, &standing.routing, stamp).await?;
            }
            Switch::Dynos(feature) => feature::set(&mut transaction, app, feature, on, stamp).await?,
        }
        transaction.commit().await?;
        let verb = if on { "Enable" } else { "Disable" };
        api.announce(app, &format!("{verb} feature {}", entry.name), &caller.account);
    }
    Ok(Json(answer(&row, entry, on)))
}

fn find(name_or_id: &str) -> Result<&'static Entry, ApiError> {
    let is_wanted = |entry: &&Entry| entry.name == name_or_id || entry.id.to_string() == name_or_id;
    ENTRIES
        .iter()
        .find(is_wanted)
        .ok_or_else(|| ApiError::not_found("feature"))
}

fn answer(row: &AppRow, entry: &Entry, enabled: bool) -> AppFeature {
    AppFeature {
        created_at: row.app.created_at.into(),
        description: entry.description.to_owned(),
        display_name: entry.display_name.to_owned(),
        doc_url: entry.doc_url.to_owned(),
        enabled,
        feedback_email: row.owner.email(),
        id: entry.id,
        name: entry.name.to_owned(),
        state: entry.state.to_owned(),
        updated_at: row.app.updated_at.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_of_dynos_can_be_switched() {
        for feature in Feature::ALL {
            let found = find(feature.as_str()).ok().map(|entry| entry.switch);
            assert!(
                matches!(found, Some(Switch::Dynos(found)) if found == feature),
                "{}",
                feature.as_str()
            );
        }
    }
}

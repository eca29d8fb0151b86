//! How the requests of an app are treated: what Heroku fixes or makes a feature of, in one place.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use paas_api::{RoutingUpdate, RuleChange};
use paas_core::{App, Routing};
use paas_store::routing;

use super::{app, auth::OwnApp, body::Body, error::ApiError, state::Api};

const DAY: u64 = 24 * 60 * 60;

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Routing>, ApiError> {
    let mut connection = api.connection().await?;
    let routing = routing::get(&mut connection, row.app.id).await?;
    Ok(Json(answer(&row.app, &routing)))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<RoutingUpdate>,
) -> Result<Json<paas_api::Routing>, ApiError> {
    let mut transaction = api.store().begin().await?;
    let before = routing::get(&mut transaction, row.app.id).await?;
    let after = apply(&update, before.clone())?;
    if after != before {
        routing::set(&mut transaction, row.app.id, &after, api.stamp(&caller.account)).await?;
        transaction.commit().await?;
        api.announce(row.app.id, "Change routing", &caller.account);
    }
    Ok(Json(answer(&row.app, &after)))
}

fn apply(update: &RoutingUpdate, mut routing: Routing) -> Result<Routing, ApiError> {
    let RoutingUpdate {
        boot_timeout_seconds,
        hsts_seconds,
        https_redirect,
        idle_timeout_seconds,
        response_timeout_seconds,
        session_affinity,
        sleep_after_seconds,
    } = *update;
    for (name, largest, given, rule) in [
        (
            "boot_timeout_seconds",
            DAY,
            boot_timeout_seconds,
            &mut routing.boot_timeout,
        ),
        // Browsers keep it no longer than two years, and a mistake lasts as long.
        ("hsts_seconds", 2 * 366 * DAY, hsts_seconds, &mut routing.hsts),
        (
            "idle_timeout_seconds",
            DAY,
            idle_timeout_seconds,
            &mut routing.idle_timeout,
        ),
        (
            "response_timeout_seconds",
            DAY,
            response_timeout_seconds,
            &mut routing.response_timeout,
        ),
        (
            "sleep_after_seconds",
            30 * DAY,
            sleep_after_seconds,
            &mut routing.sleep_after,
        ),
    ] {
        match given {
            RuleChange::Keep => {}
            RuleChange::Reset => *rule = None,
            RuleChange::To(seconds) if (1..=largest).contains(&seconds) => *rule = Some(Duration::from_secs(seconds)),
            RuleChange::To(_) => {
                return Err(ApiError::invalid(format!(
                    "{name} must be between 1 and {largest}, or null for Heroku's rule."
                )));
            }
        }
    }
    for (given, rule) in [
        (https_redirect, &mut routing.https_redirect),
        (session_affinity, &mut routing.session_affinity),
    ] {
        match given {
            RuleChange::Keep => {}
            RuleChange::Reset => *rule = false,
            RuleChange::To(on) => *rule = on,
        }
    }
    Ok(routing)
}

fn answer(app: &App, routing: &Routing) -> paas_api::Routing {
    let seconds = |rule: Option<Duration>| rule.map(|duration| duration.as_secs());
    paas_api::Routing {
        app: app::reference(app),
        boot_timeout_seconds: seconds(routing.boot_timeout),
        hsts_seconds: seconds(routing.hsts),
        https_redirect: routing.https_redirect,
        idle_timeout_seconds: seconds(routing.idle_timeout),
        response_timeout_seconds: seconds(routing.response_timeout),
        session_affinity: routing.session_affinity,
        sleep_after_seconds: seconds(routing.sleep_after),
    }
}

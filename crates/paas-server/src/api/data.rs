//! The routes of Heroku's data API: what is in add-ons, their credentials, and their backups.

use std::sync::Arc;

use axum::{
    Router,
    routing::{delete, get, post, put},
};

use super::{addon_backup, addon_copy, addon_credential, addon_setting, addon_upgrade, state::Api};

pub(super) fn routes() -> Router<Arc<Api>> {
    addon_backups()
        .merge(credentials())
        .merge(data_stores())
        .merge(upgrades())
}

fn addon_backups() -> Router<Arc<Api>> {
    Router::new()
        .route("/client/v11/apps/{name}/transfers", get(addon_backup::list))
        .route(
            "/client/v11/apps/{name}/transfers/{transfer}",
            get(addon_backup::info).delete(addon_backup::delete),
        )
        .route(
            "/client/v11/apps/{name}/transfers/{transfer}/actions/cancel",
            post(addon_backup::cancel),
        )
        .route(
            "/client/v11/apps/{name}/transfers/{transfer}/actions/prove",
            post(addon_backup::prove),
        )
        .route(
            "/client/v11/apps/{name}/transfers/{transfer}/actions/public-url",
            post(addon_backup::public_url),
        )
        .route("/client/v11/databases/{addon}", get(addon_backup::database_info))
        .route("/client/v11/databases/{addon}/backups", post(addon_backup::capture))
        .route("/client/v11/databases/{addon}/restores", post(addon_backup::restore))
        .route(
            "/client/v11/databases/{addon}/transfers",
            post(addon_copy::create_by_addresses),
        )
        .route(
            "/client/v11/databases/{addon}/transfer-schedules",
            get(addon_backup::schedules).post(addon_backup::schedule),
        )
        .route(
            "/client/v11/databases/{addon}/transfer-schedules/{schedule}",
            delete(addon_backup::unschedule),
        )
        .route("/backups/{segment}", get(addon_backup::download))
}

/// Those of databases, by the paths of Heroku's data API.
fn credentials() -> Router<Arc<Api>> {
    Router::new()
        .route("/addons/{addon}/config/{namespace}", get(addon_credential::config))
        .route(
            "/postgres/v0/databases/{addon}/credentials",
            get(addon_credential::list).post(addon_credential::create),
        )
        .route(
            "/postgres/v0/databases/{addon}/credentials/{credential}",
            get(addon_credential::info).delete(addon_credential::delete),
        )
        .route(
            "/postgres/v0/databases/{addon}/credentials/{credential}/credentials_rotation",
            post(addon_credential::rotate),
        )
        .route(
            "/postgres/v0/databases/{addon}/credentials_rotation",
            post(addon_credential::rotate_all),
        )
        .route(
            "/postgres/v0/databases/{addon}/repair-default",
            post(addon_credential::repair),
        )
}

/// Those of databases, by the paths of Heroku's data API.
fn upgrades() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/client/v11/databases/{addon}/upgrade/prepare",
            post(addon_upgrade::dry_run),
        )
        .route(
            "/client/v11/databases/{addon}/upgrade/dry_run",
            post(addon_upgrade::dry_run),
        )
        .route("/client/v11/databases/{addon}/upgrade/run", post(addon_upgrade::run))
        .route(
            "/client/v11/databases/{addon}/upgrade/cancel",
            post(addon_upgrade::cancel),
        )
        .route(
            "/client/v11/databases/{addon}/upgrade/wait_status",
            get(addon_upgrade::wait),
        )
}

/// What is in add-ons, by the paths of Heroku's data API.
fn data_stores() -> Router<Arc<Api>> {
    Router::new()
        .route("/client/v11/databases/{addon}/wait_status", get(addon_setting::wait))
        .route("/client/v11/databases/{addon}/reset", put(addon_setting::empty))
        .route(
            "/client/v11/databases/{addon}/connection_reset",
            post(addon_setting::hang_up),
        )
        .route(
            "/client/v11/databases/{addon}/stats_reset",
            put(addon_setting::reset_stats),
        )
        .route(
            "/postgres/v0/databases/{addon}/config",
            get(addon_setting::list).patch(addon_setting::update),
        )
        .route("/redis/v0/databases/{addon}", get(addon_setting::info))
        .route("/redis/v0/databases/{addon}/wait", get(addon_setting::wait))
        .route(
            "/redis/v0/databases/{addon}/config",
            get(addon_setting::list).patch(addon_setting::update),
        )
        .route("/redis/v0/databases/{addon}/upgrade", post(addon_upgrade::run))
        .route(
            "/redis/v0/databases/{addon}/credentials_rotation",
            post(addon_credential::rotate_main),
        )
        .route(
            "/redis/v0/databases/{addon}/stats/reset",
            post(addon_setting::reset_stats),
        )
}

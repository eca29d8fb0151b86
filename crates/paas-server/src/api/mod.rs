//! The HTTP API: Heroku's Platform API v3, so that Heroku's own clients work against it.
//!
//! One file per noun with thin handlers: authenticate, parse, ask the store, answer. Rules live in `paas-core`, state in
//! the store, shapes in `paas-api`. What is true of every request (ids, ranges, tags, limits, errors) is done once, in
//! `protocol.rs`, and refusals are made in `error.rs`. Nothing here talks to the engine or the router: a change is
//! stored, the controller is woken, and brings it about.

mod access;
mod attempts;
mod audit;
mod auth;
mod body;
mod capability;
mod error;
mod needs;
mod origin;
mod page;
mod password;
mod protocol;
mod rate_limit;
mod resource;
mod shape;
mod sign_in;
mod ssh_key;
mod state;
mod totp;

mod absent;
mod account;
mod acm;
mod addon;
mod addon_attachment;
mod addon_backup;
mod addon_client;
mod addon_copy;
mod addon_credential;
mod addon_exposure;
mod addon_fork;
mod addon_log;
mod addon_name;
mod addon_page;
mod addon_partner;
mod addon_provider;
mod addon_rollback;
mod addon_service;
mod addon_setting;
mod addon_sso;
mod addon_upgrade;
mod app;
mod app_feature;
mod app_setup;
mod app_transfer;
mod build;
mod buildpack_installation;
mod buildpack_registry;
mod collaborator;
mod config_var;
mod data;
mod disk;
mod domain;
mod dyno;
mod dyno_size;
mod exec;
mod formation;
mod haiku;
mod image;
mod key;
mod log_drain;
mod log_session;
mod login;
mod oauth_authorization;
mod oauth_client;
mod oauth_grant;
mod oauth_token;
mod one_off;
mod region;
mod release;
mod rendezvous;
mod routing;
mod schema;
mod session;
mod slug;
mod sni_endpoint;
mod source;
mod stack;
mod status;
mod stream;
mod team;
mod team_app;
mod team_feature;
mod team_member;
mod test_run;
mod two_factor;
mod user;
mod webhook;
mod webhook_delivery;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{delete, get, post, put},
};

pub(crate) use account::is_email;
pub(crate) use addon::order as order_addon;
pub(crate) use auth::authenticate;
pub(crate) use password::hash as hash_password;
pub(crate) use resource::Resources;

use self::state::Api;
use crate::platform::Platform;

/// The whole API. It answers every path, with a 404 where there is nothing.
pub(crate) fn router(platform: Arc<Platform>) -> Router {
    let api = Arc::new(Api::new(platform));
    let endpoints = endpoints()
        .route_layer(middleware::from_fn_with_state(Arc::clone(&api), access::admit))
        .method_not_allowed_fallback(protocol::no_endpoint)
        .fallback(protocol::no_endpoint)
        .layer(DefaultBodyLimit::max(body::MAXIMUM_BODY_BYTES))
        .with_state(Arc::clone(&api));
    // A layer of the outer router runs before the inner one picks a route: `X-Http-Method-Override` needs that.
    Router::new()
        .fallback_service(endpoints)
        .layer(middleware::from_fn_with_state(api, protocol::speak))
}

/// Every route. Each has an entry in `needs.rs`, or answers nobody.
fn endpoints() -> Router<Arc<Api>> {
    people()
        .merge(teams())
        .merge(apps())
        .merge(addons())
        .merge(addon_providers())
        .merge(data::routes())
        .merge(absent())
        .merge(names())
        .merge(webhooks())
        .merge(runtime())
        .merge(deploys())
        .merge(operators())
        .merge(catalogue())
}

fn people() -> Router<Arc<Api>> {
    Router::new()
        .route("/account", get(account::info).patch(account::update))
        .route("/account/rate-limits", get(account::rate_limit))
        .route("/account/features", get(absent::list))
        .route(
            "/account/features/{feature}",
            get(absent::feature).patch(absent::feature),
        )
        .route("/users/{account}", get(account::info_of).patch(account::update_of))
        .route("/users/{account}/apps", get(app::list_of))
        .route(
            "/oauth/authorizations",
            get(oauth_authorization::list).post(oauth_authorization::create),
        )
        .route(
            "/oauth/authorizations/{authorization}",
            get(oauth_authorization::info)
                .patch(oauth_authorization::update)
                .delete(oauth_authorization::delete),
        )
        .route(
            "/oauth/authorizations/{authorization}/actions/regenerate-tokens",
            post(oauth_authorization::regenerate),
        )
        .route("/oauth/sessions", get(session::list))
        .route("/oauth/sessions/{session}", delete(session::delete))
        .merge(identity())
}

/// Who somebody is, and how that is shown.
fn identity() -> Router<Arc<Api>> {
    Router::new()
        .route("/account/keys", get(key::list).post(key::create))
        .route("/account/keys/{key}", get(key::info).delete(key::delete))
        .route("/account/two-factor", post(two_factor::begin))
        .route("/account/two-factor/actions/confirm", post(two_factor::confirm))
        .route("/account/recovery-codes", post(two_factor::recovery_codes))
        .route("/oauth/clients", get(oauth_client::list).post(oauth_client::create))
        .route(
            "/oauth/clients/{client}",
            get(oauth_client::info)
                .patch(oauth_client::update)
                .delete(oauth_client::delete),
        )
        .route(
            "/oauth/clients/{client}/actions/rotate-credentials",
            post(oauth_client::rotate),
        )
        .route("/oauth/authorize", get(oauth_grant::authorize))
        .route(
            "/oauth/authorize/{grant}",
            get(oauth_grant::show).post(oauth_grant::submit),
        )
        .route("/oauth/token", post(oauth_token::create))
        .route("/auth", post(login::create))
        .route("/auth/{login}", get(login::wait))
        .route("/login/{login}", get(login::show).post(login::submit))
}

/// Who works on what together.
fn teams() -> Router<Arc<Api>> {
    Router::new()
        .route("/teams", get(team::list).post(team::create))
        .route("/teams/permissions", get(team::permissions))
        .route(
            "/teams/{team}",
            get(team::info).patch(team::update).delete(team::delete),
        )
        .route("/teams/{team}/features", get(team_feature::list))
        .route("/teams/{team}/features/{feature}", get(team_feature::info))
        .route("/teams/{team}/invitations", get(team::invitations).put(team::invite))
        .route("/teams/{team}/invitations/{invitation}", delete(team::invitation))
        .route(
            "/teams/{team}/members",
            get(team_member::list)
                .put(team_member::put)
                .post(team_member::create)
                .patch(team_member::update),
        )
        .route("/teams/{team}/members/{member}", delete(team_member::delete))
        .route("/teams/{team}/members/{member}/apps", get(team_member::apps))
        .route("/teams/{team}/apps", get(team_app::list))
        .route("/teams/apps", post(team_app::create))
        .route("/teams/apps/{app}", get(team_app::info).patch(team_app::update))
        .route(
            "/teams/apps/{app}/collaborators",
            get(collaborator::list).post(collaborator::create),
        )
        .route(
            "/teams/apps/{app}/collaborators/{collaborator}",
            get(collaborator::info)
                .patch(collaborator::update)
                .delete(collaborator::delete),
        )
        .route(
            "/apps/{app}/collaborators",
            get(collaborator::list).post(collaborator::create),
        )
        .route(
            "/apps/{app}/collaborators/{collaborator}",
            get(collaborator::info).delete(collaborator::delete),
        )
        .route(
            "/account/app-transfers",
            get(app_transfer::list).post(app_transfer::create),
        )
        .route(
            "/account/app-transfers/{transfer}",
            get(app_transfer::info)
                .patch(app_transfer::update)
                .delete(app_transfer::delete),
        )
}

fn apps() -> Router<Arc<Api>> {
    Router::new()
        .route("/apps", get(app::list).post(app::create))
        .route("/apps/{app}", get(app::info).patch(app::update).delete(app::delete))
        .route(
            "/apps/{app}/config-vars",
            get(config_var::info).patch(config_var::update),
        )
        .route(
            "/apps/{app}/buildpack-installations",
            get(buildpack_installation::list).put(buildpack_installation::update),
        )
        .route("/filters/apps", post(app::filter))
        .route("/apps/{app}/features", get(app_feature::list))
        .route(
            "/apps/{app}/features/{feature}",
            get(app_feature::info).patch(app_feature::update),
        )
}

/// What apps use besides their own code.
fn addons() -> Router<Arc<Api>> {
    Router::new()
        .route("/addons", get(addon::list))
        .route("/addons/{addon}", get(addon::info))
        .route("/addon-exposures", get(addon_exposure::list))
        .route(
            "/addons/{addon}/exposure",
            get(addon_exposure::info)
                .put(addon_exposure::set)
                .delete(addon_exposure::delete),
        )
        .route("/addons/{addon}/actions/client", post(addon_client::create))
        .route("/addons/{addon}/actions/open", post(addon_page::open))
        .route("/addons/{addon}/actions/copy", post(addon_copy::create))
        .route(
            "/addons/{addon}/actions/rotate-credentials",
            post(addon_credential::rotate_main),
        )
        .route(
            "/addons/{addon}/addon-attachments",
            get(addon_attachment::list_of_addon),
        )
        .route("/users/{account}/addons", get(addon::list_of))
        .route("/apps/{app}/addons", get(addon::list_of_app).post(addon::create))
        .route(
            "/apps/{app}/addons/{addon}",
            get(addon::info_of_app).patch(addon::update).delete(addon::delete),
        )
        .route("/actions/addons/resolve", post(addon::resolve))
        .route(
            "/addon-attachments",
            get(addon_attachment::list).post(addon_attachment::create),
        )
        .route(
            "/addon-attachments/{attachment}",
            get(addon_attachment::info).delete(addon_attachment::delete),
        )
        .route("/apps/{app}/addon-attachments", get(addon_attachment::list_of_app))
        .route(
            "/apps/{app}/addon-attachments/{attachment}",
            get(addon_attachment::info_of_app),
        )
        .route("/actions/addon-attachments/resolve", post(addon_attachment::resolve))
        .route("/addon-services", get(addon_service::list))
        .route("/addon-services/{service}", get(addon_service::info))
        .route("/addon-services/{service}/plans", get(addon_service::plans))
        .route("/addon-services/{service}/plans/{plan}", get(addon_service::plan_of))
        .route("/plans/{plan}", get(addon_service::plan))
}

/// Add-ons that run elsewhere.
fn addon_providers() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/addon-providers",
            get(addon_provider::list).post(addon_provider::create),
        )
        .route("/addon-providers/{provider}", delete(addon_provider::delete))
        .route("/addons/{addon}/sso", get(addon_sso::show))
        .route(
            "/addons/{addon}/config",
            get(addon_partner::config).patch(addon_partner::set_config),
        )
        .route("/addons/{addon}/log-drains", get(addon_log::list))
        .route(
            "/addons/{addon}/log-drains/{drain}",
            get(addon_log::info).put(addon_log::update),
        )
        .route("/logs", post(addon_log::write))
        .route("/addons/{addon}/actions/provision", post(addon_partner::provision))
        .route("/addons/{addon}/actions/deprovision", post(addon_partner::deprovision))
}

/// What there is none of.
fn absent() -> Router<Arc<Api>> {
    Router::new()
        .route("/apps/{app}/pipeline-couplings", get(absent::pipeline_coupling))
        .route("/apps/{app}/review-app", get(absent::review_app))
        .route("/apps/{app}/oci-images", get(absent::list_of_app))
        .route("/pipelines", get(absent::list))
        .route("/pipelines/{pipeline}", get(absent::pipeline))
        .route("/pipelines/{pipeline}/pipeline-couplings", get(absent::pipeline))
        .route("/pipeline-couplings", get(absent::list))
        .route("/users/{account}/pipeline-couplings", get(absent::list))
        .route("/spaces", get(absent::list))
        .route("/spaces/{space}", get(absent::space))
        .route("/accounts/{account}/actions/get-quota", get(absent::quota))
}

/// What an app answers to, and how.
fn names() -> Router<Arc<Api>> {
    Router::new()
        .route("/apps/{app}/domains", get(domain::list).post(domain::create))
        .route(
            "/apps/{app}/domains/{domain}",
            get(domain::info).patch(domain::update).delete(domain::delete),
        )
        .route(
            "/apps/{app}/sni-endpoints",
            get(sni_endpoint::list).post(sni_endpoint::create),
        )
        .route(
            "/apps/{app}/sni-endpoints/{endpoint}",
            get(sni_endpoint::info)
                .patch(sni_endpoint::update)
                .delete(sni_endpoint::delete),
        )
        .route(
            "/apps/{app}/acm",
            get(acm::list)
                .post(acm::enable)
                .patch(acm::refresh)
                .delete(acm::disable),
        )
        .route("/apps/{app}/routing", get(routing::info).patch(routing::update))
}

/// Who is told of what.
fn webhooks() -> Router<Arc<Api>> {
    Router::new()
        .route("/apps/{app}/webhooks", get(webhook::list).post(webhook::create))
        .route(
            "/apps/{app}/webhooks/{webhook}",
            get(webhook::info).patch(webhook::update).delete(webhook::delete),
        )
        .route("/apps/{app}/webhook-deliveries", get(webhook_delivery::list))
        .route("/apps/{app}/webhook-deliveries/{delivery}", get(webhook_delivery::info))
        .route("/apps/{app}/webhook-events", get(webhook_delivery::events))
        .route("/apps/{app}/webhook-events/{event}", get(webhook_delivery::event))
}

fn runtime() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/apps/{app}/formation",
            get(formation::list).patch(formation::update_all),
        )
        .route(
            "/apps/{app}/formation/{type}",
            get(formation::info).patch(formation::update),
        )
        .route("/apps/{app}/formations/{type}", delete(dyno::restart_type))
        .route("/apps/{app}/formations/{type}/actions/stop", post(dyno::restart_type))
        .route(
            "/apps/{app}/dynos",
            get(dyno::list).post(one_off::create).delete(dyno::restart_all),
        )
        .route("/apps/{app}/dynos/{dyno}", get(dyno::info).delete(dyno::restart))
        .route("/apps/{app}/dynos/{dyno}/actions/stop", post(dyno::restart))
        .route("/apps/{app}/dynos/{dyno}/actions/exec", post(rendezvous::exec))
        .route("/apps/{app}/dynos/{dyno}/actions/forward", post(rendezvous::forward))
        .route("/api/v2", get(exec::list))
        .route("/api/v2/{dyno}", put(exec::reserve))
        .route("/rendezvous/{secret}", get(rendezvous::meet))
        .route("/apps/{app}/available-dyno-sizes", get(dyno_size::list_of_app))
        .route("/apps/{app}/log-sessions", post(log_session::create))
        .route("/logs/{session}", get(log_session::stream))
        .route("/apps/{app}/log-drains", get(log_drain::list).post(log_drain::create))
        .route(
            "/apps/{app}/log-drains/{drain}",
            get(log_drain::info).delete(log_drain::delete),
        )
        .route("/apps/{app}/telemetry-drains", get(absent::list_of_app))
        .route("/telemetry-drains", post(absent::new_telemetry_drain))
        .route(
            "/telemetry-drains/{drain}",
            get(absent::telemetry_drain)
                .patch(absent::telemetry_drain)
                .delete(absent::telemetry_drain),
        )
}

fn deploys() -> Router<Arc<Api>> {
    Router::new()
        .route("/apps/{app}/releases", get(release::list).post(release::create))
        .route("/apps/{app}/releases/{release}", get(release::info))
        .route(
            "/apps/{app}/releases/{release}/config-vars",
            get(config_var::info_of_release),
        )
        .route("/apps/{app}/slugs", post(slug::create))
        .route("/apps/{app}/slugs/{slug}", get(slug::info))
        .route("/slugs/{slug}", get(slug::download))
        .route("/apps/{app}/builds", get(build::list).post(build::create))
        .route("/apps/{app}/builds/{build}", get(build::info).delete(build::cancel))
        .route("/apps/{app}/builds/{build}/result", get(build::result))
        .route("/apps/{app}/images", post(image::create))
        .route("/apps/{app}/build-cache", delete(build::purge_cache))
        .route("/apps/{app}/test-runs", get(test_run::list).post(test_run::create))
        .route(
            "/apps/{app}/test-runs/{test_run}",
            get(test_run::info).patch(test_run::update),
        )
        .route("/apps/{app}/test-runs/{test_run}/test-nodes", get(test_run::nodes))
        .route("/app-setups", post(app_setup::create))
        .route("/app-setups/{setup}", get(app_setup::info))
        .route("/sources", post(source::create))
        .route("/apps/{app}/sources", post(source::create_of_app))
        .route(
            "/uploads/{source}",
            put(source::upload)
                .layer(DefaultBodyLimit::disable())
                .get(source::download),
        )
        .route("/streams/{output}", get(stream::output))
}

/// For those who run the platform.
fn operators() -> Router<Arc<Api>> {
    Router::new()
        .route("/disk", get(disk::info))
        .route("/disk/actions/prune", post(disk::prune))
}

fn catalogue() -> Router<Arc<Api>> {
    Router::new()
        .route("/regions", get(region::list))
        .route("/regions/{region}", get(region::info))
        .route("/stacks", get(stack::list))
        .route("/stacks/{stack}", get(stack::info))
        .route("/apps/{app}/available-stacks", get(stack::list_of_app))
        .route("/dyno-sizes", get(dyno_size::list))
        .route("/dyno-sizes/{size}", get(dyno_size::info))
        .route("/api/v4/current-status", get(status::current))
        .route("/schema", get(schema::info))
        .route("/buildpack-registry/buildpacks", get(buildpack_registry::search))
        .route("/buildpack-registry/buildpacks/{name}", get(buildpack_registry::info))
        .route(
            "/buildpack-registry/buildpacks/{namespace}/{name}",
            get(buildpack_registry::info_in_namespace),
        )
        .route(
            "/buildpack-registry/buildpacks/{name}/revisions",
            get(buildpack_registry::revisions),
        )
        .route(
            "/buildpack-registry/buildpacks/{name}/readme",
            get(buildpack_registry::readme),
        )
}

#[cfg(test)]
mod tests;

//! The table of all endpoints: what each wants of whoever calls it.
//!
//! Which permission opens what is Heroku's (Dev Center, *App Permissions and Allowed Actions*), and so is what a scope
//! protects (*OAuth*): config vars and whatever else shows secrets want a `-protected` scope, the account itself and
//! its other tokens want `global`. A pattern is written as its route is in `mod.rs`; a test compares the two.

use paas_core::{
    Permissions, Scope,
    TeamAction::{self, Look, SeeMembers},
};

use super::access::Need::{self, Account, App, Free, Login, Public, Team};

const GLOBAL: Scope = Scope::Global;
const IDENTITY: Scope = Scope::Identity;
const READ: Scope = Scope::Read;
const WRITE: Scope = Scope::Write;
const READ_PROTECTED: Scope = Scope::ReadProtected;
const WRITE_PROTECTED: Scope = Scope::WriteProtected;

const VIEW: Permissions = Permissions::VIEW;
const DEPLOY: Permissions = Permissions::DEPLOY;
const OPERATE: Permissions = Permissions::OPERATE;
const MANAGE: Permissions = Permissions::MANAGE;
const RULE: TeamAction = TeamAction::Manage;
/// What both of them open: config vars, one-off dynos, scale, rollback, maintenance.
pub(super) const RUN: Permissions = DEPLOY.with(OPERATE);

/// Sorted by room, as in `mod.rs`.
pub(super) const NEEDS: &[(&str, Need)] = &[
    // people
    ("GET /account", Account(IDENTITY)),
    ("PATCH /account", Account(GLOBAL)),
    ("GET /account/rate-limits", Free(IDENTITY)),
    ("GET /account/features", Account(IDENTITY)),
    ("GET /account/features/{feature}", Account(IDENTITY)),
    ("PATCH /account/features/{feature}", Account(GLOBAL)),
    ("GET /users/{account}", Account(IDENTITY)),
    ("PATCH /users/{account}", Account(GLOBAL)),
    ("GET /users/{account}/apps", Account(READ)),
    ("GET /oauth/authorizations", Account(GLOBAL)),
    ("POST /oauth/authorizations", Login),
    ("GET /oauth/authorizations/{authorization}", Account(GLOBAL)),
    ("DELETE /oauth/authorizations/{authorization}", Account(GLOBAL)),
    ("PATCH /oauth/authorizations/{authorization}", Account(GLOBAL)),
    (
        "POST /oauth/authorizations/{authorization}/actions/regenerate-tokens",
        Account(GLOBAL),
    ),
    ("GET /oauth/sessions", Account(GLOBAL)),
    ("DELETE /oauth/sessions/{session}", Account(GLOBAL)),
    ("GET /account/keys", Account(GLOBAL)),
    ("POST /account/keys", Account(GLOBAL)),
    ("GET /account/keys/{key}", Account(GLOBAL)),
    ("DELETE /account/keys/{key}", Account(GLOBAL)),
    ("POST /account/two-factor", Account(GLOBAL)),
    ("POST /account/two-factor/actions/confirm", Account(GLOBAL)),
    ("POST /account/recovery-codes", Account(GLOBAL)),
    ("GET /oauth/clients", Account(GLOBAL)),
    ("POST /oauth/clients", Account(GLOBAL)),
    ("GET /oauth/clients/{client}", Account(GLOBAL)),
    ("PATCH /oauth/clients/{client}", Account(GLOBAL)),
    ("DELETE /oauth/clients/{client}", Account(GLOBAL)),
    (
        "POST /oauth/clients/{client}/actions/rotate-credentials",
        Account(GLOBAL),
    ),
    // A login in a browser: who asks has no token yet, and each address is a secret.
    ("POST /auth", Public),
    ("GET /auth/{login}", Public),
    ("GET /login/{login}", Public),
    ("POST /login/{login}", Public),
    // What people allow to programs: who asks shows a password, a secret address, or a code and the secret of the program.
    ("GET /oauth/authorize", Public),
    ("GET /oauth/authorize/{grant}", Public),
    ("POST /oauth/authorize/{grant}", Public),
    ("POST /oauth/token", Public),
    // teams
    ("GET /teams", Account(READ)),
    ("POST /teams", Account(GLOBAL)),
    ("GET /teams/permissions", Account(READ)),
    ("GET /teams/{team}", Team(Look, READ)),
    ("PATCH /teams/{team}", Team(RULE, GLOBAL)),
    ("DELETE /teams/{team}", Team(RULE, GLOBAL)),
    ("GET /teams/{team}/features", Team(Look, READ)),
    ("GET /teams/{team}/features/{feature}", Team(Look, READ)),
    ("GET /teams/{team}/invitations", Team(SeeMembers, READ)),
    ("PUT /teams/{team}/invitations", Team(RULE, GLOBAL)),
    ("DELETE /teams/{team}/invitations/{invitation}", Team(RULE, GLOBAL)),
    ("GET /teams/{team}/members", Team(SeeMembers, READ)),
    ("PUT /teams/{team}/members", Team(RULE, GLOBAL)),
    ("POST /teams/{team}/members", Team(RULE, GLOBAL)),
    ("PATCH /teams/{team}/members", Team(RULE, GLOBAL)),
    // Its handler asks for more, unless it is oneself who leaves.
    ("DELETE /teams/{team}/members/{member}", Team(Look, GLOBAL)),
    ("GET /teams/{team}/members/{member}/apps", Team(SeeMembers, READ)),
    ("GET /teams/{team}/apps", Team(Look, READ)),
    // Its handler asks for more when it names a team.
    ("POST /teams/apps", Account(WRITE)),
    ("GET /teams/apps/{app}", App(VIEW, READ)),
    ("PATCH /teams/apps/{app}", App(MANAGE, WRITE)),
    // Members add themselves, and whoever was added leaves: the handlers ask for more when it is somebody else.
    ("GET /teams/apps/{app}/collaborators", App(VIEW, READ)),
    ("POST /teams/apps/{app}/collaborators", App(VIEW, WRITE)),
    ("GET /teams/apps/{app}/collaborators/{collaborator}", App(VIEW, READ)),
    (
        "PATCH /teams/apps/{app}/collaborators/{collaborator}",
        App(MANAGE, WRITE),
    ),
    (
        "DELETE /teams/apps/{app}/collaborators/{collaborator}",
        App(VIEW, WRITE),
    ),
    ("GET /apps/{app}/collaborators", App(VIEW, READ)),
    ("POST /apps/{app}/collaborators", App(VIEW, WRITE)),
    ("GET /apps/{app}/collaborators/{collaborator}", App(VIEW, READ)),
    ("DELETE /apps/{app}/collaborators/{collaborator}", App(VIEW, WRITE)),
    // The handlers ask who owns the app, and to whom it was offered.
    ("GET /account/app-transfers", Account(READ)),
    ("POST /account/app-transfers", Account(WRITE)),
    ("GET /account/app-transfers/{transfer}", Account(READ)),
    ("PATCH /account/app-transfers/{transfer}", Account(WRITE)),
    ("DELETE /account/app-transfers/{transfer}", Account(WRITE)),
    // apps
    ("GET /apps", Account(READ)),
    ("POST /apps", Account(WRITE)),
    ("GET /apps/{app}", App(VIEW, READ)),
    // Its handler asks for more: a rename, the maintenance mode and the stack want different permissions.
    ("PATCH /apps/{app}", App(RUN.with(MANAGE), WRITE)),
    ("DELETE /apps/{app}", App(MANAGE, WRITE)),
    ("GET /apps/{app}/config-vars", App(RUN, READ_PROTECTED)),
    ("PATCH /apps/{app}/config-vars", App(RUN, WRITE_PROTECTED)),
    ("GET /apps/{app}/buildpack-installations", App(VIEW, READ)),
    ("PUT /apps/{app}/buildpack-installations", App(RUN, WRITE)),
    ("POST /filters/apps", Account(READ)),
    ("GET /apps/{app}/features", App(VIEW, READ)),
    ("GET /apps/{app}/features/{feature}", App(VIEW, READ)),
    ("PATCH /apps/{app}/features/{feature}", App(OPERATE, WRITE)),
    // addons
    ("GET /addons", Account(READ)),
    // Which apps pay for it and use it is asked for by the handlers of those whose path names no app.
    ("GET /addons/{addon}", Account(READ)),
    ("GET /addon-exposures", Account(READ)),
    ("GET /addons/{addon}/exposure", Account(READ_PROTECTED)),
    ("PUT /addons/{addon}/exposure", Account(WRITE_PROTECTED)),
    ("DELETE /addons/{addon}/exposure", Account(WRITE)),
    ("POST /addons/{addon}/actions/client", Account(WRITE_PROTECTED)),
    ("POST /addons/{addon}/actions/copy", Account(WRITE_PROTECTED)),
    (
        "POST /addons/{addon}/actions/rotate-credentials",
        Account(WRITE_PROTECTED),
    ),
    ("GET /addons/{addon}/addon-attachments", Account(READ)),
    ("GET /users/{account}/addons", Account(READ)),
    ("GET /apps/{app}/addons", App(VIEW, READ)),
    ("POST /apps/{app}/addons", App(OPERATE, WRITE)),
    ("GET /apps/{app}/addons/{addon}", App(VIEW, READ)),
    ("PATCH /apps/{app}/addons/{addon}", App(OPERATE, WRITE)),
    ("DELETE /apps/{app}/addons/{addon}", App(OPERATE, WRITE)),
    ("POST /actions/addons/resolve", Account(READ)),
    ("GET /addon-attachments", Account(READ)),
    ("POST /addon-attachments", Account(WRITE_PROTECTED)),
    ("GET /addon-attachments/{attachment}", Account(READ)),
    ("DELETE /addon-attachments/{attachment}", Account(WRITE)),
    ("GET /apps/{app}/addon-attachments", App(VIEW, READ)),
    ("GET /apps/{app}/addon-attachments/{attachment}", App(VIEW, READ)),
    ("POST /actions/addon-attachments/resolve", Account(READ)),
    // Providers: the operator's choice. What they say themselves comes with a token of the add-on, which the handlers ask for.
    ("GET /addon-providers", Account(READ)),
    ("POST /addon-providers", Account(GLOBAL)),
    ("DELETE /addon-providers/{provider}", Account(GLOBAL)),
    ("GET /addons/{addon}/sso", Account(READ_PROTECTED)),
    ("GET /addons/{addon}/config", Public),
    ("PATCH /addons/{addon}/config", Public),
    ("POST /addons/{addon}/actions/provision", Public),
    ("POST /addons/{addon}/actions/deprovision", Public),
    // Backups: an app of this name may be gone. The handlers ask for permissions on it, or who owned it.
    ("GET /client/v11/apps/{name}/transfers", Account(READ)),
    ("GET /client/v11/apps/{name}/transfers/{transfer}", Account(READ)),
    ("DELETE /client/v11/apps/{name}/transfers/{transfer}", Account(WRITE)),
    (
        "POST /client/v11/apps/{name}/transfers/{transfer}/actions/cancel",
        Account(WRITE),
    ),
    (
        "POST /client/v11/apps/{name}/transfers/{transfer}/actions/prove",
        Account(WRITE),
    ),
    (
        "POST /client/v11/apps/{name}/transfers/{transfer}/actions/public-url",
        Account(WRITE_PROTECTED),
    ),
    ("GET /client/v11/databases/{addon}", Account(READ)),
    ("POST /client/v11/databases/{addon}/backups", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/restores", Account(WRITE_PROTECTED)),
    ("POST /client/v11/databases/{addon}/transfers", Account(WRITE_PROTECTED)),
    ("GET /client/v11/databases/{addon}/transfer-schedules", Account(READ)),
    ("POST /client/v11/databases/{addon}/transfer-schedules", Account(WRITE)),
    (
        "DELETE /client/v11/databases/{addon}/transfer-schedules/{schedule}",
        Account(WRITE),
    ),
    ("GET /backups/{segment}", Public),
    ("GET /addon-services", Account(IDENTITY)),
    ("GET /addon-services/{service}", Account(IDENTITY)),
    ("GET /addon-services/{service}/plans", Account(IDENTITY)),
    ("GET /addon-services/{service}/plans/{plan}", Account(IDENTITY)),
    ("GET /plans/{plan}", Account(IDENTITY)),
    // credentials
    ("GET /addons/{addon}/config/{namespace}", Account(READ_PROTECTED)),
    (
        "GET /postgres/v0/databases/{addon}/credentials",
        Account(READ_PROTECTED),
    ),
    (
        "POST /postgres/v0/databases/{addon}/credentials",
        Account(WRITE_PROTECTED),
    ),
    (
        "GET /postgres/v0/databases/{addon}/credentials/{credential}",
        Account(READ_PROTECTED),
    ),
    (
        "DELETE /postgres/v0/databases/{addon}/credentials/{credential}",
        Account(WRITE_PROTECTED),
    ),
    (
        "POST /postgres/v0/databases/{addon}/credentials/{credential}/credentials_rotation",
        Account(WRITE_PROTECTED),
    ),
    (
        "POST /postgres/v0/databases/{addon}/credentials_rotation",
        Account(WRITE_PROTECTED),
    ),
    (
        "POST /postgres/v0/databases/{addon}/repair-default",
        Account(WRITE_PROTECTED),
    ),
    // data stores
    ("GET /client/v11/databases/{addon}/wait_status", Account(READ)),
    ("PUT /client/v11/databases/{addon}/reset", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/connection_reset", Account(WRITE)),
    ("PUT /client/v11/databases/{addon}/stats_reset", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/upgrade/prepare", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/upgrade/dry_run", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/upgrade/run", Account(WRITE)),
    ("POST /client/v11/databases/{addon}/upgrade/cancel", Account(WRITE)),
    ("GET /client/v11/databases/{addon}/upgrade/wait_status", Account(READ)),
    ("GET /postgres/v0/databases/{addon}/config", Account(READ)),
    ("PATCH /postgres/v0/databases/{addon}/config", Account(WRITE)),
    ("GET /redis/v0/databases/{addon}", Account(READ_PROTECTED)),
    ("GET /redis/v0/databases/{addon}/wait", Account(READ)),
    ("POST /redis/v0/databases/{addon}/upgrade", Account(WRITE)),
    ("GET /redis/v0/databases/{addon}/config", Account(READ)),
    ("PATCH /redis/v0/databases/{addon}/config", Account(WRITE)),
    (
        "POST /redis/v0/databases/{addon}/credentials_rotation",
        Account(WRITE_PROTECTED),
    ),
    ("POST /redis/v0/databases/{addon}/stats/reset", Account(WRITE)),
    // absent
    ("GET /apps/{app}/pipeline-couplings", App(VIEW, READ)),
    ("GET /apps/{app}/review-app", App(VIEW, READ)),
    ("GET /apps/{app}/oci-images", App(VIEW, READ)),
    ("GET /pipelines", Account(READ)),
    ("GET /pipelines/{pipeline}", Account(READ)),
    ("GET /pipelines/{pipeline}/pipeline-couplings", Account(READ)),
    ("GET /pipeline-couplings", Account(READ)),
    ("GET /users/{account}/pipeline-couplings", Account(READ)),
    ("GET /spaces", Account(READ)),
    ("GET /spaces/{space}", Account(READ)),
    ("GET /accounts/{account}/actions/get-quota", Account(IDENTITY)),
    // names
    ("GET /apps/{app}/domains", App(VIEW, READ)),
    ("POST /apps/{app}/domains", App(OPERATE, WRITE)),
    ("GET /apps/{app}/domains/{domain}", App(VIEW, READ)),
    ("PATCH /apps/{app}/domains/{domain}", App(OPERATE, WRITE)),
    ("DELETE /apps/{app}/domains/{domain}", App(OPERATE, WRITE)),
    ("GET /apps/{app}/sni-endpoints", App(VIEW, READ)),
    ("POST /apps/{app}/sni-endpoints", App(OPERATE, WRITE)),
    ("GET /apps/{app}/sni-endpoints/{endpoint}", App(VIEW, READ)),
    ("PATCH /apps/{app}/sni-endpoints/{endpoint}", App(OPERATE, WRITE)),
    ("DELETE /apps/{app}/sni-endpoints/{endpoint}", App(OPERATE, WRITE)),
    ("GET /apps/{app}/acm", App(VIEW, READ)),
    ("POST /apps/{app}/acm", App(OPERATE, WRITE)),
    ("PATCH /apps/{app}/acm", App(OPERATE, WRITE)),
    ("DELETE /apps/{app}/acm", App(OPERATE, WRITE)),
    ("GET /apps/{app}/routing", App(VIEW, READ)),
    ("PATCH /apps/{app}/routing", App(OPERATE, WRITE)),
    // webhooks
    // There may be passwords in their URLs.
    ("GET /apps/{app}/webhooks", App(OPERATE, READ_PROTECTED)),
    ("POST /apps/{app}/webhooks", App(OPERATE, WRITE_PROTECTED)),
    ("GET /apps/{app}/webhooks/{webhook}", App(OPERATE, READ_PROTECTED)),
    ("PATCH /apps/{app}/webhooks/{webhook}", App(OPERATE, WRITE_PROTECTED)),
    ("DELETE /apps/{app}/webhooks/{webhook}", App(OPERATE, WRITE_PROTECTED)),
    ("GET /apps/{app}/webhook-deliveries", App(OPERATE, READ)),
    ("GET /apps/{app}/webhook-deliveries/{delivery}", App(OPERATE, READ)),
    ("GET /apps/{app}/webhook-events", App(OPERATE, READ)),
    ("GET /apps/{app}/webhook-events/{event}", App(OPERATE, READ)),
    // runtime
    ("GET /apps/{app}/formation", App(VIEW, READ)),
    // Their handlers ask for more when they name images: that is a deploy.
    ("PATCH /apps/{app}/formation", App(RUN, WRITE)),
    ("GET /apps/{app}/formation/{type}", App(VIEW, READ)),
    ("PATCH /apps/{app}/formation/{type}", App(RUN, WRITE)),
    ("DELETE /apps/{app}/formations/{type}", App(RUN, WRITE)),
    ("POST /apps/{app}/formations/{type}/actions/stop", App(RUN, WRITE)),
    ("GET /apps/{app}/dynos", App(VIEW, READ)),
    // Whoever runs a command in an app sees its config vars.
    ("POST /apps/{app}/dynos", App(RUN, WRITE_PROTECTED)),
    ("DELETE /apps/{app}/dynos", App(RUN, WRITE)),
    ("GET /apps/{app}/dynos/{dyno}", App(VIEW, READ)),
    ("DELETE /apps/{app}/dynos/{dyno}", App(RUN, WRITE)),
    ("POST /apps/{app}/dynos/{dyno}/actions/stop", App(RUN, WRITE)),
    ("POST /apps/{app}/dynos/{dyno}/actions/exec", App(RUN, WRITE_PROTECTED)),
    (
        "POST /apps/{app}/dynos/{dyno}/actions/forward",
        App(RUN, WRITE_PROTECTED),
    ),
    // Their app is the user of the credentials.
    ("GET /api/v2", App(VIEW, READ)),
    ("PUT /api/v2/{dyno}", App(RUN, WRITE_PROTECTED)),
    ("GET /rendezvous/{secret}", Public),
    ("GET /apps/{app}/available-dyno-sizes", App(VIEW, READ)),
    ("POST /apps/{app}/log-sessions", App(VIEW, READ)),
    ("GET /logs/{session}", Public),
    // There may be passwords in the URLs of drains.
    ("GET /apps/{app}/log-drains", App(OPERATE, READ_PROTECTED)),
    ("POST /apps/{app}/log-drains", App(OPERATE, WRITE_PROTECTED)),
    ("GET /apps/{app}/log-drains/{drain}", App(OPERATE, READ_PROTECTED)),
    ("DELETE /apps/{app}/log-drains/{drain}", App(OPERATE, WRITE_PROTECTED)),
    ("GET /apps/{app}/telemetry-drains", App(VIEW, READ)),
    ("POST /telemetry-drains", Account(WRITE)),
    ("GET /telemetry-drains/{drain}", Account(READ)),
    ("PATCH /telemetry-drains/{drain}", Account(WRITE)),
    ("DELETE /telemetry-drains/{drain}", Account(WRITE)),
    // deploys
    ("GET /apps/{app}/releases", App(VIEW, READ)),
    ("POST /apps/{app}/releases", App(RUN, WRITE)),
    ("GET /apps/{app}/releases/{release}", App(VIEW, READ)),
    (
        "GET /apps/{app}/releases/{release}/config-vars",
        App(RUN, READ_PROTECTED),
    ),
    ("POST /apps/{app}/slugs", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/slugs/{slug}", App(VIEW, READ)),
    ("GET /slugs/{slug}", Public),
    ("GET /apps/{app}/builds", App(VIEW, READ)),
    ("POST /apps/{app}/builds", App(DEPLOY, WRITE)),
    ("POST /apps/{app}/images", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/builds/{build}", App(VIEW, READ)),
    ("DELETE /apps/{app}/builds/{build}", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/builds/{build}/result", App(VIEW, READ)),
    ("DELETE /apps/{app}/build-cache", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/test-runs", App(VIEW, READ)),
    ("POST /apps/{app}/test-runs", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/test-runs/{test_run}", App(VIEW, READ)),
    ("PATCH /apps/{app}/test-runs/{test_run}", App(DEPLOY, WRITE)),
    ("GET /apps/{app}/test-runs/{test_run}/test-nodes", App(VIEW, READ)),
    // It sets config vars, of an app of its own.
    ("POST /app-setups", Account(WRITE_PROTECTED)),
    ("GET /app-setups/{setup}", Account(READ)),
    ("POST /sources", Account(WRITE)),
    ("POST /apps/{app}/sources", App(DEPLOY, WRITE)),
    ("PUT /uploads/{source}", Public),
    ("GET /uploads/{source}", Public),
    ("GET /streams/{output}", Public),
    // operators: the handlers ask who is one
    ("GET /disk", Account(READ)),
    ("POST /disk/actions/prune", Account(GLOBAL)),
    // catalogue
    ("GET /regions", Account(IDENTITY)),
    ("GET /regions/{region}", Account(IDENTITY)),
    ("GET /stacks", Account(IDENTITY)),
    ("GET /stacks/{stack}", Account(IDENTITY)),
    ("GET /apps/{app}/available-stacks", App(VIEW, READ)),
    ("GET /dyno-sizes", Account(IDENTITY)),
    ("GET /dyno-sizes/{size}", Account(IDENTITY)),
    ("GET /api/v4/current-status", Public),
    ("GET /schema", Public),
    ("GET /buildpack-registry/buildpacks", Public),
    ("GET /buildpack-registry/buildpacks/{name}", Public),
    ("GET /buildpack-registry/buildpacks/{namespace}/{name}", Public),
    ("GET /buildpack-registry/buildpacks/{name}/revisions", Public),
    ("GET /buildpack-registry/buildpacks/{name}/readme", Public),
];

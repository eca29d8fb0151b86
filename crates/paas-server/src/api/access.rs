//! The gate before every endpoint: who is asking, whether the token's scope is wide enough, whether the app may be touched.
//!
//! What an endpoint wants is in one table (`needs.rs`). The gate is a layer around all routes, so no handler can forget
//! it, and a route without an entry in the table answers nobody. Handlers get what the gate has found as [`Caller`],
//! [`OwnApp`] and [`OwnTeam`]; one that wants more than its entry says, because of what a request body holds, asks [`Granted`].

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Path, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{Method, request::Parts};
use paas_api::ErrorId;
use paas_core::{App, AppName, Id, Permission, Permissions, Role, Scope, TeamAction};
use paas_store::{
    account::Account,
    app::{self, AppRow},
    authorization, collaborator,
    team::{self, Team},
};

use super::{
    addon_partner,
    auth::{self, Caller, OwnApp},
    error::ApiError,
    needs::{NEEDS, RUN},
    state::Api,
};
use crate::sessions::{Holder, Session};

/// What an endpoint wants of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: the same answer for everybody, or a URL that is its own permission.
    Public,
    /// The handler itself asks for a password or a token of scope `global`.
    Login,
    /// A token of this scope. Free of charge.
    Free(Scope),
    /// A token of this scope.
    Account(Scope),
    /// A token of this scope, or one of an add-on's provider: the handler asks whether it is for the add-on in the path.
    Addon(Scope),
    /// A token of this scope, and one of these permissions on the app that the path names.
    App(Permissions, Scope),
    /// A token of this scope, and a role that may do this with the team that the path names.
    Team(TeamAction, Scope),
}

/// All that the caller may do with the app that the path names.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) permissions: Permissions,
    app: AppName,
}

/// The team that the path names, of an account that may do with it what the endpoint does.
#[derive(Clone)]
pub(super) struct OwnTeam {
    pub(super) caller: Caller,
    pub(super) team: Team,
    pub(super) role: Role,
}

static TABLE: LazyLock<HashMap<(&str, &str), Need>> = LazyLock::new(|| {
    let split = |&(route, need): &(&'static str, Need)| Some((route.split_once(' ')?, need));
    NEEDS.iter().filter_map(split).collect()
});

/// What the endpoint of this method and pattern wants. `None`: there is no such endpoint.
pub(super) fn need(method: &Method, pattern: &str) -> Option<Need> {
    // A route for GET answers HEAD too.
    let method = if method == Method::HEAD { &Method::GET } else { method };
    TABLE.get(&(method.as_str(), pattern)).copied()
}

/// The layer around all routes.
pub(super) async fn admit(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match check(&api, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(refusal) => refusal.into_response(),
    }
}

async fn check(api: &Arc<Api>, parts: &mut Parts) -> Result<(), ApiError> {
    let pattern = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let need = need(&parts.method, pattern).ok_or_else(ApiError::no_endpoint)?;
    match need {
        Need::Public | Need::Login => {}
        Need::Free(scope) => {
            let caller = Caller::identify(api, parts).await?;
            caller.require(scope)?;
            parts.extensions.insert(caller);
        }
        Need::Account(scope) => {
            let caller = Caller::charge(api, parts).await?;
            caller.require(scope)?;
            parts.extensions.insert(caller);
        }
        Need::Addon(scope) => match Caller::charge(api, parts).await {
            Ok(caller) => {
                caller.require(scope)?;
                parts.extensions.insert(caller);
            }
            Err(_) if addon_partner::is_known(api, &parts.headers).await? => {}
            Err(refusal) => return Err(refusal),
        },
        Need::App(any_of, scope) => {
            let caller = Caller::charge(api, parts).await?;
            caller.require(scope)?;
            let mut name_or_id = segment(api, parts, "app").await?;
            // A client of `ps:exec` names the app as the user of its credentials instead.
            if name_or_id.is_empty()
                && let Some((user, _)) = auth::basic(&parts.headers)
            {
                name_or_id = user;
            }
            let (row, granted) = app_of(api, &caller, &name_or_id).await?;
            granted.require(any_of)?;
            parts.extensions.insert(granted);
            parts.extensions.insert(OwnApp {
                caller: caller.clone(),
                row,
            });
            parts.extensions.insert(caller);
        }
        Need::Team(action, scope) => {
            let caller = Caller::charge(api, parts).await?;
            caller.require(scope)?;
            let name_or_id = segment(api, parts, "team").await?;
            let own = team_of(api, caller, &name_or_id).await?;
            own.require(action)?;
            parts.extensions.insert(own);
        }
    }
    Ok(())
}

async fn segment(api: &Arc<Api>, parts: &mut Parts, name: &str) -> Result<String, ApiError> {
    let Path(mut segments) = Path::<HashMap<String, String>>::from_request_parts(parts, api).await?;
    Ok(segments.remove(name).unwrap_or_default())
}

/// An app, if the caller gets to see it.
pub(super) async fn app_of(api: &Api, caller: &Caller, name_or_id: &str) -> Result<(AppRow, Granted), ApiError> {
    let mut connection = api.connection().await?;
    let row = app::find(&mut connection, name_or_id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("app"))?;
    let standing = collaborator::standing(&mut connection, row.app.id, caller.account.id).await?;
    let permissions = standing.permissions();
    if permissions.is_empty() {
        return Err(no_access(&row));
    }
    let granted = Granted {
        permissions,
        app: row.app.name.clone(),
    };
    Ok((row, granted))
}

async fn team_of(api: &Api, caller: Caller, name_or_id: &str) -> Result<OwnTeam, ApiError> {
    let mut connection = api.connection().await?;
    let team = team::find(&mut connection, name_or_id).await?;
    let team = team.ok_or_else(|| ApiError::not_found("team"))?;
    match team::role(&mut connection, team.id, caller.account.id).await? {
        Some(role) => Ok(OwnTeam { caller, team, role }),
        None => Err(ApiError::new(
            ErrorId::Forbidden,
            format!("You do not have access to the team {}.", team.name),
        )),
    }
}

/// Registers what somebody opens without their token, by a URL that was made for them. `None`: their token is not good any
/// more, or they do not get to see the app.
pub(super) async fn hold(api: &Api, holder: Holder) -> Result<Option<Session>, ApiError> {
    let session = api.platform.sessions.begin(holder);
    let mut connection = api.connection().await?;
    let app = app::find(&mut connection, &holder.app.to_string()).await?;
    let standing = collaborator::standing(&mut connection, holder.app, holder.account).await?;
    let living = authorization::living(&mut connection, &[holder.authorization], api.now()).await?;
    let may = app.is_some() && !living.is_empty() && standing.permissions().contains(Permission::View);
    Ok(may.then_some(session))
}

/// Ends what people hold open on an app who may not run anything there any more: a shell must end, and whoever still gets to
/// see the log follows it anew. To be called after the change has committed.
pub(super) async fn end_lost_sessions(api: &Api, app: Id<App>) -> Result<(), ApiError> {
    let sessions = &api.platform.sessions;
    let mut connection = api.connection().await?;
    for account in sessions.accounts_on(app) {
        let standing = collaborator::standing(&mut connection, app, account).await?;
        if !standing.permissions().any_of(RUN) {
            sessions.end_of(app, account);
        }
    }
    // What they have exposed ends, too.
    api.platform.wake.notify_one();
    Ok(())
}

/// The same for one of them, who has lost a right.
pub(super) fn end_sessions_of(api: &Api, app: Id<App>, account: Id<Account>) {
    api.platform.sessions.end_of(app, account);
    api.platform.wake.notify_one();
}

/// That an app's name is taken is no secret: its host answers to everybody.
fn no_access(row: &AppRow) -> ApiError {
    ApiError::new(
        ErrorId::Forbidden,
        format!("You do not have access to the app {}.", row.app.name),
    )
}

impl Granted {
    /// Refuses callers who have none of these permissions on the app.
    pub(super) fn require(&self, any_of: Permissions) -> Result<(), ApiError> {
        if self.permissions.any_of(any_of) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorId::Forbidden,
            format!(
                "You do not have the {any_of} permission on the app {}. Please ask its owner.",
                self.app
            ),
        ))
    }
}

impl FromRequestParts<Arc<Api>> for Granted {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        let granted = parts.extensions.get::<Self>().cloned();
        granted.ok_or_else(|| ApiError::not_found("app"))
    }
}

impl OwnTeam {
    /// Refuses callers whose role does not reach that far.
    pub(super) fn require(&self, action: TeamAction) -> Result<(), ApiError> {
        if self.role.may(action) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorId::Forbidden,
            format!(
                "Your role in the team {0} is {1}, which does not allow this. Its admins can change that: see `paas \
                 members --team {0}`.",
                self.team.name,
                self.role.as_str()
            ),
        ))
    }
}

impl FromRequestParts<Arc<Api>> for OwnTeam {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Api>) -> Result<Self, ApiError> {
        let own = parts.extensions.get::<Self>().cloned();
        own.ok_or_else(|| ApiError::not_found("team"))
    }
}

impl Caller {
    /// Refuses tokens whose scope is too narrow.
    pub(super) fn require(&self, needed: Scope) -> Result<(), ApiError> {
        if Scope::any_covers(&self.authorization.scope, needed) {
            return Ok(());
        }
        Err(ApiError::new(
            ErrorId::Forbidden,
            format!(
                "The scope of this OAuth authorization does not allow access to this resource. It takes {}: see `paas \
                 authorizations:create --help`.",
                needed.as_str()
            ),
        ))
    }
}

#[cfg(test)]
mod tests;

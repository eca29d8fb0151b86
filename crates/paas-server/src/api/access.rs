//! The gate before every endpoint: who is asking, whether the token's scope is wide enough, whether the app may be touched.
//!
//! What an endpoint wants is in one table (`needs.rs`). The gate is a layer around all routes, so no handler can forget
//! it, and a route without an entry in the table answers nobody. Handlers get what the gate has found as [`Caller`] and
//! [`OwnApp`]; one that wants more than its entry says, because of what a request body holds, asks [`Granted`].

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
use paas_core::{AppName, Permissions, Scope};
use paas_store::app::{self, AppRow};

use super::{
    auth::{Caller, OwnApp},
    error::ApiError,
    needs::NEEDS,
    state::Api,
};

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
    /// A token of this scope, and one of these permissions on the app that the path names.
    App(Permissions, Scope),
}

/// All that the caller may do with the app that the path names.
#[derive(Clone)]
pub(super) struct Granted {
    pub(super) permissions: Permissions,
    app: AppName,
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
        Need::App(any_of, scope) => {
            let caller = Caller::charge(api, parts).await?;
            caller.require(scope)?;
            let (row, granted) = own_app(api, parts, &caller).await?;
            granted.require(any_of)?;
            parts.extensions.insert(granted);
            parts.extensions.insert(OwnApp {
                caller: caller.clone(),
                row,
            });
            parts.extensions.insert(caller);
        }
    }
    Ok(())
}

/// The app that the path names, if the caller gets to see it.
async fn own_app(api: &Arc<Api>, parts: &mut Parts, caller: &Caller) -> Result<(AppRow, Granted), ApiError> {
    let Path(segments) = Path::<HashMap<String, String>>::from_request_parts(parts, api).await?;
    let name_or_id = segments.get("app").map_or("", String::as_str);
    let mut connection = api.connection().await?;
    let row = app::find(&mut connection, name_or_id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("app"))?;
    let permissions = if row.owner.id == caller.account.id {
        Permissions::ALL
    } else {
        Permissions::NONE
    };
    if permissions.is_empty() {
        return Err(no_access(&row));
    }
    let granted = Granted {
        permissions,
        app: row.app.name.clone(),
    };
    Ok((row, granted))
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

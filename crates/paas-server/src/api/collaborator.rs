//! Collaborators: who works on an app beside its owner.
//!
//! The same handlers answer for `/apps/{app}` and for `/teams/apps/{app}`: which of the two an app is found under makes no
//! difference, what it is does.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{CollaboratorUpdate, CollaboratorUser, NewCollaborator};
use paas_core::{Permission, Permissions, Role, Standing};
use paas_store::{
    StoreError,
    app::{self as app_rows, AppRow, Owner},
    collaborator::{self, Collaborator},
    team,
};

use super::{
    access::{self, Granted},
    account::is_caller,
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    page::Page,
    resource,
    state::Api,
    user,
};

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Page<paas_api::Collaborator>, ApiError> {
    let mut connection = api.connection().await?;
    let collaborators = collaborator::list(&mut connection, row.app.id).await?;
    let others = collaborators.into_iter().map(|other| answer(&row, other));
    Ok(Page::whole(std::iter::once(owner(&row)).chain(others).collect()))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::Collaborator>, ApiError> {
    let name = user::own_name(&name, &caller.account);
    let owner = owner(&row);
    if name.eq_ignore_ascii_case(&owner.user.email) || name == owner.id.to_string() {
        return Ok(Json(owner));
    }
    let mut connection = api.connection().await?;
    let found = collaborator::find(&mut connection, row.app.id, &name).await?;
    let found = found.ok_or_else(|| ApiError::not_found("collaborator"))?;
    Ok(Json(answer(&row, found)))
}

/// Members of a team may add themselves to its apps; for everything else it takes somebody who may share the app.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    granted: Granted,
    Body(new): Body<NewCollaborator>,
) -> Result<(StatusCode, Json<paas_api::Collaborator>), ApiError> {
    let NewCollaborator {
        permissions,
        silent: _,
        user,
    } = new;
    let mut transaction = api.store().begin().await?;
    if let Some(team) = row.owner.team() {
        // Whoever is being removed from the team does not join one of its apps meanwhile.
        team::lock(&mut transaction, team.id).await?;
    }
    // Nor does anybody join one whose owner changes meanwhile.
    if !app_rows::lock(&mut transaction, row.app.id).await? {
        return Err(ApiError::not_found("app"));
    }
    let user = user::find(&mut transaction, user.as_str(), &caller.account).await?;
    let standing = collaborator::standing(&mut transaction, row.app.id, user.id).await?;
    let joins = user.id == caller.account.id && standing.may_join() && !granted.permissions.any_of(Permissions::SHARE);
    let permissions = if joins {
        Standing::COLLABORATOR
    } else {
        granted.require(Permissions::SHARE)?;
        match permissions {
            Some(names) => given(&row, &names)?,
            None => Standing::COLLABORATOR,
        }
    };
    if standing.is_owner {
        return Err(ApiError::invalid(format!(
            "{} owns the app {}: there is nothing to add.",
            user.email, row.app.name
        )));
    }
    let stamp = api.stamp(&caller.account);
    let made = collaborator::create(&mut transaction, row.app.id, user.id, permissions, stamp).await;
    let made = made.map_err(|error| match error {
        StoreError::CollaboratorTaken => ApiError::invalid(format!(
            "{} is a collaborator on the app {} already. To change what they may do, run: paas access:update {0} \
             --permissions …",
            user.email, row.app.name
        )),
        other => other.into(),
    })?;
    transaction.commit().await?;
    Ok((StatusCode::CREATED, Json(answer(&row, made))))
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<CollaboratorUpdate>,
) -> Result<Json<paas_api::Collaborator>, ApiError> {
    let permissions = given(&row, &update.permissions)?;
    let mut transaction = api.store().begin().await?;
    let found = find(&mut transaction, &row, &user::own_name(&name, &caller.account)).await?;
    let before = found.standing.permissions();
    let stamp = api.stamp(&caller.account);
    let changed = collaborator::set_permissions(&mut transaction, row.app.id, found.id, permissions, stamp).await?;
    let changed = changed.ok_or_else(|| ApiError::not_found("collaborator"))?;
    transaction.commit().await?;
    let after = changed.standing.permissions();
    if before.with(after) != after {
        access::end_sessions_of(&api, row.app.id, changed.user.id);
    }
    Ok(Json(answer(&row, changed)))
}

/// Whoever was added may leave.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    granted: Granted,
) -> Result<Json<paas_api::Collaborator>, ApiError> {
    let name = user::own_name(&name, &caller.account);
    if is_caller(&name, &caller.account).is_err() {
        granted.require(Permissions::SHARE)?;
    }
    if name.eq_ignore_ascii_case(&row.owner.email()) {
        return Err(ApiError::invalid(format!(
            "{name} owns the app {0} and cannot leave it. To give it to somebody else, run: paas apps:transfer -a {0}",
            row.app.name
        )));
    }
    let mut transaction = api.store().begin().await?;
    let found = find(&mut transaction, &row, &name).await?;
    let stamp = api.stamp(&caller.account);
    if !collaborator::delete(&mut transaction, row.app.id, found.id, stamp).await? {
        return Err(ApiError::not_found("collaborator"));
    }
    let user = found.user.id;
    let gone = answer(&row, found);
    resource::describe_end(&mut transaction, &gone.id, &gone).await?;
    transaction.commit().await?;
    access::end_sessions_of(&api, row.app.id, user);
    Ok(Json(gone))
}

async fn find(connection: &mut paas_store::PgConnection, row: &AppRow, name: &str) -> Result<Collaborator, ApiError> {
    let found = collaborator::find(connection, row.app.id, name).await?;
    found.ok_or_else(|| ApiError::not_found("collaborator"))
}

/// Permissions by their names, for the app of a team.
fn given(row: &AppRow, names: &[String]) -> Result<Permissions, ApiError> {
    if row.owner.team().is_none() {
        return Err(ApiError::invalid(format!(
            "The app {} is not owned by a team: its collaborators have all that collaborators can have. Leave out \
             permissions.",
            row.app.name
        )));
    }
    let parsed = names.iter().map(|name| name.parse::<Permission>());
    Ok(Permissions::given(parsed.collect::<Result<Vec<_>, _>>()?))
}

fn owner(row: &AppRow) -> paas_api::Collaborator {
    paas_api::Collaborator {
        app: app::reference(&row.app),
        created_at: row.app.created_at.into(),
        // There is one for as long as the app exists: its id serves for both.
        id: *row.app.id.as_uuid(),
        permissions: permissions(Permissions::ALL),
        role: Some(Role::Owner.as_str().to_owned()),
        updated_at: row.app.created_at.into(),
        user: CollaboratorUser {
            email: row.owner.email(),
            federated: false,
            id: match &row.owner {
                Owner::Account(account) => *account.id.as_uuid(),
                Owner::Team(team) => *team.id.as_uuid(),
            },
        },
    }
}

pub(super) fn answer(row: &AppRow, collaborator: Collaborator) -> paas_api::Collaborator {
    let Collaborator {
        id,
        user,
        standing,
        created_at,
        updated_at,
    } = collaborator;
    paas_api::Collaborator {
        app: app::reference(&row.app),
        created_at: created_at.into(),
        id: *id.as_uuid(),
        permissions: permissions(standing.permissions()),
        role: standing.role().map(|role| role.as_str().to_owned()),
        updated_at: updated_at.into(),
        user: CollaboratorUser {
            email: user.email,
            federated: false,
            id: *user.id.as_uuid(),
        },
    }
}

/// As the wire has them, by name.
pub(super) fn permissions(permissions: Permissions) -> Vec<paas_api::Permission> {
    let named = permissions.named().map(|permission| paas_api::Permission {
        description: permission.description().to_owned(),
        name: permission.as_str().to_owned(),
    });
    named.collect()
}

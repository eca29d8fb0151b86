//! Who is in a team, and as what.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{TeamMemberUpdate, TeamMemberUser};
use paas_core::{Role, TeamAction};
use paas_store::{
    PgConnection, StoreError, app,
    team::Team,
    team_member::{self, TeamMember},
};

use super::{
    access::{self, OwnTeam},
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
    team_app, user,
};

const FIELDS: [Field<TeamMember>; 2] = [
    Field {
        name: "email",
        key: |member| Key::Text(member.user.email.to_lowercase()),
    },
    Field {
        name: "id",
        key: |member| Key::Text(member.id.to_string()),
    },
];

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnTeam { team, .. }: OwnTeam,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::TeamMember>, ApiError> {
    let mut connection = api.connection().await?;
    let members = team_member::list(&mut connection, team.id).await?;
    Ok(page(&range, members, &FIELDS)?.map(answer))
}

/// Adds somebody, or changes what they are.
pub(super) async fn put(
    state: State<Arc<Api>>,
    own: OwnTeam,
    Body(update): Body<TeamMemberUpdate>,
) -> Result<Json<paas_api::TeamMember>, ApiError> {
    Ok(Json(set(state, own, update, |_| Ok(())).await?))
}

/// Adds somebody who is not in the team yet.
pub(super) async fn create(
    state: State<Arc<Api>>,
    own: OwnTeam,
    Body(update): Body<TeamMemberUpdate>,
) -> Result<(StatusCode, Json<paas_api::TeamMember>), ApiError> {
    let email = update.email.clone();
    let is_new = |before: Option<Role>| match before {
        None | Some(Role::Collaborator) => Ok(()),
        Some(role) => Err(ApiError::invalid(format!(
            "{email} is in this team already, as {}. To change that, run: paas members:set {email} --role ROLE",
            role.as_str()
        ))),
    };
    Ok((StatusCode::CREATED, Json(set(state, own, update, is_new).await?)))
}

/// Changes what a member is.
pub(super) async fn update(
    state: State<Arc<Api>>,
    own: OwnTeam,
    Body(update): Body<TeamMemberUpdate>,
) -> Result<Json<paas_api::TeamMember>, ApiError> {
    let is_member = |before: Option<Role>| match before {
        None | Some(Role::Collaborator) => Err(ApiError::not_found("team member")),
        Some(_) => Ok(()),
    };
    Ok(Json(set(state, own, update, is_member).await?))
}

/// Members may leave by themselves.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    own: OwnTeam,
) -> Result<Json<paas_api::TeamMember>, ApiError> {
    let name = user::own_name(&name, &own.caller.account);
    let mut transaction = api.store().begin().await?;
    let Some(member) = find(&mut transaction, &own.team, &name).await? else {
        // Who is in the team is for those to know who may see it.
        own.require(TeamAction::Manage)?;
        return Err(ApiError::not_found("team member"));
    };
    if member.user.id != own.caller.account.id {
        own.require(TeamAction::Manage)?;
    }
    let stamp = api.stamp(&own.caller.account);
    let apps = team_member::remove(&mut transaction, own.team.id, member.user.id, stamp).await?;
    let apps = apps.ok_or_else(|| ApiError::not_found("team member"))?;
    transaction.commit().await?;
    for app in apps {
        access::end_sessions_of(&api, app, member.user.id);
    }
    Ok(Json(answer(member)))
}

/// The team's apps that one of its members gets to see.
pub(super) async fn apps(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    own: OwnTeam,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::TeamApp>, ApiError> {
    let name = user::own_name(&name, &own.caller.account);
    let mut connection = api.connection().await?;
    let member = find(&mut connection, &own.team, &name).await?;
    let member = member.ok_or_else(|| ApiError::not_found("team member"))?;
    if member.user.id != own.caller.account.id {
        own.require(TeamAction::Manage)?;
    }
    team_app::seen_by(&api, &mut connection, &own.team, member.user.id, &range).await
}

async fn set(
    State(api): State<Arc<Api>>,
    OwnTeam { caller, team, .. }: OwnTeam,
    update: TeamMemberUpdate,
    check: impl FnOnce(Option<Role>) -> Result<(), ApiError>,
) -> Result<paas_api::TeamMember, ApiError> {
    let TeamMemberUpdate {
        email,
        federated: _,
        role,
    } = update;
    let role: Role = role.parse()?;
    if !Role::OF_MEMBERS.contains(&role) {
        return Err(ApiError::invalid("Role must be admin, member or viewer."));
    }
    let mut transaction = api.store().begin().await?;
    let user = user::find(&mut transaction, &email, &caller.account).await?;
    let before = find(&mut transaction, &team, &user.id.to_string()).await?;
    check(before.as_ref().map(|member| member.role))?;
    let stamp = api.stamp(&caller.account);
    team_member::put(&mut transaction, team.id, user.id, role, stamp).await?;
    let member = find(&mut transaction, &team, &user.id.to_string()).await?;
    let member = member.ok_or_else(|| ApiError::not_found("team member"))?;
    transaction.commit().await?;
    // Whoever is less than before loses what an admin has on every app.
    if before.is_some_and(|before| before.role == Role::Admin) && role != Role::Admin {
        let mut connection = api.connection().await?;
        for app in app::of_team(&mut connection, team.id).await? {
            access::end_sessions_of(&api, app, user.id);
        }
    }
    Ok(answer(member))
}

/// By email address, account or id.
async fn find(connection: &mut PgConnection, team: &Team, name: &str) -> Result<Option<TeamMember>, StoreError> {
    let members = team_member::list(connection, team.id).await?;
    Ok(members.into_iter().find(|member| {
        member.user.email.eq_ignore_ascii_case(name)
            || member.user.id.to_string() == name
            || member.id.to_string() == name
    }))
}

fn answer(member: TeamMember) -> paas_api::TeamMember {
    let TeamMember {
        id,
        user,
        role,
        two_factor,
        created_at,
        updated_at,
    } = member;
    paas_api::TeamMember {
        created_at: created_at.into(),
        email: user.email.clone(),
        federated: false,
        id,
        identity_provider: None,
        role: Some(role.as_str().to_owned()),
        two_factor_authentication: two_factor,
        updated_at: updated_at.into(),
        user: TeamMemberUser {
            email: user.email,
            id: *user.id.as_uuid(),
            name: None,
        },
    }
}

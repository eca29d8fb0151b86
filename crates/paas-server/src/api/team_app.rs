//! The apps of teams: made, given, locked.

use std::sync::Arc;

use axum::{Json, extract::State};
use http::StatusCode;
use paas_api::{ErrorId, NewApp, NewTeamApp, PageRange, ResourceRef, TeamAppUpdate, TeamOfApp};
use paas_core::{Id, TeamAction, TeamName};
use paas_store::{
    Connection,
    account::Account,
    app::{self, AppRow, Listed, OfTeam},
    team::{self, Team},
    team_member,
};

use super::{
    access::{self, OwnTeam},
    account::is_caller,
    app as apps,
    auth::{Caller, OwnApp},
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    state::Api,
    user,
};

const FIELDS: [Field<Listed>; 2] = [
    Field {
        name: "name",
        key: |app| Key::Text(app.name.to_string()),
    },
    Field {
        name: "id",
        key: |app| Key::Text(app.id.to_string()),
    },
];

/// What the caller gets to see of the team's apps.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    OwnTeam { caller, team, .. }: OwnTeam,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::TeamApp>, ApiError> {
    let mut connection = api.connection().await?;
    seen_by(&api, &mut connection, &team, caller.account.id, &range).await
}

/// What an account gets to see of a team's apps.
pub(super) async fn seen_by(
    api: &Api,
    connection: &mut Connection,
    team: &Team,
    account: Id<Account>,
    range: &PageRange,
) -> Result<Page<paas_api::TeamApp>, ApiError> {
    let mut apps = app::list(connection, account).await?;
    apps.retain(|app| app.team == Some(team.id));
    let page = page(range, apps, &FIELDS)?;
    let ids: Vec<_> = page.items().iter().map(|app| app.id).collect();
    let mut rows = app::rows(connection, &ids).await?;
    Ok(page.filter_map(|app| {
        let row = rows.remove(&app.id)?;
        Some(answer(api, row, app.is_joined, None))
    }))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<Json<paas_api::TeamApp>, ApiError> {
    whole(&api, &caller, row).await
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewTeamApp>,
) -> Result<(StatusCode, Json<paas_api::TeamApp>), ApiError> {
    let NewTeamApp {
        locked,
        name,
        personal,
        region,
        stack,
        team,
    } = new;
    let team = match team.filter(|_| personal != Some(true)) {
        Some(name) => Some(team_for_apps(&api, &caller, name.as_str()).await?),
        None => None,
    };
    if locked == Some(true) && team.is_none() {
        return Err(ApiError::invalid(
            "Only the app of a team can be locked: name the team, with --team.",
        ));
    }
    let of = team.as_ref().map(|team| OfTeam {
        team,
        is_locked: locked == Some(true),
    });
    let row = apps::make_of(&api, NewApp { name, region, stack }, of, &caller.account).await?;
    Ok((StatusCode::CREATED, Json(answer(&api, row, true, Some(0)))))
}

/// Locks or unlocks the app, or makes somebody else its owner.
pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(update): Body<TeamAppUpdate>,
) -> Result<Json<paas_api::TeamApp>, ApiError> {
    let TeamAppUpdate { locked, owner } = update;
    let id = row.app.id;
    if let Some(owner) = &owner {
        give(&api, &caller, &row, owner).await?;
        access::end_lost_sessions(&api, id).await?;
    }
    if let Some(locked) = locked {
        let mut transaction = api.store().begin().await?;
        let row = app::by_id(&mut transaction, id).await?;
        let row = row.ok_or_else(|| ApiError::not_found("app"))?;
        if row.owner.team().is_none() {
            return Err(ApiError::invalid(format!(
                "The app {} is not owned by a team, so there is nobody to lock it against.",
                row.app.name
            )));
        }
        app::set_locked(&mut transaction, id, locked, api.stamp(&caller.account)).await?;
        transaction.commit().await?;
        access::end_lost_sessions(&api, id).await?;
    }
    let mut connection = api.connection().await?;
    let row = app::by_id(&mut connection, id).await?;
    let row = row.ok_or_else(|| ApiError::not_found("app"))?;
    drop(connection);
    whole(&api, &caller, row).await
}

async fn give(api: &Api, caller: &Caller, row: &AppRow, owner: &ResourceRef) -> Result<(), ApiError> {
    let (id, stamp) = (row.app.id, api.stamp(&caller.account));
    let name = user::own_name(owner.as_str(), &caller.account);
    let is_person = name.contains('@') && TeamName::of_address(&name).is_none();
    let mut transaction = api.store().begin().await?;
    if is_person || is_caller(&name, &caller.account).is_ok() {
        let user = user::find(&mut transaction, &name, &caller.account).await?;
        let Some(team) = row.owner.team() else {
            return Err(ApiError::invalid(format!(
                "The app {} is not owned by a team: offer it with POST /account/app-transfers.",
                row.app.name
            )));
        };
        // Whoever is being removed from the team becomes nothing in it meanwhile.
        team::lock(&mut transaction, team.id).await?;
        // Nobody becomes the owner of an app without wanting to: people in the team are taken to.
        let members = team_member::list(&mut transaction, team.id).await?;
        if !members.iter().any(|member| member.user.id == user.id) {
            return Err(ApiError::invalid(format!(
                "{} has no part in the team {}: only somebody who has can be given its apps.",
                user.email, team.name
            )));
        }
        app::give_to_account(&mut transaction, id, user.id, stamp).await?;
    } else {
        drop(transaction);
        let team = team_for_apps(api, caller, TeamName::of_address(&name).unwrap_or(&name)).await?;
        transaction = api.store().begin().await?;
        app::give_to_team(&mut transaction, id, &team, stamp).await?;
    }
    transaction.commit().await?;
    Ok(())
}

/// A team that the caller may bring apps into.
async fn team_for_apps(api: &Api, caller: &Caller, name: &str) -> Result<Team, ApiError> {
    let mut connection = api.connection().await?;
    let team = team::find(&mut connection, name).await?;
    let team = team.ok_or_else(|| ApiError::not_found("team"))?;
    let role = team::role(&mut connection, team.id, caller.account.id).await?;
    if role.is_some_and(|role| role.may(TeamAction::AddApps)) {
        return Ok(team);
    }
    let message = format!(
        "You do not have access to the team {}: only its admins and members bring apps into it.",
        team.name
    );
    Err(ApiError::new(ErrorId::Forbidden, message))
}

async fn whole(api: &Api, caller: &Caller, row: AppRow) -> Result<Json<paas_api::TeamApp>, ApiError> {
    let mut connection = api.connection().await?;
    let standing = paas_store::collaborator::standing(&mut connection, row.app.id, caller.account.id).await?;
    drop(connection);
    let is_joined = standing.is_owner || standing.given.is_some();
    let repo_size = apps::repository_bytes(api, row.app.id).await?;
    Ok(Json(answer(api, row, is_joined, Some(repo_size))))
}

pub(super) fn answer(api: &Api, row: AppRow, joined: bool, repo_size: Option<u64>) -> paas_api::TeamApp {
    let locked = row.locked;
    let app = apps::answer(api, row, repo_size);
    paas_api::TeamApp {
        archived_at: app.archived_at,
        base_image_name: app.base_image_name,
        build_stack: app.build_stack,
        buildpack_provided_description: app.buildpack_provided_description,
        buildpacks: app.buildpacks,
        created_at: app.created_at,
        current_build_architecture: app.current_build_architecture,
        generation: app.generation.name,
        git_url: app.git_url,
        id: app.id,
        internal_routing: app.internal_routing,
        joined,
        locked,
        maintenance: app.maintenance,
        name: app.name,
        owner: Some(app.owner),
        region: app.region,
        released_at: app.released_at,
        repo_size: app.repo_size,
        slug_size: app.slug_size,
        space: app.space,
        stack: app.stack,
        team: app.team.map(|team| TeamOfApp { name: team.name }),
        updated_at: app.updated_at,
        web_url: app.web_url,
    }
}

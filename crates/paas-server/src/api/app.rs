//! Apps.

use std::{path::Path as FilePath, sync::Arc, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{AppFilter, AppUpdate, NamedRef, NewApp, UserRef};
use paas_core::{App, AppName, Id, Permissions};
use paas_store::{
    Connection, StoreError,
    account::Account,
    app::{self, AppRow, Listed, OfTeam},
};
use tokio::sync::watch;
use uuid::{Uuid, uuid};

use super::{
    access::Granted,
    account, addon,
    auth::{Caller, OwnApp},
    body::Body,
    error::ApiError,
    haiku,
    page::{Field, Key, Page, Wanted, page},
    region, resource, stack,
    state::Api,
};

/// Invented names are tried this often; each is free with a probability near one.
const INVENTIONS: u32 = 5;
/// How long an answer waits for all that belonged to a destroyed app to be gone. Its dynos have 30 s to end.
const DESTROY_LIMIT: Duration = Duration::from_secs(50);

const CEDAR_ID: Uuid = uuid!("33ffa9c6-4b1b-4b1f-9a3c-6d1f2c7e1b5a");

const FIELDS: [Field<Listed>; 3] = [
    Field {
        name: "id",
        key: |app| Key::Text(app.id.to_string()),
    },
    Field {
        name: "name",
        key: |app| Key::Text(app.name.to_string()),
    },
    Field {
        name: "updated_at",
        key: |app| Key::Text(paas_api::Time::from(app.updated_at).to_string()),
    },
];

/// Whatever the caller gets to see.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::App>, ApiError> {
    let mut connection = api.connection().await?;
    let apps = app::list(&mut connection, caller.account.id).await?;
    rows_of(&api, &mut connection, page(&range, apps, &FIELDS)?).await
}

/// What the caller owns or was added to.
pub(super) async fn list_of(
    state: State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Page<paas_api::App>, ApiError> {
    account::is_caller(&name, &caller.account)?;
    let State(api) = state;
    let Wanted(range) = wanted;
    let mut connection = api.connection().await?;
    let mut apps = app::list(&mut connection, caller.account.id).await?;
    apps.retain(|app| app.is_joined);
    rows_of(&api, &mut connection, page(&range, apps, &FIELDS)?).await
}

/// Those of the apps with these ids that the caller may see: how Heroku's command reads the apps of a pipeline.
pub(super) async fn filter(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
    Body(filter): Body<AppFilter>,
) -> Result<Page<paas_api::App>, ApiError> {
    let wanted = filter.within.id;
    let mut connection = api.connection().await?;
    let mut apps = app::list(&mut connection, caller.account.id).await?;
    apps.retain(|app| wanted.contains(app.id.as_uuid()));
    rows_of(&api, &mut connection, page(&range, apps, &FIELDS)?).await
}

async fn rows_of(api: &Api, connection: &mut Connection, page: Page<Listed>) -> Result<Page<paas_api::App>, ApiError> {
    let ids: Vec<_> = page.items().iter().map(|app| app.id).collect();
    let mut rows = app::rows(connection, &ids).await?;
    Ok(page.filter_map(|app| rows.remove(&app.id).map(|row| answer(api, row, None))))
}

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(new): Body<NewApp>,
) -> Result<(StatusCode, Json<paas_api::App>), ApiError> {
    let row = make(&api, new, &caller.account).await?;
    Ok((StatusCode::CREATED, Json(answer(&api, row, Some(0)))))
}

/// A new app of this owner, with a name that is wanted or invented.
pub(super) async fn make(api: &Api, new: NewApp, owner: &Account) -> Result<AppRow, ApiError> {
    make_of(api, new, None, owner).await
}

/// A new app of a team, or of whoever makes it.
pub(super) async fn make_of(
    api: &Api,
    new: NewApp,
    team: Option<OfTeam<'_>>,
    by: &Account,
) -> Result<AppRow, ApiError> {
    if let Some(region) = &new.region
        && !region::is_ours(region.as_str())
    {
        return Err(ApiError::invalid(format!(
            "Region {} is not available: this platform has one region, {}.",
            region.as_str(),
            region::NAME
        )));
    }
    let stack = new
        .stack
        .as_ref()
        .map(|stack| stack::check(&api.platform.settings, stack.as_str()));
    let stack = stack.transpose()?.unwrap_or(stack::NAME);
    let row = match new.name.filter(|name| !name.is_empty()) {
        Some(name) => create_named(api, name.parse()?, stack, team, by)
            .await
            .map_err(|error| name_taken(error, &name))?,
        None => create_invented(api, stack, team, by).await?,
    };
    api.announce(row.app.id, "Initial release", by);
    api.announce(row.app.id, "Enable Logplex", by);
    Ok(row)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::App>, ApiError> {
    whole(&api, row).await
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    granted: Granted,
    Body(update): Body<AppUpdate>,
) -> Result<Json<paas_api::App>, ApiError> {
    let AppUpdate {
        build_stack,
        maintenance,
        name,
    } = update;
    if name.is_some() {
        granted.require(Permissions::MANAGE)?;
    }
    if maintenance.is_some() {
        granted.require(Permissions::DEPLOY | Permissions::OPERATE)?;
    }
    if build_stack.is_some() {
        granted.require(Permissions::OPERATE)?;
    }
    let build_stack = build_stack.map(|stack| stack::check(&api.platform.settings, stack.as_str()));
    let build_stack = build_stack.transpose()?;
    let build_stack = build_stack.filter(|stack| *stack != row.build_stack);
    let name = name.map(|name| name.parse::<AppName>()).transpose()?;
    let name = name.filter(|name| *name != row.app.name);
    let maintenance = maintenance.filter(|on| *on != row.app.maintenance);
    let (id, stamp) = (row.app.id, api.stamp(&caller.account));

    let mut transaction = api.store().begin().await?;
    if let Some(name) = &name {
        app::rename(&mut transaction, id, name, stamp)
            .await
            .map_err(|error| name_taken(error, name.as_str()))?;
    }
    if let Some(on) = maintenance {
        app::set_maintenance(&mut transaction, id, on, stamp).await?;
    }
    if let Some(stack) = build_stack {
        app::set_build_stack(&mut transaction, id, stack, stamp).await?;
    }
    let row = app::find(&mut transaction, &id.to_string()).await?;
    let row = row.ok_or_else(|| ApiError::not_found("app"))?;
    transaction.commit().await?;
    if let Some(stack) = build_stack {
        api.announce(id, &format!("Stack of the next build set to {stack}"), &caller.account);
    }
    if let Some(name) = name {
        api.announce(id, &format!("Renamed to {name}"), &caller.account);
    }
    if let Some(on) = maintenance {
        let state = if on { "on" } else { "off" };
        api.announce(id, &format!("Maintenance mode {state}"), &caller.account);
    }
    whole(&api, row).await
}

/// Answers when nothing of the app is left: containers, network, images, repository, log. If that takes longer than a
/// client likes to wait, the answer is 202 and the rest goes on.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
) -> Result<(StatusCode, Json<paas_api::App>), ApiError> {
    let id = row.app.id;
    // Registered before the change: a pass that ends in between is not missed.
    let mut passes = api.platform.passes.subscribe();
    let mut transaction = api.store().begin().await?;
    let (sealer, stamp) = (&api.store().sealer, api.stamp(&caller.account));
    let releases = paas_store::addon::begin_destroy_of_app(&mut transaction, sealer, id, stamp).await?;
    app::begin_destroy(&mut transaction, id, stamp).await?;
    let last = answer(&api, row, Some(0));
    resource::describe_end(&mut transaction, &last.id, &last).await?;
    transaction.commit().await?;
    addon::follow(&api, releases, &caller.account).await;
    api.platform.sessions.end_all_of(id);
    api.platform.wake.notify_one();
    let gone = wait_until_gone(&api, id, &mut passes);
    // The app is destroyed whatever happens to those who watch it go.
    let status = match tokio::time::timeout(DESTROY_LIMIT, gone).await {
        Ok(true) => StatusCode::OK,
        Ok(false) | Err(_) => StatusCode::ACCEPTED,
    };
    Ok((status, Json(last)))
}

pub(super) fn reference(app: &App) -> NamedRef {
    NamedRef {
        id: *app.id.as_uuid(),
        name: app.name.to_string(),
    }
}

pub(super) fn generation() -> NamedRef {
    NamedRef {
        id: CEDAR_ID,
        name: "cedar".to_owned(),
    }
}

/// Looks after each pass of the controller. `false`: the server stops or its database is away, before it came to that.
async fn wait_until_gone(api: &Api, id: Id<App>, passes: &mut watch::Receiver<u64>) -> bool {
    loop {
        passes.borrow_and_update();
        let found = async { app::by_id(&mut *api.store().connection().await?, id).await };
        match found.await {
            Ok(None) => return true,
            Ok(Some(_)) => {}
            Err(_) => return false,
        }
        tokio::select! {
            changed = passes.changed() => if changed.is_err() {
                return false;
            },
            () = api.platform.stop.cancelled() => return false,
        }
    }
}

async fn create_named(
    api: &Api,
    name: AppName,
    stack: &str,
    team: Option<OfTeam<'_>>,
    by: &Account,
) -> Result<AppRow, StoreError> {
    let stamp = api.stamp(by);
    let new = app::NewApp {
        id: paas_store::new_id(stamp.at),
        name,
        stack: stack.to_owned(),
    };
    let mut transaction = api.store().begin().await?;
    let sealer = &api.store().sealer;
    let row = match team {
        Some(of) => app::create_of_team(&mut transaction, sealer, new, of, stamp).await?,
        None => app::create(&mut transaction, sealer, new, stamp).await?,
    };
    transaction.commit().await?;
    Ok(row)
}

async fn create_invented(api: &Api, stack: &str, team: Option<OfTeam<'_>>, by: &Account) -> Result<AppRow, StoreError> {
    let mut attempt = 1;
    loop {
        match create_named(api, haiku::invent(), stack, team, by).await {
            Err(StoreError::NameTaken) if attempt < INVENTIONS => attempt += 1,
            result => return result,
        }
    }
}

fn name_taken(error: StoreError, name: &str) -> ApiError {
    match error {
        StoreError::NameTaken => ApiError::invalid(format!("Name {name} is already taken.")),
        other => other.into(),
    }
}

pub(super) async fn whole(api: &Api, row: AppRow) -> Result<Json<paas_api::App>, ApiError> {
    let repo_size = repository_bytes(api, row.app.id).await?;
    Ok(Json(answer(api, row, Some(repo_size))))
}

/// `repo_size` is left out of lists, where finding it out would read every repository's directory.
pub(super) fn answer(api: &Api, row: AppRow, repo_size: Option<u64>) -> paas_api::App {
    let AppRow {
        app,
        owner,
        locked: _,
        stack,
        build_stack,
        buildpacks: _,
        acm,
        subnet: _,
        destroyed_at: _,
        released_at,
        slug_size_bytes,
        buildpack_provided_description,
    } = row;
    let settings = &api.platform.settings;
    let team = owner.team().map(|team| NamedRef {
        id: *team.id.as_uuid(),
        name: team.name.to_string(),
    });
    paas_api::App {
        acm,
        archived_at: None,
        base_image_name: None,
        build_stack: stack::reference(&build_stack),
        buildpack_provided_description,
        buildpacks: None,
        created_at: app.created_at.into(),
        current_build_architecture: Vec::new(),
        generation: generation(),
        git_url: settings.git_url(&app.name),
        id: *app.id.as_uuid(),
        internal_routing: None,
        maintenance: app.maintenance,
        name: app.name.to_string(),
        organization: team.clone(),
        owner: UserRef {
            id: *owner.id(),
            email: owner.email(),
        },
        region: region::reference(),
        released_at: released_at.map(Into::into),
        repo_size,
        // A number even without a slug: `heroku apps:info` does arithmetic with it.
        slug_size: Some(slug_size_bytes.unwrap_or(0)),
        space: None,
        stack: stack::reference(&stack),
        team,
        updated_at: app.updated_at.into(),
        web_url: Some(settings.app_url(&app.name)),
    }
}

pub(super) async fn repository_bytes(api: &Api, app: Id<App>) -> Result<u64, ApiError> {
    let path = api.platform.settings.repositories().join(format!("{app}.git"));
    let bytes = tokio::task::spawn_blocking(move || directory_bytes(&path)).await;
    bytes.map_err(ApiError::internal)
}

/// Files that vanish meanwhile, or a repository that does not exist yet, count for nothing.
fn directory_bytes(path: &FilePath) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}

//! Add-ons: made, changed, destroyed. What it takes to run one is the controller's.

use std::{collections::HashSet, sync::Arc};

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use http::{HeaderMap, StatusCode};
use paas_api::{AddonQuestion, AddonRemoval, AddonUpdate, BillingEntity, NamedRef, NewAddon};
use paas_core::{AddonFill, AddonName, AddonState, App, AttachmentName, Id, Permissions};
use paas_store::{
    PgConnection, Stamp, StoreError,
    account::Account,
    addon::{self, AddonRow},
    addon_attachment::{self, AttachmentRow},
    addon_resource, app, new_id,
    release::ReleaseRow,
};
use serde_json::{Map, Value};

use super::{
    access::{self, Granted},
    account, addon_attachment as attachments,
    addon_fork::{self, ForkOf},
    addon_name, addon_partner,
    addon_rollback::{self, Beginning},
    addon_service, addon_upgrade,
    auth::{Caller, OwnApp},
    body::Body,
    error::ApiError,
    page::{Field, Key, Page, Wanted, page},
    resource,
    state::Api,
};
use crate::{
    addon::{Credentials, fill_in_words},
    platform::Platform,
    source::AddonOrder,
};

const FIELDS: [Field<paas_api::Addon>; 2] = [
    Field {
        name: "id",
        key: |addon| Key::Text(addon.id.to_string()),
    },
    Field {
        name: "name",
        key: |addon| Key::Text(addon.name.clone()),
    },
];

/// Invented names are tried this often.
const INVENTIONS: u32 = 5;

/// Those of all apps that the caller gets to see.
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Addon>, ApiError> {
    let mut connection = api.connection().await?;
    let apps = app::list(&mut connection, caller.account.id).await?;
    let apps: Vec<_> = apps.iter().map(|app| app.id).collect();
    drop(connection);
    page(&range, of_apps(&api, &apps).await?, &FIELDS)
}

pub(super) async fn list_of(
    state: State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
    wanted: Wanted,
) -> Result<Page<paas_api::Addon>, ApiError> {
    account::is_caller(&name, &caller.account)?;
    list(state, caller, wanted).await
}

pub(super) async fn list_of_app(
    State(api): State<Arc<Api>>,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Addon>, ApiError> {
    page(&range, of_apps(&api, &[row.app.id]).await?, &FIELDS)
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Option<Extension<Caller>>,
    headers: HeaderMap,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let row = match caller {
        Some(Extension(caller)) => seen(&api, &caller, &name).await?,
        // Its provider, whom the gate let in.
        None => addon_partner::own(&api, &headers, &name).await?.0,
    };
    shown(&api, &row).await.map(Json)
}

/// By its name or id, or by that of its attachment.
pub(super) async fn info_of_app(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let row = in_app(&api, row.app.id, &name).await?;
    shown(&api, &row).await.map(Json)
}

/// Answers at once: the add-on is `provisioning`, and its config vars come with a release of their own.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewAddon>,
) -> Result<(StatusCode, Json<paas_api::Addon>), ApiError> {
    let Some(plan) = &new.plan else {
        return Err(ApiError::invalid(
            "The request body does not fit: missing field `plan`, such as heroku-postgresql:essential-0.",
        ));
    };
    let name = new.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map(str::parse::<AddonName>).transpose()?;
    let attachment = new.attachment.and_then(|attachment| attachment.name);
    let attachment = attachment.map(|name| name.parse::<AttachmentName>()).transpose()?;
    let config = new.config.unwrap_or_default();
    let options = options(&api, plan.as_str(), config.clone())?;
    let mut wanted = WantedAddon {
        name,
        attachment,
        options,
        ..WantedAddon::new(plan.as_str())
    };
    // What a provider is told is the provider's business.
    if !addon_service::offer(&api, plan.as_str())?.is_elsewhere {
        let whose = (&caller, row.app.id);
        let version = addon_service::version(&api, plan.as_str(), &config)?;
        let what = (plan.as_str(), version.as_deref());
        wanted.beginning = addon_rollback::beginning(&api, whose, what, &config).await?;
        wanted.fork = addon_fork::fork_of(&api, whose, what, &config).await?;
        let of_rollback = wanted.beginning.as_ref().map(|beginning| beginning.version.clone());
        let of_fork = wanted.fork.as_ref().map(|fork| fork.version.clone());
        wanted.version = version.or(of_rollback).or(of_fork);
    }
    let (made, release) = make(&api, row.app.id, wanted, api.stamp(&caller.account)).await?;
    api.announce(row.app.id, &release.release.description, &caller.account);
    api.begin_release(release).await;
    Ok((StatusCode::CREATED, Json(shown(&api, &made).await?)))
}

/// What a provider is told besides the plan; a service of this platform has no options.
fn options(api: &Api, plan: &str, given: Map<String, Value>) -> Result<addon::Values, ApiError> {
    let is_elsewhere = addon_service::offer(api, plan)?.is_elsewhere;
    let mut options = addon::Values::new();
    for (option, value) in given {
        if is_elsewhere {
            let value = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            options.insert(option, value);
        } else if !matches!(option.as_str(), "version" | "region")
            && !addon_rollback::is_option(&option)
            && !addon_fork::is_option(&option)
        {
            return Err(ApiError::invalid(format!(
                "This platform does not know the option {option} of an add-on. Leave it out."
            )));
        }
    }
    Ok(options)
}

/// What an `app.json` asks for.
pub(crate) async fn order(
    platform: &Arc<Platform>,
    app: Id<App>,
    order: &AddonOrder,
    stamp: Stamp,
) -> Result<(AddonRow, ReleaseRow), ApiError> {
    let wanted = WantedAddon {
        attachment: order.attachment.clone(),
        ..WantedAddon::new(&order.plan)
    };
    make(&Api::new(Arc::clone(platform)), app, wanted, stamp).await
}

/// What somebody asks for.
pub(super) struct WantedAddon<'a> {
    pub(super) plan: &'a str,
    pub(super) name: Option<AddonName>,
    pub(super) attachment: Option<AttachmentName>,
    /// For the provider of a service that runs elsewhere.
    pub(super) options: addon::Values,
    pub(super) beginning: Option<Beginning>,
    pub(super) fork: Option<ForkOf>,
    /// Of its server, where it is not to be the usual one.
    pub(super) version: Option<String>,
}

impl<'a> WantedAddon<'a> {
    fn new(plan: &'a str) -> Self {
        Self {
            plan,
            name: None,
            attachment: None,
            options: addon::Values::new(),
            beginning: None,
            fork: None,
            version: None,
        }
    }
}

/// A new add-on of an app.
pub(super) async fn make(
    api: &Api,
    app: Id<App>,
    wanted: WantedAddon<'_>,
    stamp: Stamp,
) -> Result<(AddonRow, ReleaseRow), ApiError> {
    let offer = addon_service::offer(api, wanted.plan)?;
    let mut attempt = 1;
    loop {
        let mut transaction = api.store().begin().await?;
        let attachment = match &wanted.attachment {
            Some(name) => name.clone(),
            None => addon_name::attachment(api, &mut transaction, &offer.service, app).await?,
        };
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => addon_name::invent(&offer.naming.prefix)?,
        };
        let new = addon::NewAddon {
            id: new_id(stamp.at),
            app,
            name: name.clone(),
            service: offer.service.clone(),
            plan: offer.plan_name.clone(),
            version: wanted.version.clone().unwrap_or_else(|| offer.version.clone()),
            suffixes: offer.naming.suffixes.clone(),
            secret: match &wanted.beginning {
                // Who comes to what its provider runs is the provider's business.
                _ if offer.is_elsewhere => addon::Values::new(),
                Some(beginning) => beginning.secret.clone(),
                None => Credentials::invent().values().clone(),
            },
            attachment: attachment.clone(),
        };
        match addon::create(&mut transaction, &api.store().sealer, new, stamp).await {
            Ok(made) => {
                if !wanted.options.is_empty() {
                    let (sealer, id) = (&api.store().sealer, made.0.addon.id);
                    addon_resource::set_options(&mut transaction, sealer, id, &wanted.options, stamp).await?;
                }
                if let Some(beginning) = &wanted.beginning {
                    paas_store::addon_rollback::begin(&mut transaction, &beginning.of(made.0.addon.id)).await?;
                }
                if let Some(fork) = &wanted.fork {
                    paas_store::addon_fork::begin(&mut transaction, &fork.of(made.0.addon.id)).await?;
                }
                transaction.commit().await?;
                api.platform.wake_addons.notify_one();
                return Ok(made);
            }
            Err(StoreError::NameTaken) if wanted.name.is_none() && attempt < INVENTIONS => attempt += 1,
            // Somebody else took the same free name of an attachment.
            Err(StoreError::AttachmentTaken) if wanted.attachment.is_none() && attempt < INVENTIONS => attempt += 1,
            Err(StoreError::NameTaken) => return Err(ApiError::invalid(format!("Name {name} is already taken."))),
            Err(StoreError::AttachmentTaken) => {
                return Err(ApiError::invalid(format!(
                    "{attachment} is the name of another attachment of this app. Choose one with --as."
                )));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

pub(super) async fn update(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(AddonUpdate { name: new_name, plan }): Body<AddonUpdate>,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let found = in_app(&api, row.app.id, &name).await?;
    require(&api, &caller, &found, Permissions::OPERATE).await?;
    let (id, stamp) = (found.addon.id, api.stamp(&caller.account));
    let plan = match &plan {
        Some(plan) => Some(chosen_plan(&api, &found, plan.as_str())?),
        None => None,
    };
    let new_name = new_name.map(|name| name.parse::<AddonName>()).transpose()?;
    let mut transaction = api.store().begin().await?;
    if let Some(name) = new_name.filter(|name| *name != found.addon.name) {
        addon::rename(&mut transaction, id, &name, stamp).await?;
    }
    if let Some(plan) = &plan {
        addon::set_plan(&mut transaction, id, plan, stamp).await?;
    }
    transaction.commit().await?;
    if let Some(plan) = plan {
        let what = format!("Change plan of {} to {}:{plan}", found.addon.name, found.addon.service);
        api.announce(found.addon.app, &what, &caller.account);
    }
    api.platform.wake_addons.notify_one();
    let mut connection = api.connection().await?;
    let row = addon::by_id(&mut connection, id).await?.ok_or_else(not_found)?;
    drop(connection);
    shown(&api, &row).await.map(Json)
}

/// The plan that an add-on is to have: of the same service.
fn chosen_plan(api: &Api, row: &AddonRow, plan: &str) -> Result<String, ApiError> {
    let whole = if plan.contains(':') || plan.parse::<uuid::Uuid>().is_ok() {
        plan.to_owned()
    } else {
        format!("{}:{plan}", row.addon.service)
    };
    let offer = addon_service::offer(api, &whole)?;
    if offer.service != row.addon.service {
        return Err(ApiError::invalid(format!(
            "{} is a {}: it cannot become a {}. Create another add-on, and attach it.",
            row.addon.name, row.addon.service, offer.service
        )));
    }
    Ok(offer.plan_name)
}

/// It is detached everywhere at once. What is left of it goes by itself.
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { caller, row }: OwnApp,
    Body(AddonRemoval { force }): Body<AddonRemoval>,
) -> Result<Json<paas_api::Addon>, ApiError> {
    let found = in_app(&api, row.app.id, &name).await?;
    require(&api, &caller, &found, Permissions::OPERATE).await?;
    let mut transaction = api.store().begin().await?;
    let uses = addon_attachment::list_of_addon(&mut transaction, found.addon.id).await?;
    let others: HashSet<&str> = uses
        .iter()
        .filter(|row| row.attachment.app != found.addon.app)
        .map(|row| row.app_name.as_str())
        .collect();
    if !force && !others.is_empty() {
        let mut others: Vec<_> = others.into_iter().collect();
        others.sort_unstable();
        return Err(ApiError::invalid(format!(
            "{} is attached to other apps, too: {}. Detach it there first, or destroy it with --force.",
            found.addon.name,
            others.join(", ")
        )));
    }
    let stamp = api.stamp(&caller.account);
    let (last, releases) = begin_end(&api, &mut transaction, (&found, &uses), Some(stamp)).await?;
    transaction.commit().await?;
    follow(&api, releases, &caller.account).await;
    Ok(Json(last))
}

/// Destroys an add-on, for a person or for its provider, and keeps what it and its attachments were. Says what it was, and the
/// releases that follow from it.
pub(super) async fn begin_end(
    api: &Api,
    conn: &mut PgConnection,
    (row, uses): (&AddonRow, &[AttachmentRow]),
    actor: Option<Stamp>,
) -> Result<(paas_api::Addon, Vec<ReleaseRow>), ApiError> {
    let mut last = answer(api, row, uses);
    "deprovisioned".clone_into(&mut last.state);
    let (sealer, id) = (&api.store().sealer, row.addon.id);
    let releases = match actor {
        Some(stamp) => addon::begin_destroy(conn, sealer, id, stamp).await?,
        None => addon::begin_destroy_by_platform(conn, sealer, id, api.now()).await?,
    };
    resource::describe_end(conn, &last.id, &last).await?;
    for used in uses {
        let attachment = attachments::answer(api, used);
        resource::describe_end(conn, &attachment.id, &attachment).await?;
    }
    Ok((last, releases))
}

/// Says what became of apps, and lets them run it.
pub(super) async fn follow(api: &Api, releases: Vec<ReleaseRow>, account: &Account) {
    for release in releases {
        api.announce(release.release.app, &release.release.description, account);
        api.begin_release(release).await;
    }
    api.platform.wake_addons.notify_one();
}

pub(super) async fn resolve(
    State(api): State<Arc<Api>>,
    caller: Caller,
    Body(question): Body<AddonQuestion>,
) -> Result<Page<paas_api::Addon>, ApiError> {
    let AddonQuestion {
        addon: name,
        addon_service,
        app,
    } = question;
    let (app, name) = addon_name::split(app, &name);
    let mut found: Vec<AddonRow> = Vec::new();
    if let Some(app) = app {
        let (app, granted) = access::app_of(&api, &caller, &app).await?;
        granted.require(Permissions::VIEW)?;
        let mut connection = api.connection().await?;
        let uses = addon_attachment::list_of_app(&mut connection, app.app.id).await?;
        let exact = |row: &&AttachmentRow| row.attachment.name.as_str().eq_ignore_ascii_case(&name);
        // The name of an attachment is the name of one add-on, whatever else is called so.
        let meant: Vec<_> = match uses.iter().find(exact) {
            Some(one) => vec![one],
            None => uses.iter().filter(|row| addon_name::is_meant(row, &name)).collect(),
        };
        for used in meant {
            if !found.iter().any(|row| row.addon.id == used.attachment.addon) {
                found.extend(addon::by_id(&mut connection, used.attachment.addon).await?);
            }
        }
    }
    if found.is_empty() {
        found.extend(seen(&api, &caller, &name).await.ok());
    }
    found.retain(|row| {
        addon_service
            .as_ref()
            .is_none_or(|service| row.addon.service == *service)
    });
    if found.is_empty() {
        return Err(not_found());
    }
    let mut answers = Vec::new();
    for row in found {
        answers.push(shown(&api, &row).await?);
    }
    Ok(Page::whole(answers))
}

/// The add-on of this name or id, if the caller gets to see an app that pays for it or uses it; `app::name` as that app calls it.
pub(super) async fn seen(api: &Api, caller: &Caller, name: &str) -> Result<AddonRow, ApiError> {
    if let (Some(app), name) = addon_name::split(None, name) {
        let (app, granted) = access::app_of(api, caller, &app).await?;
        granted.require(Permissions::VIEW)?;
        return in_app(api, app.app.id, &name).await;
    }
    let mut connection = api.connection().await?;
    let row = addon::find(&mut connection, name).await?.ok_or_else(not_found)?;
    let uses = addon_attachment::list_of_addon(&mut connection, row.addon.id).await?;
    drop(connection);
    let users = uses.iter().map(|used| used.attachment.app);
    for app in std::iter::once(row.addon.app).chain(users) {
        if access::app_of(api, caller, &app.to_string()).await.is_ok() {
            return Ok(row);
        }
    }
    // What somebody does not get to see is not there.
    Err(not_found())
}

/// Refuses callers who have none of these permissions on the app that pays for it.
pub(super) async fn require(
    api: &Api,
    caller: &Caller,
    row: &AddonRow,
    any_of: Permissions,
) -> Result<Granted, ApiError> {
    let (_, granted) = access::app_of(api, caller, &row.addon.app.to_string()).await?;
    granted.require(any_of)?;
    Ok(granted)
}

/// The add-on that an app calls so.
pub(super) async fn in_app(api: &Api, app: Id<App>, name: &str) -> Result<AddonRow, ApiError> {
    let mut connection = api.connection().await?;
    let uses = addon_attachment::list_of_app(&mut connection, app).await?;
    let is_named = |row: &&AttachmentRow| {
        row.addon_name.as_str() == name
            || row.attachment.addon.to_string() == name
            || row.attachment.name.as_str().eq_ignore_ascii_case(name)
    };
    let id = uses.iter().find(is_named).map(|row| row.attachment.addon);
    let id = id.ok_or_else(not_found)?;
    addon::by_id(&mut connection, id).await?.ok_or_else(not_found)
}

async fn of_apps(api: &Api, apps: &[Id<App>]) -> Result<Vec<paas_api::Addon>, ApiError> {
    let mut connection = api.connection().await?;
    let rows = addon::list_of_apps(&mut connection, apps).await?;
    let owners: Vec<_> = rows.iter().map(|row| row.addon.app).collect();
    let uses = addon_attachment::list_of_apps(&mut connection, &owners).await?;
    Ok(rows.iter().map(|row| answer(api, row, &uses)).collect())
}

pub(super) async fn shown(api: &Api, row: &AddonRow) -> Result<paas_api::Addon, ApiError> {
    let mut connection = api.connection().await?;
    let uses = addon_attachment::list_of_addon(&mut connection, row.addon.id).await?;
    let mut shown = answer(api, row, &uses);
    let used = addon::disk_bytes(&mut connection, row.addon.id).await?;
    let service = api.platform.catalogue.service(&row.addon.service);
    let plan = service.and_then(|service| service.plan(&row.addon.plan));
    if row.trouble.is_none()
        && let Some(message) = addon_resource::message(&mut connection, row.addon.id).await?
    {
        shown.provision_message = Some(message);
    }
    if row.addon.state == AddonState::Provisioning && row.trouble.is_none() {
        let unfilled = paas_store::addon_rollback::unfilled(&mut connection).await?;
        let rollback = unfilled.iter().find(|rollback| rollback.addon == row.addon.id);
        shown.provision_message = rollback.map(addon_rollback::becomes).or(shown.provision_message);
    }
    if let (Some(used_bytes), Some(plan)) = (used, plan) {
        let plan_bytes = plan.disk_bytes();
        let fill = AddonFill { used_bytes, plan_bytes };
        if fill.mark().is_some() && shown.provision_message.is_none() {
            shown.provision_message = Some(fill_in_words(fill, row));
        }
    }
    if shown.provision_message.is_none() {
        let alarm = paas_store::addon_alarm::of_addon(&mut connection, row.addon.id).await?;
        shown.provision_message = alarm.or(addon_upgrade::message(&mut connection, row).await?);
    }
    Ok(shown)
}

fn answer(api: &Api, row: &AddonRow, uses: &[AttachmentRow]) -> paas_api::Addon {
    let addon = &row.addon;
    let (service, plan) = addon_service::of_row(api, row);
    let provider = api.platform.catalogue.provider(&addon.service);
    let app = NamedRef {
        id: *addon.app.as_uuid(),
        name: row.app_name.clone(),
    };
    let message = match (&row.trouble, addon.state) {
        // It runs as it did before: what has failed is a change.
        (Some(trouble), AddonState::Provisioned) if provider.is_some() => {
            Some(format!("{trouble}. The platform tries again by itself."))
        }
        (Some(trouble), _) => Some(format!("It does not run, and is tried again: {trouble}")),
        (None, AddonState::Provisioning) => {
            Some("It is being created in the background. The app will restart when it is available.".to_owned())
        }
        (None, AddonState::Provisioned | AddonState::Deprovisioning) => row.backup_alarm.clone(),
    };
    paas_api::Addon {
        actions: Vec::new(),
        addon_service: service,
        billed_price: Some(addon_service::price()),
        billing_entity: BillingEntity {
            id: app.id,
            name: app.name.clone(),
            r#type: "app".to_owned(),
        },
        app,
        config_vars: attachments::config_vars(row, uses),
        created_at: addon.created_at.into(),
        id: *addon.id.as_uuid(),
        name: addon.name.to_string(),
        plan,
        provider_id: addon.id.to_string(),
        provision_message: message,
        state: match addon.state {
            AddonState::Deprovisioning => "deprovisioned",
            state => state.as_str(),
        }
        .to_owned(),
        updated_at: addon.updated_at.into(),
        web_url: provider.and_then(|provider| Some(provider.sso_url.as_ref()?.as_str().to_owned())),
    }
}

pub(super) fn not_found() -> ApiError {
    ApiError::not_found_as("add-on", "add_on")
}

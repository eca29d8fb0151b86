//! Attachments: which apps use an add-on, and what its config vars are called there.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonName, App, Attachment, AttachmentName, ConfigKey, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Sealer, Stamp, StoreError,
    addon::{self, Values},
    addon_credential, app,
    column::parse,
    event::{self, Change},
    new_id,
    release::{self, ReleaseRow},
};

/// An attachment with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachmentRow {
    pub attachment: Attachment,
    pub app_name: String,
    pub addon_name: AddonName,
    pub addon_app: Id<App>,
    pub addon_app_name: String,
    pub service: String,
    pub plan: String,
    /// What its config vars end in.
    pub suffixes: Vec<String>,
}

/// What makes an attachment.
pub struct NewAttachment {
    pub addon: Id<Addon>,
    pub app: Id<App>,
    pub name: AttachmentName,
    pub namespace: Option<String>,
}

/// What the add-ons of an app give it.
#[derive(Default)]
pub(crate) struct Attached {
    pub(crate) vars: BTreeMap<ConfigKey, String>,
    pub(crate) plans: Vec<String>,
}

macro_rules! select_attachments {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                addon_attachments.id,
                addon_attachments.addon,
                addon_attachments.app,
                addon_attachments.name,
                addon_attachments.namespace,
                addon_attachments.created_at,
                addon_attachments.updated_at,
                apps.name as app_name,
                addons.name as addon_name,
                addons.app as addon_app,
                owners.name as addon_app_name,
                addons.service,
                addons.plan,
                addons.suffixes
            from addon_attachments
            join addons on addons.id = addon_attachments.addon
            join apps on apps.id = addon_attachments.app
            join apps as owners on owners.id = addons.app
            " + $filter
            $(, $argument)*
        )
    };
}

impl AttachmentRow {
    /// The config vars that it has in its app.
    pub fn keys(&self) -> Vec<ConfigKey> {
        keys(&self.attachment.name, &self.suffixes)
    }
}

/// Those of every add-on: which app's network each has to be on.
pub async fn networks(conn: &mut PgConnection) -> Result<Vec<(Id<Addon>, Id<App>)>, StoreError> {
    let rows = sqlx::query!("select distinct addon, app from addon_attachments");
    let rows = rows.fetch_all(conn).await?.into_iter();
    Ok(rows.map(|row| (row.addon.into(), row.app.into())).collect())
}

/// Those of an add-on, by app and name.
pub async fn list_of_addon(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Vec<AttachmentRow>, StoreError> {
    rows(
        select_attachments!(
            "where addon_attachments.addon = $1 order by addon_attachments.app, addon_attachments.name",
            addon.as_uuid()
        )
        .fetch_all(conn)
        .await?,
    )
}

/// Those of some apps, by name; and those of the add-ons of these apps in others.
pub async fn list_of_apps(conn: &mut PgConnection, apps: &[Id<App>]) -> Result<Vec<AttachmentRow>, StoreError> {
    let apps: Vec<Uuid> = apps.iter().map(|app| *app.as_uuid()).collect();
    rows(
        select_attachments!(
            "where addon_attachments.app = any($1) or addons.app = any($1) order by addon_attachments.name",
            &apps
        )
        .fetch_all(conn)
        .await?,
    )
}

/// Those of one app, by name.
pub async fn list_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<AttachmentRow>, StoreError> {
    rows(
        select_attachments!(
            "where addon_attachments.app = $1 order by addon_attachments.name",
            app.as_uuid()
        )
        .fetch_all(conn)
        .await?,
    )
}

pub async fn get(conn: &mut PgConnection, id: Id<Attachment>) -> Result<Option<AttachmentRow>, StoreError> {
    select_attachments!("where addon_attachments.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(AttachmentRow::try_from)
        .transpose()
}

/// Lets an app use an add-on: the release is called `Attach DATABASE (@ref:postgresql-curved-12345)`. Fails with
/// [`StoreError::AttachmentTaken`] when the app has an attachment of this name, with [`StoreError::ConfigTaken`] when it has
/// set one of the config vars by hand.
pub async fn create(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewAttachment,
    stamp: Stamp,
) -> Result<(AttachmentRow, ReleaseRow), StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, new.app).await? {
        return Err(StoreError::AppGone);
    }
    if !addon::lock(&mut transaction, new.addon).await? {
        return Err(StoreError::AddonGone);
    }
    // Whoever revokes a credential looks for attachments under the same lock.
    if let Some(name) = new
        .namespace
        .as_deref()
        .and_then(|namespace| namespace.strip_prefix("credential:"))
        && addon_credential::find(&mut transaction, new.addon, name)
            .await?
            .is_none()
    {
        return Err(StoreError::CredentialGone);
    }
    let id = new_id::<Attachment>(stamp.at);
    sqlx::query!(
        "insert into addon_attachments (id, addon, app, name, namespace, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $6)",
        id.as_uuid(),
        new.addon.as_uuid(),
        new.app.as_uuid(),
        new.name.as_str(),
        new.namespace,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let row = get(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let own = release::own_of_head(&mut transaction, sealer, new.app).await?;
    let taken = row.keys().into_iter().find(|key| own.get(key.as_str()).is_some());
    if let Some(key) = taken {
        return Err(StoreError::ConfigTaken { key });
    }
    record(&mut transaction, &row, "create", Some(stamp), stamp.at).await?;
    let description = format!("Attach {} (@ref:{})", row.attachment.name, row.addon_name);
    let release = release::of_addons(&mut transaction, sealer, new.app, &description, true, stamp).await?;
    let release = release.ok_or(StoreError::AppGone)?;
    transaction.commit().await?;
    Ok((row, release))
}

/// The same in the place of what the app calls so by now. Fails with [`StoreError::LastAttachment`] when the add-on that had
/// the name would have none left.
pub async fn replace(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewAttachment,
    stamp: Stamp,
) -> Result<(AttachmentRow, ReleaseRow), StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, new.app).await? {
        return Err(StoreError::AppGone);
    }
    let rows = list_of_app(&mut transaction, new.app).await?;
    if let Some(old) = rows.iter().find(|row| row.attachment.name == new.name) {
        if old.attachment.addon != new.addon && is_last(&mut transaction, old).await? {
            return Err(StoreError::LastAttachment);
        }
        delete_row(&mut transaction, old, Some(stamp), stamp.at).await?;
    }
    let made = create(&mut transaction, sealer, new, stamp).await?;
    transaction.commit().await?;
    Ok(made)
}

/// Takes an add-on away from an app. Fails with [`StoreError::LastAttachment`]: the app that pays for an add-on uses it.
pub async fn delete(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<Attachment>,
    stamp: Stamp,
) -> Result<Option<ReleaseRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    let row = get(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    if !app::lock(&mut transaction, row.attachment.app).await? {
        return Err(StoreError::AppGone);
    }
    if is_last(&mut transaction, &row).await? {
        return Err(StoreError::LastAttachment);
    }
    let release = remove(&mut transaction, sealer, &row, Some(stamp), stamp).await?;
    transaction.commit().await?;
    Ok(release)
}

/// Takes it away without asking. Without an actor the platform does; the release is somebody's all the same.
pub(crate) async fn remove(
    conn: &mut PgConnection,
    sealer: &Sealer,
    row: &AttachmentRow,
    actor: Option<Stamp>,
    stamp: Stamp,
) -> Result<Option<ReleaseRow>, StoreError> {
    delete_row(conn, row, actor, stamp.at).await?;
    let description = format!("Detach {} (@ref:{})", row.attachment.name, row.addon_name);
    release::of_addons(conn, sealer, row.attachment.app, &description, true, stamp).await
}

async fn delete_row(
    conn: &mut PgConnection,
    row: &AttachmentRow,
    actor: Option<Stamp>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from addon_attachments where id = $1",
        row.attachment.id.as_uuid()
    )
    .execute(&mut *conn)
    .await?;
    record(conn, row, "destroy", actor, at).await
}

/// Whether its own app would not use the add-on any more without it.
async fn is_last(conn: &mut PgConnection, row: &AttachmentRow) -> Result<bool, StoreError> {
    let all = list_of_addon(conn, row.attachment.addon).await?;
    let mut others = all
        .iter()
        .filter(|other| other.attachment.id != row.attachment.id && other.attachment.app == row.addon_app);
    Ok(row.attachment.app == row.addon_app && others.next().is_none())
}

/// The config vars that add-ons have in an app, those of add-ons that are on their way among them.
pub(crate) async fn keys_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<ConfigKey>, StoreError> {
    let rows = list_of_app(conn, app).await?;
    Ok(rows.iter().flat_map(AttachmentRow::keys).collect())
}

/// What the add-ons of an app give it now.
pub(crate) async fn attached(conn: &mut PgConnection, sealer: &Sealer, app: Id<App>) -> Result<Attached, StoreError> {
    let rows = sqlx::query!(
        r#"select
            addon_attachments.name,
            addons.id,
            addons.service,
            addons.plan,
            -- What comes before the add-on is there waits for it.
            case when addons.state <> 'provisioning' then addons.config end as config,
            addon_attachments.namespace,
            addon_credentials.id as "credential?",
            addon_credentials.config as credential_config
        from addon_attachments
        join addons on addons.id = addon_attachments.addon
        left join addon_credentials on addon_credentials.addon = addons.id
            and addon_attachments.namespace = 'credential:' || addon_credentials.name
        where addon_attachments.app = $1
            and addons.state <> 'deprovisioning'
        order by addon_attachments.name"#,
        app.as_uuid(),
    );
    let mut attached = Attached::default();
    for row in rows.fetch_all(conn).await? {
        attached.plans.push(format!("{}:{}", row.service, row.plan));
        let config = match (row.namespace, row.credential) {
            (None, _) => row
                .config
                .map(|config| addon::open_config(sealer, row.id.into(), config)),
            (Some(_), Some(id)) => {
                let config = row.credential_config;
                config.map(|config| addon_credential::open_config(sealer, id.into(), config))
            }
            (Some(_), None) => None,
        };
        let name: AttachmentName = parse("addon attachment", &row.name)?;
        for (suffix, value) in config.transpose()?.unwrap_or_default() {
            attached.vars.extend(name.config_key(&suffix).map(|key| (key, value)));
        }
    }
    attached.plans.sort();
    attached.plans.dedup();
    Ok(attached)
}

/// Whether these values of an add-on fit into every app that is to have them: as a release would say.
pub(crate) async fn fits(
    conn: &mut PgConnection,
    sealer: &Sealer,
    attachments: &[AttachmentRow],
    values: &Values,
) -> Result<(), StoreError> {
    for AttachmentRow { attachment, .. } in attachments {
        let own = release::own_of_head(conn, sealer, attachment.app).await?;
        let mut vars = attached(conn, sealer, attachment.app).await?.vars;
        for (suffix, value) in values {
            vars.extend(attachment.name.config_key(suffix).map(|key| (key, value.clone())));
        }
        let vars = vars.into_iter().map(|(key, value)| (key, Some(value)));
        own.with(vars).map_err(StoreError::Config)?;
    }
    Ok(())
}

/// The config vars that some attachments have in an app, for people.
pub(crate) fn keys_of(attachments: &[AttachmentRow], app: Id<App>) -> String {
    let of_app = attachments.iter().filter(|row| row.attachment.app == app);
    let keys = of_app.flat_map(AttachmentRow::keys).map(|key| key.to_string());
    keys.collect::<Vec<_>>().join(", ")
}

fn keys(name: &AttachmentName, suffixes: &[String]) -> Vec<ConfigKey> {
    suffixes.iter().filter_map(|suffix| name.config_key(suffix)).collect()
}

fn rows(rows: Vec<Row>) -> Result<Vec<AttachmentRow>, StoreError> {
    rows.into_iter().map(AttachmentRow::try_from).collect()
}

async fn record(
    conn: &mut PgConnection,
    row: &AttachmentRow,
    action: &str,
    actor: Option<Stamp>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "addon-attachment",
        id: row.attachment.id.as_uuid(),
    };
    let payload = json!({ "name": row.attachment.name.as_str(), "addon": row.addon_name.as_str() });
    let app = row.attachment.app;
    let event = match actor {
        Some(stamp) => change.by(app, stamp, payload),
        None => change.by_platform(app, at, payload),
    };
    event::record(conn, event).await
}

struct Row {
    id: Uuid,
    addon: Uuid,
    app: Uuid,
    name: String,
    namespace: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    app_name: String,
    addon_name: String,
    addon_app: Uuid,
    addon_app_name: String,
    service: String,
    plan: String,
    suffixes: Vec<String>,
}

impl TryFrom<Row> for AttachmentRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            attachment: Attachment {
                id: row.id.into(),
                addon: row.addon.into(),
                app: row.app.into(),
                name: parse("addon attachment", &row.name)?,
                namespace: row.namespace,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            app_name: row.app_name,
            addon_name: parse("addon", &row.addon_name)?,
            addon_app: row.addon_app.into(),
            addon_app_name: row.addon_app_name,
            service: row.service,
            plan: row.plan,
            suffixes: row.suffixes,
        })
    }
}

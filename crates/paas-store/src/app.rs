//! Apps: made, renamed, destroyed.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use paas_core::{App, AppName, ConfigVars, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, Sealer, Stamp, StoreError,
    column::{corrupt, parse, unsigned},
    event::{self, Change},
    release,
    team::Team,
};

mod list;
mod owner;
mod sleep;

pub use list::{Listed, list};
pub(crate) use owner::hand_over;
pub use owner::{Owner, TeamOwner, give_to_account, give_to_team, of_team, set_locked};
pub use sleep::{asleep_at, sleep, wake};

/// An app with what is shown beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppRow {
    pub app: App,
    pub owner: Owner,
    /// Members of the team that owns it do not see it unless they were added.
    pub locked: bool,
    /// What its current slug was built for.
    pub stack: String,
    /// What its next slug is built for.
    pub build_stack: String,
    /// The buildpacks that build it, in order. None: whichever recognises it.
    pub buildpacks: Vec<String>,
    /// Its domains get certificates by themselves (Dev Center, *Automated Certificate Management*).
    pub acm: bool,
    /// Which subnet of the platform's pool is the app's network: no two apps share one.
    pub subnet: u32,
    /// Set while its containers, images and repository are being removed.
    pub destroyed_at: Option<DateTime<Utc>>,
    /// When its current release was made, once it has a slug.
    pub released_at: Option<DateTime<Utc>>,
    pub slug_size_bytes: Option<u64>,
    pub buildpack_provided_description: Option<String>,
}

/// What makes an app. The owner is the stamp's account.
#[derive(Debug, Clone)]
pub struct NewApp {
    pub id: Id<App>,
    pub name: AppName,
    pub stack: String,
}

/// Which team's an app is to be.
#[derive(Debug, Clone, Copy)]
pub struct OfTeam<'a> {
    pub team: &'a Team,
    pub is_locked: bool,
}

/// Apps are made one at a time, so that two never choose the same subnet.
const SUBNET_LOCK: i64 = 0x7375_626e_6574;

macro_rules! select_apps {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                apps.id,
                apps.name,
                apps.maintenance,
                apps.stack,
                coalesce(apps.build_stack, apps.stack) as "build_stack!",
                apps.buildpacks,
                apps.subnet,
                apps.acm,
                apps.created_at,
                apps.updated_at,
                apps.destroyed_at,
                apps.owner as "owner?",
                accounts.email as "owner_email?",
                apps.team as "team?",
                teams.name as "team_name?",
                apps.locked,
                newest.created_at as "released_at?",
                slugs.size_bytes as "slug_size_bytes?",
                slugs.buildpack_provided_description as "buildpack_provided_description?"
            from apps
            left join accounts on accounts.id = apps.owner
            left join teams on teams.id = apps.team
            left join lateral (
                select releases.slug, releases.created_at
                from releases
                where releases.app = apps.id
                    and releases.status = 'succeeded'
                    and releases.slug is not null
                order by releases.version desc
                limit 1
            ) newest on true
            left join slugs on slugs.id = newest.slug
            "# + $filter
            $(, $argument)*
        )
    };
}

/// Makes an app of the stamp's account, with the smallest free subnet, v1 `Initial release` and v2 `Enable Logplex`. Fails
/// with [`StoreError::NameTaken`].
pub async fn create(conn: &mut PgConnection, sealer: &Sealer, new: NewApp, stamp: Stamp) -> Result<AppRow, StoreError> {
    let mut transaction = conn.begin().await?;
    insert(&mut transaction, sealer, &new, stamp).await?;
    let row = by_id(&mut transaction, new.id).await?.ok_or(StoreError::AppGone)?;
    transaction.commit().await?;
    Ok(row)
}

/// Makes an app of a team, as [`create`] does; whoever makes it has joined it. Fails with [`StoreError::NotInTeam`], too.
pub async fn create_of_team(
    conn: &mut PgConnection,
    sealer: &Sealer,
    new: NewApp,
    of: OfTeam<'_>,
    stamp: Stamp,
) -> Result<AppRow, StoreError> {
    let mut transaction = conn.begin().await?;
    insert(&mut transaction, sealer, &new, stamp).await?;
    give_to_team(&mut transaction, new.id, of.team, stamp).await?;
    if of.is_locked {
        set_locked(&mut transaction, new.id, true, stamp).await?;
    }
    let row = by_id(&mut transaction, new.id).await?.ok_or(StoreError::AppGone)?;
    transaction.commit().await?;
    Ok(row)
}

async fn insert(conn: &mut PgConnection, sealer: &Sealer, new: &NewApp, stamp: Stamp) -> Result<(), StoreError> {
    sqlx::query!("select pg_advisory_xact_lock($1)", SUBNET_LOCK)
        .execute(&mut *conn)
        .await?;
    // One more candidate than there are apps: at least one is free.
    sqlx::query!(
        "insert into apps (id, name, owner, stack, subnet, created_at, updated_at)
        select $1, $2, $3, $4, min(candidate), $5, $5
        from generate_series(0, (select count(*)::integer from apps)) as candidate
        where not exists (select from apps where apps.subnet = candidate)",
        new.id.as_uuid(),
        new.name.as_str(),
        stamp.by.as_uuid(),
        new.stack,
        stamp.at,
    )
    .execute(&mut *conn)
    .await?;
    for description in ["Initial release", "Enable Logplex"] {
        let first = release::NewRelease {
            app: new.id,
            slug: None,
            config: &ConfigVars::default(),
            description,
            has_release_phase: true,
        };
        release::insert(&mut *conn, sealer, first, stamp).await?;
    }
    record(conn, new.id, "create", stamp, json!({ "name": new.name.as_str() })).await
}

/// The living app with this name or id.
pub async fn find(conn: &mut PgConnection, name_or_id: &str) -> Result<Option<AppRow>, StoreError> {
    if let Ok(id) = name_or_id.parse::<Id<App>>() {
        let app = by_id(conn, id).await?;
        return Ok(app.filter(|row| row.destroyed_at.is_none()));
    }
    select_apps!("where apps.name = $1 and apps.destroyed_at is null", name_or_id)
        .fetch_optional(conn)
        .await?
        .map(AppRow::try_from)
        .transpose()
}

/// The app with this id, also while it is being destroyed.
pub async fn by_id(conn: &mut PgConnection, id: Id<App>) -> Result<Option<AppRow>, StoreError> {
    select_apps!("where apps.id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(AppRow::try_from)
        .transpose()
}

/// The living ones of these apps.
pub async fn rows(conn: &mut PgConnection, ids: &[Id<App>]) -> Result<HashMap<Id<App>, AppRow>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().map(|id| *id.as_uuid()).collect();
    let rows = select_apps!("where apps.id = any($1) and apps.destroyed_at is null", &ids);
    let rows = rows.fetch_all(conn).await?.into_iter().map(AppRow::try_from);
    rows.map(|row| row.map(|row| (row.app.id, row))).collect()
}

/// Every living app and its name.
pub async fn names(conn: &mut PgConnection) -> Result<Vec<(Id<App>, AppName)>, StoreError> {
    let rows = sqlx::query!("select id, name from apps where destroyed_at is null order by name");
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| Ok((row.id.into(), parse("app", &row.name)?))).collect()
}

/// Holds the app for this transaction: changes of one app happen one after the other. `false` when it is gone.
pub async fn lock(conn: &mut PgConnection, id: Id<App>) -> Result<bool, StoreError> {
    let living = sqlx::query_scalar!(
        r#"select (destroyed_at is null) as "living!"
        from apps
        where id = $1
        for update"#,
        id.as_uuid(),
    );
    Ok(living.fetch_optional(conn).await?.unwrap_or(false))
}

/// Fails with [`StoreError::NameTaken`]. The old name is free at once.
pub async fn rename(conn: &mut PgConnection, id: Id<App>, name: &AppName, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let renamed = sqlx::query!(
        "update apps
        set name = $2, updated_at = $3
        where id = $1
            and destroyed_at is null",
        id.as_uuid(),
        name.as_str(),
        stamp.at,
    );
    if renamed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(&mut transaction, id, "update", stamp, json!({ "name": name.as_str() })).await?;
    Ok(transaction.commit().await?)
}

pub async fn set_maintenance(conn: &mut PgConnection, id: Id<App>, on: bool, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set maintenance = $2, updated_at = $3
        where id = $1
            and destroyed_at is null",
        id.as_uuid(),
        on,
        stamp.at,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(&mut transaction, id, "update", stamp, json!({ "maintenance": on })).await?;
    Ok(transaction.commit().await?)
}

/// Chooses the stack of the next build. An app that was never deployed is on it at once (Dev Center, *Stacks*).
pub async fn set_build_stack(
    conn: &mut PgConnection,
    id: Id<App>,
    stack: &str,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set build_stack = $2,
            stack = case when exists (select from slugs where slugs.app = apps.id) then stack else $2 end,
            updated_at = $3
        where id = $1
            and destroyed_at is null",
        id.as_uuid(),
        stack,
        stamp.at,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(&mut transaction, id, "update", stamp, json!({ "build_stack": stack })).await?;
    Ok(transaction.commit().await?)
}

/// Chooses the buildpacks of the next builds, in order.
pub async fn set_buildpacks(
    conn: &mut PgConnection,
    id: Id<App>,
    buildpacks: &[String],
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set buildpacks = $2, updated_at = $3
        where id = $1
            and destroyed_at is null",
        id.as_uuid(),
        buildpacks,
        stamp.at,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(
        &mut transaction,
        id,
        "update",
        stamp,
        json!({ "buildpacks": buildpacks }),
    )
    .await?;
    Ok(transaction.commit().await?)
}

/// Turns automated certificate management on or off.
pub async fn set_acm(conn: &mut PgConnection, id: Id<App>, on: bool, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set acm = $2, updated_at = $3
        where id = $1
            and destroyed_at is null",
        id.as_uuid(),
        on,
        stamp.at,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(&mut transaction, id, "update", stamp, json!({ "acm": on })).await?;
    Ok(transaction.commit().await?)
}

/// Marks the app as destroyed: its name and its domains are free, nothing of it is wanted any more, its add-ons go with it. To
/// tell other apps that used these, see [`addon::begin_destroy_of_app`](crate::addon::begin_destroy_of_app).
pub async fn begin_destroy(conn: &mut PgConnection, id: Id<App>, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let destroyed = sqlx::query_scalar!(
        "update apps
        set destroyed_at = $2, updated_at = $2
        where id = $1
            and destroyed_at is null
        returning name",
        id.as_uuid(),
        stamp.at,
    );
    let name = destroyed
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(StoreError::AppGone)?;
    sqlx::query!("delete from domains where app = $1", id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    sqlx::query!("delete from certificates where app = $1", id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    sqlx::query!(
        "update addons set state = 'deprovisioning', updated_at = $2 where app = $1 and state <> 'deprovisioning'",
        id.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "delete from addon_attachments
        where app = $1
            or addon in (select id from addons where addons.app = $1)",
        id.as_uuid(),
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, id, "destroy", stamp, json!({ "name": name })).await?;
    Ok(transaction.commit().await?)
}

/// Apps whose remains are to be removed.
pub async fn destroyed(conn: &mut PgConnection) -> Result<Vec<AppRow>, StoreError> {
    select_apps!("where apps.destroyed_at is not null order by apps.destroyed_at")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(AppRow::try_from)
        .collect()
}

/// Deletes a destroyed app and every row of it but its events.
pub async fn delete(conn: &mut PgConnection, id: Id<App>) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from apps
        where id = $1
            and destroyed_at is not null",
        id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

async fn record(
    conn: &mut PgConnection,
    id: Id<App>,
    action: &str,
    stamp: Stamp,
    payload: serde_json::Value,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "app",
        id: id.as_uuid(),
    };
    event::record(conn, change.by(id, stamp, payload)).await
}

struct Row {
    id: Uuid,
    name: String,
    maintenance: bool,
    stack: String,
    build_stack: String,
    buildpacks: Vec<String>,
    subnet: i32,
    acm: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    destroyed_at: Option<DateTime<Utc>>,
    owner: Option<Uuid>,
    owner_email: Option<String>,
    team: Option<Uuid>,
    team_name: Option<String>,
    locked: bool,
    released_at: Option<DateTime<Utc>>,
    slug_size_bytes: Option<i64>,
    buildpack_provided_description: Option<String>,
}

impl TryFrom<Row> for AppRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let owner = match (row.owner.zip(row.owner_email), row.team.zip(row.team_name)) {
            (Some((id, email)), None) => Owner::Account(Actor { id: id.into(), email }),
            (None, Some((id, name))) => Owner::Team(TeamOwner {
                id: id.into(),
                name: parse("team", &name)?,
            }),
            // A constraint says that it is one of the two.
            _ => return Err(corrupt("app", &row.name)),
        };
        Ok(Self {
            app: App {
                id: row.id.into(),
                name: parse("app", &row.name)?,
                maintenance: row.maintenance,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            owner,
            locked: row.locked,
            stack: row.stack,
            build_stack: row.build_stack,
            buildpacks: row.buildpacks,
            acm: row.acm,
            subnet: unsigned("app", row.subnet)?,
            destroyed_at: row.destroyed_at,
            released_at: row.released_at,
            slug_size_bytes: row.slug_size_bytes.map(|bytes| unsigned("slug", bytes)).transpose()?,
            buildpack_provided_description: row.buildpack_provided_description,
        })
    }
}

#[cfg(test)]
mod tests;

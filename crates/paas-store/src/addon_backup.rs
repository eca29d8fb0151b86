//! Backups: copies of what is in add-ons, and copies put back.
//!
//! A row outlives its add-on and its app; the bytes are a file of one server, named after the row. Whatever a dead server was at
//! is failed by the next one ([`abandon`]).

mod row;
mod upkeep;

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Addon, AddonBackup, App, BackupKind, BackupProof, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    account::Account,
    addon::AddonRow,
    event::{self, Change},
    new_id,
};
use row::Row;

pub use upkeep::{Upkeep, set_alarm, set_schedule, upkeep, upkeep_of};

/// Longer than any runs: whatever was at one that began before has died without a word, with its server's id or another.
const LONGEST: TimeDelta = TimeDelta::hours(13);

/// What makes a backup.
#[derive(Debug, Clone, Copy)]
pub struct NewBackup {
    pub kind: BackupKind,
    /// What is put into the add-on.
    pub source: Option<Source>,
    /// `None`: the platform itself.
    pub by: Option<Id<Account>>,
    /// Who is at it.
    pub server: Uuid,
}

/// Where what is put into an add-on comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Backup(Id<AddonBackup>),
    Addon(Id<Addon>),
}

/// How a backup ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    Succeeded,
    Failed { reason: &'a str },
    Canceled,
}

macro_rules! select_backups {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                id,
                addon,
                addon_name,
                copied_from,
                (select name from addons where addons.id = copied_from) as copied_from_name,
                service,
                app,
                app_name,
                number,
                kind,
                state,
                bytes,
                reason,
                created_at,
                finished_at,
                proved_at,
                is_proof_good,
                proof
            from addon_backups
            " + $filter
            $(, $argument)*
        )
    };
}

/// Whether nobody can be at it any more, whatever its row says.
pub fn is_stale(backup: &AddonBackup, now: DateTime<Utc>) -> bool {
    backup.created_at + LONGEST <= now
}

/// Begins one. Fails with [`StoreError::BackupRunning`] while this server is at another of this add-on, but for what is copied
/// before something is put back; and with [`StoreError::UpgradeRunning`] where something is to be put into a server that is on its
/// way to another version.
pub async fn begin(
    conn: &mut PgConnection,
    addon: &AddonRow,
    new: NewBackup,
    at: DateTime<Utc>,
) -> Result<AddonBackup, StoreError> {
    let NewBackup {
        kind,
        source,
        by,
        server,
    } = new;
    let (backup, copied_from) = match source {
        Some(Source::Backup(backup)) => (Some(*backup.as_uuid()), None),
        Some(Source::Addon(addon)) => (None, Some(*addon.as_uuid())),
        None => (None, None),
    };
    let mut transaction = conn.begin().await?;
    let id = new_id::<AddonBackup>(at);
    let app = addon.addon.app;
    // Two at once would get the same number.
    let owned = sqlx::query!("select owner, team from apps where id = $1 for update", app.as_uuid());
    let owned = owned
        .fetch_optional(&mut *transaction)
        .await?
        .ok_or(StoreError::AddonGone)?;
    let running = sqlx::query_scalar!(
        r#"select exists (
            select
            from addon_backups
            where addon = $1
                and state = 'running'
                and server = $2
                and created_at > $3
        ) as "any!""#,
        addon.addon.id.as_uuid(),
        server,
        at - LONGEST,
    );
    if running.fetch_one(&mut *transaction).await? && kind != BackupKind::Before {
        return Err(StoreError::BackupRunning);
    }
    if !kind.has_bytes() && is_upgrading(&mut transaction, addon.addon.id).await? {
        return Err(StoreError::UpgradeRunning);
    }
    sqlx::query!(
        "insert into addon_backups (
            id,
            addon,
            addon_name,
            service,
            version,
            app,
            app_name,
            owner,
            team,
            number,
            kind,
            source,
            copied_from,
            state,
            server,
            created_by,
            created_at
        )
        select
            $1,
            $2,
            $3,
            $4,
            (select version from addons where id = $2),
            $5,
            $6,
            $7,
            $8,
            (select coalesce(max(number), 0) + 1 from addon_backups where app = $5),
            $9,
            $10,
            $11,
            'running',
            $12,
            $13,
            $14",
        id.as_uuid(),
        addon.addon.id.as_uuid(),
        addon.addon.name.as_str(),
        addon.addon.service,
        app.as_uuid(),
        addon.app_name,
        owned.owner,
        owned.team,
        kind.as_str(),
        backup,
        copied_from,
        server,
        by.map(|id| *id.as_uuid()),
        at,
    )
    .execute(&mut *transaction)
    .await?;
    let backup = get(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    record(&mut transaction, &backup, "create", by, at).await?;
    transaction.commit().await?;
    Ok(backup)
}

async fn is_upgrading(conn: &mut PgConnection, addon: Id<Addon>) -> Result<bool, StoreError> {
    let upgrading = sqlx::query_scalar!(
        r#"select exists (select from addon_upgrades where addon = $1 and ended_at is null) as "any!""#,
        addon.as_uuid()
    );
    Ok(upgrading.fetch_one(conn).await?)
}

/// So many bytes have passed.
pub async fn progress(conn: &mut PgConnection, id: Id<AddonBackup>, bytes: u64) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backups set bytes = $2 where id = $1 and state = 'running'",
        id.as_uuid(),
        i64::try_from(bytes).unwrap_or(i64::MAX),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends one. `false`: it has ended already.
pub async fn end(
    conn: &mut PgConnection,
    id: Id<AddonBackup>,
    ending: Ending<'_>,
    bytes: u64,
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let (state, reason) = match ending {
        Ending::Succeeded => ("succeeded", None),
        Ending::Failed { reason } => ("failed", Some(reason)),
        Ending::Canceled => ("canceled", None),
    };
    let mut transaction = conn.begin().await?;
    let ended = sqlx::query!(
        "update addon_backups
        set state = $2, reason = $3, bytes = $4, finished_at = $5
        where id = $1
            and state = 'running'",
        id.as_uuid(),
        state,
        reason,
        i64::try_from(bytes).unwrap_or(i64::MAX),
        at,
    );
    let has_ended = ended.execute(&mut *transaction).await?.rows_affected() == 1;
    if has_ended && let Some(backup) = get(&mut transaction, id).await? {
        record(&mut transaction, &backup, "update", None, at).await?;
    }
    transaction.commit().await?;
    Ok(has_ended)
}

/// What a server is at, or was when it died; and what [nobody](is_stale) can be at any more, whoever was.
pub async fn running_of(
    conn: &mut PgConnection,
    server: Uuid,
    now: DateTime<Utc>,
) -> Result<Vec<AddonBackup>, StoreError> {
    let rows = select_backups!(
        "where (server = $1 or created_at <= $2)
            and state = 'running'
        order by id",
        server,
        now - LONGEST,
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonBackup::try_from)
        .collect()
}

/// What somebody is at with an add-on, whichever server.
pub(crate) async fn running_of_addon(
    conn: &mut PgConnection,
    addon: Id<Addon>,
    now: DateTime<Utc>,
) -> Result<Option<AddonBackup>, StoreError> {
    let row = select_backups!(
        "where addon = $1
            and state = 'running'
            and created_at > $2
        order by id
        limit 1",
        addon.as_uuid(),
        now - LONGEST,
    );
    row.fetch_optional(conn).await?.map(AddonBackup::try_from).transpose()
}

/// It is of the version that its add-on has now.
pub async fn note_version(conn: &mut PgConnection, id: Id<AddonBackup>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backups
        set version = addons.version
        from addons
        where addons.id = addon_backups.addon
            and addon_backups.id = $1",
        id.as_uuid()
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Of the server that wrote it; an older one does not read it. `None`: it is from before anybody wrote that down.
pub async fn version(conn: &mut PgConnection, id: Id<AddonBackup>) -> Result<Option<String>, StoreError> {
    let version = sqlx::query_scalar!("select version from addon_backups where id = $1", id.as_uuid());
    Ok(version.fetch_optional(conn).await?.flatten())
}

/// What came of a restore into a scratch server.
pub async fn set_proof(conn: &mut PgConnection, id: Id<AddonBackup>, proof: &BackupProof) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "update addon_backups
        set proved_at = $2, is_proof_good = $3, proof = $4
        where id = $1",
        id.as_uuid(),
        proof.at,
        proof.is_good,
        proof.words,
    )
    .execute(&mut *transaction)
    .await?;
    if let Some(backup) = get(&mut transaction, id).await? {
        record(&mut transaction, &backup, "update", None, proof.at).await?;
    }
    Ok(transaction.commit().await?)
}

pub async fn get(conn: &mut PgConnection, id: Id<AddonBackup>) -> Result<Option<AddonBackup>, StoreError> {
    select_backups!("where id = $1", id.as_uuid())
        .fetch_optional(conn)
        .await?
        .map(AddonBackup::try_from)
        .transpose()
}

/// All of a server, in the order in which they were begun.
pub async fn all_of(conn: &mut PgConnection, server: Uuid) -> Result<Vec<AddonBackup>, StoreError> {
    let rows = select_backups!("where server = $1 order by created_at, number", server);
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonBackup::try_from)
        .collect()
}

/// Those of an app, in the order of their numbers.
pub async fn list_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<AddonBackup>, StoreError> {
    let rows = select_backups!("where app = $1 order by number", app.as_uuid());
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonBackup::try_from)
        .collect()
}

/// What is left of an app that is gone, and was owned by this account, or by a team of which it is an admin.
pub async fn list_of_gone(
    conn: &mut PgConnection,
    app_name_or_id: &str,
    owner: Id<Account>,
) -> Result<Vec<AddonBackup>, StoreError> {
    let id = app_name_or_id.parse::<Uuid>().ok();
    let rows = select_backups!(
        "where (app_name = $1 or app = $2)
            and (owner = $3 or team in (select team from team_members where account = $3 and role = 'admin'))
            and not exists (select from apps where apps.id = addon_backups.app)
        order by created_at, number",
        app_name_or_id,
        id,
        owner.as_uuid(),
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AddonBackup::try_from)
        .collect()
}

/// The backups of an app belong to whoever the app belongs to: they are what is left of it when it is gone.
pub(crate) async fn follow_owner(conn: &mut PgConnection, app: Id<App>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backups
        set owner = apps.owner, team = apps.team
        from apps
        where apps.id = $1
            and addon_backups.app = apps.id",
        app.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets one, after its file.
pub async fn delete(
    conn: &mut PgConnection,
    backup: &AddonBackup,
    by: Option<Id<Account>>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!("delete from addon_backups where id = $1", backup.id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    record(&mut transaction, backup, "destroy", by, at).await?;
    Ok(transaction.commit().await?)
}

async fn record(
    conn: &mut PgConnection,
    backup: &AddonBackup,
    action: &str,
    by: Option<Id<Account>>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "addon-backup",
        id: backup.id.as_uuid(),
    };
    let payload = json!({
        "name": backup.name(),
        "addon": backup.addon_name,
        "kind": backup.kind.as_str(),
        "state": row::word(&backup.state),
        "proof": backup.proof.as_ref().map(|proof| proof.is_good),
    });
    let event = match by {
        Some(by) => change.by(backup.app, Stamp { by, at }, payload),
        None => change.by_platform(backup.app, at, payload),
    };
    event::record(conn, event).await
}

#[cfg(test)]
mod tests;

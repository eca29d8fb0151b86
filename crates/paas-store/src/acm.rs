//! Automated certificate management: one row per managed name, which says where it stands.
//!
//! A server works on a name while it holds the name's lease, and nobody else does: what it saves without the lease is not
//! saved. Whatever must not be lost to a crash (the order in the ledger, the key of the certificate to come) is written
//! before the authority is asked.

mod row;

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{Acm, App, DomainName, Fault, Id, OrderKind};
use sqlx::Connection;
use uuid::Uuid;

use crate::{PgConnection, Sealed, Sealer, StoreError, acme_ledger, certificate::Certificate, column::corrupt, new_id};
use row::{Columns, Row};

const KEY_NOUN: &str = "acm order key";
/// No lease is that long: one that seems to be was written by a clock that ran ahead.
const LONGEST_LEASE: TimeDelta = TimeDelta::hours(1);

/// A name whose certificate comes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedName {
    pub id: Id<ManagedName>,
    pub hostname: DomainName,
    /// `None`: a name of the platform itself.
    pub app: Option<Id<App>>,
    pub acm: Acm,
    /// The order that is being placed or pursued.
    pub order: Option<OpenOrder>,
    /// When to ask for renewal information again.
    pub window_due_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
}

/// What is kept of an order besides its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOrder {
    /// The directory of the authority that has it.
    pub directory: String,
    ledger_entry: i64,
    key: Sealed,
}

/// What an order is about to be placed for.
#[derive(Clone, Copy)]
pub struct NewOrder<'a> {
    pub directory: &'a str,
    pub names: &'a [String],
    pub kind: OrderKind,
    /// The key of the certificate to come, as PEM.
    pub key_pem: &'a str,
}

/// Where a name stands now.
#[derive(Clone, Copy)]
pub struct Standing<'a> {
    pub acm: &'a Acm,
    pub window_due_at: Option<DateTime<Utc>>,
    /// Why its order came to nothing, if it just did.
    pub fault: Option<Fault>,
}

macro_rules! select_names {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                acm.id,
                acm.hostname,
                acm.app,
                acm.state,
                acm.due_at,
                acm.checks,
                acm.verified_at,
                acm.authority,
                acm.directory,
                acm.order_url,
                acm.ordered_at,
                acm.order_key,
                acm.ledger_entry,
                acm.reason,
                acm.attempts,
                acm.failing_since,
                acm.tried_at,
                acm.outages,
                acm.is_rehearsed,
                acm.production_rests_until,
                acm.issued_by,
                acm.window_start,
                acm.window_end,
                acm.window_due_at,
                acm.created_at,
                acm.updated_at
            from acm
            " + $filter
            $(, $argument)*
        )
    };
}

/// Every managed name.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<ManagedName>, StoreError> {
    select_names!("order by acm.hostname")
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(ManagedName::try_from)
        .collect()
}

/// The managed names of an app: its domains, and the name that the platform gives it.
pub async fn list_of_app(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<ManagedName>, StoreError> {
    select_names!("where acm.app = $1 order by acm.hostname", app.as_uuid())
        .fetch_all(conn)
        .await?
        .into_iter()
        .map(ManagedName::try_from)
        .collect()
}

pub async fn find(conn: &mut PgConnection, hostname: &DomainName) -> Result<Option<ManagedName>, StoreError> {
    select_names!("where acm.hostname = $1", hostname.to_string())
        .fetch_optional(conn)
        .await?
        .map(ManagedName::try_from)
        .transpose()
}

/// Begins to manage a name, or gives it to another app.
pub async fn manage(
    conn: &mut PgConnection,
    hostname: &DomainName,
    app: Option<Id<App>>,
    acm: &Acm,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let columns = Columns::of(acm);
    let id = new_id::<ManagedName>(now);
    sqlx::query!(
        "insert into acm (id, hostname, app, state, due_at, reason, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        on conflict (hostname) do update set app = excluded.app",
        id.as_uuid(),
        hostname.to_string(),
        app.as_ref().map(Id::as_uuid),
        columns.state,
        columns.due_at,
        columns.reason,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets a name that is not wanted any more; its certificate stays.
pub async fn forget(conn: &mut PgConnection, id: Id<ManagedName>) -> Result<(), StoreError> {
    sqlx::query!("delete from acm where id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Takes or extends the lease of a name. `false` while another server has it.
pub async fn lease(
    conn: &mut PgConnection,
    id: Id<ManagedName>,
    server: Uuid,
    until: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let leased = sqlx::query!(
        "update acm
        set leased_by = $2, leased_until = $3
        where id = $1
            and (leased_by is null or leased_by = $2 or leased_until <= $4 or leased_until > $5)",
        id.as_uuid(),
        server,
        until,
        now,
        now + LONGEST_LEASE,
    );
    Ok(leased.execute(conn).await?.rows_affected() == 1)
}

/// Gives the lease of a name back.
pub async fn release(conn: &mut PgConnection, id: Id<ManagedName>, server: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "update acm
        set leased_by = null, leased_until = null
        where id = $1
            and leased_by = $2",
        id.as_uuid(),
        server,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes the order into the ledger and keeps its key, before it is placed. `false` without the lease.
pub async fn begin_order(
    conn: &mut PgConnection,
    sealer: &Sealer,
    id: Id<ManagedName>,
    order: NewOrder<'_>,
    server: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let entry = acme_ledger::record_order(&mut transaction, order.directory, order.names, order.kind, now).await?;
    let kept = sqlx::query!(
        "update acm
        set directory = $2, ledger_entry = $3, order_key = $4
        where id = $1
            and leased_by = $5",
        id.as_uuid(),
        order.directory,
        entry,
        sealer.seal(KEY_NOUN, id.as_uuid(), order.key_pem.as_bytes()).0,
        server,
    );
    if kept.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    transaction.commit().await?;
    Ok(true)
}

/// The key of the certificate to come, in the clear.
pub fn order_key(sealer: &Sealer, name: &ManagedName) -> Result<Option<String>, StoreError> {
    let Some(order) = &name.order else { return Ok(None) };
    let bytes = sealer.open(KEY_NOUN, name.id.as_uuid(), &order.key)?;
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| corrupt(KEY_NOUN, "no text"))
}

/// Saves where a name stands now; what became of an order that has ended is noted in the ledger. `false` without the lease.
pub async fn save(
    conn: &mut PgConnection,
    name: &ManagedName,
    now_at: Standing<'_>,
    server: Uuid,
) -> Result<bool, StoreError> {
    let Standing {
        acm,
        window_due_at,
        fault,
    } = now_at;
    let mut transaction = conn.begin().await?;
    let columns = Columns::of(acm);
    let saved = sqlx::query!(
        "update acm
        set state = $2,
            due_at = $3,
            checks = $4,
            verified_at = $5,
            authority = $6,
            order_url = $7,
            ordered_at = $8,
            reason = $9,
            attempts = $10,
            failing_since = $11,
            tried_at = $12,
            outages = $13,
            is_rehearsed = $14,
            production_rests_until = $15,
            issued_by = $16,
            window_start = $17,
            window_end = $18,
            window_due_at = $19,
            updated_at = $20
        where id = $1
            and leased_by = $21",
        name.id.as_uuid(),
        columns.state,
        columns.due_at,
        columns.checks,
        columns.verified_at,
        columns.authority,
        columns.order_url,
        columns.ordered_at,
        columns.reason,
        columns.attempts,
        columns.failing_since,
        columns.tried_at,
        columns.outages,
        columns.is_rehearsed,
        columns.production_rests_until,
        columns.issued_by,
        columns.window_start,
        columns.window_end,
        window_due_at,
        columns.changed_at,
        server,
    );
    if saved.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    if columns.order_url.is_none() {
        end_order(&mut transaction, name.id, fault, acm.changed_at).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

/// Asks for the certificates of an app now: what waits, or was given up, is looked at at once.
pub async fn refresh(conn: &mut PgConnection, app: Id<App>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let server = Uuid::new_v4();
    for name in list_of_app(&mut transaction, app).await? {
        // One that a server works on is being looked at.
        if lease(&mut transaction, name.id, server, now, now).await? {
            let acm = name.acm.clone().asked_again(now);
            let standing = Standing {
                acm: &acm,
                window_due_at: name.window_due_at,
                fault: None,
            };
            save(&mut transaction, &name, standing, server).await?;
            release(&mut transaction, name.id, server).await?;
        }
    }
    sqlx::query!("select pg_notify('wanted', $1)", app.to_string())
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// Notes that people are told that a certificate ends in so many days. `false` when they were told before.
pub async fn warn_once(
    conn: &mut PgConnection,
    certificate: Id<Certificate>,
    days: i64,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let noted = sqlx::query!(
        "insert into certificate_warnings (certificate, days, at)
        select id, $2, $3 from certificates where id = $1
        on conflict (certificate, days) do nothing",
        certificate.as_uuid(),
        i32::try_from(days).unwrap_or(i32::MAX),
        now,
    );
    Ok(noted.execute(conn).await?.rows_affected() == 1)
}

/// Forgets the order of a name, which has come to its end.
async fn end_order(
    conn: &mut PgConnection,
    id: Id<ManagedName>,
    fault: Option<Fault>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let entry = sqlx::query_scalar!("select ledger_entry from acm where id = $1", id.as_uuid());
    let entry = entry.fetch_optional(&mut *conn).await?.flatten();
    if let (Some(entry), Some(fault)) = (entry, fault) {
        acme_ledger::record_failure(conn, entry, fault == Fault::Name, now).await?;
    }
    sqlx::query!(
        "update acm
        set directory = null, ledger_entry = null, order_key = null
        where id = $1",
        id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;

//! Transfers: offers of an app from one person to another, and what an accepted one changes.

use chrono::{DateTime, Utc};
use paas_core::{App, AppName, Id};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, Stamp, StoreError,
    account::Account,
    app,
    column::{corrupt, parse},
    event::{self, Change},
    new_id,
};

/// An offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppTransfer {
    pub id: Id<AppTransfer>,
    pub app: Id<App>,
    pub app_name: AppName,
    pub owner: Actor,
    pub recipient: Actor,
    pub state: TransferState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferState {
    Pending,
    Accepted,
    Declined,
}

impl TransferState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Declined => "declined",
        }
    }
}

macro_rules! select_transfers {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                app_transfers.id,
                app_transfers.app,
                apps.name as app_name,
                app_transfers.owner,
                owners.email as owner_email,
                app_transfers.recipient,
                recipients.email as recipient_email,
                app_transfers.state,
                app_transfers.created_at,
                app_transfers.updated_at
            from app_transfers
            join apps on apps.id = app_transfers.app
            join accounts as owners on owners.id = app_transfers.owner
            join accounts as recipients on recipients.id = app_transfers.recipient
            where apps.destroyed_at is null and " + $filter
            $(, $argument)*
        )
    };
}

/// Offers the stamp's account's app to somebody. Fails with [`StoreError::TransferPending`].
pub async fn create(
    conn: &mut PgConnection,
    app: Id<App>,
    recipient: Id<Account>,
    stamp: Stamp,
) -> Result<AppTransfer, StoreError> {
    let mut transaction = conn.begin().await?;
    let id = new_id::<AppTransfer>(stamp.at);
    sqlx::query!(
        "insert into app_transfers (id, app, owner, recipient, state, created_at, updated_at)
        values ($1, $2, $3, $4, 'pending', $5, $5)",
        id.as_uuid(),
        app.as_uuid(),
        stamp.by.as_uuid(),
        recipient.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let made = by_id(&mut transaction, id).await?.ok_or(StoreError::AppGone)?;
    record(&mut transaction, &made, "create", stamp).await?;
    transaction.commit().await?;
    Ok(made)
}

/// What an account has offered and was offered, oldest first.
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<AppTransfer>, StoreError> {
    let rows = select_transfers!(
        "$1 in (app_transfers.owner, app_transfers.recipient)
        order by app_transfers.created_at, app_transfers.id",
        account.as_uuid(),
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(AppTransfer::try_from)
        .collect()
}

/// The transfer with this id, or of the app with this name the pending or else the newest one, that an account has a part in.
pub async fn find(
    conn: &mut PgConnection,
    account: Id<Account>,
    name: &str,
) -> Result<Option<AppTransfer>, StoreError> {
    let mut list = list(conn, account).await?;
    list.retain(|transfer| transfer.id.to_string() == name || transfer.app_name.as_str() == name);
    let pending = list
        .iter()
        .position(|transfer| transfer.state == TransferState::Pending);
    Ok(match pending {
        Some(index) => Some(list.swap_remove(index)),
        None => list.pop(),
    })
}

/// Ends a pending offer. One that is accepted makes the recipient the owner, and the owner a collaborator. Fails with
/// [`StoreError::TransferEnded`] when it was ended before, or the app is not the offerer's any more.
pub async fn decide(
    conn: &mut PgConnection,
    id: Id<AppTransfer>,
    state: TransferState,
    stamp: Stamp,
) -> Result<AppTransfer, StoreError> {
    let mut transaction = conn.begin().await?;
    // First the app, as whoever gives it away by other means does: two that wait for each other would both fail.
    let offered = by_id(&mut transaction, id).await?.ok_or(StoreError::TransferEnded)?;
    app::lock(&mut transaction, offered.app).await?;
    let ended = sqlx::query_scalar!(
        "update app_transfers
        set state = $2, updated_at = $3
        where id = $1
            and state = 'pending'
        returning id",
        id.as_uuid(),
        state.as_str(),
        stamp.at,
    );
    if ended.fetch_optional(&mut *transaction).await?.is_none() {
        return Err(StoreError::TransferEnded);
    }
    let transfer = by_id(&mut transaction, id).await?.ok_or(StoreError::TransferEnded)?;
    if state == TransferState::Accepted {
        app::hand_over(&mut transaction, &transfer, stamp).await?;
    }
    record(&mut transaction, &transfer, "update", stamp).await?;
    transaction.commit().await?;
    Ok(transfer)
}

/// Takes an offer back. Fails with [`StoreError::TransferEnded`].
pub async fn delete(conn: &mut PgConnection, transfer: &AppTransfer, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let deleted = sqlx::query!(
        "delete from app_transfers
        where id = $1
            and state = 'pending'",
        transfer.id.as_uuid(),
    );
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::TransferEnded);
    }
    record(&mut transaction, transfer, "destroy", stamp).await?;
    Ok(transaction.commit().await?)
}

async fn by_id(conn: &mut PgConnection, id: Id<AppTransfer>) -> Result<Option<AppTransfer>, StoreError> {
    let found = select_transfers!("app_transfers.id = $1", id.as_uuid());
    found.fetch_optional(conn).await?.map(AppTransfer::try_from).transpose()
}

async fn record(conn: &mut PgConnection, transfer: &AppTransfer, action: &str, stamp: Stamp) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "app-transfer",
        id: transfer.id.as_uuid(),
    };
    let payload = json!({ "recipient": transfer.recipient.email, "state": transfer.state.as_str() });
    event::record(conn, change.by(transfer.app, stamp, payload)).await
}

struct Row {
    id: Uuid,
    app: Uuid,
    app_name: String,
    owner: Uuid,
    owner_email: String,
    recipient: Uuid,
    recipient_email: String,
    state: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for AppTransfer {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        const STATES: [TransferState; 3] = [TransferState::Pending, TransferState::Accepted, TransferState::Declined];
        let state = STATES.into_iter().find(|state| state.as_str() == row.state);
        Ok(Self {
            id: row.id.into(),
            app: row.app.into(),
            app_name: parse("app", &row.app_name)?,
            owner: Actor {
                id: row.owner.into(),
                email: row.owner_email,
            },
            recipient: Actor {
                id: row.recipient.into(),
                email: row.recipient_email,
            },
            state: state.ok_or_else(|| corrupt("app transfer", &row.state))?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

//! Who owns an app: a person, or a team. Each function here makes one the owner instead of the other.

use paas_core::{App, Id, Permissions, Standing, TeamAction, TeamName};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use super::record;
use crate::{
    Actor, PgConnection, Stamp, StoreError,
    account::Account,
    addon_backup,
    app_transfer::AppTransfer,
    collaborator,
    team::{self, Team},
};

/// Who owns an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    Account(Actor),
    Team(TeamOwner),
}

/// A team, seen from one of its apps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamOwner {
    pub id: Id<Team>,
    pub name: TeamName,
}

impl Owner {
    pub const fn id(&self) -> &Uuid {
        match self {
            Self::Account(account) => account.id.as_uuid(),
            Self::Team(team) => team.id.as_uuid(),
        }
    }

    /// Of a team, it is one that nobody reads; clients know the team by it.
    pub fn email(&self) -> String {
        match self {
            Self::Account(account) => account.email.clone(),
            Self::Team(team) => team.name.address(),
        }
    }

    pub const fn team(&self) -> Option<&TeamOwner> {
        match self {
            Self::Account(_) => None,
            Self::Team(team) => Some(team),
        }
    }
}

/// The apps that a team owns, those that are being destroyed among them.
pub async fn of_team(conn: &mut PgConnection, team: Id<Team>) -> Result<Vec<Id<App>>, StoreError> {
    let apps = sqlx::query_scalar!("select id from apps where team = $1", team.as_uuid());
    Ok(apps.fetch_all(conn).await?.into_iter().map(Id::from_uuid).collect())
}

/// Members of the team who were not added to a locked app neither see nor join it. Fails with [`StoreError::AppGone`],
/// also when no team owns the app.
pub async fn set_locked(conn: &mut PgConnection, id: Id<App>, on: bool, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set locked = $2, updated_at = $3
        where id = $1
            and team is not null
            and destroyed_at is null",
        id.as_uuid(),
        on,
        stamp.at,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Err(StoreError::AppGone);
    }
    record(&mut transaction, id, "update", stamp, json!({ "locked": on })).await?;
    Ok(transaction.commit().await?)
}

/// Makes a team the owner. A person who was it before stays, with every permission; other collaborators keep theirs. What
/// another team's app let people do there is theirs no more: its collaborators go. Fails with
/// [`StoreError::NotInTeam`] when the stamp's account may not bring apps into the team.
pub async fn give_to_team(conn: &mut PgConnection, id: Id<App>, team: &Team, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    // A removal from the team waits, and takes from this app, too, what it gives here.
    if !team::lock(&mut transaction, team.id).await? {
        return Err(StoreError::TeamGone);
    }
    let role = team::role(&mut transaction, team.id, stamp.by).await?;
    if !role.is_some_and(|role| role.may(TeamAction::AddApps)) {
        return Err(StoreError::NotInTeam);
    }
    let before = owner_for_update(&mut transaction, id).await?;
    sqlx::query!(
        "update apps
        set owner = null, team = $2, locked = false, updated_at = $3
        where id = $1",
        id.as_uuid(),
        team.id.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    addon_backup::follow_owner(&mut transaction, id).await?;
    if let Some(before) = before {
        collaborator::keep(&mut transaction, id, before, Permissions::ALL, stamp).await?;
    } else {
        collaborator::leave_all(&mut transaction, id, stamp).await?;
    }
    withdraw(&mut transaction, id, stamp).await?;
    record(
        &mut transaction,
        id,
        "update",
        stamp,
        json!({ "team": { "id": team.id.as_uuid(), "name": team.name.as_str() } }),
    )
    .await?;
    Ok(transaction.commit().await?)
}

/// Makes a person the owner of a team's app. Nobody else keeps access: Heroku's command says so before it asks for this.
pub async fn give_to_account(
    conn: &mut PgConnection,
    id: Id<App>,
    account: Id<Account>,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    owner_for_update(&mut transaction, id).await?;
    sqlx::query!(
        "update apps
        set owner = $2, team = null, locked = false, updated_at = $3
        where id = $1",
        id.as_uuid(),
        account.as_uuid(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    addon_backup::follow_owner(&mut transaction, id).await?;
    collaborator::leave_all(&mut transaction, id, stamp).await?;
    withdraw(&mut transaction, id, stamp).await?;
    let payload = json!({ "owner": { "id": account.as_uuid() } });
    record(&mut transaction, id, "update", stamp, payload).await?;
    Ok(transaction.commit().await?)
}

/// Makes the recipient of an accepted transfer the owner, and the owner a collaborator. Fails with
/// [`StoreError::TransferEnded`] when the app is not the offerer's any more.
pub(crate) async fn hand_over(conn: &mut PgConnection, transfer: &AppTransfer, stamp: Stamp) -> Result<(), StoreError> {
    let (id, recipient) = (transfer.app, transfer.recipient.id);
    let owner = owner_for_update(conn, id).await?;
    if owner != Some(transfer.owner.id) {
        return Err(StoreError::TransferEnded);
    }
    sqlx::query!(
        "update apps
        set owner = $2, updated_at = $3
        where id = $1",
        id.as_uuid(),
        recipient.as_uuid(),
        stamp.at,
    )
    .execute(&mut *conn)
    .await?;
    addon_backup::follow_owner(conn, id).await?;
    collaborator::leave(conn, id, recipient, stamp).await?;
    collaborator::keep(conn, id, transfer.owner.id, Standing::COLLABORATOR, stamp).await?;
    let payload = json!({ "owner": { "id": recipient.as_uuid() } });
    record(conn, id, "update", stamp, payload).await
}

/// The person who owns the app; `None`: a team. Nobody else changes that until the transaction ends.
async fn owner_for_update(conn: &mut PgConnection, id: Id<App>) -> Result<Option<Id<Account>>, StoreError> {
    let owner = sqlx::query_scalar!(
        "select owner
        from apps
        where id = $1
            and destroyed_at is null
        for update",
        id.as_uuid(),
    );
    let owner = owner.fetch_optional(conn).await?.ok_or(StoreError::AppGone)?;
    Ok(owner.map(Id::from_uuid))
}

/// Nobody can accept what the offerer does not own any more.
async fn withdraw(conn: &mut PgConnection, id: Id<App>, stamp: Stamp) -> Result<(), StoreError> {
    sqlx::query!(
        "update app_transfers
        set state = 'declined', updated_at = $2
        where app = $1
            and state = 'pending'",
        id.as_uuid(),
        stamp.at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

//! Who is in a team. A team always has an admin.

use chrono::{DateTime, Utc};
use paas_core::{App, Id, Role};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, Stamp, StoreError,
    account::Account,
    app, collaborator,
    column::parse,
    event::{self, Event},
    new_id,
    team::{self, Team},
};

/// Somebody in a team, or a collaborator of one of its apps who is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamMember {
    pub id: Uuid,
    pub user: Actor,
    pub role: Role,
    /// Whether they log in with a second factor.
    pub two_factor: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Everybody in the team and every collaborator of its apps, by email address.
pub async fn list(conn: &mut PgConnection, team: Id<Team>) -> Result<Vec<TeamMember>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        r#"select
            people.id as "id!",
            people.account as "account!",
            accounts.email,
            people.role as "role!",
            exists (
                select from two_factors
                where two_factors.account = accounts.id
                    and confirmed_at is not null
            ) as "two_factor!",
            people.created_at as "created_at!",
            people.updated_at as "updated_at!"
        from (
            select id, account, role, created_at, updated_at
            from team_members
            where team = $1
            union all
            -- The oldest of their collaborations speaks for all of them.
            (
                select distinct on (collaborators.account)
                    collaborators.id,
                    collaborators.account,
                    'collaborator',
                    collaborators.created_at,
                    collaborators.updated_at
                from collaborators
                join apps on apps.id = collaborators.app
                where apps.team = $1
                    and apps.destroyed_at is null
                    and not exists (
                        select
                        from team_members
                        where team_members.team = $1
                            and team_members.account = collaborators.account
                    )
                order by collaborators.account, collaborators.created_at, collaborators.id
            )
        ) people
        join accounts on accounts.id = people.account
        order by lower(accounts.email)"#,
        team.as_uuid(),
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(TeamMember::try_from)
        .collect()
}

/// Gives somebody a role in a team, whether they are in it or not. Fails with [`StoreError::LastAdmin`].
pub async fn put(
    conn: &mut PgConnection,
    team: Id<Team>,
    account: Id<Account>,
    role: Role,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    if !team::lock(&mut transaction, team).await? {
        return Err(StoreError::TeamGone);
    }
    let id = new_id::<TeamMember>(stamp.at);
    let is_new = sqlx::query_scalar!(
        r#"insert into team_members (id, team, account, role, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $5)
        on conflict (team, account) do update
        set role = excluded.role, updated_at = excluded.updated_at
        returning (id = $1) as "is_new!""#,
        id.as_uuid(),
        team.as_uuid(),
        account.as_uuid(),
        role.as_str(),
        stamp.at,
    );
    let is_new = is_new.fetch_one(&mut *transaction).await?;
    check_admin(&mut transaction, team).await?;
    let action = if is_new { "create" } else { "update" };
    record(&mut transaction, team, account, (action, role), stamp).await?;
    Ok(transaction.commit().await?)
}

/// Removes somebody from a team and from all its apps: the apps they lose are told. `None`: they had no part in it.
/// Fails with [`StoreError::LastAdmin`].
pub async fn remove(
    conn: &mut PgConnection,
    team: Id<Team>,
    account: Id<Account>,
    stamp: Stamp,
) -> Result<Option<Vec<Id<App>>>, StoreError> {
    let mut transaction = conn.begin().await?;
    if !team::lock(&mut transaction, team).await? {
        return Err(StoreError::TeamGone);
    }
    let removed = sqlx::query_scalar!(
        "delete from team_members
        where team = $1
            and account = $2
        returning role",
        team.as_uuid(),
        account.as_uuid(),
    );
    let removed = removed.fetch_optional(&mut *transaction).await?;
    let apps = app::of_team(&mut transaction, team).await?;
    let mut was_added = false;
    for app in &apps {
        was_added |= collaborator::leave(&mut transaction, *app, account, stamp).await?;
    }
    let role = match removed {
        Some(role) => parse("team member", &role)?,
        None if was_added => Role::Collaborator,
        None => return Ok(None),
    };
    check_admin(&mut transaction, team).await?;
    record(&mut transaction, team, account, ("destroy", role), stamp).await?;
    transaction.commit().await?;
    Ok(Some(apps))
}

async fn check_admin(conn: &mut PgConnection, team: Id<Team>) -> Result<(), StoreError> {
    let has_admin = sqlx::query_scalar!(
        r#"select exists (
            select
            from team_members
            where team = $1
                and role = 'admin'
        ) as "has_admin!""#,
        team.as_uuid(),
    );
    if has_admin.fetch_one(conn).await? {
        Ok(())
    } else {
        Err(StoreError::LastAdmin)
    }
}

async fn record(
    conn: &mut PgConnection,
    team: Id<Team>,
    account: Id<Account>,
    (action, role): (&str, Role),
    stamp: Stamp,
) -> Result<(), StoreError> {
    let event = Event {
        app: None,
        actor: Some(stamp.by),
        action: action.to_owned(),
        resource: "team-member".to_owned(),
        resource_id: Some(*account.as_uuid()),
        payload: json!({ "team": { "id": team.as_uuid() }, "role": role.as_str() }),
        at: stamp.at,
    };
    event::record(conn, event).await
}

struct Row {
    id: Uuid,
    account: Uuid,
    email: String,
    role: String,
    two_factor: bool,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for TeamMember {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            user: Actor {
                id: row.account.into(),
                email: row.email,
            },
            role: parse("team member", &row.role)?,
            two_factor: row.two_factor,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

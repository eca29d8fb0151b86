//! Teams: people who own apps together.

use chrono::{DateTime, Utc};
use paas_core::{Id, Role, TeamName};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    account::Account,
    column::parse,
    event::{self, Event},
    new_id, team_member,
};

/// A team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    pub id: Id<Team>,
    pub name: TeamName,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

macro_rules! select_teams {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select teams.id, teams.name, teams.created_at, teams.updated_at from teams " + $filter
            $(, $argument)*
        )
    };
}

/// Makes a team, whose first admin is the stamp's account. Fails with [`StoreError::NameTaken`].
pub async fn create(conn: &mut PgConnection, name: &TeamName, stamp: Stamp) -> Result<Team, StoreError> {
    let mut transaction = conn.begin().await?;
    let team = Team {
        id: new_id(stamp.at),
        name: name.clone(),
        created_at: stamp.at,
        updated_at: stamp.at,
    };
    sqlx::query!(
        "insert into teams (id, name, created_at, updated_at)
        values ($1, $2, $3, $3)",
        team.id.as_uuid(),
        name.as_str(),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction, &team, "create", stamp).await?;
    team_member::put(&mut transaction, team.id, stamp.by, Role::Admin, stamp).await?;
    transaction.commit().await?;
    Ok(team)
}

/// The team with this name or id.
pub async fn find(conn: &mut PgConnection, name_or_id: &str) -> Result<Option<Team>, StoreError> {
    let found = if let Ok(id) = name_or_id.parse::<Uuid>() {
        select_teams!("where teams.id = $1", id).fetch_optional(conn).await?
    } else {
        select_teams!("where teams.name = $1", name_or_id)
            .fetch_optional(conn)
            .await?
    };
    found.map(Team::try_from).transpose()
}

/// The teams that an account is in, or works for as a collaborator, by name.
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<(Team, Role)>, StoreError> {
    let rows = sqlx::query!(
        r#"select
            teams.id,
            teams.name,
            teams.created_at,
            teams.updated_at,
            team_members.role as "role?"
        from teams
        left join team_members on team_members.team = teams.id and team_members.account = $1
        where team_members.id is not null
            or exists (
                select
                from collaborators
                join apps on apps.id = collaborators.app
                where apps.team = teams.id
                    and apps.destroyed_at is null
                    and collaborators.account = $1
            )
        order by teams.name"#,
        account.as_uuid(),
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| {
        let role = row.role.map(|role| parse("team member", &role)).transpose()?;
        let team = Row {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        Ok((team.try_into()?, role.unwrap_or(Role::Collaborator)))
    })
    .collect()
}

/// What an account is to a team: a member of some role, or a collaborator of one of its apps.
pub async fn role(conn: &mut PgConnection, team: Id<Team>, account: Id<Account>) -> Result<Option<Role>, StoreError> {
    let row = sqlx::query!(
        r#"select
            (
                select role
                from team_members
                where team = $1
                    and account = $2
            ) as role,
            exists (
                select
                from collaborators
                join apps on apps.id = collaborators.app
                where apps.team = $1
                    and apps.destroyed_at is null
                    and collaborators.account = $2
            ) as "is_collaborator!""#,
        team.as_uuid(),
        account.as_uuid(),
    );
    let row = row.fetch_one(conn).await?;
    match row.role {
        Some(role) => Ok(Some(parse("team member", &role)?)),
        None => Ok(row.is_collaborator.then_some(Role::Collaborator)),
    }
}

/// Fails with [`StoreError::NameTaken`]. `None` when the team is gone.
pub async fn rename(
    conn: &mut PgConnection,
    id: Id<Team>,
    name: &TeamName,
    stamp: Stamp,
) -> Result<Option<Team>, StoreError> {
    let mut transaction = conn.begin().await?;
    let renamed = sqlx::query_as!(
        Row,
        "update teams
        set name = $2, updated_at = $3
        where id = $1
        returning id, name, created_at, updated_at",
        id.as_uuid(),
        name.as_str(),
        stamp.at,
    );
    let team = renamed.fetch_optional(&mut *transaction).await?;
    let team = team.map(Team::try_from).transpose()?;
    if let Some(team) = &team {
        record(&mut transaction, team, "update", stamp).await?;
    }
    transaction.commit().await?;
    Ok(team)
}

/// Fails with [`StoreError::TeamHasApps`]. `false` when the team is gone.
pub async fn delete(conn: &mut PgConnection, id: Id<Team>, stamp: Stamp) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let deleted = sqlx::query_as!(
        Row,
        "delete from teams
        where id = $1
        returning id, name, created_at, updated_at",
        id.as_uuid(),
    );
    let team = deleted.fetch_optional(&mut *transaction).await?;
    let team = team.map(Team::try_from).transpose()?;
    if let Some(team) = &team {
        record(&mut transaction, team, "destroy", stamp).await?;
    }
    transaction.commit().await?;
    Ok(team.is_some())
}

/// Holds the team for this transaction: changes of its members happen one after the other. `false` when it is gone.
pub async fn lock(conn: &mut PgConnection, id: Id<Team>) -> Result<bool, StoreError> {
    let held = sqlx::query_scalar!("select id from teams where id = $1 for update", id.as_uuid());
    Ok(held.fetch_optional(conn).await?.is_some())
}

async fn record(conn: &mut PgConnection, team: &Team, action: &str, stamp: Stamp) -> Result<(), StoreError> {
    let event = Event {
        app: None,
        actor: Some(stamp.by),
        action: action.to_owned(),
        resource: "team".to_owned(),
        resource_id: Some(*team.id.as_uuid()),
        payload: json!({ "name": team.name.as_str() }),
        at: stamp.at,
    };
    event::record(conn, event).await
}

struct Row {
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Team {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            name: parse("team", &row.name)?,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[cfg(test)]
mod tests;

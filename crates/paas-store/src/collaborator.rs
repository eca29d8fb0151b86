//! Collaborators: who works on an app beside its owner, and how everybody stands to it.

use chrono::{DateTime, Utc};
use paas_core::{App, Id, Permission, Permissions, Standing};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    Actor, PgConnection, Stamp, StoreError,
    account::Account,
    column::parse,
    event::{self, Change},
    new_id,
};

/// Somebody who was added to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collaborator {
    pub id: Id<Collaborator>,
    pub user: Actor,
    /// What they were given, and what they are to the team that owns the app.
    pub standing: Standing,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

macro_rules! select_collaborators {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                collaborators.id,
                collaborators.account,
                accounts.email,
                collaborators.permissions,
                (apps.team is not null) as "is_team_app!",
                apps.locked,
                team_members.role as "team_role?",
                collaborators.created_at,
                collaborators.updated_at
            from collaborators
            join accounts on accounts.id = collaborators.account
            join apps on apps.id = collaborators.app
            left join team_members
                on team_members.team = apps.team
                and team_members.account = collaborators.account
            "# + $filter
            $(, $argument)*
        )
    };
}

/// By email address.
pub async fn list(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<Collaborator>, StoreError> {
    let rows = select_collaborators!(
        "where collaborators.app = $1 order by lower(accounts.email)",
        app.as_uuid()
    );
    rows.fetch_all(conn)
        .await?
        .into_iter()
        .map(Collaborator::try_from)
        .collect()
}

/// The app's collaborator with this email address, account or id.
pub async fn find(conn: &mut PgConnection, app: Id<App>, name: &str) -> Result<Option<Collaborator>, StoreError> {
    let found = if let Ok(id) = name.parse::<Uuid>() {
        select_collaborators!(
            "where collaborators.app = $1 and $2 in (collaborators.id, collaborators.account)",
            app.as_uuid(),
            id,
        )
        .fetch_optional(conn)
        .await?
    } else {
        select_collaborators!(
            "where collaborators.app = $1 and lower(accounts.email) = lower($2)",
            app.as_uuid(),
            name,
        )
        .fetch_optional(conn)
        .await?
    };
    found.map(Collaborator::try_from).transpose()
}

/// Adds somebody to an app. Fails with [`StoreError::CollaboratorTaken`] when they were added before.
pub async fn create(
    conn: &mut PgConnection,
    app: Id<App>,
    account: Id<Account>,
    permissions: Permissions,
    stamp: Stamp,
) -> Result<Collaborator, StoreError> {
    let mut transaction = conn.begin().await?;
    let id = new_id::<Collaborator>(stamp.at);
    sqlx::query!(
        "insert into collaborators (id, app, account, permissions, created_at, updated_at)
        values ($1, $2, $3, $4, $5, $5)",
        id.as_uuid(),
        app.as_uuid(),
        account.as_uuid(),
        &names(permissions),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let made = by_id(&mut transaction, id).await?.ok_or(StoreError::AppGone)?;
    record(&mut transaction, app, &made, "create", stamp).await?;
    transaction.commit().await?;
    Ok(made)
}

/// `None`: they were removed in the meantime.
pub async fn set_permissions(
    conn: &mut PgConnection,
    app: Id<App>,
    id: Id<Collaborator>,
    permissions: Permissions,
    stamp: Stamp,
) -> Result<Option<Collaborator>, StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "update collaborators
        set permissions = $3, updated_at = $4
        where id = $1
            and app = $2",
        id.as_uuid(),
        app.as_uuid(),
        &names(permissions),
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let changed = by_id(&mut transaction, id).await?;
    if let Some(changed) = &changed {
        record(&mut transaction, app, changed, "update", stamp).await?;
    }
    transaction.commit().await?;
    Ok(changed)
}

/// `false`: they were removed in the meantime.
pub async fn delete(
    conn: &mut PgConnection,
    app: Id<App>,
    id: Id<Collaborator>,
    stamp: Stamp,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let Some(gone) = by_id(&mut transaction, id).await? else {
        return Ok(false);
    };
    let deleted = sqlx::query!(
        "delete from collaborators
        where id = $1
            and app = $2",
        id.as_uuid(),
        app.as_uuid(),
    );
    if deleted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    record(&mut transaction, app, &gone, "destroy", stamp).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Removes somebody who may not have been added at all. Whether they were.
pub(crate) async fn leave(
    conn: &mut PgConnection,
    app: Id<App>,
    account: Id<Account>,
    stamp: Stamp,
) -> Result<bool, StoreError> {
    match find(conn, app, &account.to_string()).await? {
        Some(found) => delete(conn, app, found.id, stamp).await,
        None => Ok(false),
    }
}

/// Removes everybody.
pub(crate) async fn leave_all(conn: &mut PgConnection, app: Id<App>, stamp: Stamp) -> Result<(), StoreError> {
    for found in list(conn, app).await? {
        delete(conn, app, found.id, stamp).await?;
    }
    Ok(())
}

/// Adds somebody, or changes what they may do who were added before.
pub(crate) async fn keep(
    conn: &mut PgConnection,
    app: Id<App>,
    account: Id<Account>,
    permissions: Permissions,
    stamp: Stamp,
) -> Result<(), StoreError> {
    match find(conn, app, &account.to_string()).await? {
        Some(found) => drop(set_permissions(conn, app, found.id, permissions, stamp).await?),
        None => drop(create(conn, app, account, permissions, stamp).await?),
    }
    Ok(())
}

/// How an account stands to an app: as a stranger, when there is no such app.
pub async fn standing(conn: &mut PgConnection, app: Id<App>, account: Id<Account>) -> Result<Standing, StoreError> {
    let row = sqlx::query!(
        r#"select
            (apps.owner is not distinct from $2) as "is_owner!",
            (apps.team is not null) as "is_team_app!",
            apps.locked,
            team_members.role as "role?",
            collaborators.permissions as "permissions?"
        from apps
        left join team_members on team_members.team = apps.team and team_members.account = $2
        left join collaborators on collaborators.app = apps.id and collaborators.account = $2
        where apps.id = $1"#,
        app.as_uuid(),
        account.as_uuid(),
    );
    let Some(row) = row.fetch_optional(conn).await? else {
        return Ok(Standing::default());
    };
    Ok(Standing {
        is_owner: row.is_owner,
        team_role: row.role.map(|role| parse("team member", &role)).transpose()?,
        is_team_app: row.is_team_app,
        is_locked: row.locked,
        given: row.permissions.map(|names| permissions(&names)).transpose()?,
    })
}

async fn by_id(conn: &mut PgConnection, id: Id<Collaborator>) -> Result<Option<Collaborator>, StoreError> {
    let found = select_collaborators!("where collaborators.id = $1", id.as_uuid());
    found
        .fetch_optional(conn)
        .await?
        .map(Collaborator::try_from)
        .transpose()
}

async fn record(
    conn: &mut PgConnection,
    app: Id<App>,
    collaborator: &Collaborator,
    action: &str,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let change = Change {
        action,
        resource: "collaborator",
        id: collaborator.id.as_uuid(),
    };
    let user = json!({ "id": collaborator.user.id.as_uuid(), "email": collaborator.user.email });
    let given = collaborator.standing.given.unwrap_or_default();
    let payload = json!({ "user": user, "permissions": names(given) });
    event::record(conn, change.by(app, stamp, payload)).await
}

fn names(permissions: Permissions) -> Vec<String> {
    permissions
        .named()
        .map(|permission| permission.as_str().to_owned())
        .collect()
}

fn permissions(names: &[String]) -> Result<Permissions, StoreError> {
    let read = |name: &String| parse::<Permission>("collaborator", name);
    Ok(Permissions::given(
        names.iter().map(read).collect::<Result<Vec<_>, _>>()?,
    ))
}

struct Row {
    id: Uuid,
    account: Uuid,
    email: String,
    permissions: Vec<String>,
    is_team_app: bool,
    locked: bool,
    team_role: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Collaborator {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            user: Actor {
                id: row.account.into(),
                email: row.email,
            },
            standing: Standing {
                is_owner: false,
                team_role: row.team_role.map(|role| parse("team member", &role)).transpose()?,
                is_team_app: row.is_team_app,
                is_locked: row.locked,
                given: Some(permissions(&row.permissions)?),
            },
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[cfg(test)]
mod tests;

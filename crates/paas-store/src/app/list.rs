//! Lists of apps: first what they are sorted and found by, of every app that somebody gets to see; then the rows of one page.
//! A row takes a look at releases and slugs, so a platform of a thousand apps would feel it.

use chrono::{DateTime, Utc};
use paas_core::{App, AppName, Id};

use crate::{PgConnection, StoreError, account::Account, column::parse, team::Team};

/// An app in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    pub id: Id<App>,
    pub name: AppName,
    pub updated_at: DateTime<Utc>,
    /// The team that owns it.
    pub team: Option<Id<Team>>,
    /// Whoever asked owns it, or was added to it.
    pub is_joined: bool,
}

/// The living apps that an account gets to see, by name: exactly those on which its [`Standing`] has a permission.
///
/// [`Standing`]: paas_core::Standing
pub async fn list(conn: &mut PgConnection, account: Id<Account>) -> Result<Vec<Listed>, StoreError> {
    let rows = sqlx::query!(
        r#"select id, name, updated_at, team, is_joined as "is_joined!"
        from (
            select
                apps.*,
                apps.owner is not distinct from $1
                    or exists (select from collaborators where app = apps.id and account = $1) as is_joined
            from apps
            where destroyed_at is null
        ) as seen
        where is_joined
            or exists (
                select
                from team_members
                where team = seen.team
                    and account = $1
                    and (role = 'admin' or not seen.locked)
            )
        order by name"#,
        account.as_uuid(),
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| {
        Ok(Listed {
            id: row.id.into(),
            name: parse("app", &row.name)?,
            updated_at: row.updated_at,
            team: row.team.map(Id::from_uuid),
            is_joined: row.is_joined,
        })
    })
    .collect()
}

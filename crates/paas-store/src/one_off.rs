//! One-off dynos that run, or are about to.

use chrono::{DateTime, Utc};
use paas_core::{App, DynoName, DynoSize, Id, OneOff, Release};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError,
    column::{integer, parse, release_version, unsigned},
    event::{self, Change},
};

/// What makes a one-off dyno.
#[derive(Debug, Clone)]
pub struct NewOneOff {
    pub id: Id<OneOff>,
    pub app: Id<App>,
    pub name: DynoName,
    pub release: Id<Release>,
    pub size: DynoSize,
    pub command: String,
    pub is_attached: bool,
    pub expires_at: DateTime<Utc>,
}

struct Row {
    id: Uuid,
    app: Uuid,
    release: Uuid,
    version: i32,
    process_type: String,
    index: i32,
    size: String,
    command: String,
    is_attached: bool,
    is_up: bool,
    state_since: DateTime<Utc>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

macro_rules! select_one_offs {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                one_offs.id,
                one_offs.app,
                one_offs.release,
                releases.version,
                one_offs.process_type,
                one_offs.index,
                one_offs.size,
                one_offs.command,
                one_offs.is_attached,
                one_offs.is_up,
                one_offs.state_since,
                one_offs.created_at,
                one_offs.expires_at
            from one_offs
            join releases on releases.id = one_offs.release
            "# + $filter
            $(, $argument)*
        )
    };
}

/// Those of the whole platform.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<OneOff>, StoreError> {
    let rows = select_one_offs!("order by one_offs.created_at, one_offs.id");
    rows.fetch_all(conn).await?.into_iter().map(OneOff::try_from).collect()
}

/// Those of an app, older ones first.
pub async fn of(conn: &mut PgConnection, app: Id<App>) -> Result<Vec<OneOff>, StoreError> {
    let rows = select_one_offs!(
        "where one_offs.app = $1
        order by one_offs.created_at, one_offs.id",
        app.as_uuid(),
    );
    rows.fetch_all(conn).await?.into_iter().map(OneOff::try_from).collect()
}

/// Adds a dyno that is starting. `None` when the app has one of this name: another number is needed.
pub async fn create(conn: &mut PgConnection, new: NewOneOff, stamp: Stamp) -> Result<Option<OneOff>, StoreError> {
    let mut transaction = conn.begin().await?;
    let inserted = sqlx::query!(
        "insert into one_offs
            (id, app, release, process_type, index, size, command, is_attached, actor, is_up, state_since, created_at,
            expires_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, false, $10, $10, $11)
        on conflict on constraint one_offs_name_unique do nothing",
        new.id.as_uuid(),
        new.app.as_uuid(),
        new.release.as_uuid(),
        new.name.process_type.as_str(),
        integer(new.name.index),
        new.size.as_str(),
        new.command,
        new.is_attached,
        stamp.by.as_uuid(),
        stamp.at,
        new.expires_at,
    );
    if inserted.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(None);
    }
    let change = Change {
        action: "create",
        resource: "dyno",
        id: new.id.as_uuid(),
    };
    // Without the command: people type secrets into commands.
    let payload = json!({ "name": new.name.to_string(), "size": new.size.as_str(), "attach": new.is_attached });
    event::record(&mut transaction, change.by(new.app, stamp, payload)).await?;
    tell(&mut transaction, new.id, "create", stamp.at).await?;
    let row = select_one_offs!("where one_offs.id = $1", new.id.as_uuid());
    let row = row.fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    row.try_into().map(Some)
}

/// Its process runs.
pub async fn mark_up(conn: &mut PgConnection, id: Id<OneOff>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    let marked = sqlx::query!(
        "update one_offs
        set is_up = true, state_since = $2
        where id = $1 and not is_up",
        id.as_uuid(),
        now,
    );
    if marked.execute(&mut *transaction).await?.rows_affected() == 1 {
        tell(&mut transaction, id, "update", now).await?;
    }
    Ok(transaction.commit().await?)
}

/// Somebody stops these: recorded, and nothing more.
pub async fn record_stop(
    conn: &mut PgConnection,
    app: Id<App>,
    names: &[DynoName],
    stamp: Stamp,
) -> Result<(), StoreError> {
    let change = Change {
        action: "stop",
        resource: "dyno",
        id: app.as_uuid(),
    };
    let payload = json!({ "dynos": names.iter().map(DynoName::to_string).collect::<Vec<_>>() });
    event::record(conn, change.by(app, stamp, payload)).await
}

/// Its process has ended, and its container is gone.
pub async fn delete(conn: &mut PgConnection, id: Id<OneOff>, now: DateTime<Utc>) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    tell(&mut transaction, id, "destroy", now).await?;
    sqlx::query!("delete from one_offs where id = $1", id.as_uuid())
        .execute(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// As for the dynos of the formation. Without the command: people type secrets into commands.
async fn tell(conn: &mut PgConnection, id: Id<OneOff>, action: &str, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into events (app, actor, action, resource, resource_id, payload, at, is_untold)
        select
            one_offs.app,
            one_offs.actor,
            $2,
            'dyno-state',
            one_offs.id,
            jsonb_build_object(
                'name', one_offs.process_type || '.' || one_offs.index,
                'release', one_offs.release,
                'size', one_offs.size,
                'state', case
                    when $2 = 'destroy' then 'down'
                    when one_offs.is_up then 'up'
                    else 'starting'
                end,
                'exit_status', null,
                'created_at', one_offs.created_at
            ),
            $3,
            true
        from one_offs
        where one_offs.id = $1
            and exists (select from webhooks where webhooks.app = one_offs.app and 'dyno' = any(webhooks.include))",
        id.as_uuid(),
        action,
        now,
    )
    .execute(conn)
    .await?;
    Ok(())
}

impl TryFrom<Row> for OneOff {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id.into(),
            app: row.app.into(),
            name: DynoName {
                process_type: parse("one-off dyno", &row.process_type)?,
                index: unsigned("one-off dyno", row.index)?,
            },
            release: row.release.into(),
            version: release_version(row.version)?,
            size: parse("one-off dyno", &row.size)?,
            command: row.command,
            is_attached: row.is_attached,
            is_up: row.is_up,
            since: row.state_since,
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{World, seconds},
        new_id, slug,
    };

    #[tokio::test]
    async fn a_one_off_dyno_has_a_row_until_it_has_ended() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let release = world.deploy(app, &["web"]).await.release;
        let mut conn = world.conn().await;
        let new = NewOneOff {
            id: new_id(seconds(0)),
            app,
            name: "run.1234".parse().unwrap(),
            release: release.id,
            size: DynoSize::Basic,
            command: "echo $SECRET".to_owned(),
            is_attached: true,
            expires_at: seconds(3600),
        };
        let mut dyno = OneOff {
            id: new.id,
            app,
            name: new.name.clone(),
            release: release.id,
            version: release.version,
            size: DynoSize::Basic,
            command: new.command.clone(),
            is_attached: true,
            is_up: false,
            since: world.stamp().at,
            created_at: world.stamp().at,
            expires_at: seconds(3600),
        };
        let made = create(&mut conn, new.clone(), world.stamp()).await.unwrap();
        assert_eq!(made, Some(dyno.clone()));
        let other = NewOneOff {
            id: new_id(seconds(0)),
            ..new
        };
        assert_eq!(create(&mut conn, other, world.stamp()).await.unwrap(), None);
        mark_up(&mut conn, dyno.id, seconds(2)).await.unwrap();
        mark_up(&mut conn, dyno.id, seconds(3)).await.unwrap();
        (dyno.is_up, dyno.since) = (true, seconds(2));
        assert_eq!(of(&mut conn, app).await.unwrap(), [dyno.clone()]);
        assert_eq!(all(&mut conn).await.unwrap(), [dyno.clone()]);

        let event = event::list(&mut conn, app, 1).await.unwrap().remove(0);
        assert_eq!((&*event.action, &*event.resource), ("create", "dyno"));
        assert!(!event.payload.to_string().contains("SECRET"), "{}", event.payload);

        delete(&mut conn, dyno.id, seconds(4)).await.unwrap();
        assert_eq!(of(&mut conn, app).await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_release_does_not_expire_under_a_one_off_dyno() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let old = world.deploy(app, &["web"]).await.release;
        let mut conn = world.conn().await;
        let new = NewOneOff {
            id: new_id(seconds(0)),
            app,
            name: "run.1".parse().unwrap(),
            release: old.id,
            size: DynoSize::default(),
            command: "bash".to_owned(),
            is_attached: false,
            expires_at: seconds(60),
        };
        let id = create(&mut conn, new, world.stamp()).await.unwrap().unwrap().id;
        world.deploy(app, &["web"]).await;
        assert_eq!(slug::expire(&mut conn, 1, seconds(9)).await.unwrap().len(), 0);
        delete(&mut conn, id, seconds(9)).await.unwrap();
        assert_eq!(slug::expire(&mut conn, 1, seconds(9)).await.unwrap().len(), 1);
    }
}

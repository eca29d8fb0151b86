//! Apps that nobody asks for.

use chrono::{DateTime, Utc};
use paas_core::{App, Id};
use serde_json::json;
use sqlx::Connection;

use crate::{
    PgConnection, StoreError,
    event::{self, Change},
};

/// Lets the app sleep: from here on nothing of it is to run. `false` when it does already, or is gone.
pub async fn sleep(conn: &mut PgConnection, id: Id<App>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set asleep_at = $2
        where id = $1
            and asleep_at is null
            and destroyed_at is null",
        id.as_uuid(),
        now,
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    record_sleep(&mut transaction, id, true, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Wakes the app. `false` when it was not asleep. Every change of what is to run calls this, too: nobody who deploys, scales
/// or restarts an app means it to go on sleeping.
pub async fn wake(conn: &mut PgConnection, id: Id<App>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let changed = sqlx::query!(
        "update apps
        set asleep_at = null
        where id = $1
            and asleep_at is not null",
        id.as_uuid(),
    );
    if changed.execute(&mut *transaction).await?.rows_affected() == 0 {
        return Ok(false);
    }
    record_sleep(&mut transaction, id, false, now).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Since when the app sleeps.
pub async fn asleep_at(conn: &mut PgConnection, id: Id<App>) -> Result<Option<DateTime<Utc>>, StoreError> {
    let asleep_at = sqlx::query_scalar!("select asleep_at from apps where id = $1", id.as_uuid());
    Ok(asleep_at.fetch_optional(conn).await?.flatten())
}

async fn record_sleep(
    conn: &mut PgConnection,
    id: Id<App>,
    asleep: bool,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let change = Change {
        action: "update",
        resource: "app",
        id: id.as_uuid(),
    };
    event::record(conn, change.by_platform(id, now, json!({ "asleep": asleep }))).await
}

#[cfg(test)]
mod tests {
    use paas_core::ProcessType;

    use super::*;
    use crate::{
        Wakeups,
        dyno::{self, DynoFilter},
        fixture::{World, domain, seconds},
        formation::{self, FormationChange},
        wanted,
    };

    async fn is_asleep(world: &World) -> bool {
        let mut conn = world.conn().await;
        wanted::all(&mut conn, &domain()).await.unwrap()[0].is_asleep
    }

    #[tokio::test]
    async fn an_app_falls_asleep_once_and_wakes_once() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let mut conn = world.conn().await;
        assert!(!wake(&mut conn, app, seconds(0)).await.unwrap());
        assert!(sleep(&mut conn, app, seconds(1)).await.unwrap());
        assert!(!sleep(&mut conn, app, seconds(2)).await.unwrap());
        assert_eq!(asleep_at(&mut conn, app).await.unwrap(), Some(seconds(1)));
        assert!(is_asleep(&world).await);
        assert!(wake(&mut conn, app, seconds(3)).await.unwrap());
        assert!(!wake(&mut conn, app, seconds(4)).await.unwrap());
        assert!(!is_asleep(&world).await);
        let events = event::list(&mut conn, app, 2).await.unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| (&event.payload["asleep"], event.actor))
            .collect();
        assert_eq!(told, [(&json!(false), None), (&json!(true), None)]);
    }

    #[tokio::test]
    async fn whoever_changes_what_is_to_run_wakes_it() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let mut conn = world.conn().await;
        world.deploy(app, &["web"]).await;
        sleep(&mut conn, app, seconds(0)).await.unwrap();
        world.deploy(app, &["web"]).await;
        assert!(!is_asleep(&world).await, "a deploy");
        sleep(&mut conn, app, seconds(0)).await.unwrap();
        world.set(app, &[("A", Some("1"))]).await.unwrap();
        assert!(!is_asleep(&world).await, "config");
        sleep(&mut conn, app, seconds(0)).await.unwrap();
        let change = FormationChange {
            process_type: ProcessType::web(),
            quantity: Some("2".parse().unwrap()),
            size: None,
        };
        formation::update(&mut conn, app, change, world.stamp()).await.unwrap();
        assert!(!is_asleep(&world).await, "a scale");
        sleep(&mut conn, app, seconds(0)).await.unwrap();
        let mut wakeups = Wakeups::new(world.store());
        wakeups.next().await;
        dyno::condemn(&mut conn, app, DynoFilter::All, world.stamp())
            .await
            .unwrap();
        assert!(!is_asleep(&world).await, "a restart, though no dyno runs");
        wakeups.next().await;
    }
}

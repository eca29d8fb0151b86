//! Add-ons that addresses outside may come to. A row is what is wanted; who listens is the router.

use chrono::{DateTime, Utc};
use paas_core::{Addon, AddonExposure, AllowList, App, Id, PortRange};
use serde_json::json;
use sqlx::Connection;
use uuid::Uuid;

use crate::{PgConnection, Stamp, StoreError, account::Account, addon, column::corrupt, new_id};

const NOUN: &str = "addon exposure";

/// An exposure with whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExposureRow {
    pub exposure: AddonExposure,
    /// Who has said so last.
    pub created_by: Id<Account>,
    pub addon_name: String,
    pub service: String,
    pub plan: String,
    pub app: Id<App>,
    pub app_name: String,
}

macro_rules! select_exposures {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            "select
                addon_exposures.id,
                addon_exposures.addon,
                addon_exposures.port,
                addon_exposures.allowed,
                addon_exposures.expires_at,
                addon_exposures.created_by,
                addon_exposures.created_at,
                addon_exposures.updated_at,
                addons.name as addon_name,
                addons.service,
                addons.plan,
                addons.app,
                apps.name as app_name
            from addon_exposures
            join addons on addons.id = addon_exposures.addon
            join apps on apps.id = addons.app
            where addons.state <> 'deprovisioning'
            " + $filter
            $(, $argument)*
        )
    };
}

/// Every one of an add-on that is not being destroyed, by port: also those whose end has come.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<ExposureRow>, StoreError> {
    let rows = select_exposures!("order by addon_exposures.port")
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(ExposureRow::try_from).collect()
}

pub async fn find(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<ExposureRow>, StoreError> {
    let row = select_exposures!("and addon_exposures.addon = $1", addon.as_uuid());
    row.fetch_optional(conn).await?.map(ExposureRow::try_from).transpose()
}

/// Exposes an add-on to these networks until then, and to no others; it keeps its port where it has one. `None` when no port of
/// these is free. Fails with [`StoreError::AddonGone`].
pub async fn set(
    conn: &mut PgConnection,
    id: Id<Addon>,
    (allowed, expires_at): (&AllowList, DateTime<Utc>),
    ports: PortRange,
    stamp: Stamp,
) -> Result<Option<ExposureRow>, StoreError> {
    let mut transaction = conn.begin().await?;
    if !addon::lock(&mut transaction, id).await? {
        return Err(StoreError::AddonGone);
    }
    // Two that look for a port at the same time would find the same.
    sqlx::query!("lock table addon_exposures in share row exclusive mode")
        .execute(&mut *transaction)
        .await?;
    let networks: Vec<String> = allowed.networks().map(ToString::to_string).collect();
    let (first, last) = (i32::from(*ports.ports().start()), i32::from(*ports.ports().end()));
    let exposure: Id<AddonExposure> = new_id(stamp.at);
    let set = sqlx::query!(
        r#"insert into addon_exposures (id, addon, port, allowed, expires_at, created_by, created_at, updated_at)
        select $1, $2, free.port, $3, $4, $5, $6, $6
        from (
            select port as "port!"
            from generate_series($7::integer, $8::integer) as port
            where not exists (
                select from addon_exposures
                where addon_exposures.port = port.port
                    and addon_exposures.addon <> $2
            )
            -- The one that it has, where that still is one of these.
            order by
                exists (
                    select from addon_exposures
                    where addon_exposures.addon = $2
                        and addon_exposures.port = port.port
                ) desc,
                port
            limit 1
        ) as free (port)
        on conflict (addon) do update
        set
            port = excluded.port,
            allowed = excluded.allowed,
            expires_at = excluded.expires_at,
            created_by = excluded.created_by,
            updated_at = excluded.updated_at"#,
        exposure.as_uuid(),
        id.as_uuid(),
        &networks,
        expires_at,
        stamp.by.as_uuid(),
        stamp.at,
        first,
        last,
    )
    .execute(&mut *transaction)
    .await?;
    if set.rows_affected() == 0 {
        // Now, and not whenever this connection is used next: others wait for the lock.
        transaction.rollback().await?;
        return Ok(None);
    }
    let row = addon::by_id(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let set = find(&mut transaction, id).await?.ok_or(StoreError::AddonGone)?;
    let payload = json!({
        "exposed": { "port": set.exposure.port, "allowed": networks, "expires_at": expires_at },
    });
    addon::record(&mut transaction, &row.addon, "update", Some(stamp), stamp.at, payload).await?;
    transaction.commit().await?;
    Ok(Some(set))
}

/// Ends an exposure at once. `false` when there is none.
pub async fn remove(conn: &mut PgConnection, id: Id<Addon>, stamp: Stamp) -> Result<bool, StoreError> {
    end(conn, id, stamp.at, Some(stamp), Ended::AtOnce).await
}

/// Ends one that this account has made, and may not have any more. `false` when there is none, or somebody else's by now.
pub async fn revoke(
    conn: &mut PgConnection,
    id: Id<Addon>,
    maker: Id<Account>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    end(conn, id, now, None, Ended::By(maker)).await
}

/// Forgets one whose end has come, unless it was prolonged since.
pub async fn expire(conn: &mut PgConnection, id: Id<Addon>, now: DateTime<Utc>) -> Result<bool, StoreError> {
    end(conn, id, now, None, Ended::Over).await
}

/// Which one may be ended.
enum Ended {
    AtOnce,
    /// Whose end has come.
    Over,
    /// That of this account.
    By(Id<Account>),
}

async fn end(
    conn: &mut PgConnection,
    id: Id<Addon>,
    at: DateTime<Utc>,
    stamp: Option<Stamp>,
    which: Ended,
) -> Result<bool, StoreError> {
    let maker = match &which {
        Ended::By(maker) => Some(*maker.as_uuid()),
        Ended::AtOnce | Ended::Over => None,
    };
    let mut transaction = conn.begin().await?;
    let ended = sqlx::query!(
        "delete from addon_exposures
        where addon = $1
            and (not $2 or expires_at <= $3)
            and ($4::uuid is null or created_by = $4)",
        id.as_uuid(),
        matches!(which, Ended::Over),
        at,
        maker,
    );
    if ended.execute(&mut *transaction).await?.rows_affected() == 0 {
        transaction.rollback().await?;
        return Ok(false);
    }
    if let Some(row) = addon::by_id(&mut transaction, id).await? {
        let payload = json!({ "exposed": null });
        addon::record(&mut transaction, &row.addon, "update", stamp, at, payload).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

struct Row {
    id: Uuid,
    addon: Uuid,
    port: i32,
    allowed: Vec<String>,
    expires_at: DateTime<Utc>,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    addon_name: String,
    service: String,
    plan: String,
    app: Uuid,
    app_name: String,
}

impl TryFrom<Row> for ExposureRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            exposure: AddonExposure {
                id: row.id.into(),
                addon: row.addon.into(),
                port: row.port.try_into().map_err(|_| corrupt(NOUN, "a port"))?,
                allowed: AllowList::parse(&row.allowed).map_err(|error| corrupt(NOUN, &error.to_string()))?,
                expires_at: row.expires_at,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            created_by: row.created_by.into(),
            addon_name: row.addon_name,
            service: row.service,
            plan: row.plan,
            app: row.app.into(),
            app_name: row.app_name,
        })
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::fixture::{World, seconds};

    async fn addon(world: &World, app: Id<App>, name: &str) -> Id<Addon> {
        world.addon(app, name, name).await.addon.id
    }

    async fn expose(world: &World, addon: Id<Addon>, network: &str, until: i64) -> Option<u16> {
        let allowed = AllowList::parse([network]).unwrap();
        let wanted = (&allowed, seconds(until));
        let ports = "20000-20001".parse().unwrap();
        let set = set(&mut *world.conn().await, addon, wanted, ports, world.stamp()).await;
        set.unwrap().map(|row| row.exposure.port)
    }

    #[tokio::test]
    async fn an_exposure_has_a_port_of_its_own_and_keeps_it() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let (one, two) = (addon(&world, app, "one").await, addon(&world, app, "two").await);
        let three = addon(&world, app, "three").await;
        assert_eq!(expose(&world, one, "203.0.113.7", 60).await, Some(20_000));
        assert_eq!(expose(&world, two, "203.0.113.7", 60).await, Some(20_001));
        assert_eq!(expose(&world, three, "203.0.113.7", 60).await, None);
        assert_eq!(expose(&world, two, "198.51.100.0/24", 120).await, Some(20_001));
        let mut conn = world.conn().await;
        let found = find(&mut conn, two).await.unwrap().unwrap();
        assert_eq!(
            (found.app_name.as_str(), found.exposure.expires_at),
            ("hello", seconds(120))
        );
        assert!(found.exposure.allowed.contains("198.51.100.7".parse().unwrap()));
        assert!(!found.exposure.allowed.contains("203.0.113.7".parse().unwrap()));

        assert!(remove(&mut conn, one, world.stamp()).await.unwrap());
        assert!(!remove(&mut conn, one, world.stamp()).await.unwrap());
        assert_eq!(expose(&world, three, "203.0.113.7", 60).await, Some(20_000));
    }

    #[tokio::test]
    async fn it_ends_by_itself_when_its_time_has_come_and_with_its_add_on() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let id = addon(&world, app, "one").await;
        expose(&world, id, "203.0.113.7", 60).await;
        let mut conn = world.conn().await;
        assert!(
            !expire(&mut conn, id, seconds(60) - TimeDelta::milliseconds(1))
                .await
                .unwrap()
        );
        assert!(expire(&mut conn, id, seconds(60)).await.unwrap());
        expose(&world, id, "203.0.113.7", 60).await;
        // Somebody else has made it by now.
        let (maker, other) = (world.stamp().by, Id::from_uuid(Uuid::from_u128(7)));
        assert!(!revoke(&mut conn, id, other, seconds(1)).await.unwrap());
        assert!(revoke(&mut conn, id, maker, seconds(1)).await.unwrap());
        assert_eq!(all(&mut conn).await.unwrap(), []);

        expose(&world, id, "203.0.113.7", 60).await;
        let sealer = &world.store().sealer;
        addon::begin_destroy(&mut conn, sealer, id, world.stamp())
            .await
            .unwrap();
        assert_eq!(all(&mut conn).await.unwrap(), []);
    }
}

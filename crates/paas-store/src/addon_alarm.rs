//! What is not as it should be about add-ons, and somebody was told of.

use chrono::{DateTime, Utc};
use paas_core::{Addon, Id};
use serde_json::{Map, Value};
use sqlx::Connection;

use crate::{
    PgConnection, StoreError,
    addon::{AddonRow, lock, record},
};

/// What an alarm is about: there is one of each at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// It cannot be gone back to as it should be.
    Archive,
    /// Its backups do not get to the bucket.
    Bucket,
}

impl Subject {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Bucket => "bucket",
        }
    }
}

/// What is wrong about an add-on, for people.
pub async fn of_addon(conn: &mut PgConnection, addon: Id<Addon>) -> Result<Option<String>, StoreError> {
    let alarm = sqlx::query_scalar!(
        "select string_agg(alarm, '. ' order by subject) from addon_alarms where addon = $1",
        addon.as_uuid()
    );
    Ok(alarm.fetch_one(conn).await?)
}

/// The add-ons with such an alarm.
pub async fn alarmed(conn: &mut PgConnection, subject: Subject) -> Result<Vec<Id<Addon>>, StoreError> {
    let addons = sqlx::query_scalar!(
        "select addon from addon_alarms where subject = $1 order by addon",
        subject.as_str()
    );
    Ok(addons.fetch_all(conn).await?.into_iter().map(Id::from_uuid).collect())
}

/// Notes what is wrong, or that nothing is any more. `false` when that was known before, word for word: an event is recorded of what
/// is new.
pub async fn set(
    conn: &mut PgConnection,
    addon: &AddonRow,
    (subject, alarm): (Subject, Option<&str>),
    at: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let mut transaction = conn.begin().await?;
    let (id, subject) = (addon.addon.id, subject.as_str());
    if !lock(&mut transaction, id).await? {
        return Ok(false);
    }
    let changed = match alarm {
        Some(alarm) => {
            sqlx::query!(
                "insert into addon_alarms (addon, subject, alarm)
                values ($1, $2, $3)
                on conflict (addon, subject) do update
                set alarm = excluded.alarm
                where addon_alarms.alarm <> excluded.alarm",
                id.as_uuid(),
                subject,
                alarm,
            )
            .execute(&mut *transaction)
            .await?
        }
        None => {
            sqlx::query!(
                "delete from addon_alarms where addon = $1 and subject = $2",
                id.as_uuid(),
                subject
            )
            .execute(&mut *transaction)
            .await?
        }
    };
    if changed.rows_affected() == 0 {
        return Ok(false);
    }
    let payload = Map::from_iter([(format!("{subject}_alarm"), alarm.into())]);
    record(
        &mut transaction,
        &addon.addon,
        "update",
        None,
        at,
        Value::Object(payload),
    )
    .await?;
    transaction.commit().await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{World, seconds};

    #[tokio::test]
    async fn an_alarm_is_news_once_and_its_end_is() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let addon = world.addon(app, "postgresql-curved-1", "DATABASE").await;
        let mut conn = world.conn().await;
        let id = addon.addon.id;
        let archive = (Subject::Archive, Some("a gap"));
        assert!(set(&mut conn, &addon, archive, seconds(2)).await.unwrap());
        for (words, is_news) in [
            (Some("down"), true),
            (Some("down"), false),
            (Some("refused"), true),
            (None, true),
            (None, false),
        ] {
            let bucket = (Subject::Bucket, words);
            assert_eq!(set(&mut conn, &addon, bucket, seconds(3)).await.unwrap(), is_news);
            let known = alarmed(&mut conn, Subject::Bucket).await.unwrap();
            assert_eq!(known, words.map(|_| id).as_slice());
            let all = words.map_or_else(|| "a gap".to_owned(), |words| format!("a gap. {words}"));
            assert_eq!(of_addon(&mut conn, id).await.unwrap(), Some(all));
        }
    }
}

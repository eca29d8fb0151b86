//! Backups in a bucket: which are there, which are on their way, which are to go, and what is wrong about that.

use chrono::{DateTime, Utc};
use paas_core::{AddonBackup, App, BackupObject, Id, ObjectTrouble};
use uuid::Uuid;

use crate::{PgConnection, StoreError, column::unsigned};

const NOUN: &str = "addon backup object";

struct Row {
    backup: Uuid,
    addon: Uuid,
    key: String,
    is_wanted: bool,
    upload: Option<String>,
    stored_at: Option<DateTime<Utc>>,
    seen_at: Option<DateTime<Utc>>,
    failures: i32,
    troubled_at: Option<DateTime<Utc>>,
    trouble: Option<String>,
    is_refused: bool,
}

macro_rules! select_objects {
    ($filter:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"select
                backup,
                addon,
                key,
                exists (select from addon_backups where addon_backups.id = backup) as "is_wanted!",
                upload,
                stored_at,
                seen_at,
                failures,
                troubled_at,
                trouble,
                is_refused
            from addon_backup_objects
            "# + $filter
            $(, $argument)*
        )
    };
}

/// Everything that a server knows of a bucket, and what is to go from there whoever has put it there: that machine may be gone.
pub async fn of_bucket(conn: &mut PgConnection, bucket: &str, server: Uuid) -> Result<Vec<BackupObject>, StoreError> {
    let rows = select_objects!(
        "where bucket = $1
            and (server = $2 or not exists (select from addon_backups where addon_backups.id = backup))
        order by backup",
        bucket,
        server
    );
    objects(rows.fetch_all(conn).await?)
}

/// Of the backups of an app, those that are in a bucket or on their way there.
pub async fn of_app(conn: &mut PgConnection, bucket: &str, app: Id<App>) -> Result<Vec<BackupObject>, StoreError> {
    let rows = select_objects!(
        "where bucket = $1 and backup in (select id from addon_backups where app = $2) order by backup",
        bucket,
        app.as_uuid(),
    );
    objects(rows.fetch_all(conn).await?)
}

pub async fn get(
    conn: &mut PgConnection,
    bucket: &str,
    backup: Id<AddonBackup>,
) -> Result<Option<BackupObject>, StoreError> {
    let row = select_objects!("where bucket = $1 and backup = $2", bucket, backup.as_uuid());
    row.fetch_optional(conn).await?.map(BackupObject::try_from).transpose()
}

/// The buckets that have all of a backup.
pub async fn places(conn: &mut PgConnection, backup: Id<AddonBackup>) -> Result<Vec<String>, StoreError> {
    let places = sqlx::query_scalar!(
        "select bucket from addon_backup_objects where backup = $1 and stored_at is not null order by bucket",
        backup.as_uuid(),
    );
    Ok(places.fetch_all(conn).await?)
}

/// From now on it is to be in the bucket.
pub async fn want(
    conn: &mut PgConnection,
    backup: &AddonBackup,
    (bucket, server): (&str, Uuid),
    key: &str,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "insert into addon_backup_objects (backup, bucket, addon, server, key, wanted_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict do nothing",
        backup.id.as_uuid(),
        bucket,
        backup.addon.as_uuid(),
        server,
        key,
        at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Where its parts go; `None`: what was begun is nothing any more.
pub async fn set_upload(
    conn: &mut PgConnection,
    bucket: &str,
    backup: Id<AddonBackup>,
    upload: Option<&str>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backup_objects set upload = $3 where bucket = $1 and backup = $2",
        bucket,
        backup.as_uuid(),
        upload,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// All of it is there. So the bucket works, and what was put down to it in others that wait ([`fail`]) is over.
pub async fn mark_stored(
    conn: &mut PgConnection,
    (bucket, server): (&str, Uuid),
    backup: Id<AddonBackup>,
    at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backup_objects
        set
            stored_at = case when backup = $2 then coalesce(stored_at, $3) else stored_at end,
            seen_at = case when backup = $2 then $3 else seen_at end,
            upload = case when backup = $2 then null else upload end,
            failures = 0,
            troubled_at = null,
            trouble = null,
            is_refused = false
        where bucket = $1
            and (backup = $2 or (server = $4 and stored_at is null and failures = 0))",
        bucket,
        backup.as_uuid(),
        at,
        server,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It is not there any more, or not as it was: it has to be sent again.
pub async fn mark_lost(conn: &mut PgConnection, bucket: &str, backup: Id<AddonBackup>) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backup_objects
        set
            stored_at = null,
            seen_at = null
        where bucket = $1 and backup = $2",
        bucket,
        backup.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// It did not work. What is wrong with the bucket is wrong for whatever waits for it, `others`.
pub async fn fail(
    conn: &mut PgConnection,
    bucket: &str,
    backup: Id<AddonBackup>,
    trouble: &ObjectTrouble,
    others: Option<Uuid>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "update addon_backup_objects
        set
            failures = failures + case when backup = $2 then 1 else 0 end,
            troubled_at = coalesce(troubled_at, $3),
            trouble = $4,
            is_refused = $5
        where bucket = $1
            and (backup = $2 or (server = $6 and stored_at is null))",
        bucket,
        backup.as_uuid(),
        trouble.since,
        trouble.words,
        trouble.is_refused,
        others,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets one, after the object.
pub async fn delete(conn: &mut PgConnection, bucket: &str, backup: Id<AddonBackup>) -> Result<(), StoreError> {
    sqlx::query!(
        "delete from addon_backup_objects where bucket = $1 and backup = $2",
        bucket,
        backup.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn objects(rows: Vec<Row>) -> Result<Vec<BackupObject>, StoreError> {
    rows.into_iter().map(BackupObject::try_from).collect()
}

impl TryFrom<Row> for BackupObject {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let trouble = match (row.troubled_at, row.trouble) {
            (Some(since), Some(words)) => Some(ObjectTrouble {
                since,
                words,
                is_refused: row.is_refused,
            }),
            _ => None,
        };
        Ok(Self {
            backup: Id::from_uuid(row.backup),
            addon: Id::from_uuid(row.addon),
            key: row.key,
            is_wanted: row.is_wanted,
            upload: row.upload,
            stored_at: row.stored_at,
            seen_at: row.seen_at,
            failures: unsigned(NOUN, row.failures)?,
            trouble,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        addon::AddonRow,
        addon_backup::{self, Ending, NewBackup},
        fixture::{World, seconds},
    };

    const SERVER: Uuid = Uuid::from_u128(1);
    const BUCKET: &str = "https://s3.example.com/backups";

    fn trouble(at: u32, words: &str) -> ObjectTrouble {
        ObjectTrouble {
            since: seconds(at.into()),
            words: words.to_owned(),
            is_refused: false,
        }
    }

    /// One behind the other, as their numbers are.
    async fn backup(world: &World, addon: &AddonRow, at: i64) -> AddonBackup {
        let new = NewBackup {
            kind: paas_core::BackupKind::Manual,
            source: None,
            by: None,
            server: SERVER,
        };
        let mut conn = world.conn().await;
        let backup = addon_backup::begin(&mut conn, addon, new, seconds(at)).await.unwrap();
        addon_backup::end(&mut conn, backup.id, Ending::Succeeded, 9, seconds(at + 1))
            .await
            .unwrap();
        backup
    }

    #[tokio::test]
    async fn an_object_is_wanted_until_its_backup_is_gone() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let addon = world.addon(app, "postgresql-curved-1", "DATABASE").await;
        let (one, two) = (backup(&world, &addon, 1).await, backup(&world, &addon, 2).await);
        let mut conn = world.conn().await;
        for backup in [&one, &two, &two] {
            want(&mut conn, backup, (BUCKET, SERVER), "key", seconds(3))
                .await
                .unwrap();
        }
        set_upload(&mut conn, BUCKET, one.id, Some("upload")).await.unwrap();
        fail(&mut conn, BUCKET, one.id, &trouble(4, "down"), Some(SERVER))
            .await
            .unwrap();
        fail(&mut conn, BUCKET, one.id, &trouble(5, "still down"), None)
            .await
            .unwrap();
        let known = of_app(&mut conn, BUCKET, app).await.unwrap();
        let told: Vec<_> = known
            .iter()
            .map(|object| (object.failures, object.trouble.clone(), object.upload.as_deref()))
            .collect();
        let [first, second] = [trouble(4, "still down"), trouble(4, "down")].map(Some);
        assert_eq!(told, [(2, first, Some("upload")), (0, second, None)]);

        assert_eq!(places(&mut conn, one.id).await.unwrap(), Vec::<String>::new());
        for at in [6, 7] {
            mark_stored(&mut conn, (BUCKET, SERVER), one.id, seconds(at))
                .await
                .unwrap();
        }
        let stored = get(&mut conn, BUCKET, one.id).await.unwrap().unwrap();
        assert_eq!((stored.stored_at, stored.seen_at), (Some(seconds(6)), Some(seconds(7))));
        assert_eq!((stored.trouble, stored.upload, stored.failures), (None, None, 0));
        assert_eq!(places(&mut conn, one.id).await.unwrap(), [BUCKET]);
        // What was wrong with the bucket is over for those that wait.
        assert_eq!(get(&mut conn, BUCKET, two.id).await.unwrap().unwrap().trouble, None);
        // What is there has no part in what is wrong now.
        fail(&mut conn, BUCKET, two.id, &trouble(7, "down"), Some(SERVER))
            .await
            .unwrap();
        assert_eq!(get(&mut conn, BUCKET, one.id).await.unwrap().unwrap().trouble, None);
        // The success of another is no remedy for what is wrong with this one.
        mark_stored(&mut conn, (BUCKET, SERVER), one.id, seconds(8))
            .await
            .unwrap();
        let waiting = get(&mut conn, BUCKET, two.id).await.unwrap().unwrap();
        assert_eq!(waiting.trouble, Some(trouble(7, "down")));
        mark_lost(&mut conn, BUCKET, one.id).await.unwrap();
        let lost = get(&mut conn, BUCKET, one.id).await.unwrap().unwrap();
        assert_eq!((lost.stored_at, lost.seen_at), (None, None));

        addon_backup::delete(&mut conn, &one, None, seconds(8)).await.unwrap();
        let wanted: Vec<_> = of_bucket(&mut conn, BUCKET, SERVER).await.unwrap();
        let wanted: Vec<_> = wanted.iter().map(|object| object.is_wanted).collect();
        assert_eq!(wanted, [false, true]);
        // What is to go is everybody's, what is to come the one's who has the file.
        let others = of_bucket(&mut conn, BUCKET, Uuid::from_u128(2)).await.unwrap();
        let others: Vec<_> = others.iter().map(|object| object.backup).collect();
        assert_eq!(others, [one.id]);
        delete(&mut conn, BUCKET, one.id).await.unwrap();
        assert_eq!(of_bucket(&mut conn, BUCKET, SERVER).await.unwrap().len(), 1);
        assert!(of_bucket(&mut conn, "another", SERVER).await.unwrap().is_empty());
    }
}

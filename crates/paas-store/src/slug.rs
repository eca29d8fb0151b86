//! Slugs: what builds made.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use paas_core::{App, Id, ImageRef, ProcessType, Release, ReleaseVersion, Slug};
use serde_json::json;
use sqlx::{Connection, types::Json};
use uuid::Uuid;

use crate::{
    PgConnection, Stamp, StoreError, app,
    column::{integer, parse, release_version, unsigned},
    event::{self, Change},
    formation,
};

/// What a client said about a slug that it makes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlugUpload {
    /// The same as of the slug, once there is an image of it.
    pub id: Id<Slug>,
    pub app: Id<App>,
    pub process_types: BTreeMap<ProcessType, String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub buildpack_provided_description: Option<String>,
    pub checksum: Option<String>,
    pub created_at: DateTime<Utc>,
}

pub async fn create_upload(conn: &mut PgConnection, upload: &SlugUpload, stamp: Stamp) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    sqlx::query!(
        "insert into slug_uploads
            (id, app, process_types, commit, commit_description, buildpack_provided_description, checksum, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        upload.id.as_uuid(),
        upload.app.as_uuid(),
        Json(named(&upload.process_types)) as _,
        upload.commit,
        upload.commit_description,
        upload.buildpack_provided_description,
        upload.checksum,
        upload.created_at,
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "create",
        resource: "slug",
        id: upload.id.as_uuid(),
    };
    let payload = json!({ "commit": upload.commit });
    event::record(&mut transaction, change.by(upload.app, stamp, payload)).await?;
    Ok(transaction.commit().await?)
}

/// The process types of these releases, where they have a slug.
pub async fn process_types_of(
    conn: &mut PgConnection,
    releases: &[Id<Release>],
) -> Result<HashMap<Id<Release>, BTreeMap<ProcessType, String>>, StoreError> {
    let ids: Vec<Uuid> = releases.iter().map(|id| *id.as_uuid()).collect();
    let rows = sqlx::query!(
        r#"select releases.id, slugs.process_types as "process_types: Json<BTreeMap<String, String>>"
        from releases
        join slugs on slugs.id = releases.slug
        where releases.id = any($1)"#,
        &ids,
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    rows.map(|row| Ok((row.id.into(), process_types(row.process_types.0)?)))
        .collect()
}

pub async fn upload(conn: &mut PgConnection, id: Id<Slug>) -> Result<Option<SlugUpload>, StoreError> {
    let row = sqlx::query!(
        r#"select
            id,
            app,
            process_types as "process_types: Json<BTreeMap<String, String>>",
            commit,
            commit_description,
            buildpack_provided_description,
            checksum,
            created_at
        from slug_uploads
        where id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(SlugUpload {
        id: row.id.into(),
        app: row.app.into(),
        process_types: process_types(row.process_types.0)?,
        commit: row.commit,
        commit_description: row.commit_description,
        buildpack_provided_description: row.buildpack_provided_description,
        checksum: row.checksum,
        created_at: row.created_at,
    }))
}

/// Stores a slug that no build has made, and the formation of its new process types.
pub async fn adopt(conn: &mut PgConnection, slug: &Slug) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, slug.app).await? {
        return Err(StoreError::AppGone);
    }
    insert(&mut transaction, slug).await?;
    formation::add_new(&mut transaction, slug, slug.created_at).await?;
    Ok(transaction.commit().await?)
}

pub async fn get(conn: &mut PgConnection, id: Id<Slug>) -> Result<Option<Slug>, StoreError> {
    let row = sqlx::query!(
        r#"select
            id,
            app,
            image,
            images as "images: Json<BTreeMap<String, String>>",
            process_types as "process_types: Json<BTreeMap<String, String>>",
            commit,
            buildpack_provided_description,
            size_bytes,
            created_at
        from slugs
        where id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Slug {
        id: row.id.into(),
        app: row.app.into(),
        image: ImageRef::new(row.image),
        images: process_types(row.images.0)?
            .into_iter()
            .map(|(name, image)| (name, ImageRef::new(image)))
            .collect(),
        process_types: process_types(row.process_types.0)?,
        commit: row.commit,
        buildpack_provided_description: row.buildpack_provided_description,
        size_bytes: unsigned("slug", row.size_bytes)?,
        created_at: row.created_at,
    }))
}

/// The images that some release may still run, or the first release of a slug will: all others of the platform can be pruned.
pub async fn images_in_use(conn: &mut PgConnection) -> Result<Vec<ImageRef>, StoreError> {
    let images = sqlx::query_scalar!(
        r#"select distinct used.image as "image!"
        from slugs
        left join releases on releases.slug = slugs.id
        cross join lateral (
            select slugs.image
            union
            select value from jsonb_each_text(slugs.images)
        ) used
        where releases.id is null
            or releases.status in ('pending', 'succeeded')
        order by 1"#,
    );
    Ok(images.fetch_all(conn).await?.into_iter().map(ImageRef::new).collect())
}

/// Whether [`images_in_use`] has an image under one of these names.
pub async fn is_in_use(conn: &mut PgConnection, names: &[String]) -> Result<bool, StoreError> {
    let is_in_use = sqlx::query_scalar!(
        r#"select exists (
            select
            from slugs
            left join releases on releases.slug = slugs.id
            where (releases.id is null or releases.status in ('pending', 'succeeded'))
                and (
                    slugs.image = any($1)
                    or exists (select from jsonb_each_text(slugs.images) where value = any($1))
                )
        ) as "is_in_use!""#,
        names,
    );
    Ok(is_in_use.fetch_one(conn).await?)
}

/// An image that some release may still run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptImage {
    pub image: ImageRef,
    pub app: Id<App>,
    /// When the first of its releases was made.
    pub since: DateTime<Utc>,
}

/// The images of releases that can be rolled back to, the newest last.
pub async fn kept_images(conn: &mut PgConnection) -> Result<Vec<KeptImage>, StoreError> {
    let rows = sqlx::query!(
        r#"select used.image as "image!", slugs.app, min(releases.created_at) as "since!"
        from slugs
        join releases on releases.slug = slugs.id
        cross join lateral (
            select slugs.image
            union
            select value from jsonb_each_text(slugs.images)
        ) used
        where releases.status = 'succeeded'
        group by used.image, slugs.app
        order by min(releases.created_at)"#,
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    Ok(rows
        .map(|row| KeptImage {
            image: ImageRef::new(row.image),
            app: row.app.into(),
            since: row.since,
        })
        .collect())
}

/// A release that nobody can go back to any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    pub app: Id<App>,
    pub version: ReleaseVersion,
}

/// Lets go of what only releases older than the newest `keep` succeeded ones of their app use: they expire.
pub async fn expire(conn: &mut PgConnection, keep: u32, now: DateTime<Utc>) -> Result<Vec<Expired>, StoreError> {
    let mut transaction = conn.begin().await?;
    let rows = sqlx::query!(
        "with ranked as (
            select app, slug, version, row_number() over (partition by app order by version desc) as place
            from releases
            where status = 'succeeded'
                and slug is not null
        ),
        kept as (
            select app, slug, version
            from ranked
            where place <= greatest($1, 1)
        )
        update releases
        set status = 'expired', updated_at = $2
        where status = 'succeeded'
            and slug is not null
            and version < (select min(kept.version) from kept where kept.app = releases.app)
            and not exists (select from kept where kept.app = releases.app and kept.slug = releases.slug)
            and not exists (select from dynos where dynos.release = releases.id)
            and not exists (select from one_offs where one_offs.release = releases.id)
        returning id, app, version",
        integer(keep),
        now,
    );
    let mut expired = Vec::new();
    for row in rows.fetch_all(&mut *transaction).await? {
        expired.push(tell_expired(&mut transaction, row.id, row.app, row.version, now).await?);
    }
    transaction.commit().await?;
    Ok(expired)
}

/// Somebody has removed an image for good: the releases that would need it expire, but for those that are current.
pub async fn lose(conn: &mut PgConnection, image: &ImageRef, now: DateTime<Utc>) -> Result<Vec<Expired>, StoreError> {
    let mut transaction = conn.begin().await?;
    let rows = sqlx::query!(
        "update releases
        set status = 'expired', updated_at = $2
        where status = 'succeeded'
            and slug in (
                select id
                from slugs
                where image = $1
                    or exists (select from jsonb_each_text(images) where value = $1)
            )
            and version < (
                select max(current.version)
                from releases as current
                where current.app = releases.app
                    and current.status = 'succeeded'
            )
            and not exists (select from dynos where dynos.release = releases.id)
            and not exists (select from one_offs where one_offs.release = releases.id)
        returning id, app, version",
        image.as_str(),
        now,
    );
    let mut expired = Vec::new();
    for row in rows.fetch_all(&mut *transaction).await? {
        expired.push(tell_expired(&mut transaction, row.id, row.app, row.version, now).await?);
    }
    transaction.commit().await?;
    Ok(expired)
}

async fn tell_expired(
    conn: &mut PgConnection,
    id: Uuid,
    app: Uuid,
    version: i32,
    now: DateTime<Utc>,
) -> Result<Expired, StoreError> {
    let change = Change {
        action: "update",
        resource: "release",
        id: &id,
    };
    let app = app.into();
    let payload = json!({ "version": version, "status": "expired" });
    event::record(conn, change.by_platform(app, now, payload)).await?;
    Ok(Expired {
        app,
        version: release_version(version)?,
    })
}

pub(crate) async fn insert(conn: &mut PgConnection, slug: &Slug) -> Result<(), StoreError> {
    let images = slug.images.iter();
    let images: BTreeMap<_, _> = images.map(|(name, image)| (name.as_str(), image.as_str())).collect();
    sqlx::query!(
        "insert into slugs
            (id, app, image, images, process_types, commit, buildpack_provided_description, size_bytes, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        slug.id.as_uuid(),
        slug.app.as_uuid(),
        slug.image.as_str(),
        Json(images) as _,
        Json(named(&slug.process_types)) as _,
        slug.commit,
        slug.buildpack_provided_description,
        i64::try_from(slug.size_bytes).unwrap_or(i64::MAX),
        slug.created_at,
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query!(
        "update apps set stack = build_stack where id = $1 and build_stack is distinct from stack and build_stack is not null",
        slug.app.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

fn named(process_types: &BTreeMap<ProcessType, String>) -> BTreeMap<&str, &str> {
    let named = process_types.iter();
    named.map(|(name, command)| (name.as_str(), command.as_str())).collect()
}

pub(crate) fn process_types(stored: BTreeMap<String, String>) -> Result<BTreeMap<ProcessType, String>, StoreError> {
    stored
        .into_iter()
        .map(|(name, command)| Ok((parse("slug", &name)?, command)))
        .collect()
}

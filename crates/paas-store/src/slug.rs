//! Slugs: what builds made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use paas_core::{App, Id, ImageRef, ProcessType, Slug};
use sqlx::types::Json;

use crate::{
    PgConnection, StoreError,
    column::{integer, parse, unsigned},
};

pub async fn get(conn: &mut PgConnection, id: Id<Slug>) -> Result<Option<Slug>, StoreError> {
    let row = sqlx::query!(
        r#"select
            id,
            app,
            image,
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
        process_types: process_types(row.process_types.0)?,
        commit: row.commit,
        buildpack_provided_description: row.buildpack_provided_description,
        size_bytes: unsigned("slug", row.size_bytes)?,
        created_at: row.created_at,
    }))
}

/// The images that some release may still run: all others of the platform can be pruned.
pub async fn images_in_use(conn: &mut PgConnection) -> Result<Vec<ImageRef>, StoreError> {
    let images = sqlx::query_scalar!(
        "select distinct slugs.image
        from slugs
        join releases on releases.slug = slugs.id
        where releases.status in ('pending', 'succeeded')
        order by slugs.image",
    );
    Ok(images.fetch_all(conn).await?.into_iter().map(ImageRef::new).collect())
}

/// Lets go of what only releases older than the app's newest `keep` succeeded ones use: they expire. Says how many did.
pub async fn expire(conn: &mut PgConnection, app: Id<App>, keep: u32, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let expired = sqlx::query!(
        "with kept as (
            select slug, version
            from releases
            where app = $1
                and status = 'succeeded'
                and slug is not null
            order by version desc
            limit greatest($2, 1)
        )
        update releases
        set status = 'expired', updated_at = $3
        where app = $1
            and status = 'succeeded'
            and slug is not null
            and version < (select min(version) from kept)
            and slug not in (select slug from kept)
            and not exists (select from dynos where dynos.release = releases.id)
            and not exists (select from one_offs where one_offs.release = releases.id)",
        app.as_uuid(),
        integer(keep),
        now,
    );
    Ok(expired.execute(conn).await?.rows_affected())
}

pub(crate) async fn insert(conn: &mut PgConnection, slug: &Slug) -> Result<(), StoreError> {
    let process_types: BTreeMap<&str, &str> = slug
        .process_types
        .iter()
        .map(|(name, command)| (name.as_str(), command.as_str()))
        .collect();
    sqlx::query!(
        "insert into slugs
            (id, app, image, process_types, commit, buildpack_provided_description, size_bytes, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)",
        slug.id.as_uuid(),
        slug.app.as_uuid(),
        slug.image.as_str(),
        Json(process_types) as _,
        slug.commit,
        slug.buildpack_provided_description,
        i64::try_from(slug.size_bytes).unwrap_or(i64::MAX),
        slug.created_at,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) fn process_types(stored: BTreeMap<String, String>) -> Result<BTreeMap<ProcessType, String>, StoreError> {
    stored
        .into_iter()
        .map(|(name, command)| Ok((parse("slug", &name)?, command)))
        .collect()
}

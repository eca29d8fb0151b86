//! What is wanted of the whole platform, in a handful of queries.

use std::{
    collections::{BTreeMap, HashMap},
    iter,
};

use paas_core::{AppName, AppWanted, DomainName, Hostname, ProcessType, Routing, Scale, Target};
use sqlx::{Connection, types::Json};
use uuid::Uuid;

use crate::{
    PgConnection, StoreError,
    column::{parse, release_version, unsigned},
    routing,
};

/// What is wanted of every app; apps answer at `<app>.<domain>`, and at their custom domains. A destroyed one has no hostname and no target.
///
/// All of it is as it was at one moment: a deploy that commits between two queries would look like a release with nothing
/// to run, and that one would be declared live before it booted.
pub async fn all(conn: &mut PgConnection, domain: &Hostname) -> Result<Vec<AppWanted>, StoreError> {
    let mut snapshot = conn
        .begin_with("begin isolation level repeatable read read only")
        .await?;
    let mut formations = formations(&mut snapshot).await?;
    let mut routings = routing::all(&mut snapshot).await?;
    let mut domains = domains(&mut snapshot).await?;
    let rows = sqlx::query!(
        r#"select
            apps.id,
            apps.name,
            apps.maintenance,
            (apps.destroyed_at is not null) as "is_destroyed!",
            (apps.asleep_at is not null) as "is_asleep!",
            target.id as "target?",
            target.version as "version?",
            (target.served_at is not null) as "is_served!",
            target.error_page as "error_page?",
            target.maintenance_page as "maintenance_page?",
            slugs.process_types as "process_types?: Json<BTreeMap<String, String>>"
        from apps
        left join lateral (
            select
                releases.id,
                releases.version,
                releases.slug,
                releases.served_at,
                releases.error_page,
                releases.maintenance_page
            from releases
            where releases.app = apps.id
                and apps.destroyed_at is null
                and releases.status = 'succeeded'
                and releases.slug is not null
            order by releases.version desc
            limit 1
        ) target on true
        left join slugs on slugs.id = target.slug
        order by apps.id"#,
    )
    .fetch_all(&mut *snapshot)
    .await?;
    snapshot.commit().await?;
    let mut wanted = Vec::with_capacity(rows.len());
    for row in rows {
        let name: AppName = parse("app", &row.name)?;
        let hostnames = if row.is_destroyed {
            Vec::new()
        } else {
            let own = domain.child(name.as_str()).into();
            let custom = domains.remove(&row.id).unwrap_or_default();
            iter::once(own).chain(custom).collect()
        };
        let target = match (row.target, row.version) {
            (Some(release), Some(version)) => Some(Target {
                release: release.into(),
                version: release_version(version)?,
                is_served: row.is_served,
            }),
            _ => None,
        };
        let process_types = row.process_types.map(|json| json.0).unwrap_or_default();
        let mut formation = formations.remove(&row.id).unwrap_or_default();
        formation.retain(|process_type, _| process_types.contains_key(process_type.as_str()));
        wanted.push(AppWanted {
            app: row.id.into(),
            name,
            hostnames,
            maintenance: row.maintenance,
            routing: Routing {
                error_page: row.error_page,
                maintenance_page: row.maintenance_page,
                ..routings.remove(&row.id).unwrap_or_default()
            },
            is_asleep: row.is_asleep,
            target,
            formation,
        });
    }
    Ok(wanted)
}

/// The custom domains of every app, by name.
async fn domains(conn: &mut PgConnection) -> Result<HashMap<Uuid, Vec<DomainName>>, StoreError> {
    let rows = sqlx::query!("select app, hostname from domains order by hostname")
        .fetch_all(conn)
        .await?;
    let mut domains: HashMap<Uuid, Vec<DomainName>> = HashMap::new();
    for row in rows {
        domains
            .entry(row.app)
            .or_default()
            .push(parse("domain", &row.hostname)?);
    }
    Ok(domains)
}

/// The formation of every app, also of process types that its slug does not have. `release` has no row.
async fn formations(conn: &mut PgConnection) -> Result<HashMap<Uuid, BTreeMap<ProcessType, Scale>>, StoreError> {
    let rows = sqlx::query!("select app, process_type, quantity, size from formations")
        .fetch_all(conn)
        .await?;
    let mut formations: HashMap<Uuid, BTreeMap<ProcessType, Scale>> = HashMap::new();
    for row in rows {
        let scale = Scale {
            quantity: unsigned("formation", row.quantity)?,
            size: parse("formation", &row.size)?,
        };
        formations
            .entry(row.app)
            .or_default()
            .insert(parse("formation", &row.process_type)?, scale);
    }
    Ok(formations)
}

#[cfg(test)]
mod tests;

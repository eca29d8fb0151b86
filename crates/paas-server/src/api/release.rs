//! Releases: listed, rolled back to, made of a slug.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use http::StatusCode;
use paas_api::{Artifact, ErrorId, IdRef, NewRelease, Order, PageRange, UserRef};
use paas_core::{App, Id, Release, ReleaseStatus, ReleaseVersion, Slug};
use paas_store::{
    Connection,
    release::{self, ReleaseRow},
};

use super::{
    app,
    auth::OwnApp,
    body::Body,
    error::ApiError,
    origin::Origin,
    page::{Field, Key, Page, Wanted},
    slug,
    state::Api,
    stream,
};

const BY_ID: Field<ReleaseRow> = Field {
    name: "id",
    key: |row| Key::Text(row.release.id.to_string()),
};
const BY_VERSION: Field<ReleaseRow> = Field {
    name: "version",
    key: |row| Key::Number(row.release.version.number()),
};
const LONGEST_DESCRIPTION: usize = 200;

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
    Wanted(range): Wanted,
) -> Result<Page<paas_api::Release>, ApiError> {
    let mut connection = api.connection().await?;
    let field = if range.field.as_deref() == Some("version") {
        BY_VERSION
    } else {
        BY_ID
    };
    let versions = match field.name {
        "version" => version_bounds(&range)?,
        _ => id_bounds(&mut connection, row.app.id, &range).await?,
    };
    let (lowest, highest) = oriented(versions, &range);
    let rows = release::list(
        &mut connection,
        row.app.id,
        release::Page {
            versions: lowest..=highest,
            is_descending: range.order == Order::Descending,
            max: range.max + 1,
        },
    )
    .await?;
    let page = Page::cut(&range, rows, &field, "id, version");
    Ok(page.map(|release| answer(&api, &origin, &row.app, release)))
}

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Release>, ApiError> {
    let mut connection = api.connection().await?;
    let found = find(&mut connection, row.app.id, &name).await?;
    Ok(Json(answer(&api, &origin, &row.app, found)))
}

/// A rollback, or a new release of a slug.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewRelease>,
) -> Result<(StatusCode, Json<paas_api::Release>), ApiError> {
    let app = row.app.id;
    let stamp = api.stamp(&caller.account);
    if new.release.is_some() == new.slug.is_some() {
        return Err(ApiError::invalid(
            "A new release needs either release (a rollback: the id or version of an old release) or slug (the id of a \
             slug), and not both.",
        ));
    }
    // An uploaded slug takes a while: no transaction is open meanwhile.
    let slug = match (&new.release, &new.slug) {
        (None, Some(name)) => {
            let mut connection = api.connection().await?;
            Some(slug::for_release(&api, &mut connection, app, name.as_str()).await?)
        }
        _ => None,
    };
    let mut transaction = api.store().begin().await?;
    let (made, what) = match (new.release, slug) {
        (Some(name), None) => {
            let target = find_in(&mut transaction, app, name.as_str()).await?;
            let version = target.release.version;
            let made = release::rollback(&mut transaction, &api.store().sealer, app, version, stamp).await?;
            (made, format!("Rollback to {version}"))
        }
        (None, Some(slug)) => {
            let description = described(new.description, &slug)?;
            let made =
                release::of_slug(&mut transaction, &api.store().sealer, app, slug.id, &description, stamp).await?;
            (made, description)
        }
        (_, None) | (Some(_), _) => return Err(ApiError::not_found("slug")),
    };
    transaction.commit().await?;
    api.announce(app, &what, &caller.account);
    api.announce(
        app,
        &format!("Release {} created", made.release.version),
        &caller.account,
    );
    api.begin_release(made.clone()).await;
    Ok((StatusCode::CREATED, Json(answer(&api, &origin, &row.app, made))))
}

/// The release of an app that a path or a body names: `42`, `v42` or an id.
pub(super) async fn find(connection: &mut Connection, app: Id<App>, name: &str) -> Result<ReleaseRow, ApiError> {
    find_in(connection, app, name).await
}

async fn find_in(connection: &mut paas_store::PgConnection, app: Id<App>, name: &str) -> Result<ReleaseRow, ApiError> {
    let found = if let Ok(id) = name.parse::<Id<Release>>() {
        release::by_id(connection, id)
            .await?
            .filter(|row| row.release.app == app)
    } else {
        match name.parse::<ReleaseVersion>() {
            Ok(version) => release::by_version(connection, app, version).await?,
            Err(_) => None,
        }
    };
    found.ok_or_else(|| ApiError::not_found("release"))
}

fn described(description: Option<String>, slug: &Slug) -> Result<String, ApiError> {
    let description = description.filter(|text| !text.trim().is_empty()).unwrap_or_else(|| {
        let commit = slug.commit.as_deref().and_then(|commit| commit.get(..8));
        format!("Deploy {}", commit.unwrap_or("slug"))
    });
    if description.chars().count() > LONGEST_DESCRIPTION || description.chars().any(char::is_control) {
        return Err(ApiError::invalid(format!(
            "Description must be at most {LONGEST_DESCRIPTION} characters, without control characters."
        )));
    }
    Ok(description)
}

/// Start and end, as the header has them.
type Bounds = (Option<u32>, Option<u32>);

fn version_bounds(range: &PageRange) -> Result<Bounds, ApiError> {
    let parse = |text: &Option<String>| {
        text.as_deref()
            .map(|text| text.trim_start_matches('v').parse::<u32>())
            .transpose()
            .map_err(|_| unsatisfiable("version", "numbers, such as `version 1..5; max=10`"))
    };
    Ok((parse(&range.start)?, parse(&range.end)?))
}

/// Ids grow with versions, so that one order serves both; a bound that is no release of the app has no place in it.
async fn id_bounds(connection: &mut Connection, app: Id<App>, range: &PageRange) -> Result<Bounds, ApiError> {
    if range.field.as_deref() != Some("id") {
        return Ok((None, None));
    }
    let mut bounds = [None, None];
    for (bound, text) in bounds.iter_mut().zip([&range.start, &range.end]) {
        if let Some(text) = text {
            let found = find(connection, app, text).await;
            let found = found.map_err(|error| match error.id() {
                ErrorId::NotFound => unsatisfiable("id", "ids of releases of this app"),
                _ => error,
            })?;
            *bound = Some(found.release.version.number());
        }
    }
    let [start, end] = bounds;
    Ok((start, end))
}

fn unsatisfiable(field: &str, what: &str) -> ApiError {
    ApiError::new(
        ErrorId::RangeNotSatisfiable,
        format!("A Range over {field} must name {what}."),
    )
}

/// The lowest and the highest version wanted: a descending list starts with the highest.
fn oriented((start, end): Bounds, range: &PageRange) -> (u32, u32) {
    let is_open = range.is_after_start;
    match range.order {
        Order::Ascending => (
            start.map_or(0, |start| if is_open { start.saturating_add(1) } else { start }),
            end.unwrap_or(u32::MAX),
        ),
        Order::Descending => (
            end.unwrap_or(0),
            start.map_or(u32::MAX, |start| if is_open { start.saturating_sub(1) } else { start }),
        ),
    }
}

pub(super) fn answer(api: &Api, origin: &Origin, app: &App, row: ReleaseRow) -> paas_api::Release {
    let ReleaseRow {
        release,
        actor,
        is_current,
        served_at: _,
        is_eligible_for_rollback,
        has_release_phase,
        commit: _,
        addon_plans,
    } = row;
    let slug = release.slug.map(|slug| *slug.as_uuid());
    paas_api::Release {
        addon_plan_names: addon_plans,
        app: app::reference(app),
        artifacts: slug
            .map(|id| Artifact {
                id,
                r#type: "slug".to_owned(),
            })
            .into_iter()
            .collect(),
        created_at: release.created_at.into(),
        current: is_current,
        description: release.description,
        eligible_for_rollback: is_eligible_for_rollback,
        id: *release.id.as_uuid(),
        oci_image: None,
        output_stream_url: has_release_phase.then(|| stream::url(api, origin, app.id, *release.id.as_uuid())),
        slug: slug.map(|id| IdRef { id }),
        status: match release.status {
            ReleaseStatus::Pending => paas_api::ReleaseStatus::Pending,
            ReleaseStatus::Succeeded => paas_api::ReleaseStatus::Succeeded,
            ReleaseStatus::Failed { .. } => paas_api::ReleaseStatus::Failed,
            ReleaseStatus::Expired => paas_api::ReleaseStatus::Expired,
        },
        updated_at: release.updated_at.into(),
        user: UserRef {
            id: *actor.id.as_uuid(),
            email: actor.email,
        },
        version: release.version.number(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descending_range_starts_with_the_highest_version() {
        let bounds = |header: &str| {
            let range = PageRange::parse(header);
            oriented(version_bounds(&range).ok().unwrap(), &range)
        };
        assert_eq!(bounds("version ..; max=2"), (0, u32::MAX));
        assert_eq!(bounds("version 2..4"), (2, 4));
        assert_eq!(bounds("version ]2.."), (3, u32::MAX));
        assert_eq!(bounds("version 4..2; order=desc"), (2, 4));
        assert_eq!(bounds("version ]4..; order=desc"), (0, 3));
        assert!(version_bounds(&PageRange::parse("version x..")).is_err());
    }
}

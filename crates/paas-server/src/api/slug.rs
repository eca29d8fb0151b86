//! Slugs: what builds made.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::SlugBlob;
use paas_core::{Id, Slug};
use paas_store::slug;

use super::{auth::OwnApp, error::ApiError, stack, state::Api};

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Slug>, ApiError> {
    let not_found = || ApiError::not_found("slug");
    let id: Id<Slug> = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let found = slug::get(&mut connection, id).await?;
    let slug = found.filter(|slug| slug.app == row.app.id).ok_or_else(not_found)?;
    Ok(Json(answer(slug, &row.stack)))
}

fn answer(slug: Slug, stack: &str) -> paas_api::Slug {
    let Slug {
        id,
        app: _,
        image,
        process_types,
        commit,
        buildpack_provided_description,
        size_bytes,
        created_at,
    } = slug;
    paas_api::Slug {
        blob: SlugBlob {
            method: "get".to_owned(),
            // A slug is an image of the engine's, not a file: this names it, and cannot be fetched.
            url: format!("docker-image:{image}"),
        },
        buildpack_provided_description,
        checksum: None,
        commit,
        commit_description: None,
        created_at: created_at.into(),
        deleted_at: None,
        id: *id.as_uuid(),
        process_types: process_types
            .into_iter()
            .map(|(process_type, command)| (process_type.to_string(), command))
            .collect(),
        size: Some(size_bytes),
        stack: stack::reference(stack),
        updated_at: created_at.into(),
    }
}

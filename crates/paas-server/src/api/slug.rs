//! Slugs: what builds made, or somebody who compiles their app elsewhere.

use std::sync::Arc;

use axum::{
    Json,
    body::Body as Bytes,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use paas_api::{NewSlug, SlugBlob};
use paas_core::{Id, ProcessType, Slug};
use paas_store::{
    Connection,
    slug::{self, SlugUpload},
};
use uuid::Uuid;

use super::{
    auth::OwnApp, body::Body, capability::Purpose, error::ApiError, origin::Origin, source, stack, state::Api,
};
use crate::control::{self, AdoptError};

const LONGEST_TEXT: usize = 200;
const LONGEST_COMMAND: usize = 8192;
const MOST_PROCESS_TYPES: usize = 100;

pub(super) async fn info(
    State(api): State<Arc<Api>>,
    Path((_, name)): Path<(String, String)>,
    origin: Origin,
    OwnApp { row, .. }: OwnApp,
) -> Result<Json<paas_api::Slug>, ApiError> {
    let not_found = || ApiError::not_found("slug");
    let id: Id<Slug> = name.parse().map_err(|_| not_found())?;
    let mut connection = api.connection().await?;
    let upload = slug::upload(&mut connection, id).await?;
    let upload = upload.filter(|upload| upload.app == row.app.id);
    let made = slug::get(&mut connection, id).await?;
    match (made.filter(|slug| slug.app == row.app.id), upload) {
        (Some(slug), upload) => Ok(Json(answer(&api, &origin, slug, upload, &row.stack))),
        (None, Some(upload)) => {
            let is_there = source::is_uploaded(&api, *id.as_uuid()).await?;
            let method = if is_there { "get" } else { "put" };
            Ok(Json(answer_upload(&api, &origin, upload, &row.stack, method)))
        }
        (None, None) => Err(not_found()),
    }
}

/// The first of three steps: an archive is put at the blob's URL next, and then the slug is released.
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    OwnApp { caller, row }: OwnApp,
    Body(new): Body<NewSlug>,
) -> Result<(StatusCode, Json<paas_api::Slug>), ApiError> {
    let NewSlug {
        buildpack_provided_description,
        checksum,
        commit,
        commit_description,
        process_types,
        stack,
    } = new;
    if let Some(stack) = stack {
        stack::check(&api.platform.settings, stack.as_str())?;
    }
    if process_types.is_empty() || process_types.len() > MOST_PROCESS_TYPES {
        return Err(ApiError::invalid(format!(
            "process_types must name 1 to {MOST_PROCESS_TYPES} process types and their commands, such as \
             {{\"web\":\"./server\"}}."
        )));
    }
    let texts = [&buildpack_provided_description, &checksum, &commit, &commit_description];
    for text in texts.into_iter().flatten() {
        if text.chars().count() > LONGEST_TEXT || text.chars().any(char::is_control) {
            return Err(ApiError::invalid(format!(
                "Texts of a slug must be at most {LONGEST_TEXT} characters, without control characters."
            )));
        }
    }
    let process_types = process_types
        .into_iter()
        .map(|(name, command)| {
            let name: ProcessType = name.parse()?;
            if command.trim().is_empty() || command.len() > LONGEST_COMMAND || command.contains('\0') {
                return Err(ApiError::invalid(format!(
                    "The command of {name} must be one, of at most {LONGEST_COMMAND} bytes."
                )));
            }
            Ok((name, command))
        })
        .collect::<Result<_, ApiError>>()?;
    let stamp = api.stamp(&caller.account);
    let upload = SlugUpload {
        id: paas_store::new_id(stamp.at),
        app: row.app.id,
        process_types,
        commit,
        commit_description,
        buildpack_provided_description,
        checksum,
        created_at: stamp.at,
    };
    let mut connection = api.connection().await?;
    slug::create_upload(&mut connection, &upload, stamp).await?;
    let answer = answer_upload(&api, &origin, upload, &row.stack, "put");
    Ok((StatusCode::CREATED, Json(answer)))
}

/// The archive of a slug that is an image. The URL is the permission.
pub(super) async fn download(State(api): State<Arc<Api>>, Path(segment): Path<String>) -> Result<Response, ApiError> {
    let not_found = || ApiError::not_found("slug");
    let payload = api.capabilities.open(Purpose::Slug, &segment);
    let id = payload.and_then(|payload| Uuid::from_slice(&payload).ok());
    let id = id.ok_or_else(not_found)?;
    let mut connection = api.connection().await?;
    let slug = slug::get(&mut connection, Id::from_uuid(id)).await?;
    drop(connection);
    let slug = slug.ok_or_else(not_found)?;
    let archive = control::download_slug(&api.platform, &slug).await.map_err(|error| {
        tracing::warn!(slug.id = %slug.id, error = format!("{error:#}"), "a slug cannot be given out");
        ApiError::new(
            paas_api::ErrorId::NotFound,
            "The image of this slug is not here any more, or cannot be read: only newer releases can still be run.",
        )
    })?;
    Ok((
        [(header::CONTENT_TYPE, "application/gzip")],
        Bytes::from_stream(archive),
    )
        .into_response())
}

/// The slug of an app that a new release names. An uploaded one becomes an image first.
pub(super) async fn for_release(
    api: &Api,
    connection: &mut Connection,
    app: Id<paas_core::App>,
    name: &str,
) -> Result<Slug, ApiError> {
    let not_found = || ApiError::not_found("slug");
    let id: Id<Slug> = name.parse().map_err(|_| not_found())?;
    if let Some(slug) = slug::get(connection, id).await? {
        return Some(slug).filter(|slug| slug.app == app).ok_or_else(not_found);
    }
    let upload = slug::upload(connection, id).await?;
    let upload = upload.filter(|upload| upload.app == app).ok_or_else(not_found)?;
    control::adopt_slug(&api.platform, upload)
        .await
        .map_err(|error| match error {
            AdoptError::NotUploaded | AdoptError::Archive(_) if !is_disk(&error) => {
                ApiError::invalid(format!("This slug cannot be released: {error}."))
            }
            AdoptError::Store(error) => error.into(),
            error => ApiError::internal(error),
        })?;
    slug::get(connection, id).await?.ok_or_else(not_found)
}

const fn is_disk(error: &AdoptError) -> bool {
    matches!(error, AdoptError::Archive(crate::source::ArchiveError::Disk(_)))
}

fn answer(api: &Api, origin: &Origin, slug: Slug, upload: Option<SlugUpload>, stack: &str) -> paas_api::Slug {
    let Slug {
        id,
        app: _,
        image,
        images: _,
        process_types,
        commit,
        buildpack_provided_description,
        size_bytes,
        created_at,
    } = slug;
    let (checksum, commit_description) =
        upload.map_or((None, None), |upload| (upload.checksum, upload.commit_description));
    let segment = api.capabilities.issue(Purpose::Slug, id.as_uuid().as_bytes());
    // An image is named by its content, as an archive is by its checksum: the same code has the same.
    let of_image = || {
        image
            .as_str()
            .strip_prefix("sha256:")
            .map(|digest| format!("SHA256:{digest}"))
    };
    paas_api::Slug {
        blob: SlugBlob {
            method: "get".to_owned(),
            url: origin.url(&format!("/slugs/{segment}")),
        },
        buildpack_provided_description,
        checksum: checksum.or_else(of_image),
        commit,
        commit_description,
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

fn answer_upload(api: &Api, origin: &Origin, upload: SlugUpload, stack: &str, method: &str) -> paas_api::Slug {
    paas_api::Slug {
        blob: SlugBlob {
            method: method.to_owned(),
            url: source::upload_url(api, origin, *upload.id.as_uuid()),
        },
        buildpack_provided_description: upload.buildpack_provided_description,
        checksum: upload.checksum,
        commit: upload.commit,
        commit_description: upload.commit_description,
        created_at: upload.created_at.into(),
        deleted_at: None,
        id: *upload.id.as_uuid(),
        process_types: upload
            .process_types
            .into_iter()
            .map(|(process_type, command)| (process_type.to_string(), command))
            .collect(),
        size: None,
        stack: stack::reference(stack),
        updated_at: upload.created_at.into(),
    }
}

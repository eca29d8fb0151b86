//! Sources: an upload that a build can be started from.
//!
//! A client puts a tar.gz at one URL and names the other in a new build. Or it names any other place, which is looked at
//! with care ([`crate::source`]).

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use futures_util::TryStreamExt;
use http::{StatusCode, Uri, header};
use paas_api::{ErrorId, Source, SourceUrls};
use tokio::io::AsyncWriteExt;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{
    auth::{Caller, OwnApp},
    capability::Purpose,
    error::ApiError,
    origin::Origin,
    state::Api,
};
use crate::{
    control::BuildSource,
    source::{self, Address, ArchiveError, MAXIMUM_ARCHIVE_BYTES},
};

/// How long builds can be made of an upload.
const KEEP_UPLOADS: Duration = Duration::from_hours(24);

pub(super) async fn create(
    State(api): State<Arc<Api>>,
    origin: Origin,
    _: Caller,
) -> Result<(StatusCode, Json<Source>), ApiError> {
    Ok(new_source(&api, &origin).await)
}

pub(super) async fn create_of_app(
    State(api): State<Arc<Api>>,
    origin: Origin,
    _: OwnApp,
) -> Result<(StatusCode, Json<Source>), ApiError> {
    Ok(new_source(&api, &origin).await)
}

/// Takes the bytes of an upload, once: a source does not change under a build.
pub(super) async fn upload(
    State(api): State<Arc<Api>>,
    Path(segment): Path<String>,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let path = path_of(&api, &segment)?;
    let partial = path.with_extension(format!("{}.partial", Uuid::new_v4()));
    let received = receive(&partial, body).await;
    // Linking fails if there is one already, so that two uploads cannot both win.
    let kept = match received {
        Ok(()) => tokio::fs::hard_link(&partial, &path)
            .await
            .map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => ApiError::new(
                    ErrorId::Conflict,
                    "Something has been uploaded here already. Please make a new source.",
                ),
                _ => disk(error),
            }),
        Err(error) => Err(error),
    };
    // Whatever became of it, the partial file has served its purpose; a leftover is swept later.
    let _ = tokio::fs::remove_file(&partial).await;
    kept.map(|()| StatusCode::OK)
}

pub(super) async fn download(State(api): State<Arc<Api>>, Path(segment): Path<String>) -> Result<Response, ApiError> {
    let path = path_of(&api, &segment)?;
    let file = tokio::fs::File::open(path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ApiError::not_found("source"),
        _ => ApiError::internal(error),
    })?;
    let body = Body::from_stream(ReaderStream::new(file));
    Ok(([(header::CONTENT_TYPE, "application/gzip")], body).into_response())
}

/// Where the source of a build is: unpacked from one of our own uploads, or to be fetched.
pub(super) async fn find(api: &Api, url: &str, checksum: Option<&str>) -> Result<BuildSource, ApiError> {
    if let Some(archive) = upload_at(api, url) {
        return Ok(BuildSource::Tar(unpack(archive, checksum).await?));
    }
    let allows_private = api.platform.settings.allows_private_sources;
    let address = Address::parse(url, allows_private).map_err(|_| {
        ApiError::invalid(
            "source_blob.url must be the get_url of a source of this platform, or any https URL of a tar.gz. Make a source \
             with POST /sources, put a tar.gz at its put_url, and name its get_url here.",
        )
    })?;
    Ok(BuildSource::At {
        address,
        checksum: checksum.map(str::to_owned),
    })
}

/// An upload stays for a while: several builds may be made of it.
async fn unpack(archive: PathBuf, checksum: Option<&str>) -> Result<PathBuf, ApiError> {
    if !tokio::fs::try_exists(&archive).await.map_err(ApiError::internal)? {
        return Err(ApiError::invalid(
            "Nothing has been uploaded to this source, or that was too long ago. Put a tar.gz at its put_url first.",
        ));
    }
    let id = Uuid::new_v4();
    let tar = archive.with_file_name(format!("{id}.tar"));
    let scratch = archive.with_file_name(format!("{id}.scratch.partial"));
    let checksum = checksum.map(str::to_owned);
    let target = tar.clone();
    let unpacked =
        tokio::task::spawn_blocking(move || source::unpack(&archive, checksum.as_deref(), &scratch, &target));
    unpacked
        .await
        .map_err(ApiError::internal)?
        .map_err(|error| match error {
            ArchiveError::Disk(error) => disk(error),
            error => ApiError::invalid(format!("The build cannot begin: {error}.")),
        })?;
    Ok(tar)
}

/// Our own URLs are told by what only we can have written into them, whatever host they name.
fn upload_at(api: &Api, url: &str) -> Option<PathBuf> {
    let uri: Uri = url.parse().ok()?;
    let segment = uri.path().strip_prefix("/uploads/")?;
    path_of(api, segment).ok()
}

async fn new_source(api: &Arc<Api>, origin: &Origin) -> (StatusCode, Json<Source>) {
    let directory = api.platform.settings.sources();
    let swept = tokio::task::spawn_blocking(move || sweep(&directory)).await;
    if !matches!(swept, Ok(Ok(()))) {
        tracing::warn!("old uploads could not be removed");
    }
    let id = Uuid::new_v4();
    let url = upload_url(api, origin, id);
    let source = Source {
        source_blob: SourceUrls {
            get_url: url.clone(),
            put_url: url,
        },
    };
    (StatusCode::CREATED, Json(source))
}

/// Where the archive with this id is put, once, and can be read back.
pub(super) fn upload_url(api: &Api, origin: &Origin, id: Uuid) -> String {
    let segment = api.capabilities.issue(Purpose::Source, id.as_bytes());
    origin.url(&format!("/uploads/{segment}"))
}

pub(super) async fn is_uploaded(api: &Api, id: Uuid) -> Result<bool, ApiError> {
    let path = api.platform.settings.sources().join(format!("{id}.upload"));
    tokio::fs::try_exists(path).await.map_err(ApiError::internal)
}

fn path_of(api: &Api, segment: &str) -> Result<PathBuf, ApiError> {
    let payload = api.capabilities.open(Purpose::Source, segment);
    let id = payload.and_then(|payload| Uuid::from_slice(&payload).ok());
    let id = id.ok_or_else(|| ApiError::not_found("source"))?;
    Ok(api.platform.settings.sources().join(format!("{id}.upload")))
}

async fn receive(path: &std::path::Path, body: Body) -> Result<(), ApiError> {
    if let Some(directory) = path.parent() {
        tokio::fs::create_dir_all(directory).await.map_err(disk)?;
    }
    let mut file = tokio::fs::File::create_new(path).await.map_err(disk)?;
    let mut stream = body.into_data_stream();
    let mut bytes = 0;
    let broken = |_| {
        ApiError::new(
            ErrorId::BadRequest,
            "The upload broke off. Please make a new source and try again.",
        )
    };
    while let Some(chunk) = stream.try_next().await.map_err(broken)? {
        bytes += chunk.len() as u64;
        if bytes > MAXIMUM_ARCHIVE_BYTES {
            return Err(ApiError::new(
                ErrorId::TooLarge,
                "The upload is too large (maximum is 512 MiB). Leave out what the build does not need.",
            ));
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)
}

fn sweep(directory: &std::path::Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let is_upload = entry.file_name().to_string_lossy().contains(".upload")
            || entry.file_name().to_string_lossy().ends_with(".partial");
        let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
        if is_upload && age > KEEP_UPLOADS {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn disk(error: io::Error) -> ApiError {
    if error.kind() == io::ErrorKind::StorageFull {
        ApiError::full(error)
    } else {
        ApiError::internal(error)
    }
}

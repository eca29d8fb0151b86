//! Sources: an upload that a build can be started from.
//!
//! A client puts a tar.gz at one URL and names the other in a new build. Only our own URLs are taken: this server fetches
//! nothing from anywhere on a client's word.

use std::{
    fmt::Write,
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use flate2::read::MultiGzDecoder;
use futures_util::TryStreamExt;
use http::{StatusCode, Uri, header};
use paas_api::{ErrorId, Source, SourceUrls};
use sha2::{Digest, Sha256};
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

/// What a repository may hold, too (`git` refuses larger ones).
const MAXIMUM_SOURCE_BYTES: u64 = 1024 * 1024 * 1024;
const MAXIMUM_UPLOAD_BYTES: u64 = 512 * 1024 * 1024;
/// An upload whose build never came is removed after this.
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

/// Turns the upload behind one of our URLs into a tar, ready to be built; the upload is used up.
pub(super) async fn unpack(api: &Api, url: &str, checksum: Option<&str>) -> Result<PathBuf, ApiError> {
    let foreign = || {
        ApiError::invalid(
            "source_blob.url must be the get_url of a source of this platform: make one with POST /sources, put a tar.gz at \
             its put_url, and name its get_url here.",
        )
    };
    let uri: Uri = url.parse().map_err(|_| foreign())?;
    let segment = uri.path().strip_prefix("/uploads/").ok_or_else(foreign)?;
    let upload = path_of(api, segment).map_err(|_| foreign())?;
    let tar = upload.with_file_name(format!("{}.tar", Uuid::new_v4()));
    let checksum = checksum.map(str::to_owned);
    let target = tar.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        let result = decompress(&upload, &target, checksum.as_deref());
        let leftover = if result.is_ok() { &upload } else { &target };
        // A file that stays behind is swept later.
        let _ = std::fs::remove_file(leftover);
        result
    });
    unpacked.await.map_err(ApiError::internal)??;
    Ok(tar)
}

async fn new_source(api: &Arc<Api>, origin: &Origin) -> (StatusCode, Json<Source>) {
    let directory = api.platform.settings.sources();
    let swept = tokio::task::spawn_blocking(move || sweep(&directory)).await;
    if !matches!(swept, Ok(Ok(()))) {
        tracing::warn!("old uploads could not be removed");
    }
    let id = Uuid::new_v4();
    let segment = api.capabilities.issue(Purpose::Source, id.as_bytes());
    let url = origin.url(&format!("/uploads/{segment}"));
    let source = Source {
        source_blob: SourceUrls {
            get_url: url.clone(),
            put_url: url,
        },
    };
    (StatusCode::CREATED, Json(source))
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
        if bytes > MAXIMUM_UPLOAD_BYTES {
            return Err(ApiError::new(
                ErrorId::TooLarge,
                "The upload is too large (maximum is 512 MiB). Leave out what the build does not need.",
            ));
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)
}

fn decompress(upload: &std::path::Path, tar: &std::path::Path, checksum: Option<&str>) -> Result<(), ApiError> {
    let mut source = File::open(upload).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => ApiError::invalid(
            "Nothing has been uploaded to this source, or it has been built already. Put a tar.gz at its put_url first.",
        ),
        _ => ApiError::internal(error),
    })?;
    if let Some(checksum) = checksum {
        let actual = digest(&mut source).map_err(ApiError::internal)?;
        if !checksum.trim_start_matches("SHA256:").eq_ignore_ascii_case(&actual) {
            return Err(ApiError::invalid(
                "The upload does not have the checksum that the build names. Please upload it again.",
            ));
        }
        source = File::open(upload).map_err(ApiError::internal)?;
    }
    let mut target = File::create_new(tar).map_err(disk)?;
    let mut limited = MultiGzDecoder::new(source).take(MAXIMUM_SOURCE_BYTES + 1);
    let bytes = io::copy(&mut limited, &mut target).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            ApiError::invalid("The upload is not a whole gzip file. Make it with `tar czf`.")
        }
        _ => disk(error),
    })?;
    if bytes > MAXIMUM_SOURCE_BYTES {
        return Err(ApiError::invalid(
            "The source is too large (maximum is 1 GiB unpacked).",
        ));
    }
    Ok(())
}

fn digest(source: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match source.read(&mut chunk)? {
            0 => break,
            bytes => hasher.update(&chunk[..bytes]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
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

//! The endpoints (OCI Distribution Specification 1.1, *Endpoints*).

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Query, Request, State},
    response::{IntoResponse, Response},
    routing::{any, get, patch, post},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use paas_core::{App, ProcessType};
use serde::Deserialize;
use serde_json::json;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::{
    Door,
    error::RegistryError,
    manifest::{MAXIMUM_BYTES, Manifest},
    name::{Digest, Reference, process_type},
    store::{Store, missing},
    upload::{Room, Uploads, first_byte},
};
use crate::{
    control::{self, GitBackend},
    git::{Admission, Backend as _, Refusal, Service},
    platform::Platform,
    sessions::Session,
};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const UPLOAD: HeaderName = HeaderName::from_static("docker-upload-uuid");
const VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
const FETCH: Service = Service::UploadPack;
const PUSH: Service = Service::ReceivePack;

type Answer = Result<Response, RegistryError>;

/// `/v2/…`. Everything asks for a token, also what is not there.
pub(crate) fn router(platform: Arc<Platform>) -> Router {
    let door = Door {
        backend: GitBackend(Arc::clone(&platform)),
        uploads: Uploads::default(),
        platform,
    };
    Router::new()
        .route("/v2/", get(hello))
        .route("/v2", get(hello))
        .route("/v2/{app}/{type}/blobs/uploads/", post(begin))
        .route(
            "/v2/{app}/{type}/blobs/uploads/{upload}",
            patch(append).put(finish).get(progress).delete(give_up),
        )
        .route("/v2/{app}/{type}/blobs/{digest}", get(blob))
        .route(
            "/v2/{app}/{type}/manifests/{reference}",
            get(manifest).put(put_manifest).delete(forget_manifest),
        )
        .route("/v2/{app}/{type}/tags/list", get(tags))
        // Names of one part: everything else that is no name is nobody's, and the API says so.
        .route("/v2/{app}/blobs/uploads/", any(nothing))
        .route("/v2/{app}/manifests/{reference}", any(nothing))
        .layer(DefaultBodyLimit::disable())
        .layer(axum::middleware::map_response(async |mut response: Response| {
            let version = HeaderValue::from_static("registry/2.0");
            response.headers_mut().insert(VERSION, version);
            response
        }))
        .with_state(Arc::new(door))
}

/// A repository that somebody may use.
struct Repository {
    app: App,
    process_type: ProcessType,
    store: Store,
    session: Option<Session>,
}

impl Door {
    async fn admit(
        &self,
        headers: &HeaderMap,
        app: &str,
        kind: &str,
        wanted: Service,
    ) -> Result<Repository, RegistryError> {
        let Admission { app, session, .. } = self.backend.admit(headers, Some(app), wanted).await?;
        let process_type = process_type(kind)?;
        Ok(Repository {
            store: self.store(app.id),
            app,
            process_type,
            session,
        })
    }
}

/// Nothing is taken that running apps will miss.
impl Room for Door {
    async fn check(&self) -> Result<(), RegistryError> {
        match control::disk_is_nearly_full(&self.platform).await {
            Ok(false) => Ok(()),
            Ok(true) => Err(RegistryError::DiskFull),
            Err(_) => Err(RegistryError::Unavailable),
        }
    }
}

impl Repository {
    fn path(&self) -> String {
        format!("/v2/{}/{}", self.app.name, self.process_type)
    }

    fn created(&self, digest: &Digest) -> Response {
        let location = format!("{}/blobs/{digest}", self.path());
        let headers = [(header::LOCATION, location), (DIGEST, digest.to_string())];
        (StatusCode::CREATED, headers).into_response()
    }

    fn under_way(&self, status: StatusCode, upload: Uuid, bytes: u64) -> Response {
        let location = format!("{}/blobs/uploads/{upload}", self.path());
        let headers = [
            (header::LOCATION, location),
            (header::RANGE, format!("0-{}", bytes.saturating_sub(1))),
            (UPLOAD, upload.to_string()),
        ];
        (status, headers).into_response()
    }
}

/// Does a piece of work that lasts, unless whoever wants it loses the right to it meanwhile.
async fn while_allowed<T>(
    session: Option<&Session>,
    work: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let Some(session) = session else {
        return work.await;
    };
    tokio::select! {
        done = work => done,
        () = session.ended().cancelled() => Err(RegistryError::NoApp),
    }
}

async fn hello(State(door): State<Arc<Door>>, headers: HeaderMap) -> Answer {
    // Which app is not asked yet, and so none is found.
    match door.backend.admit(&headers, None, FETCH).await {
        Err(Refusal::NotFound) | Ok(_) => Ok(Json(json!({})).into_response()),
        Err(refusal) => Err(refusal.into()),
    }
}

async fn nothing(State(door): State<Arc<Door>>, headers: HeaderMap) -> Answer {
    match door.backend.admit(&headers, None, FETCH).await {
        Err(Refusal::NotFound) | Ok(_) => Err(RegistryError::BadName),
        Err(refusal) => Err(refusal.into()),
    }
}

#[derive(Deserialize)]
struct Begin {
    digest: Option<String>,
    mount: Option<String>,
    from: Option<String>,
}

async fn begin(
    State(door): State<Arc<Door>>,
    Path((app, kind)): Path<(String, String)>,
    Query(query): Query<Begin>,
    request: Request,
) -> Answer {
    let repository = door.admit(request.headers(), &app, &kind, PUSH).await?;
    door.check().await?;
    let store = &repository.store;
    if let (Some(digest), Some(from)) = (&query.mount, &query.from) {
        let digest: Digest = digest.parse()?;
        if mounted(&door, request.headers(), store, from, &digest).await {
            return Ok(repository.created(&digest));
        }
    }
    let id = Uploads::begin(store).await?;
    let Some(digest) = query.digest else {
        return Ok(repository.under_way(StatusCode::ACCEPTED, id, 0));
    };
    let digest: Digest = digest.parse()?;
    let turn = door.uploads.turn(id)?;
    let received = turn.append(store, None, request.into_body(), &*door);
    while_allowed(repository.session.as_ref(), received).await?;
    store.keep_upload(id, &digest).await?;
    Ok(repository.created(&digest))
}

/// Whether a blob could be taken from elsewhere. Where it cannot, it is uploaded.
async fn mounted(door: &Door, headers: &HeaderMap, store: &Store, from: &str, digest: &Digest) -> bool {
    let app = from.split_once('/').map_or(from, |(app, _)| app);
    match door.backend.admit(headers, Some(app), FETCH).await {
        Ok(admission) => store.mount(&door.store(admission.app.id), digest).await.is_ok(),
        Err(_) => false,
    }
}

type UploadPath = Path<(String, String, String)>;

/// The id is ours: whatever else stands there names no upload.
fn upload_id(text: &str) -> Result<Uuid, RegistryError> {
    text.parse().map_err(|_| RegistryError::NoUpload)
}

async fn append(State(door): State<Arc<Door>>, Path((app, kind, id)): UploadPath, request: Request) -> Answer {
    let repository = door.admit(request.headers(), &app, &kind, PUSH).await?;
    let id = upload_id(&id)?;
    let range = request.headers().get(header::CONTENT_RANGE);
    let range = range.map(|range| first_byte(range.to_str().unwrap_or_default()));
    let turn = door.uploads.turn(id)?;
    let received = turn.append(&repository.store, range.transpose()?, request.into_body(), &*door);
    let bytes = while_allowed(repository.session.as_ref(), received).await?;
    Ok(repository.under_way(StatusCode::ACCEPTED, id, bytes))
}

#[derive(Deserialize)]
struct Finish {
    digest: Option<String>,
}

async fn finish(
    State(door): State<Arc<Door>>,
    Path((app, kind, id)): UploadPath,
    Query(query): Query<Finish>,
    request: Request,
) -> Answer {
    let repository = door.admit(request.headers(), &app, &kind, PUSH).await?;
    let id = upload_id(&id)?;
    let digest: Digest = query.digest.unwrap_or_default().parse()?;
    let turn = door.uploads.turn(id)?;
    let received = turn.append(&repository.store, None, request.into_body(), &*door);
    while_allowed(repository.session.as_ref(), received).await?;
    repository.store.keep_upload(id, &digest).await?;
    Ok(repository.created(&digest))
}

async fn progress(State(door): State<Arc<Door>>, Path((app, kind, id)): UploadPath, headers: HeaderMap) -> Answer {
    let repository = door.admit(&headers, &app, &kind, PUSH).await?;
    let id = upload_id(&id)?;
    let bytes = door.uploads.turn(id)?.bytes(&repository.store).await?;
    Ok(repository.under_way(StatusCode::NO_CONTENT, id, bytes))
}

async fn give_up(State(door): State<Arc<Door>>, Path((app, kind, id)): UploadPath, headers: HeaderMap) -> Answer {
    let repository = door.admit(&headers, &app, &kind, PUSH).await?;
    let turn = door.uploads.turn(upload_id(&id)?)?;
    turn.give_up(&repository.store).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn blob(State(door): State<Arc<Door>>, Path((app, kind, digest)): UploadPath, headers: HeaderMap) -> Answer {
    let repository = door.admit(&headers, &app, &kind, FETCH).await?;
    let digest: Digest = digest.parse()?;
    let bytes = repository.store.blob_bytes(&digest).await?;
    let file = tokio::fs::File::open(repository.store.blob(&digest)).await;
    let file = file.map_err(missing(RegistryError::NoBlob))?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
        (DIGEST, digest.to_string()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::with_capacity(file, 64 * 1024))).into_response())
}

async fn manifest(
    State(door): State<Arc<Door>>,
    Path((app, kind, reference)): UploadPath,
    headers: HeaderMap,
) -> Answer {
    let repository = door.admit(&headers, &app, &kind, FETCH).await?;
    let store = &repository.store;
    let mut stored = store.manifest(&repository.process_type, &reference.parse()?).await?;
    // Who does not know of indexes gets what is in it for this machine.
    if let Manifest::Index { images, .. } = &stored.manifest
        && !accepts(&headers, stored.manifest.media_type())
    {
        let digest = Manifest::for_this_machine(images)?.digest.clone();
        stored = store.stored(digest).await?;
    }
    let headers = [
        (header::CONTENT_TYPE, stored.manifest.media_type().to_owned()),
        (header::CONTENT_LENGTH, stored.bytes.len().to_string()),
        (DIGEST, stored.digest.to_string()),
    ];
    Ok((headers, stored.bytes).into_response())
}

fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let accepted = headers.get_all(header::ACCEPT);
    let mut accepted = accepted
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    accepted.any(|one| {
        let one = one.split(';').next().unwrap_or_default().trim();
        one == media_type || one == "*/*"
    })
}

async fn put_manifest(
    State(door): State<Arc<Door>>,
    Path((app, kind, reference)): UploadPath,
    request: Request,
) -> Answer {
    let repository = door.admit(request.headers(), &app, &kind, PUSH).await?;
    door.check().await?;
    let reference: Reference = reference.parse()?;
    let too_large = RegistryError::TooLarge {
        what: "a manifest",
        maximum_mib: MAXIMUM_BYTES as u64 / (1024 * 1024),
    };
    let body = axum::body::to_bytes(request.into_body(), MAXIMUM_BYTES);
    let bytes = body.await.map_err(|_| too_large)?;
    let put = repository
        .store
        .put_manifest(&repository.process_type, &reference, &bytes);
    let digest = put.await?;
    let location = format!("{}/manifests/{digest}", repository.path());
    let headers = [(header::LOCATION, location), (DIGEST, digest.to_string())];
    Ok((StatusCode::CREATED, headers).into_response())
}

async fn forget_manifest(
    State(door): State<Arc<Door>>,
    Path((app, kind, reference)): UploadPath,
    headers: HeaderMap,
) -> Answer {
    let repository = door.admit(&headers, &app, &kind, PUSH).await?;
    let reference = reference.parse()?;
    repository.store.forget(&repository.process_type, &reference).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn tags(State(door): State<Arc<Door>>, Path((app, kind)): Path<(String, String)>, headers: HeaderMap) -> Answer {
    let repository = door.admit(&headers, &app, &kind, FETCH).await?;
    let tags = repository.store.tag_names(&repository.process_type).await?;
    let name = format!("{}/{}", repository.app.name, repository.process_type);
    Ok(Json(json!({ "name": name, "tags": tags })).into_response())
}

//! Git's smart HTTP (git's `gitprotocol-http`): two questions, each answered by a `git` that is spawned for it.

use std::{future, io, process::Stdio, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, Query, Request, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::stream;
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use paas_core::App;
use serde::Deserialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::mpsc,
    time::timeout,
};

use super::{
    Admission, Git, Refusal,
    process::{self, Service},
    push::Pushes,
};
use crate::sessions::Session;

mod upload;

/// An answer that takes longer is not read any more; the push it belongs to goes on without it.
const SLOW_READER: Duration = Duration::from_mins(1);

/// Listing refs takes milliseconds.
const ADVERTISEMENT: Duration = Duration::from_secs(30);

const CHUNK_BYTES: usize = 16 * 1024;

/// What git says on standard error goes to our log, up to here.
const MAXIMUM_STDERR_BYTES: u64 = 16 * 1024;

/// `/{app}.git/…`: clone, fetch and push.
pub(crate) fn router(git: Arc<Git>) -> Router {
    Router::new()
        .route("/{repository}/info/refs", get(advertise))
        .route("/{repository}/git-upload-pack", post(upload_pack))
        .route("/{repository}/git-receive-pack", post(receive_pack))
        .with_state(git)
}

/// Why a request is not answered, in words that git shows (`remote: …`): it does so for plain text.
enum GitError {
    Refused(Refusal),
    DumbClient,
    UnknownService,
    BadContentType(Service),
    Repository(git2::Error),
    Spawn(io::Error),
    Advertise(String),
}

#[derive(Deserialize)]
struct InfoRefs {
    service: Option<String>,
}

async fn advertise(
    State(git): State<Arc<Git>>,
    Path(repository): Path<String>,
    Query(query): Query<InfoRefs>,
    headers: HeaderMap,
) -> Result<Response, GitError> {
    let service = query.service.as_deref().and_then(Service::from_name);
    let wanted = service.unwrap_or(Service::UploadPack);
    let Admission { app, session, .. } = admit(&git, &repository, wanted, &headers).await?;
    drop(session);
    let name = query.service.ok_or(GitError::DumbClient)?;
    let service = service.ok_or(GitError::UnknownService)?;
    let mut command = command(&git, service, &app, &headers).await?;
    command.arg("--advertise-refs").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(ADVERTISEMENT, command.output())
        .await
        .map_err(|_| GitError::Advertise("timed out".to_owned()))?
        .map_err(GitError::Spawn)?;
    if !output.status.success() {
        return Err(GitError::Advertise(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    let mut body = BytesMut::new();
    // Version 2 begins without this line (gitprotocol-v2, "HTTP Transport").
    if !output.stdout.starts_with(b"000eversion 2\n") {
        let line = format!("# service={name}\n");
        body.put_slice(format!("{:04x}{line}0000", line.len() + 4).as_bytes());
    }
    body.put_slice(&output.stdout);
    Ok(answer(service, "advertisement", Body::from(body.freeze())))
}

async fn upload_pack(
    State(git): State<Arc<Git>>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response, GitError> {
    let service = Service::UploadPack;
    let Admission { app, session, .. } = admit(&git, &repository, service, request.headers()).await?;
    check_content_type(service, request.headers())?;
    let mut command = command(&git, service, &app, request.headers()).await?;
    let (output, body) = channel();
    let exchange = Exchange::spawn(&mut command, service, request, output)?;
    let stop = git.stop.clone();
    git.tracker.spawn(async move {
        // Dropped at a stop or when access is lost, and with it the process.
        tokio::select! {
            _ = stop.run_until_cancelled(exchange.run()) => {}
            () = lost(session.as_ref()) => {}
        }
    });
    Ok(answer(service, "result", body))
}

async fn receive_pack(
    State(git): State<Arc<Git>>,
    Path(repository): Path<String>,
    request: Request,
) -> Result<Response, GitError> {
    let service = Service::ReceivePack;
    let Admission { app, account, session } = admit(&git, &repository, service, request.headers()).await?;
    check_content_type(service, request.headers())?;
    let mut command = command(&git, service, &app, request.headers()).await?;
    let push = Pushes::begin(&git, app, account);
    process::introduce(&mut command, &git, &push);
    let (output, body) = channel();
    let exchange = Exchange::spawn(&mut command, service, request, output)?;
    let stop = git.stop.child_token();
    git.tracker.spawn(async move {
        // Whoever loses access while they push is treated as one who went away.
        let push_ends = exchange.run_to_the_end(stop.clone());
        let cut_off = async {
            lost(session.as_ref()).await;
            stop.cancel();
            future::pending::<()>().await;
        };
        tokio::select! {
            () = push_ends => {}
            () = cut_off => {}
        }
        drop(push);
    });
    Ok(answer(service, "result", body))
}

/// Who asks, and for which app.
async fn admit(git: &Git, repository: &str, wanted: Service, headers: &HeaderMap) -> Result<Admission, GitError> {
    let name = repository.strip_suffix(".git");
    git.backend
        .admit(headers, name, wanted)
        .await
        .map_err(GitError::Refused)
}

/// When whoever asked may not go on.
async fn lost(session: Option<&Session>) {
    match session {
        Some(session) => session.ended().cancelled().await,
        None => future::pending().await,
    }
}

async fn command(git: &Arc<Git>, service: Service, app: &App, headers: &HeaderMap) -> Result<Command, GitError> {
    let (repositories, id) = (git.repositories.clone(), app.id);
    let path = tokio::task::spawn_blocking(move || repositories.ensure(id))
        .await
        .map_err(|error| GitError::Spawn(io::Error::other(error)))?
        .map_err(GitError::Repository)?;
    let protocol = headers.get("git-protocol").and_then(|value| value.to_str().ok());
    Ok(process::command(git, service, &path, protocol))
}

fn check_content_type(service: Service, headers: &HeaderMap) -> Result<(), GitError> {
    let expected = format!("application/x-{}-request", service.name());
    match headers.get(CONTENT_TYPE) {
        Some(given) if given.as_bytes() == expected.as_bytes() => Ok(()),
        _ => Err(GitError::BadContentType(service)),
    }
}

fn answer(service: Service, kind: &str, body: Body) -> Response {
    let content_type = format!("application/x-{}-{kind}", service.name());
    let headers = [
        (CONTENT_TYPE, content_type),
        (CACHE_CONTROL, "no-cache, max-age=0, must-revalidate".to_owned()),
    ];
    (headers, body).into_response()
}

fn channel() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, receiver) = mpsc::channel(16);
    let chunks = stream::unfold(receiver, |mut receiver: mpsc::Receiver<Bytes>| async move {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, io::Error>(chunk), receiver))
    });
    (sender, Body::from_stream(chunks))
}

/// A request on its way into a git, and the answer on its way out.
struct Exchange {
    child: Child,
    upload: upload::Upload,
    answer: Answer,
    stderr: ChildStderr,
    service: Service,
}

impl Exchange {
    fn spawn(
        command: &mut Command,
        service: Service,
        request: Request,
        output: mpsc::Sender<Bytes>,
    ) -> Result<Self, GitError> {
        let is_gzip = request
            .headers()
            .get(CONTENT_ENCODING)
            .is_some_and(|encoding| matches!(encoding.as_bytes(), b"gzip" | b"x-gzip"));
        let mut child = command.spawn().map_err(GitError::Spawn)?;
        let piped = "all three were piped";
        Ok(Self {
            upload: upload::Upload::new(request.into_body(), is_gzip, child.stdin.take().expect(piped)),
            answer: Answer {
                stdout: child.stdout.take().expect(piped),
                output: Some(output),
            },
            stderr: child.stderr.take().expect(piped),
            child,
            service,
        })
    }

    /// Until git has ended, or nobody reads what it says.
    async fn run(mut self) {
        let listened = async {
            tokio::join!(self.upload.run(), log_stderr(self.service, self.stderr));
        };
        tokio::select! {
            () = listened => {}
            () = self.answer.run_while_read() => {}
        }
        if self.answer.output.is_some() {
            self.answer.run_while_read().await;
        }
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    /// Until git has ended. A stop ends the upload, and so the push; a deploy that has begun ends by its own rules.
    async fn run_to_the_end(mut self, stop: tokio_util::sync::CancellationToken) {
        let upload = stop.run_until_cancelled_owned(self.upload.run());
        tokio::join!(
            upload,
            self.answer.run_to_the_end(),
            log_stderr(self.service, self.stderr)
        );
        match self.child.wait().await {
            Ok(status) => tracing::debug!(%status, "a push has ended"),
            Err(error) => tracing::error!(%error, "waiting for git receive-pack"),
        }
    }
}

/// What git answers.
struct Answer {
    stdout: ChildStdout,
    /// `None` once the client is gone.
    output: Option<mpsc::Sender<Bytes>>,
}

impl Answer {
    async fn run_to_the_end(&mut self) {
        while let Some(chunk) = self.read().await {
            self.send(chunk).await;
        }
        self.output = None;
    }

    async fn run_while_read(&mut self) {
        while self.output.is_some() {
            match self.read().await {
                Some(chunk) => self.send(chunk).await,
                None => self.output = None,
            }
        }
    }

    async fn read(&mut self) -> Option<Bytes> {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        match self.stdout.read_buf(&mut chunk).await {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(chunk.freeze()),
        }
    }

    async fn send(&mut self, chunk: Bytes) {
        if let Some(output) = &self.output
            && !matches!(timeout(SLOW_READER, output.send(chunk)).await, Ok(Ok(())))
        {
            self.output = None;
        }
    }
}

/// Reads on behind what is logged: a git that cannot say its last words does not end.
async fn log_stderr(service: Service, mut stderr: impl AsyncRead + Unpin) {
    let mut text = Vec::new();
    let read = (&mut stderr).take(MAXIMUM_STDERR_BYTES).read_to_end(&mut text).await;
    if read.is_ok() {
        let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
    }
    for line in String::from_utf8_lossy(&text).lines() {
        tracing::info!(git.service = service.name(), "git: {}", line.escape_debug());
    }
}

impl IntoResponse for GitError {
    fn into_response(self) -> Response {
        let text = |status: StatusCode, message: &str| (status, format!("{message}\n")).into_response();
        match self {
            Self::Refused(Refusal::Unauthenticated) => {
                let mut response = text(
                    StatusCode::UNAUTHORIZED,
                    "Invalid credentials provided: sign in with `paas login`, or use a token as the password.",
                );
                let realm = HeaderValue::from_static("Basic realm=\"paas\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, realm);
                response
            }
            Self::Refused(Refusal::NotFound) => text(
                StatusCode::NOT_FOUND,
                "Couldn't find that app: see `paas apps` for its name and `git remote -v` for what you push to.",
            ),
            Self::Refused(Refusal::Forbidden(why)) => text(StatusCode::FORBIDDEN, &why),
            Self::Refused(Refusal::Unavailable) => {
                let mut response = text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "The platform cannot answer right now. Try again in a moment.",
                );
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
            Self::DumbClient => text(
                StatusCode::BAD_REQUEST,
                "This server speaks git's smart HTTP protocol only: update your git.",
            ),
            Self::UnknownService => text(
                StatusCode::FORBIDDEN,
                "There is no such git service here: git-upload-pack and git-receive-pack are.",
            ),
            Self::BadContentType(service) => text(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &format!("Content-Type must be application/x-{}-request.", service.name()),
            ),
            Self::Repository(error) => {
                tracing::error!(%error, "opening a repository");
                internal()
            }
            Self::Spawn(error) => {
                tracing::error!(%error, "running git: is it installed");
                internal()
            }
            Self::Advertise(error) => {
                tracing::error!(error, "listing refs");
                internal()
            }
        }
    }
}

fn internal() -> Response {
    let message = "Something is wrong on the platform's side; its log says what.\n";
    (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

//! Git over HTTP, and what happens when somebody pushes.
//!
//! ```text
//! client ─POST /hello.git/git-receive-pack─▶ http ─spawns─▶ git receive-pack ─▶ pre-receive: `paasd hook`
//!                                                                                 │ hook.sock: commit, tar of its tree
//! client ◀─────── sideband ◀─────── stderr ◀──── output, verdict ◀── receive ◀────┘
//! ```
//!
//! * The wire protocol is git's own: `git receive-pack` and `git upload-pack` are spawned, with an environment of ours
//!   and no configuration of anybody's. Whatever reads or creates a repository is `git2`.
//! * The ref moves when, and only when, the hook says so; until then the pushed objects are in git's quarantine, which
//!   only the hook can see. So the hook reads the tree, judges it ([`source`]) and sends it as a tar.
//! * A push is driven to its end by a task of the server's: a client that goes away stops nothing.
//! * An app's pushes take turns: one has it from before its source is sent until its ref has moved.
//! * A repository is found by the id of its app: no name that somebody chose is ever part of a path.

use std::{io, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::HeaderMap;
use paas_core::{App, Build, Id};
use paas_store::account::Account;
use tokio::sync::oneshot;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::sessions::Session;

pub(crate) mod frame;
mod http_backend;
mod process;
mod push;
mod receive;
mod repository;
pub(crate) mod source;

pub(crate) use http_backend::router;
pub(crate) use process::{HOOK_APP, HOOK_PUSH, HOOK_SOCKET, Service};
pub(crate) use receive::Receiver;
pub(crate) use repository::Repositories;

/// What git asks of the rest of the platform.
#[async_trait]
pub(crate) trait Backend: Send + Sync + 'static {
    /// Whose request this is (Basic authentication, any user name, a token as the password), and the app of this name, if
    /// they may do with it what they want to. Who they are is asked first, also when there can be no such name: without a
    /// token nobody learns which apps there are.
    async fn admit(&self, headers: &HeaderMap, name: Option<&str>, wanted: Service) -> Result<Admission, Refusal>;

    /// Hears that a push to an app has begun, whose source will most likely be deployed.
    fn expect(&self, _app: &App) -> Option<Expected> {
        None
    }

    /// Starts a deploy, which goes on whether or not anybody listens.
    async fn deploy(&self, source: NewSource) -> Result<Deploying, Refusal>;
}

/// Somebody who may do what they want to with an app.
pub(crate) struct Admission {
    pub(crate) app: App,
    pub(crate) account: Account,
    /// Ended when they may not go on.
    pub(crate) session: Option<Session>,
}

/// A build that gets ready while its source is on the way. Nobody expects it any more when this is dropped.
pub(crate) struct Expected {
    pub(crate) build: Id<Build>,
    pub(crate) _push: DropGuard,
}

/// Why a request of git's is not answered.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// Without credentials, or with wrong ones.
    Unauthenticated,
    NotFound,
    /// They see the app, but may not do this with it; why, in words for them.
    Forbidden(String),
    /// The database does not answer, or something else that passes.
    Unavailable,
}

/// What was pushed.
pub(crate) struct NewSource {
    pub(crate) app: App,
    pub(crate) account: Account,
    /// A tar of the commit's tree. It belongs to the deploy once that has begun, and is removed by it.
    pub(crate) tar: PathBuf,
    pub(crate) commit: String,
    /// The first line of the commit's message.
    pub(crate) subject: String,
    /// The build that was expected.
    pub(crate) build: Option<Id<Build>>,
}

/// A deploy under way, as the pusher watches it.
pub(crate) struct Deploying {
    /// Ends when the deploy has ended.
    pub(crate) output: BoxStream<'static, io::Result<Bytes>>,
    /// Whether the ref may move. Lost when the server stops.
    pub(crate) accepted: oneshot::Receiver<bool>,
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct GitPaths {
    /// The repositories, `<app id>.git`.
    pub(crate) repositories: PathBuf,
    /// Where the tars of pushed sources wait for their builds.
    pub(crate) sources: PathBuf,
    /// Where the hook finds the server. Only its owner may connect.
    pub(crate) socket: PathBuf,
    /// Where the hook that git runs is written.
    pub(crate) hooks: PathBuf,
    /// What that hook runs: this program, `hook`.
    pub(crate) hook_command: Vec<PathBuf>,
}

/// Everything that the requests and the hook's connections share.
pub(crate) struct Git {
    paths: GitPaths,
    repositories: Repositories,
    pushes: push::Pushes,
    backend: Arc<dyn Backend>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Git {
    /// Makes the directories and the hook, and clears away what a crash has left of pushes.
    pub(crate) fn open(
        paths: GitPaths,
        backend: Arc<dyn Backend>,
        tracker: TaskTracker,
        stop: CancellationToken,
    ) -> io::Result<Arc<Self>> {
        let repositories = Repositories::open(paths.repositories.clone())?;
        receive::clear_sources(&paths.sources)?;
        process::write_hook(&paths.hooks, &paths.hook_command)?;
        Ok(Arc::new(Self {
            paths,
            repositories,
            pushes: push::Pushes::default(),
            backend,
            tracker,
            stop,
        }))
    }
}

#[cfg(test)]
mod tests;

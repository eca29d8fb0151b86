//! The server's end of the hook: takes the source, hands it to a deploy, and passes its output and its verdict back.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use paas_core::App;
use paas_store::account::Account;
use tokio::{
    fs::File,
    io::{AsyncWriteExt, BufReader, BufWriter},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Deploying, Git, NewSource, Refusal,
    frame::{Frame, Hello, MAXIMUM_BYTES},
};
use crate::{failpoint, own_socket};

/// A hook that says nothing for so long while it sends is dead.
const IDLE: Duration = Duration::from_mins(1);

/// A hook that takes nothing in for so long is dead. A pusher who stopped reading is given up much earlier, where the
/// answer goes out, and then the hook reads on: its verdict must still reach it.
const STALLED: Duration = Duration::from_mins(10);

/// A checkout of the largest size, with a header for each of its files.
const MAXIMUM_TAR_BYTES: u64 = 1024 * 1024 * 1024 + 100 * 1024 * 1024;

const SOURCE_PREFIX: &str = "push-";

/// Listens for hooks.
pub(crate) struct Receiver {
    git: Arc<Git>,
    listener: UnixListener,
}

/// Why a push ends here, in words for the person who pushed.
struct Rejection(String);

impl Receiver {
    /// Binds the socket, for its owner alone: whoever can connect can end a push in another's name.
    pub(crate) fn bind(git: Arc<Git>) -> io::Result<Self> {
        let listener = own_socket::bind(&git.paths.socket)?;
        Ok(Self { git, listener })
    }

    /// Until the server stops. Pushes under way are told so, and end.
    pub(crate) async fn run(self, stop: CancellationToken) -> io::Result<()> {
        while let Some(accepted) = stop.run_until_cancelled(self.listener.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let git = Arc::clone(&self.git);
                    self.git
                        .tracker
                        .spawn(async move { Connection::new(git, stream).run().await });
                }
                Err(error) => {
                    // Out of file descriptors, mostly: others give theirs back.
                    tracing::error!(%error, "accepting a hook's connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        Ok(())
    }
}

/// Removes the sources that nobody will build: a start has no pushes under way.
pub(super) fn clear_sources(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(SOURCE_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

struct Connection {
    git: Arc<Git>,
    reader: BufReader<OwnedReadHalf>,
    hook: Hook,
}

/// What the pusher sees. A pusher who is gone is not told, and changes nothing.
struct Hook {
    writer: OwnedWriteHalf,
    is_gone: bool,
}

impl Connection {
    fn new(git: Arc<Git>, stream: UnixStream) -> Self {
        let (reader, writer) = stream.into_split();
        Self {
            git,
            reader: BufReader::with_capacity(MAXIMUM_BYTES, reader),
            hook: Hook { writer, is_gone: false },
        }
    }

    async fn run(mut self) {
        let verdict = match self.receive().await {
            Ok(true) => Frame::Accepted,
            Ok(false) => Frame::Rejected,
            Err(Rejection(words)) => {
                self.hook.say(&format!(" !     {words}")).await;
                Frame::Rejected
            }
        };
        self.hook.send(&verdict).await;
    }

    async fn receive(&mut self) -> Result<bool, Rejection> {
        failpoint::hit("receive.before");
        let hello = self.hello().await?;
        let (app, account) = self
            .git
            .pushes
            .find(hello.push)
            .ok_or_else(|| Rejection("This push is not known any more. Push again.".to_owned()))?;
        // First the turn, then the source: those who wait take no room on the disk.
        self.take_turn(&app, &hello).await?;
        self.hook.send(&Frame::Ready).await;
        let source = self.source().await?;
        failpoint::hit("receive.after");
        self.deploy(app, account, hello, source).await
    }

    async fn hello(&mut self) -> Result<Hello, Rejection> {
        match timeout(IDLE, Frame::receive(&mut self.reader)).await {
            Ok(Ok(Frame::Hello(json))) => serde_json::from_slice(&json).map_err(|error| broken(&error)),
            Ok(Ok(_)) => Err(broken(&"no hello")),
            Ok(Err(error)) => Err(broken(&error)),
            Err(elapsed) => Err(broken(&elapsed)),
        }
    }

    async fn source(&mut self) -> Result<SourceFile, Rejection> {
        let name = format!("{SOURCE_PREFIX}{}.tar", Uuid::new_v4());
        let source = SourceFile {
            path: self.git.paths.sources.join(name),
            is_kept: false,
        };
        let file = File::create(&source.path).await.map_err(unwritable)?;
        let mut file = BufWriter::with_capacity(MAXIMUM_BYTES, file);
        let mut rest_bytes = MAXIMUM_TAR_BYTES;
        loop {
            match timeout(IDLE, Frame::receive(&mut self.reader)).await {
                Ok(Ok(Frame::Source(bytes))) => {
                    rest_bytes = rest_bytes
                        .checked_sub(bytes.len() as u64)
                        .ok_or_else(|| Rejection("The source is larger than 1 GB.".to_owned()))?;
                    file.write_all(&bytes).await.map_err(unwritable)?;
                }
                Ok(Ok(Frame::SourceEnd)) => break,
                Ok(Ok(_)) => return Err(broken(&"no source")),
                Ok(Err(error)) => return Err(broken(&error)),
                Err(elapsed) => return Err(broken(&elapsed)),
            }
        }
        file.flush().await.map_err(unwritable)?;
        Ok(source)
    }

    /// Waits until no other push to the app is between its deploy and its ref.
    async fn take_turn(&mut self, app: &App, hello: &Hello) -> Result<(), Rejection> {
        let turn = match self.git.pushes.turn(app.id) {
            Ok(turn) => turn,
            Err(taken) => {
                let line = format!("-----> Waiting for another push to {} to end", app.name);
                self.hook.say(&line).await;
                self.git
                    .stop
                    .run_until_cancelled(taken.acquire_owned())
                    .await
                    .and_then(Result::ok)
                    .ok_or_else(stopping)?
            }
        };
        self.git.pushes.keep(hello.push, turn);
        let (repositories, id, reference) = (self.git.repositories.clone(), app.id, hello.reference.clone());
        let now = tokio::task::spawn_blocking(move || repositories.target(id, &reference))
            .await
            .map_err(|_| stopping())?
            .map_err(|error| broken(&error))?;
        if now.map(|id| id.to_string()) != hello.old_commit {
            return Err(Rejection(format!(
                "Another push has moved {} meanwhile. Fetch, merge and push again.",
                hello.reference
            )));
        }
        Ok(())
    }

    async fn deploy(
        &mut self,
        app: App,
        account: Account,
        hello: Hello,
        mut source: SourceFile,
    ) -> Result<bool, Rejection> {
        let new_source = NewSource {
            app,
            account,
            tar: source.path.clone(),
            commit: hello.commit,
            subject: hello.subject,
            build: self.git.pushes.expected(hello.push),
        };
        let Deploying {
            mut output,
            mut accepted,
        } = self.git.backend.deploy(new_source).await.map_err(refused)?;
        source.is_kept = true;
        let stop = self.git.stop.clone();
        while let Some(bytes) = stop.run_until_cancelled(output.next()).await.ok_or_else(stopping)? {
            match bytes {
                Ok(bytes) => self.hook.output(&bytes).await,
                Err(error) => {
                    tracing::error!(%error, "reading the output of a deploy");
                    break;
                }
            }
        }
        match stop.run_until_cancelled(&mut accepted).await {
            Some(Ok(accepted)) => Ok(accepted),
            // At a stop the verdict may be there already: what was deployed must not be called rejected.
            Some(Err(_)) | None => accepted.try_recv().map_err(|_| stopping()),
        }
    }
}

impl Hook {
    async fn say(&mut self, line: &str) {
        self.output(format!("{line}\n").as_bytes()).await;
    }

    async fn output(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(MAXIMUM_BYTES) {
            self.send(&Frame::Output(chunk.to_vec())).await;
        }
    }

    async fn send(&mut self, frame: &Frame) {
        if !self.is_gone && !matches!(timeout(STALLED, frame.send(&mut self.writer)).await, Ok(Ok(()))) {
            self.is_gone = true;
        }
    }
}

/// A tar that is removed unless a deploy keeps it.
struct SourceFile {
    path: PathBuf,
    is_kept: bool,
}

impl Drop for SourceFile {
    fn drop(&mut self) {
        if !self.is_kept
            && let Err(error) = fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), %error, "a source is left over");
        }
    }
}

fn broken(error: &dyn fmt::Display) -> Rejection {
    tracing::info!(%error, "a push broke off");
    Rejection("The push broke off before its source had arrived. Push again.".to_owned())
}

fn stopping() -> Rejection {
    Rejection("The platform is restarting. Push again in a moment.".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` takes")]
fn unwritable(error: io::Error) -> Rejection {
    tracing::error!(%error, "storing a pushed source");
    Rejection(match error.kind() {
        io::ErrorKind::StorageFull => "The platform's disk is full: nothing was deployed, and what runs goes on. \
             Ask its operator to free some space, then push again."
            .to_owned(),
        _ => "The platform could not store the source; its log says why.".to_owned(),
    })
}

fn refused(refusal: Refusal) -> Rejection {
    Rejection(match refusal {
        Refusal::NotFound => {
            "The app was destroyed meanwhile, or you do not have access to it any more: nothing was deployed."
                .to_owned()
        }
        Refusal::Forbidden(why) => why,
        Refusal::Unauthenticated => "The account has lost its access meanwhile.".to_owned(),
        Refusal::Unavailable => "The platform cannot start a build right now. Push again in a moment.".to_owned(),
    })
}

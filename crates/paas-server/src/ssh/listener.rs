//! The socket that the router hands SSH to.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use russh::{
    Disconnect, MethodKind, MethodSet, SshId,
    server::{Config, run_stream},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, oneshot},
    time::timeout,
};

use super::person::Person;
use crate::{platform::Platform, strangers::welcome};

/// For the first words, and again for the key.
const INTRODUCTION_LIMIT: Duration = Duration::from_secs(20);
/// How many keys one may show.
const MOST_ATTEMPTS: usize = 6;
/// Without a byte either way, and that with [`KEEP_ALIVE`]: the client is gone.
const SILENCE_LIMIT: Duration = Duration::from_hours(1);
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Pieces that wait for a program, of at most 32 KiB each.
const PIECES: usize = 256;
/// How long a client may take to hear why it is sent away.
const GOODBYE: Duration = Duration::from_secs(1);

pub(crate) struct Listener {
    platform: Arc<Platform>,
    socket: UnixListener,
    config: Arc<Config>,
}

impl Listener {
    /// Binds the socket, for its owner alone.
    pub(crate) fn bind(platform: Arc<Platform>) -> Result<Self> {
        let path = platform.settings.ssh_socket();
        let socket = bind(&path).with_context(|| format!("opening {}", path.display()))?;
        let config = Config {
            server_id: SshId::Standard(concat!("SSH-2.0-paas_", env!("CARGO_PKG_VERSION")).into()),
            methods: MethodSet::from(&[MethodKind::PublicKey][..]),
            keys: vec![platform.ssh.key.clone()],
            max_auth_attempts: MOST_ATTEMPTS,
            inactivity_timeout: Some(SILENCE_LIMIT),
            keepalive_interval: Some(KEEP_ALIVE),
            channel_buffer_size: PIECES,
            ..Config::default()
        };
        Ok(Self {
            platform,
            socket,
            config: Arc::new(config),
        })
    }

    pub(crate) async fn run(self) -> Result<()> {
        let listener = Arc::new(self);
        let serve = |stream, stranger| {
            let listener = Arc::clone(&listener);
            async move { listener.serve(stream, stranger).await }
        };
        welcome(&listener.platform, &listener.socket, serve).await;
        Ok(())
    }

    async fn serve(&self, stream: UnixStream, stranger: OwnedSemaphorePermit) {
        let (introduce, introduced) = oneshot::channel();
        let person = Person::new(Arc::clone(&self.platform), introduce);
        let begun = timeout(INTRODUCTION_LIMIT, run_stream(Arc::clone(&self.config), stream, person));
        let Ok(Ok(running)) = begun.await else { return };
        let handle = running.handle();
        let mut running = pin!(running);
        let introduced = tokio::select! {
            ended = &mut running => return say(ended),
            introduced = timeout(INTRODUCTION_LIMIT, introduced) => introduced.ok().and_then(Result::ok),
            () = self.platform.stop.cancelled() => None,
        };
        if let Some(reservation) = introduced {
            drop(stranger);
            tokio::select! {
                ended = &mut running => return say(ended),
                () = reservation.session.ended().cancelled() => {}
                () = self.platform.stop.cancelled() => {}
            }
        }
        // It may have gone already.
        let _ = handle
            .disconnect(Disconnect::ByApplication, "goodbye".to_owned(), "en".to_owned())
            .await;
        let _ = timeout(GOODBYE, running).await;
    }
}

fn say(ended: Result<(), russh::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of SSH ended");
    }
}

/// A socket that nobody answers on is left from a server before this one.
fn bind(path: &PathBuf) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

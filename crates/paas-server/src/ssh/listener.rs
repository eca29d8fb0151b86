//! The socket that the router hands SSH to.

use std::{io, net::Shutdown, os::fd::AsFd as _, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use russh::{
    Disconnect, MethodKind, MethodSet, SshId,
    server::{Config, run_stream},
};
use tokio::{
    net::{UnixListener, UnixStream},
    sync::oneshot,
    time::{sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::person::Person;
use crate::{
    own_socket,
    platform::Platform,
    rendezvous::peer_closed,
    strangers::{Stranger, welcome},
};

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
        let socket = own_socket::bind(&path).with_context(|| format!("opening {}", path.display()))?;
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

    async fn serve(&self, stream: UnixStream, stranger: Stranger) {
        let stop = &self.platform.stop;
        let line = match Line::of(&stream) {
            Ok(line) => line,
            Err(error) => return tracing::warn!(%error, "a connection of SSH could not be watched"),
        };
        let gone = CancellationToken::new();
        let over = gone.clone().drop_guard();
        let (introduce, introduced) = oneshot::channel();
        let person = Person::new(Arc::clone(&self.platform), introduce, gone);
        let begin = timeout(INTRODUCTION_LIMIT, run_stream(Arc::clone(&self.config), stream, person));
        let Some(Ok(Ok(running))) = stop.run_until_cancelled(begin).await else {
            return;
        };
        let handle = running.handle();
        let mut running = pin!(running);
        let introduced = tokio::select! {
            ended = &mut running => return say(ended),
            introduced = timeout(INTRODUCTION_LIMIT, introduced) => introduced.ok().and_then(Result::ok),
            () = stop.cancelled() => None,
        };
        if let Some(reservation) = introduced {
            drop(stranger);
            tokio::select! {
                ended = &mut running => return say(ended),
                () = reservation.session.ended().cancelled() => {}
                () = sleep_until(reservation.ends_at()) => {}
                () = peer_closed(&line.0) => {}
                () = stop.cancelled() => {}
            }
        }
        // What runs for them lets go first: russh hears nothing while somebody's input is full.
        drop(over);
        let goodbye = async {
            let (words, language) = ("goodbye".to_owned(), "en".to_owned());
            // It may have gone already.
            let _ = handle.disconnect(Disconnect::ByApplication, words, language).await;
            running.await
        };
        // Who takes nothing in does not hear it.
        let _ = timeout(GOODBYE, goodbye).await;
    }
}

/// The connection itself, closed for good when this is dropped: russh serves it in a task of its own, which ends with it.
struct Line(std::os::unix::net::UnixStream);

impl Line {
    fn of(stream: &UnixStream) -> io::Result<Self> {
        Ok(Self(stream.as_fd().try_clone_to_owned()?.into()))
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The other side may have done so already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

fn say(ended: Result<(), russh::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of SSH ended");
    }
}

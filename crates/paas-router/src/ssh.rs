//! SSH on the HTTP port: Heroku's client looks for a dyno's shell there, and nowhere else.
//!
//! The router understands nothing of it: who begins with `SSH-` is handed to whoever listens on a unix socket, byte for byte.

use std::time::Duration;

use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::UnixStream,
    time::timeout,
};

use crate::{client_io::ClientIo, shared::Shared};

/// The other side is on this machine: it answers at once, or is not there.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Carries bytes until either side has ended, or the time to drain is up.
pub(crate) async fn hand_over<S>(stream: ClientIo<S>, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut client, read) = stream.into_parts();
    let Some(path) = &shared.ssh else {
        return tracing::debug!("a client speaks SSH, and nobody here does");
    };
    let mut server = match timeout(CONNECT_LIMIT, UnixStream::connect(path)).await {
        Ok(Ok(server)) => server,
        // The control plane is away; the client says that it could not connect.
        Ok(Err(error)) => return tracing::info!(%error, "a client who speaks SSH finds nobody"),
        Err(_) => return,
    };
    if server.write_all(&read).await.is_err() {
        return;
    }
    tokio::select! {
        // However it ended, both sides know.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        () = shared.abort.cancelled() => {}
    }
}

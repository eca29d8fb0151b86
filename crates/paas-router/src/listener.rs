//! Accepting clients.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    client_io::ClientIo,
    feed::Tls,
    framing::Verdict,
    http1, http2,
    proxy::Client,
    shared::Shared,
    tls::{self, Agreed},
};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: u32 = 4096;
/// After an accept that failed, most likely for want of file descriptors: let some close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Binds so that a router can take over from one that was killed a moment ago.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes a socket over that somebody else made for us.
pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// Accepts until the router stops.
pub(crate) async fn accept(listener: TcpListener, port: u16, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    loop {
        let accepted = tokio::select! {
            () = shared.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve(stream, peer, port, tls.clone(), shared.clone());
                shared.inbound.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "a client could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, port: u16, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Only a hint: a socket without it is slower.
    let _ = stream.set_nodelay(true);
    let client = Client {
        shared: shared.clone(),
        verdict: Verdict::new(),
        peer: peer.ip().to_canonical(),
        port,
        tls: Tls::None,
        server_name: None,
        requests: AtomicU32::new(0),
    };
    let (verdict, idle) = (client.verdict.clone(), shared.limits.idle);
    let Some(tls) = tls else {
        return http1::serve(ClientIo::http1(stream, verdict, idle, true), client).await;
    };
    let handshake = tokio::select! {
        handshake = timeout(shared.limits.head, tls.accept(stream)) => handshake,
        () = shared.stop.cancelled() => return,
    };
    let Ok(Ok(mut stream)) = handshake else {
        return;
    };
    let connection = stream.get_ref().1;
    let client = Client {
        tls: tls::version(connection),
        server_name: tls::server_name(connection),
        ..client
    };
    match tls::agreed(connection) {
        Agreed::Http1 => http1::serve(ClientIo::http1(stream, verdict, idle, false), client).await,
        Agreed::Http2 => Box::pin(http2::serve(ClientIo::http2(stream, verdict, idle), client)).await,
        Agreed::Validation => {
            // It has seen the certificate, and that is all.
            let _ = stream.shutdown().await;
        }
    }
}

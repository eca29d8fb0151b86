//! Accepting clients.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{client_io::ClientIo, feed::Protocol, framing::Verdict, proxy::Client, shared::Shared};

/// Connections that the kernel keeps for us while we are busy.
const BACKLOG: u32 = 4096;
/// After an accept that failed, most likely for want of file descriptors: let some close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
const TLS_HANDSHAKE: Duration = Duration::from_secs(10);
/// Also the limit of a request head.
const BUFFER_BYTES: usize = 64 * 1024;

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
    let client = |protocol| Client {
        shared: shared.clone(),
        verdict: Verdict::new(),
        peer: peer.ip().to_canonical(),
        port,
        protocol,
        requests: AtomicU32::new(0),
    };
    match tls {
        None => serve_http(stream, client(Protocol::Http)).await,
        Some(tls) => {
            let handshake = tokio::select! {
                handshake = timeout(TLS_HANDSHAKE, tls.accept(stream)) => handshake,
                () = shared.stop.cancelled() => return,
            };
            if let Ok(Ok(stream)) = handshake {
                serve_http(stream, client(Protocol::Https)).await;
            }
        }
    }
}

async fn serve_http(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, client: Client) {
    let shared = client.shared.clone();
    let stream = ClientIo::new(stream, client.verdict.clone(), shared.limits.idle);
    let service = service_fn(|request| async { Ok::<_, std::convert::Infallible>(client.handle(request).await) });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.client_idle)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    // How a connection ended is in the record of its last request.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = shared.stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = connection => {}
        () = shared.abort.cancelled() => {}
    }
}

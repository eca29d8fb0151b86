//! Accepting clients.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, atomic::AtomicU32},
    task::Poll,
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    body::ClientBody,
    client_io::ClientIo,
    feed::Tls,
    framing::Verdict,
    http2,
    proxy::Client,
    shared::Shared,
    tls::{self, Agreed},
};

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
        let stream = ClientIo::http1(stream, verdict, idle, true);
        return serve_http1(stream, client).await;
    };
    let handshake = tokio::select! {
        handshake = timeout(TLS_HANDSHAKE, tls.accept(stream)) => handshake,
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
        Agreed::Http1 => serve_http1(ClientIo::http1(stream, verdict, idle, false), client).await,
        Agreed::Http2 => http2::serve(ClientIo::http2(stream, verdict, idle), client).await,
        Agreed::Validation => {
            // It has seen the certificate, and that is all.
            let _ = stream.shutdown().await;
        }
    }
}

async fn serve_http1(stream: ClientIo<impl AsyncRead + AsyncWrite + Unpin + Send + 'static>, client: Client) {
    let shared = client.shared.clone();
    let service = service_fn(|request: Request<Incoming>| async {
        let request = request.map(ClientBody::Http1);
        Ok::<_, std::convert::Infallible>(client.handle(request).await)
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(shared.limits.client_idle)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let serving = poll_fn(|cx| match Pin::new(&mut connection).poll(cx) {
        // How a connection ended is in the record of its last request.
        Poll::Ready(_) => Poll::Ready(false),
        Poll::Pending if client.verdict.is_http2() => Poll::Ready(true),
        Poll::Pending => Poll::Pending,
    });
    let is_http2 = tokio::select! {
        is_http2 = serving => Some(is_http2),
        () = shared.stop.cancelled() => None,
    };
    match is_http2 {
        Some(false) => {}
        Some(true) => {
            let Some(parts) = connection.into_parts() else {
                return;
            };
            let stream = parts.io.into_inner().into_http2();
            http2::serve(stream, client).await;
        }
        None => {
            Pin::new(&mut connection).graceful_shutdown();
            tokio::select! {
                _ = connection => {}
                () = shared.abort.cancelled() => {}
            }
        }
    }
}

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

use crate::{
    client_io::ClientIo,
    feed::Tls,
    framing::Verdict,
    http1, http2,
    proxy::Client,
    proxy_protocol::introduction,
    shared::Shared,
    tls::{self, Agreed},
    visitor::Visitor,
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
    // Whoever is accepted inherits it (`tcp(7)`), which saves a call for each. Only a hint: a socket without it is slower.
    let _ = socket.set_nodelay(true);
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes a socket over that somebody else made for us.
pub(crate) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    let _ = rustix::net::sockopt::set_tcp_nodelay(&listener, true);
    TcpListener::from_std(listener)
}

/// One listening address.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) port: u16,
    pub(crate) tls: Option<tls::Acceptor>,
}

/// Accepts until the router stops.
pub(crate) async fn accept(listener: TcpListener, door: Door, shared: Arc<Shared>) {
    let mut stop = std::pin::pin!(shared.stop.cancelled());
    loop {
        let accepted = tokio::select! {
            () = &mut stop => return,
            accepted = async { (shared.guests.place().await, listener.accept().await) } => accepted,
        };
        match accepted {
            (place, Ok((stream, peer))) => {
                let connection = serve(stream, peer, door.clone(), shared.clone());
                shared.inbound.spawn(async move {
                    connection.await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                tracing::warn!(%error, "a client could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(mut stream: TcpStream, peer: SocketAddr, door: Door, shared: Arc<Shared>) {
    let tls = if door.tls.is_some() { Tls::V13 } else { Tls::None };
    let mut visitor = Visitor {
        address: peer.ip().to_canonical(),
        port: door.port,
        tls,
    };
    let proxies = &shared.proxies;
    let is_proxy = proxies.trust(visitor.address);
    let mut is_introduced = false;
    if is_proxy && proxies.introduce {
        match timeout(shared.limits.head, Box::pin(introduction(&mut stream))).await {
            Ok(Ok(None)) => {}
            Ok(Ok(Some(introduced))) => {
                is_introduced = true;
                visitor.address = introduced.client;
                visitor.port = introduced.port;
                if introduced.is_secure {
                    visitor.tls = Tls::Elsewhere;
                }
            }
            Ok(Err(error)) => {
                return tracing::info!(%error, proxy = %peer, "a trusted proxy did not introduce its client");
            }
            Err(_) => return,
        }
    }
    let is_trusted = proxies.trust(visitor.address);
    let _guest = if is_trusted || visitor.address.is_loopback() {
        None
    } else {
        match shared.guests.enter(visitor.address) {
            Some(guest) => Some(guest),
            None => return,
        }
    };
    let client = Client {
        shared,
        verdict: Verdict::new(),
        visitor,
        is_trusted,
        is_behind: is_trusted || is_introduced,
        server_name: None,
        requests: AtomicU32::new(0),
    };
    match door.tls {
        None => {
            let stream = ClientIo::http1(stream, client.verdict.clone(), client.shared.limits.idle, true);
            http1::serve(stream, client).await;
        }
        Some(tls) => Box::pin(serve_tls(stream, tls, client)).await,
    }
}

async fn serve_tls(stream: TcpStream, tls: tls::Acceptor, mut client: Client) {
    let handshake = Box::pin(timeout(client.shared.limits.head, tls.accept(stream)));
    let handshake = tokio::select! {
        handshake = handshake => handshake,
        () = client.shared.stop.cancelled() => return,
    };
    let Ok(Ok(stream)) = handshake else {
        return;
    };
    // Its state is large, and is handed about.
    let mut stream = Box::new(stream);
    let connection = stream.get_ref().1;
    client.visitor.tls = tls::version(connection);
    client.server_name = tls::server_name(connection);
    let (verdict, idle) = (client.verdict.clone(), client.shared.limits.idle);
    match tls::agreed(connection) {
        Agreed::Http1 => http1::serve(ClientIo::http1(stream, verdict, idle, false), client).await,
        Agreed::Http2 => Box::pin(http2::serve(ClientIo::http2(stream, verdict, idle), client)).await,
        Agreed::Validation => {
            // It has seen the certificate, and that is all.
            let _ = stream.shutdown().await;
        }
    }
}

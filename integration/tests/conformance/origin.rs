//! What the tools find behind the router: an echo of WebSocket messages, a large page, and a small one.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{
    Request, Response, StatusCode,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{handshake::derive_accept_key, protocol::Role},
};
use tokio_util::task::TaskTracker;

/// More than the buffers of both sockets hold.
const LARGE: usize = 8 << 20;

pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
}

impl Origin {
    pub(crate) async fn start(tracker: &TaskTracker) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let connections = tracker.clone();
        tracker.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tracker = connections.clone();
                connections.spawn(async move {
                    let service = service_fn(|request| answer(request, tracker.clone()));
                    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                    // How a client ends is what the tools are about.
                    let _ = connection.with_upgrades().await;
                });
            }
        });
        Self { address }
    }
}

async fn answer(mut request: Request<Incoming>, tracker: TaskTracker) -> Result<Response<Full<Bytes>>, Infallible> {
    let key = request.headers().get(SEC_WEBSOCKET_KEY).cloned();
    if let Some(key) = key {
        let upgrade = hyper::upgrade::on(&mut request);
        tracker.spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                echo(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await).await;
            }
        });
        let response = Response::builder()
            .status(StatusCode::SWITCHING_PROTOCOLS)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()));
        return Ok(response.body(Full::default()).expect("a response"));
    }
    let path = request.uri().path().to_owned();
    // A body that breaks off is the tool's doing.
    let _ = request.into_body().collect().await;
    let body = match path.as_str() {
        "/large" => Bytes::from(vec![b'x'; LARGE]),
        _ => Bytes::from_static(b"hello\n"),
    };
    Ok(Response::new(Full::new(body)))
}

async fn echo(mut socket: WebSocketStream<TokioIo<hyper::upgrade::Upgraded>>) {
    while let Some(Ok(message)) = socket.next().await {
        // Pings and closes are answered by the library itself.
        if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
            return;
        }
    }
}

//! One request and its answer, on a connection of their own.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode, header, response::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::time::{Instant, timeout_at};

use super::{ConnectError, Connector, Target};

/// The rest of a longer answer is not waited for: the connection is closed.
const LONGEST_ANSWER: usize = 64 * 1024;

/// Why there is no answer, in words for people.
#[derive(Debug, Error)]
pub(crate) enum ExchangeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{target} does not answer within {} seconds", limit.as_secs())]
    Silent { target: Target, limit: Duration },
    #[error("the connection to {target} broke")]
    Broken { target: Target, source: hyper::Error },
    #[error("{target} answers with more than {most} bytes")]
    Endless { target: Target, most: usize },
}

/// Sends a request, and says the status of what comes back within `limit`.
pub(crate) async fn exchange(
    connector: &Connector,
    target: &Target,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<StatusCode, ExchangeError> {
    let answered = ask(connector, target, request, limit).await;
    answered.map(|(status, _)| status)
}

/// The same, and what it says: only its beginning, where that is too long or does not come in time.
pub(crate) async fn ask(
    connector: &Connector,
    target: &Target,
    request: Request<Full<Bytes>>,
    limit: Duration,
) -> Result<(StatusCode, Bytes), ExchangeError> {
    let read = async |body, deadline| {
        let mut said = BytesMut::new();
        let _ = timeout_at(deadline, listen(body, &mut said)).await;
        Ok(said.freeze())
    };
    let (head, said) = converse(connector, target, request, limit, read).await?;
    Ok((head.status, said))
}

/// The same, with its head, and whole: what does not end within the limits is an error.
pub(crate) async fn ask_whole(
    connector: &Connector,
    target: &Target,
    request: Request<Full<Bytes>>,
    limit: Duration,
    most: usize,
) -> Result<(Parts, Bytes), ExchangeError> {
    let read = async |mut body: Incoming, deadline| {
        let mut said = BytesMut::new();
        let silent = |_| ExchangeError::Silent {
            target: target.clone(),
            limit,
        };
        while let Some(frame) = timeout_at(deadline, body.frame()).await.map_err(silent)? {
            let frame = frame.map_err(|source| ExchangeError::Broken {
                target: target.clone(),
                source,
            })?;
            let Some(data) = frame.data_ref() else { continue };
            if said.len() + data.len() > most {
                return Err(ExchangeError::Endless {
                    target: target.clone(),
                    most,
                });
            }
            said.extend_from_slice(data);
        }
        Ok(said.freeze())
    };
    converse(connector, target, request, limit, read).await
}

async fn converse(
    connector: &Connector,
    target: &Target,
    mut request: Request<Full<Bytes>>,
    limit: Duration,
    read: impl AsyncFnOnce(Incoming, Instant) -> Result<Bytes, ExchangeError>,
) -> Result<(Parts, Bytes), ExchangeError> {
    let socket = connector.connect(target).await?;
    let deadline = Instant::now() + limit;
    request
        .headers_mut()
        .insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    let broken = |source| ExchangeError::Broken {
        target: target.clone(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(broken)?;
    let drive = async {
        // Whoever waits for an answer hears of its end, good or bad.
        let _ = connection.await;
        std::future::pending().await
    };
    let ask = async {
        let answered = timeout_at(deadline, sender.send_request(request)).await;
        let silent = |_| ExchangeError::Silent {
            target: target.clone(),
            limit,
        };
        let (head, body) = answered.map_err(silent)?.map_err(broken)?.into_parts();
        Ok((head, read(body, deadline).await?))
    };
    tokio::select! {
        answered = ask => answered,
        never = drive => never,
    }
}

/// Some receivers stop their work when nobody listens to what they say.
async fn listen(mut body: Incoming, said: &mut BytesMut) {
    while let Some(Ok(frame)) = body.frame().await {
        let Some(data) = frame.data_ref() else { continue };
        let room = LONGEST_ANSWER - said.len();
        said.extend_from_slice(&data[..data.len().min(room)]);
        if data.len() > room {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    use super::*;
    use crate::outbound::{Host, Policy};

    async fn listener() -> (TcpListener, Target) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = Target {
            scheme: "http",
            host: Host::Name("localhost".to_owned()),
            port: listener.local_addr().unwrap().port(),
            is_tls: false,
        };
        (listener, target)
    }

    async fn ask(policy: Policy, target: &Target, limit: Duration) -> Result<StatusCode, ExchangeError> {
        let connector = Connector::new(policy, Path::new("/nonexistent")).unwrap();
        let request = Request::post("/").body(Full::new(Bytes::from_static(b"{}"))).unwrap();
        exchange(&connector, target, request, limit).await
    }

    #[tokio::test]
    async fn whoever_does_not_answer_is_not_waited_for() {
        let (_listener, target) = listener().await;
        let asked = ask(Policy::Anywhere, &target, Duration::from_millis(20)).await;
        assert!(matches!(asked, Err(ExchangeError::Silent { .. })), "{asked:?}");
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let (listener, target) = listener().await;
        let asked = ask(Policy::Public, &target, Duration::from_mins(1)).await;
        assert!(
            matches!(asked, Err(ExchangeError::Connect(ConnectError::Closed { .. }))),
            "{asked:?}"
        );
        let accepted = tokio::time::timeout(Duration::from_millis(1), listener.accept()).await;
        assert!(accepted.is_err(), "somebody came");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut_off() {
        let (listener, target) = listener().await;
        let answer = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = [0; 4096];
            while !head.windows(2).any(|bytes| bytes == b"{}") {
                assert!(stream.read(&mut head).await.unwrap() > 0, "the request was cut off");
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
            stream.write_all(head).await.unwrap();
            // Until nobody listens any more.
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
        };
        let (asked, ()) = tokio::join!(ask(Policy::Anywhere, &target, Duration::from_mins(1)), answer);
        assert_eq!(asked.unwrap(), StatusCode::OK);
    }

    #[tokio::test]
    async fn an_answer_that_does_not_go_on_counts_as_what_it_began_with() {
        let head = b"HTTP/1.1 410 Gone\r\nContent-Length: 10\r\n\r\nfive ";
        // It lasts until the limit; a machine that is held up needs a longer one for what comes before.
        for limit in [1, 10, 60] {
            let (listener, target) = listener().await;
            let answer = async {
                let (mut stream, _) = listener.accept().await.unwrap();
                let is_asked = stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0);
                if is_asked && stream.write_all(head).await.is_ok() {
                    // Until nobody listens any more.
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|bytes| bytes > 0) {}
                }
            };
            let (asked, ()) = tokio::join!(ask(Policy::Anywhere, &target, Duration::from_secs(limit)), answer);
            if asked.is_ok() || limit == 60 {
                assert_eq!(asked.unwrap(), StatusCode::GONE);
                return;
            }
        }
    }
}

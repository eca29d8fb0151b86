//! Whether a dyno takes requests.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long one probe waits.
#[derive(Debug, Clone, Copy)]
pub struct ProbeLimits {
    /// For the connection.
    pub connect: Duration,
    /// For the first byte of an answer; an app that takes longer is slow, not dead.
    pub answer: Duration,
}

/// Whether the address accepts a TCP connection in time. One try: whoever asks owns the loop.
pub async fn probe(address: SocketAddr, within: Duration) -> bool {
    matches!(timeout(within, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Whether something at the address serves HTTP: it says anything to `HEAD /`, or at least keeps the connection.
///
/// A connection alone proves little: gunicorn, unicorn and their like listen before they load the app, and die when it does
/// not load. Whatever the app answers is good, an error too: this asks whether it runs, not how well. `host` is the app's
/// own, because frameworks refuse others.
pub async fn answers(address: SocketAddr, host: &str, limits: ProbeLimits) -> bool {
    let Ok(Ok(mut stream)) = timeout(limits.connect, TcpStream::connect(address)).await else {
        return false;
    };
    let request = format!(
        "HEAD / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: paas-probe\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    );
    if stream.write_all(request.as_bytes()).await.is_err() {
        return false;
    }
    match timeout(limits.answer, stream.read_u8()).await {
        Ok(read) => read.is_ok(),
        Err(_slow) => true,
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const LIMITS: ProbeLimits = ProbeLimits {
        connect: Duration::from_secs(5),
        answer: Duration::from_secs(5),
    };

    #[tokio::test]
    async fn only_an_address_that_listens_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(probe(address, Duration::from_secs(5)).await);
        drop(listener);
        assert!(!probe(address, Duration::from_secs(5)).await);
        assert!(!answers(address, "hello.localhost", LIMITS).await);
    }

    #[tokio::test]
    async fn any_answer_counts_but_a_connection_that_is_dropped_does_not() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async {
            // The first one dies with the connection in its hands, as a worker does that cannot load its app.
            drop(listener.accept().await.unwrap());
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).await.unwrap();
            assert!(String::from_utf8_lossy(&request[..length]).contains("Host: hello.localhost\r\n"));
            stream.write_all(b"HTTP/1.1 500 Oops\r\n\r\n").await.unwrap();
            stream
        };
        let client = async {
            assert!(!answers(address, "hello.localhost", LIMITS).await);
            assert!(answers(address, "hello.localhost", LIMITS).await);
        };
        tokio::join!(server, client);
    }

    #[tokio::test]
    async fn a_slow_app_is_no_dead_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let limits = ProbeLimits {
            answer: Duration::from_millis(20),
            ..LIMITS
        };
        assert!(answers(listener.local_addr().unwrap(), "hello.localhost", limits).await);
    }
}

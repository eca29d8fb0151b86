//! Whether a dyno listens.

use std::{net::SocketAddr, time::Duration};

use tokio::net::TcpStream;

/// Whether the address accepts a TCP connection in time. One try: whoever asks owns the loop.
pub async fn probe(address: SocketAddr, within: Duration) -> bool {
    matches!(
        tokio::time::timeout(within, TcpStream::connect(address)).await,
        Ok(Ok(_))
    )
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn only_an_address_that_listens_answers() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert!(probe(address, Duration::from_secs(5)).await);
        drop(listener);
        assert!(!probe(address, Duration::from_secs(5)).await);
    }
}

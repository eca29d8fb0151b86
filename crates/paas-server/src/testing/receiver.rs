//! A receiver of HTTP requests, of one test.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    time::timeout,
};

/// However busy the machine is.
const LIMIT: Duration = Duration::from_mins(1);

/// An HTTP server that answers one request at a time.
pub(crate) struct HttpReceiver {
    listener: TcpListener,
    address: SocketAddr,
    connection: Option<BufReader<TcpStream>>,
}

pub(crate) struct HttpRequest {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl HttpRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl HttpReceiver {
    pub(crate) async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self {
            address: listener.local_addr().unwrap(),
            listener,
            connection: None,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Reads a request and answers it; `None` closes the connection in the place of an answer.
    pub(crate) async fn serve(&mut self, status: Option<&str>) -> HttpRequest {
        let request = timeout(LIMIT, self.request()).await.expect("a request comes");
        match (status, &mut self.connection) {
            (Some(status), Some(connection)) => {
                let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok");
                connection.write_all(answer.as_bytes()).await.unwrap();
            }
            _ => self.connection = None,
        }
        request
    }

    async fn request(&mut self) -> HttpRequest {
        loop {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => BufReader::new(self.listener.accept().await.unwrap().0),
            };
            // A connection that has ended is followed by another.
            if let Some(request) = read_request(&mut connection).await {
                self.connection = Some(connection);
                return request;
            }
        }
    }
}

async fn read_request(connection: &mut BufReader<TcpStream>) -> Option<HttpRequest> {
    let line = read_line(connection).await?;
    let mut headers = Vec::new();
    loop {
        let header = read_line(connection).await?;
        if header.is_empty() {
            break;
        }
        let (key, value) = header.split_once(": ").unwrap();
        headers.push((key.to_ascii_lowercase(), value.to_owned()));
    }
    let length = headers.iter().find(|(key, _)| key == "content-length").unwrap();
    let mut body = vec![0; length.1.parse().unwrap()];
    connection.read_exact(&mut body).await.ok()?;
    Some(HttpRequest {
        line,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

async fn read_line(connection: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    loop {
        match connection.read_u8().await.ok()? {
            b'\n' => return Some(String::from_utf8(line).unwrap().trim_end().to_owned()),
            byte => line.push(byte),
        }
    }
}

//! The load generator's HTTP/1.1: small enough to be sure that it hides nothing.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// Longer than anything that the platform may take to answer: its router gives an app 30 s.
const LIMIT: Duration = Duration::from_secs(35);
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// A connection to the router.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    is_kept: bool,
    /// How many answers came on it, to tell a closed kept connection from one that was never any good.
    answers: u64,
}

pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Connection {
    pub(crate) fn open(router: SocketAddr) -> Result<Self, String> {
        let opened = || {
            let stream = TcpStream::connect_timeout(&router, CONNECT_LIMIT)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(LIMIT))?;
            stream.set_write_timeout(Some(LIMIT))?;
            io::Result::Ok(stream)
        };
        let stream = opened().map_err(|error| format!("connecting: {error}"))?;
        Ok(Self {
            stream: BufReader::new(stream),
            is_kept: true,
            answers: 0,
        })
    }

    /// Whether the other side lets another request follow.
    pub(crate) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Asks for `/` and reads the whole answer; `is_last` asks for the connection to be closed after it.
    pub(crate) fn get(&mut self, host: &str, is_last: bool) -> Result<Answered, String> {
        let connection = if is_last { "close" } else { "keep-alive" };
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: {connection}\r\n\r\n");
        let answered = self.stream.get_mut().write_all(request.as_bytes());
        let answered = answered.and_then(|()| self.read());
        let answers = self.answers;
        self.answers += 1;
        answered.map_err(|error| format!("after {answers} answers on this connection: {error}"))
    }

    fn read(&mut self) -> io::Result<Answered> {
        let status = self.line()?;
        let status = status.split(' ').nth(1).and_then(|word| word.parse().ok());
        let status = status.ok_or_else(|| broken("no status"))?;
        let (mut length, mut is_chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            match line.split_once(':').map(|(name, value)| (name, value.trim())) {
                Some(("content-length", value)) => length = value.parse().ok(),
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(("connection", value)) => self.is_kept &= value != "close",
                _ => {}
            }
        }
        let body = match length {
            _ if is_chunked => self.chunks()?,
            Some(length) => self.bytes(length)?,
            None => return Err(broken("an answer without a length")),
        };
        Ok(Answered {
            status,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let size = usize::from_str_radix(&self.line()?, 16).map_err(|_| broken("no chunk size"))?;
            body.extend(self.bytes(size)?);
            self.line()?;
            if size == 0 {
                return Ok(body);
            }
        }
    }

    fn bytes(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the answer was cut off")),
        }
    }
}

fn broken(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

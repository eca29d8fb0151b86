//! A dyno that keeps every byte it gets, and reads it as strictly as can be.

use std::{
    fmt::Write,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{TestDyno, until};

/// What the router adds to each request.
const ADDED: [&str; 6] = [
    "x-forwarded-for:",
    "x-forwarded-proto:",
    "x-forwarded-port:",
    "x-request-start:",
    "x-request-id:",
    "via:",
];

pub(crate) struct Recorder {
    pub(crate) dyno: TestDyno,
    connections: Arc<Mutex<Vec<Arc<Mutex<Connection>>>>>,
}

#[derive(Default)]
struct Connection {
    unread: Vec<u8>,
    /// Without what the router added, and in one chunk.
    messages: Vec<String>,
    is_closed: bool,
}

impl Recorder {
    /// Answers each whole request with its target.
    pub(crate) async fn start() -> Self {
        let connections = Arc::<Mutex<Vec<_>>>::default();
        let all = connections.clone();
        let dyno = TestDyno::speaking("web.1", move |stream| {
            let connection = Arc::<Mutex<Connection>>::default();
            all.lock().unwrap().push(connection.clone());
            record(stream, connection)
        })
        .await;
        Self { dyno, connections }
    }

    /// The requests that came since the last call, in the order of their connections.
    ///
    /// Waits for the connections with half a request to be closed: nobody else's request may come on them.
    pub(crate) async fn take(&self) -> Vec<String> {
        until(|| async {
            let mut connections = self.connections.lock().unwrap();
            connections.retain(|connection| {
                let connection = connection.lock().unwrap();
                !(connection.is_closed && connection.messages.is_empty())
            });
            connections
                .iter()
                .all(|connection| connection.lock().unwrap().is_settled())
        })
        .await;
        let connections = self.connections.lock().unwrap();
        connections
            .iter()
            .flat_map(|connection| std::mem::take(&mut connection.lock().unwrap().messages))
            .collect()
    }
}

impl Connection {
    fn is_settled(&self) -> bool {
        self.is_closed || self.unread.is_empty()
    }
}

async fn record(mut stream: TcpStream, connection: Arc<Mutex<Connection>>) {
    let mut buffer = [0; 4096];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let mut answers = String::new();
        {
            let mut connection = connection.lock().unwrap();
            connection.unread.extend_from_slice(&buffer[..read]);
            while let Some((message, taken)) = whole(&connection.unread) {
                let target = message.split(' ').nth(1).unwrap_or_default();
                let length = target.len();
                write!(answers, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{target}").unwrap();
                connection.messages.push(message);
                connection.unread.drain(..taken);
            }
        }
        if stream.write_all(answers.as_bytes()).await.is_err() {
            break;
        }
    }
    connection.lock().unwrap().is_closed = true;
}

/// The first message if all of it is there, and its length in bytes.
fn whole(bytes: &[u8]) -> Option<(String, usize)> {
    let to_ascii = |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '?' };
    let text: String = bytes.iter().map(to_ascii).collect();
    let (head, rest) = text.split_once("\r\n\r\n")?;
    assert!(!head.replace("\r\n", "").contains(['\r', '\n', '\0']), "{head:?}");
    let field = |name: &str| {
        let values: Vec<&str> = head.split("\r\n").filter_map(|line| line.strip_prefix(name)).collect();
        assert!(values.len() <= 1, "{head:?}");
        values.first().copied()
    };
    let (length, body) = match (field("content-length: "), field("transfer-encoding: ")) {
        (None, None) => (0, String::new()),
        (Some(length), None) => {
            let length = length.parse().unwrap();
            (length, rest.get(..length)?.to_owned())
        }
        (None, Some("chunked")) => chunks(rest)?,
        _ => panic!("ambiguous: {head:?}"),
    };
    let is_added = |line: &&str| ADDED.iter().any(|added| line.starts_with(added));
    let kept: Vec<&str> = head.split("\r\n").filter(|line| !is_added(line)).collect();
    Some((format!("{}\r\n\r\n{body}", kept.join("\r\n")), head.len() + 4 + length))
}

/// The length of a chunked body, and the body in one chunk.
fn chunks(rest: &str) -> Option<(usize, String)> {
    let (mut at, mut data) = (0, String::new());
    loop {
        let (size, _) = rest[at..].split_once("\r\n")?;
        let length = usize::from_str_radix(size, 16).unwrap();
        at += size.len() + 2;
        if length == 0 {
            break;
        }
        data += rest.get(at..at + length)?;
        at += length;
        assert!(rest.get(at..at + 2)? == "\r\n", "{rest:?}");
        at += 2;
    }
    let mut trailers = String::new();
    loop {
        let (line, _) = rest[at..].split_once("\r\n")?;
        at += line.len() + 2;
        if line.is_empty() {
            return Some((at, format!("{:X}\r\n{data}\r\n0\r\n{trailers}\r\n", data.len())));
        }
        assert!(line.contains(": ") && !line.contains(['\r', '\n', '\0']), "{line:?}");
        trailers += line;
        trailers += "\r\n";
    }
}

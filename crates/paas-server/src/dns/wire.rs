//! One question to one DNS server: UDP first, TCP when the answer does not fit a datagram (RFC 7766 §5).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::proto::{
    ProtoError,
    op::{Edns, Message, MessageType, Query},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

/// What fits every path unfragmented (DNS flag day 2020).
const UDP_PAYLOAD_BYTES: u16 = 1232;

#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{0} does not answer")]
    Silent(SocketAddr),
    #[error("asking {server}")]
    Io { server: SocketAddr, source: io::Error },
    #[error("{server} sent what is no DNS answer")]
    Garbled {
        server: SocketAddr,
        source: Box<ProtoError>,
    },
}

#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) name: Name,
    pub(super) kind: RecordType,
    /// Whether the server is to look further itself, as a resolver does. Off for authoritative servers.
    pub(super) recursive: bool,
}

/// Asks one server. Whatever the answer says, it is an answer: its response code is the caller's to judge.
pub(super) async fn ask(server: SocketAddr, question: &Question, limit: Duration) -> Result<Message, AskError> {
    let deadline = Instant::now() + limit;
    let query = question.to_message();
    let answer = match timeout_at(deadline, over_udp(server, &query)).await {
        Ok(answer) => answer?,
        Err(_) => return Err(AskError::Silent(server)),
    };
    if !answer.metadata.truncation {
        return Ok(answer);
    }
    timeout_at(deadline.max(Instant::now() + limit / 2), over_tcp(server, &query))
        .await
        .unwrap_or(Err(AskError::Silent(server)))
}

impl Question {
    /// A message with a random id.
    fn to_message(&self) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = self.recursive;
        message.add_query(Query::query(self.name.clone(), self.kind));
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD_BYTES).set_version(0);
        message.set_edns(edns);
        message
    }
}

async fn over_udp(server: SocketAddr, query: &Message) -> Result<Message, AskError> {
    let io = |source| AskError::Io { server, source };
    let here: SocketAddr = match server.ip() {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    // A socket of its own for every question: its random port is what a forger would have to guess besides the id.
    let socket = UdpSocket::bind(here).await.map_err(io)?;
    socket.connect(server).await.map_err(io)?;
    let bytes = query.to_vec().map_err(|source| AskError::Garbled {
        server,
        source: source.into(),
    })?;
    socket.send(&bytes).await.map_err(io)?;
    let mut buffer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut buffer).await.map_err(io)?;
        // Late answers to others and forgeries are passed over; the deadline is the caller's.
        if let Ok(answer) = Message::from_vec(&buffer[..length])
            && answers(&answer, query)
        {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Message) -> Result<Message, AskError> {
    let io = |source| AskError::Io { server, source };
    let garbled = |source: ProtoError| AskError::Garbled {
        server,
        source: source.into(),
    };
    let mut stream = TcpStream::connect(server).await.map_err(io)?;
    let bytes = query.to_vec().map_err(garbled)?;
    let length = u16::try_from(bytes.len()).map_err(|_| io(io::ErrorKind::InvalidInput.into()))?;
    stream
        .write_all(&[&length.to_be_bytes(), &bytes[..]].concat())
        .await
        .map_err(io)?;
    let length = stream.read_u16().await.map_err(io)?;
    let mut bytes = vec![0; usize::from(length)];
    stream.read_exact(&mut bytes).await.map_err(io)?;
    let answer = Message::from_vec(&bytes).map_err(|source| garbled(source.into()))?;
    if answers(&answer, query) {
        Ok(answer)
    } else {
        Err(io(io::ErrorKind::InvalidData.into()))
    }
}

/// Whether a message is the answer to this question, and not to another one.
fn answers(answer: &Message, query: &Message) -> bool {
    let asked = |message: &Message| {
        message
            .queries
            .first()
            .map(|query| (query.name().clone(), query.query_type()))
    };
    answer.metadata.id == query.metadata.id
        && answer.metadata.message_type == MessageType::Response
        // Names compare without case.
        && (asked(answer) == asked(query) || answer.queries.is_empty())
}

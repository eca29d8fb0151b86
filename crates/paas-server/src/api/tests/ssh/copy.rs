//! Files out of a dyno, as clients of SFTP ask for them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Buf as _, BufMut as _, BytesMut};
use paas_engine::{Behaviour, ContainerSpec};
use russh::{Channel, ChannelMsg, client::Msg};
use tokio::time::timeout;

use super::{PATIENCE, Server, key, server};

/// Packet types (draft-ietf-secsh-filexfer-02 §3).
const INIT: u8 = 1;
const OPEN: u8 = 3;
const READ: u8 = 5;
const STAT: u8 = 17;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const EXTENDED: u8 = 200;
const EXTENDED_REPLY: u8 = 201;
const END_OF_FILE: u32 = 1;
const FAILURE: u32 = 4;

/// A client that says and reads the packets themselves.
struct Sftp {
    channel: Channel<Msg>,
    received: BytesMut,
}

impl Sftp {
    async fn send(&self, kind: u8, rest: impl FnOnce(&mut BytesMut)) {
        let mut packet = BytesMut::new();
        packet.put_u8(kind);
        packet.put_u32(7);
        rest(&mut packet);
        let mut framed = BytesMut::new();
        put(&mut framed, &packet);
        self.channel.data_bytes(framed.freeze()).await.unwrap();
    }

    async fn ask_to_read(&self, handle: &[u8], offset: u64, length: u32) {
        let rest = |packet: &mut BytesMut| {
            put(packet, handle);
            packet.put_u64(offset);
            packet.put_u32(length);
        };
        self.send(READ, rest).await;
    }

    /// The next answer: its type, and what is behind its number.
    async fn answer(&mut self) -> (u8, BytesMut) {
        loop {
            if let Some(length) = self.received.first_chunk::<4>() {
                let length = u32::from_be_bytes(*length) as usize;
                if self.received.len() >= 4 + length {
                    self.received.advance(4);
                    let mut packet = self.received.split_to(length);
                    let kind = packet.get_u8();
                    packet.advance(4);
                    return (kind, packet);
                }
            }
            let message = timeout(PATIENCE, self.channel.wait()).await.expect("an answer comes");
            if let ChannelMsg::Data { data } = message.expect("the channel goes on") {
                self.received.extend_from_slice(&data);
            }
        }
    }

    async fn status(&mut self) -> u32 {
        let (kind, mut packet) = self.answer().await;
        assert_eq!(kind, STATUS);
        packet.get_u32()
    }

    async fn text(&mut self, expected: u8) -> BytesMut {
        let (kind, mut packet) = self.answer().await;
        assert_eq!(kind, expected);
        let length = packet.get_u32() as usize;
        assert_eq!(length, packet.len());
        packet
    }

    async fn open(&mut self, path: &str) -> BytesMut {
        let rest = |packet: &mut BytesMut| {
            put(packet, path.as_bytes());
            packet.put_u32(1);
            packet.put_u32(0);
        };
        self.send(OPEN, rest).await;
        self.text(HANDLE).await
    }
}

fn put(packet: &mut BytesMut, bytes: &[u8]) {
    packet.put_u32(u32::try_from(bytes.len()).unwrap());
    packet.put_slice(bytes);
}

/// Teaches the dyno a file of this path that says this from a byte on; how often it was asked to.
fn teach_file(server: &Server, path: &'static str, from: u64, behaviour: Behaviour) -> Arc<AtomicUsize> {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = Arc::clone(&asked);
    let from = (from + 1).to_string();
    let applies = move |spec: &ContainerSpec| {
        let [.., script, its_path, its_from] = spec.command.as_slice() else {
            return false;
        };
        let applies = script.contains("exec tail") && its_path == path && *its_from == from;
        counts.fetch_add(usize::from(applies), Ordering::Relaxed);
        applies
    };
    server.engine.teach(applies, behaviour);
    asked
}

#[tokio::test]
async fn a_file_is_read_once_in_whatever_order_its_pieces_are_asked_for() {
    let server = server().await;
    let whole: String = (10_000..30_000).map(|number| number.to_string()).collect();
    server
        .engine
        .teach_command("stat -L", Behaviour::exits(0).saying("100001"));
    let begun = teach_file(&server, "/app/big", 0, Behaviour::exits(0).saying(&whole));
    let far = 50_000_000;
    let jumped = teach_file(&server, "/app/big", far, Behaviour::exits(0).saying("far"));
    teach_file(&server, "/app/torn", 0, Behaviour::exits(1).saying("so far"));
    let reservation = server.reserved().await;
    let handle = server.come_by_ssh(&reservation, key(1)).await.expect("they are let in");
    let channel = handle.channel_open_session().await.unwrap();
    channel.request_subsystem(true, "sftp").await.unwrap();
    let mut sftp = Sftp {
        channel,
        received: BytesMut::new(),
    };

    // What may be asked for is said, and goes for this server, too.
    sftp.send(INIT, |_| {}).await;
    let (_, extensions) = sftp.answer().await;
    assert!(extensions.ends_with(b"limits@openssh.com\0\0\0\x011"), "{extensions:?}");
    sftp.send(EXTENDED, |packet| put(packet, b"limits@openssh.com")).await;
    let (kind, mut limits) = sftp.answer().await;
    let limits: Vec<_> = (0..4).map(|_| limits.get_u64()).collect();
    assert_eq!((kind, limits), (EXTENDED_REPLY, vec![262_144, 261_120, 0, 4]));
    sftp.send(EXTENDED, |packet| put(packet, b"other@example.com")).await;
    assert_eq!(sftp.status().await, 8);

    // As ssh2 asks a server that it does not know: in strides of 32 KiB, and for what is missing afterwards.
    let file = sftp.open("/app/big").await;
    let asked = [0, 32_768, 65_536, 31_952, 64_720, 97_488, 99_999, 0];
    for offset in asked {
        sftp.ask_to_read(&file, offset, 31_952).await;
    }
    let said = format!("{whole}\n");
    for offset in asked {
        let offset = usize::try_from(offset).unwrap();
        let piece = &said.as_bytes()[offset..said.len().min(offset + 31_952)];
        assert!(sftp.text(DATA).await == piece, "the piece at {offset}");
    }
    sftp.ask_to_read(&file, 100_001, 31_952).await;
    assert_eq!(sftp.status().await, END_OF_FILE);
    assert_eq!(begun.load(Ordering::Relaxed), 1);

    // Half a file is none.
    let torn = sftp.open("/app/torn").await;
    sftp.ask_to_read(&torn, 0, 100).await;
    assert_eq!(sftp.text(DATA).await, "so far\n");
    sftp.ask_to_read(&torn, 7, 100).await;
    assert_eq!(sftp.status().await, FAILURE);
    // Who jumps far begins there.
    let file = sftp.open("/app/big").await;
    sftp.ask_to_read(&file, far, 100).await;
    assert_eq!(sftp.text(DATA).await, "far\n");
    sftp.ask_to_read(&file, 0, 10).await;
    assert_eq!(sftp.text(DATA).await, "1000010001");
    let times = (begun.load(Ordering::Relaxed), jumped.load(Ordering::Relaxed));
    assert_eq!(times, (2, 1));

    // What is neither file nor folder is not opened: it may have no end.
    server.engine.teach_command("stat -L", Behaviour::exits(4));
    sftp.send(STAT, |packet| put(packet, b"/tmp/pipe")).await;
    assert_eq!(sftp.status().await, FAILURE);
}

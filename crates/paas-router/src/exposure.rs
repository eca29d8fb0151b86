//! One exposed add-on: who may come in, and what happens to their bytes.
//!
//! Whoever comes is looked up in the table in force, and once more when the server has taken the connection: no byte goes to an
//! address that another container may have by then.

use std::{
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use paas_core::Network;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    exposures::instant_of,
    feed::{Exposure, ExposureTls, Report, ServerEntry},
    flow::{Alarm, Flow, Patience},
    shared::Shared,
    tls,
    tunnel::Watched,
};

/// After an accept that failed, most likely for want of file descriptors: let some close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Who knocks all night fills no log.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// PostgreSQL, *Message Formats*: `SSLRequest`, `GSSENCRequest`, `CancelRequest`.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;
/// The longest request to cancel, of protocol 3.2.
const LONGEST_CANCEL: u32 = 268;
/// What a TLS client begins with that does not ask first.
const TLS_HANDSHAKE: u8 = 0x16;
/// The fields of an `ErrorResponse`: severity, the code `invalid_authorization_specification`, and what to do.
const NO_TLS: &[u8] =
    b"SFATAL\0VFATAL\0C28000\0Mthis database is exposed over TLS only: connect with sslmode=require\0\0";

/// An exposure as its door knows it.
pub(crate) struct Entry {
    pub(crate) exposure: Exposure,
    allowed: Vec<Network>,
    ends: Instant,
}

/// What a door and its connections share.
pub(crate) struct Exposed {
    addon: Uuid,
    shared: Arc<Shared>,
    tls: tls::Acceptor,
    entry: watch::Receiver<Option<Arc<Entry>>>,
    connections: AtomicU32,
    strangers: Mutex<Strangers>,
}

#[derive(Default)]
struct Strangers {
    told: Option<Instant>,
    since: u32,
}

/// One place of those that a door has.
struct Place(Arc<Exposed>);

impl Entry {
    pub(crate) fn new(exposure: Exposure) -> Self {
        let allowed = exposure.allowed.iter().filter_map(|network| network.parse().ok());
        Self {
            allowed: allowed.collect(),
            ends: instant_of(exposure.ends_at),
            exposure,
        }
    }

    fn has_ended(&self) -> bool {
        self.ends <= Instant::now()
    }

    fn is_open_to(&self, peer: IpAddr) -> bool {
        !self.has_ended() && self.allowed.iter().any(|network| network.contains(peer))
    }
}

impl Exposed {
    pub(crate) fn new(
        addon: Uuid,
        shared: Arc<Shared>,
        tls: tls::Acceptor,
        entry: watch::Receiver<Option<Arc<Entry>>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            addon,
            shared,
            tls,
            entry,
            connections: AtomicU32::new(0),
            strangers: Mutex::default(),
        })
    }

    /// Takes connections until the door is closed.
    pub(crate) async fn accept(self: Arc<Self>, listener: TcpListener, closed: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = closed.cancelled() => return,
                accepted = async { (self.shared.guests.place().await, listener.accept().await) } => accepted,
            };
            match accepted {
                (place, Ok((stream, peer))) => {
                    let Some((entry, own)) = self.enter(peer.ip().to_canonical()) else {
                        continue;
                    };
                    let exposed = Arc::clone(&self);
                    self.shared.inbound.spawn(async move {
                        exposed.serve(stream, peer, entry).await;
                        drop((place, own));
                    });
                }
                (_, Err(error)) => {
                    tracing::warn!(%error, "a client of an exposed add-on could not be accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Who may come in has a place from here on.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<(Arc<Entry>, Place)> {
        let entry = self.entry.borrow().clone()?;
        if !entry.is_open_to(peer) {
            // Whoever comes after the end is no stranger for that.
            if !entry.has_ended() {
                self.turn_away(&entry, peer);
            }
            return None;
        }
        let place = Place(Arc::clone(self));
        if self.connections.fetch_add(1, Ordering::Relaxed) >= entry.exposure.connections {
            tracing::info!(addon.name = entry.exposure.name, "an exposed add-on has no place left");
            return None;
        }
        Some((entry, place))
    }

    /// The first is told at once, and those after it together.
    fn turn_away(&self, entry: &Entry, peer: IpAddr) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if strangers.told.is_some_and(|told| told.elapsed() < TELL_AGAIN) {
            strangers.since = strangers.since.saturating_add(1);
            return;
        }
        let more = std::mem::take(&mut strangers.since);
        strangers.told = Some(Instant::now());
        drop(strangers);
        self.shared.reports.push(&Report::TurnedAway {
            at: std::time::SystemTime::now().into(),
            app: entry.exposure.app,
            name: entry.exposure.name.as_str().into(),
            peer,
            more,
        });
    }

    /// Until either side ends, both are silent too long, or the peer may be here no longer.
    async fn serve(&self, stream: TcpStream, peer: SocketAddr, entry: Arc<Entry>) {
        let peer = peer.ip().to_canonical();
        let _ = stream.set_nodelay(true);
        tokio::select! {
            () = self.carry(stream, &entry) => {}
            () = self.has_to_go(peer, &entry) => {}
            () = self.shared.abort.cancelled() => {}
        }
    }

    async fn carry(&self, mut client: TcpStream, entry: &Entry) {
        let head = self.shared.limits.head;
        match entry.exposure.tls {
            ExposureTls::Postgres => {
                let Ok(Some(begin)) = timeout(head, postgres_begin(&mut client)).await else {
                    return;
                };
                self.join(client, &begin, entry).await;
            }
            ExposureTls::Router => {
                if let Ok(Ok(client)) = timeout(head, Box::pin(self.tls.accept(client))).await {
                    self.join(Box::new(client), &[], entry).await;
                }
            }
        }
    }

    /// Bytes both ways.
    async fn join(&self, client: impl AsyncRead + AsyncWrite + Unpin, begin: &[u8], entry: &Entry) {
        let Some(mut server) = self.connect(entry).await else {
            return;
        };
        if server.write_all(begin).await.is_err() {
            return;
        }
        let patience = Patience {
            first_byte: None,
            idle: Some(self.shared.limits.exposure_idle),
            floor: None,
        };
        let flow = Flow::open(patience, true);
        let mut client = Watched::new(client, flow.clone());
        let mut server = Watched::new(server, flow.clone());
        let mut timer = Alarm::default();
        tokio::select! {
            // However it ended, both sides know.
            _ = copy_bidirectional(&mut client, &mut server) => {}
            () = poll_fn(|cx| flow.poll_idle(&mut timer, cx)) => {}
        }
    }

    /// A connection to the server that has this place in the table, also now that it is made.
    async fn connect(&self, entry: &Entry) -> Option<TcpStream> {
        let server = self.server()?;
        let connected = timeout(self.shared.limits.connect, TcpStream::connect(server.address)).await;
        let stream = match connected {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                tracing::info!(addon.name = entry.exposure.name, %error, "an exposed add-on takes no connection");
                return None;
            }
            Err(_) => return None,
        };
        let _ = stream.set_nodelay(true);
        (self.server()? == server).then_some(stream)
    }

    fn server(&self) -> Option<ServerEntry> {
        let table = self.shared.tables.current();
        let mut exposures = table.exposures().iter();
        exposures.find(|exposure| exposure.addon == self.addon)?.server.clone()
    }

    /// Resolves when the exposure has ended, or is not for this peer any more.
    async fn has_to_go(&self, peer: IpAddr, entry: &Arc<Entry>) {
        let mut entries = self.entry.clone();
        let mut ends = entry.ends;
        loop {
            let changed = tokio::select! {
                () = sleep_until(ends) => return,
                changed = entries.changed() => changed,
            };
            // Without a sender the door is gone while the router drains: the end date stands.
            if changed.is_err() {
                return sleep_until(ends).await;
            }
            let Some(entry) = entries.borrow_and_update().clone() else {
                return;
            };
            if !entry.is_open_to(peer) {
                return;
            }
            ends = entry.ends;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a client of PostgreSQL says first, for its server; `None` when it goes, or would go on in the clear. A request to cancel
/// may come in the clear, as it does from all clients before 17: it holds no password.
async fn postgres_begin(client: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> Option<Vec<u8>> {
    // It asks for two kinds of encryption at most.
    for _ in 0..2 {
        let mut begin = vec![0; 8];
        client.read_exact(&mut begin).await.ok()?;
        if begin[0] == TLS_HANDSHAKE {
            return Some(begin);
        }
        let number = |from: usize| u32::from_be_bytes([begin[from], begin[from + 1], begin[from + 2], begin[from + 3]]);
        match (number(0), number(4)) {
            (8, SSL_REQUEST) => return Some(begin),
            // "Not willing": it asks for TLS next.
            (8, GSS_REQUEST) => client.write_all(b"N").await.ok()?,
            (length @ 13..=LONGEST_CANCEL, CANCEL_REQUEST) => {
                begin.resize(length as usize, 0);
                client.read_exact(&mut begin[8..]).await.ok()?;
                return Some(begin);
            }
            _ => {
                client.write_all(&refusal()).await.ok()?;
                client.shutdown().await.ok()?;
                return None;
            }
        }
    }
    None
}

fn refusal() -> Vec<u8> {
    let length = u32::try_from(4 + NO_TLS.len()).unwrap_or(u32::MAX);
    [b"E", &length.to_be_bytes()[..], NO_TLS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server gets, and what the client is answered.
    async fn begin(said: &[u8]) -> (Option<Vec<u8>>, Vec<u8>) {
        let (mut client, mut router) = tokio::io::duplex(1024);
        client.write_all(said).await.unwrap();
        client.shutdown().await.unwrap();
        let begun = postgres_begin(&mut router).await;
        drop(router);
        let mut answered = Vec::new();
        client.read_to_end(&mut answered).await.unwrap();
        (begun, answered)
    }

    fn request(code: u32, rest: &[u8]) -> Vec<u8> {
        let length = u32::try_from(8 + rest.len()).unwrap();
        [&length.to_be_bytes()[..], &code.to_be_bytes(), rest].concat()
    }

    #[tokio::test]
    async fn a_client_of_postgresql_that_does_not_ask_for_tls_is_told_so() {
        let asks = request(SSL_REQUEST, b"");
        assert_eq!(begin(&asks).await, (Some(asks.clone()), Vec::new()));
        let twice = [request(GSS_REQUEST, b""), asks.clone()].concat();
        assert_eq!(begin(&twice).await, (Some(asks), b"N".to_vec()));
        let cancels = request(CANCEL_REQUEST, b"12345678");
        assert_eq!(begin(&cancels).await, (Some(cancels.clone()), Vec::new()));
        let hello = b"\x16\x03\x01\x02\0\x01\0\0";
        assert_eq!(begin(hello).await.0.as_deref(), Some(&hello[..]));

        let (begun, answered) = begin(&request(0x0003_0000, b"user\0ann\0\0")).await;
        assert_eq!((begun, &answered[..1]), (None, &b"E"[..]));
        let length = u32::from_be_bytes(answered[1..5].try_into().unwrap());
        assert_eq!(length as usize, answered.len() - 1);
        assert!(
            String::from_utf8(answered[5..].to_vec())
                .unwrap()
                .contains("sslmode=require")
        );
        for nonsense in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &request(GSS_REQUEST, b"").repeat(3),
            b"\0\0",
            b"",
        ] {
            assert_eq!(begin(nonsense).await.0, None);
        }
    }
}

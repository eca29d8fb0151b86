//! A little DNS on loopback: a resolver on one address, servers of zones on others, all on one port.

use std::{
    collections::{HashMap, HashSet},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
};

use hickory_resolver::proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, CAA, CNAME, NS, TXT},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};
use tokio_util::{sync::DropGuard, task::TaskTracker};

use crate::dns::{Resolver, check::absolute};

/// One server: what it knows, and how it misbehaves. Clones share.
#[derive(Clone, Default)]
pub(super) struct DnsServer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    records: HashMap<(Name, RecordType), Vec<RData>>,
    delegations: HashMap<Name, Vec<RData>>,
    silent: bool,
    refusing: HashSet<Name>,
    /// Answers over UDP are cut.
    truncates: bool,
    /// A forgery comes before every answer.
    forged: bool,
    asked: Vec<(Name, RecordType)>,
}

/// All servers, until dropped.
pub(super) struct Dns {
    pub(super) resolver: DnsServer,
    pub(super) client: Resolver,
    servers: Vec<DnsServer>,
    _stop: DropGuard,
}

impl Dns {
    /// Starts a resolver on 127.0.0.1 and `zones` servers on 127.0.0.2 and so on.
    pub(super) async fn start(zones: u8) -> Self {
        let stop = tokio_util::sync::CancellationToken::new();
        let tracker = TaskTracker::new();
        let (port, sockets) = bind_all(zones + 1).await;
        let mut servers = Vec::new();
        for (udp, tcp) in sockets {
            let server = DnsServer::default();
            let (over_udp, over_tcp) = (server.clone(), server.clone());
            let token = stop.clone();
            tracker.spawn(async move { token.run_until_cancelled(over_udp.serve_udp(udp)).await });
            let token = stop.clone();
            tracker.spawn(async move { token.run_until_cancelled(over_tcp.serve_tcp(tcp)).await });
            servers.push(server);
        }
        let mut client = Resolver::new(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
        client.authority_port = port;
        Self {
            resolver: servers.remove(0),
            client,
            servers,
            _stop: stop.drop_guard(),
        }
    }

    /// The server of a zone; the first is number 0, on 127.0.0.2.
    pub(super) fn zone(&self, index: usize) -> &DnsServer {
        &self.servers[index]
    }

    /// Tells the resolver which servers hold a zone.
    pub(super) fn delegate(&self, zone: &str, servers: &[u8]) {
        for server in servers {
            let name = format!("ns{server}.dns.example");
            self.resolver.add(zone, ns(&name));
            self.resolver.add(&name, a(Ipv4Addr::new(127, 0, 0, 2 + server)));
        }
    }
}

impl DnsServer {
    pub(super) fn add(&self, of: &str, record: RData) {
        let key = (name(of), record.record_type());
        self.state().records.entry(key).or_default().push(record);
    }

    pub(super) fn remove(&self, of: &str, kind: RecordType) {
        self.state().records.remove(&(name(of), kind));
    }

    /// Refers whoever asks for names in a zone to other servers.
    pub(super) fn refer(&self, zone: &str, server: u8) {
        let server_name = format!("ns{server}.dns.example");
        self.add(&server_name, a(Ipv4Addr::new(127, 0, 0, 2 + server)));
        self.state().delegations.insert(name(zone), vec![ns(&server_name)]);
    }

    pub(super) fn be_silent(&self) {
        self.state().silent = true;
    }

    /// SERVFAIL for a name.
    pub(super) fn refuse(&self, of: &str) {
        self.state().refusing.insert(name(of));
    }

    pub(super) fn truncate(&self) {
        self.state().truncates = true;
    }

    pub(super) fn forge(&self) {
        self.state().forged = true;
    }

    pub(super) fn was_asked(&self, of: &str) -> bool {
        self.state().asked.iter().any(|(asked, _)| *asked == name(of))
    }

    pub(super) fn questions(&self) -> usize {
        self.state().asked.len()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn serve_udp(self, socket: UdpSocket) {
        let mut buffer = [0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let Some((mut answer, query)) = self.answer(&buffer[..length]) else {
                continue;
            };
            if self.state().forged {
                let mut forgery = answer.clone();
                forgery.metadata.id = forgery.metadata.id.wrapping_add(1);
                forgery.answers = vec![Record::from_rdata(
                    query.name().clone(),
                    60,
                    a(Ipv4Addr::new(198, 51, 100, 66)),
                )];
                socket.send_to(&forgery.to_vec().unwrap(), from).await.unwrap();
                socket.send_to(b"no DNS at all", from).await.unwrap();
            }
            if self.state().truncates {
                answer = answer.truncate();
            }
            socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
        }
    }

    async fn serve_tcp(self, listener: TcpListener) {
        while let Ok((mut stream, _)) = listener.accept().await {
            let Ok(length) = stream.read_u16().await else { continue };
            let mut bytes = vec![0; usize::from(length)];
            if stream.read_exact(&mut bytes).await.is_err() {
                continue;
            }
            if let Some((answer, _)) = self.answer(&bytes) {
                let bytes = answer.to_vec().unwrap();
                stream.write_u16(bytes.len().try_into().unwrap()).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            }
        }
    }

    fn answer(&self, bytes: &[u8]) -> Option<(Message, Query)> {
        let message = Message::from_vec(bytes).unwrap();
        let query = message.queries.first().unwrap().clone();
        let asked = (query.name().to_lowercase(), query.query_type());
        let mut state = self.state();
        state.asked.push(asked.clone());
        if state.silent {
            return None;
        }
        let mut answer = Message::new(message.metadata.id, MessageType::Response, OpCode::Query);
        answer.add_query(query.clone());
        answer.metadata.authoritative = !message.metadata.recursion_desired;
        answer.metadata.recursion_available = message.metadata.recursion_desired;
        let (mut current, kind) = asked;
        if state.refusing.contains(&current) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return Some((answer, query));
        }
        let delegation = state.delegations.iter().find(|(zone, _)| zone.zone_of(&current));
        if let Some((zone, servers)) = delegation {
            answer.metadata.authoritative = false;
            for server in servers {
                answer.add_authority(Record::from_rdata(zone.clone(), 60, server.clone()));
                let RData::NS(server) = server else { continue };
                for glue in state
                    .records
                    .get(&(server.0.clone(), RecordType::A))
                    .into_iter()
                    .flatten()
                {
                    answer.add_additional(Record::from_rdata(server.0.clone(), 60, glue.clone()));
                }
            }
            return Some((answer, query));
        }
        // So many aliases as anybody would follow.
        for _ in 0..20 {
            for record in state.records.get(&(current.clone(), kind)).into_iter().flatten() {
                answer.add_answer(Record::from_rdata(current.clone(), 60, record.clone()));
            }
            let Some(alias) = state.records.get(&(current.clone(), RecordType::CNAME)) else {
                break;
            };
            answer.add_answer(Record::from_rdata(current.clone(), 60, alias[0].clone()));
            let RData::CNAME(target) = &alias[0] else { break };
            current = target.0.clone();
        }
        let is_known = state.records.keys().any(|(known, _)| asked_below(&current, known));
        if answer.answers.is_empty() && !is_known {
            answer.metadata.response_code = ResponseCode::NXDomain;
        }
        Some((answer, query))
    }
}

/// Whether a known name is the one asked for, or below it.
fn asked_below(asked: &Name, known: &Name) -> bool {
    asked.zone_of(known)
}

/// Sockets on one port that is free on every address.
async fn bind_all(count: u8) -> (u16, Vec<(UdpSocket, TcpListener)>) {
    'port: for _ in 0..50 {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        drop(first);
        let mut sockets = Vec::new();
        for host in 1..=count {
            let address = (Ipv4Addr::new(127, 0, 0, host), port);
            let (Ok(udp), Ok(tcp)) = (UdpSocket::bind(address).await, TcpListener::bind(address).await) else {
                continue 'port;
            };
            sockets.push((udp, tcp));
        }
        return (port, sockets);
    }
    panic!("no port is free on {count} addresses");
}

pub(super) fn name(text: &str) -> Name {
    absolute(text).unwrap()
}

pub(super) fn a(address: Ipv4Addr) -> RData {
    RData::A(A(address))
}

pub(super) fn ns(server: &str) -> RData {
    RData::NS(NS(name(server)))
}

pub(super) fn cname(target: &str) -> RData {
    RData::CNAME(CNAME(name(target)))
}

pub(super) fn txt(value: &str) -> RData {
    RData::TXT(TXT::new(vec![value.to_owned()]))
}

pub(super) fn caa(tag: &str, value: &str) -> RData {
    let mut caa = CAA::new_issue(false, None, Vec::new());
    tag.clone_into(&mut caa.tag);
    caa.value = value.as_bytes().to_vec();
    RData::CAA(caa)
}

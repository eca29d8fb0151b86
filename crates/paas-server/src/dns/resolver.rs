//! Asks the DNS as a CA does: the servers that hold a zone, not somebody's memory of them.
//!
//! The machine's resolvers say who holds a zone; that changes seldom. What a name points to is then asked of those servers,
//! so that a record that was made a second ago is seen, and an old "no such name" is not. Where they cannot be reached
//! (port 53 closed towards the world), the resolvers' own answer has to do.

use std::{
    iter,
    net::{IpAddr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, future::join_all, stream::FuturesUnordered};
use hickory_resolver::{
    proto::{
        op::{Message, ResponseCode},
        rr::{Name, RData, Record, RecordType},
    },
    system_conf::read_system_conf,
};
use rand::seq::SliceRandom;
use tokio::time::timeout;

use super::wire::{AskError, Question, ask};

/// A resolver may have to ask half the world first.
const OF_RESOLVERS: Patience = Patience {
    next_after: Duration::from_secs(1),
    limit: Duration::from_secs(4),
};
/// Who holds a zone answers at once, or is behind a firewall. That of a test shares its processor.
const OF_AUTHORITIES: Patience = Patience {
    next_after: Duration::from_millis(400),
    limit: Duration::from_millis(if cfg!(test) { 4000 } else { 1500 }),
};
/// A lost datagram is no silent server.
const ROUNDS: usize = 2;
/// So many servers of a zone are asked before the resolvers' word is taken.
const AUTHORITIES: usize = 3;
/// Unbound gives up after eleven aliases; nobody has an honest use for more.
const MAXIMUM_ALIASES: usize = 10;
/// Delegations that the resolvers do not know of yet.
const MAXIMUM_REFERRALS: usize = 4;
const DNS_PORT: u16 = 53;

#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    /// Empty: those of the machine, looked up at every check, because they change with the network.
    given: Vec<SocketAddr>,
    /// Where servers of zones listen; a test has them elsewhere.
    pub(super) authority_port: u16,
}

impl Resolver {
    /// Asks the given resolvers, or those of the machine when there are none.
    pub(crate) fn new(given: Vec<SocketAddr>) -> Self {
        Self {
            given,
            authority_port: DNS_PORT,
        }
    }

    /// A look that remembers who holds which zone, for as long as one check takes.
    pub(super) fn look(&self) -> Result<Look, LookError> {
        let resolvers = if self.given.is_empty() {
            let (config, _) = read_system_conf().map_err(|error| LookError::NoResolver(error.to_string()))?;
            let address = |ip| SocketAddr::new(ip, DNS_PORT);
            config.name_servers().iter().map(|server| address(server.ip)).collect()
        } else {
            self.given.clone()
        };
        Ok(Look {
            resolvers,
            authority_port: self.authority_port,
            zones: Mutex::default(),
        })
    }
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LookError {
    #[error("this machine's DNS resolvers could not be read from /etc/resolv.conf: {0}")]
    NoResolver(String),
    #[error("the DNS does not answer for {name} ({kind})")]
    Ask {
        name: String,
        kind: RecordType,
        source: AskError,
    },
    #[error("the DNS answers {code} for {name} ({kind}): its zone is broken, or its DNSSEC signatures are")]
    Refused {
        name: String,
        kind: RecordType,
        code: ResponseCode,
    },
    #[error("an alias (CNAME) that leads nowhere: {}", chain.join(" → "))]
    AliasLoop { chain: Vec<String> },
}

/// What the DNS has of one kind under a name, aliases followed.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) records: Vec<RData>,
    /// The name that the records are of, when it is another one.
    pub(super) alias_of: Option<Name>,
}

pub(super) struct Look {
    resolvers: Vec<SocketAddr>,
    authority_port: u16,
    zones: Mutex<Vec<Zone>>,
}

/// Who holds a zone.
#[derive(Debug, Clone)]
pub(super) struct Zone {
    apex: Name,
    /// The name that this was found for: between it and the apex no other zone begins.
    below: Name,
    servers: Vec<SocketAddr>,
}

impl Zone {
    fn holds(&self, name: &Name) -> bool {
        self.apex.zone_of(name) && name.zone_of(&self.below)
    }
}

impl Look {
    /// The records of one kind under a name. None is no error.
    pub(super) async fn find(&self, name: &Name, kind: RecordType) -> Result<Found, LookError> {
        let mut current = name.clone();
        let mut seen = vec![current.clone()];
        loop {
            let asked = current.clone();
            let answer = self.ask_fresh(&asked, kind).await?;
            // A resolver's answer holds the whole chain, that of a zone's server only what is in its zone.
            while let Some(target) = alias(&answer.answers, &current) {
                let is_loop = seen.contains(&target) || seen.len() > MAXIMUM_ALIASES;
                seen.push(target.clone());
                if is_loop {
                    let chain = seen.iter().map(shown).collect();
                    return Err(LookError::AliasLoop { chain });
                }
                current = target;
            }
            let records = records(&answer.answers, &current, kind);
            if !records.is_empty() || current == asked {
                return Ok(Found {
                    records,
                    alias_of: (current != *name).then_some(current),
                });
            }
        }
    }

    /// Where the records of a challenge are to be: at the end of the name's aliases, as far as its zone's servers say.
    ///
    /// Resolvers are not asked about the name, only about the zone above it: they would remember that there is no such name
    /// until after the record is made.
    pub(super) async fn challenge_target(&self, name: &Name) -> Name {
        let mut current = name.clone();
        for _ in 0..MAXIMUM_ALIASES {
            let Some((_, answer)) = self.challenge_zone(&current).await else {
                break;
            };
            let Some(target) = alias(&answer.answers, &current) else {
                break;
            };
            current = target;
        }
        current
    }

    /// The TXT values of a challenge, from each server that holds its zone.
    pub(super) async fn texts_everywhere(&self, name: &Name) -> Result<Vec<Vec<String>>, LookError> {
        let kind = RecordType::TXT;
        let name = &self.challenge_target(name).await;
        let mut answers = Vec::new();
        if let Some((zone, _)) = self.challenge_zone(name).await {
            let question = Question {
                name: name.clone(),
                kind,
                recursive: false,
            };
            let asked = zone
                .servers
                .iter()
                .map(|server| ask(*server, &question, OF_AUTHORITIES.limit));
            answers = join_all(asked)
                .await
                .into_iter()
                .filter_map(Result::ok)
                .filter(is_answer)
                .collect();
        }
        if answers.is_empty() {
            answers.push(self.ask_resolvers(name, kind).await?);
        }
        Ok(answers.iter().map(|answer| texts(&answer.answers)).collect())
    }

    /// The zone that holds a challenge's name, and what one of its servers says of the name.
    async fn challenge_zone(&self, name: &Name) -> Option<(Zone, Message)> {
        let mut zone = self.zone_of(&name.base_name()).await?;
        for _ in 0..MAXIMUM_REFERRALS {
            let servers = &zone.servers[..zone.servers.len().min(AUTHORITIES)];
            let answer = ask_one_of(servers, &OF_AUTHORITIES, name, RecordType::TXT, false).await;
            let Ok(answer) = answer else {
                self.give_up(&zone);
                return None;
            };
            if answer.metadata.authoritative || !answer.answers.is_empty() {
                return Some((zone, answer));
            }
            zone = self.referred(&zone, &answer, name).await?;
        }
        None
    }

    /// Asks those who hold the name's zone, else the resolvers.
    async fn ask_fresh(&self, name: &Name, kind: RecordType) -> Result<Message, LookError> {
        let mut zone = self.zone_of(name).await;
        for _ in 0..MAXIMUM_REFERRALS {
            let Some(known) = zone else { break };
            let servers = &known.servers[..known.servers.len().min(AUTHORITIES)];
            let Ok(answer) = ask_one_of(servers, &OF_AUTHORITIES, name, kind, false).await else {
                self.give_up(&known);
                break;
            };
            if answer.metadata.authoritative || !answer.answers.is_empty() {
                return Ok(answer);
            }
            zone = self.referred(&known, &answer, name).await;
        }
        self.ask_resolvers(name, kind).await
    }

    async fn ask_resolvers(&self, name: &Name, kind: RecordType) -> Result<Message, LookError> {
        ask_one_of(&self.resolvers, &OF_RESOLVERS, name, kind, true).await
    }

    /// The zone that a name is in, as far as the resolvers know.
    pub(super) async fn zone_of(&self, name: &Name) -> Option<Zone> {
        if let Some(zone) = self.zones().iter().find(|zone| zone.holds(name)) {
            return Some(zone.clone()).filter(|zone| !zone.servers.is_empty());
        }
        let mut apex = name.clone();
        while !apex.is_root() {
            if let Ok(answer) = self.ask_resolvers(&apex, RecordType::NS).await {
                let servers = records(&answer.answers, &apex, RecordType::NS);
                let zone = self.zone(apex.clone(), name, &servers, &answer).await;
                if zone.is_some() {
                    return zone;
                }
            }
            apex = apex.base_name();
        }
        None
    }

    /// The zone below that a server refers us to.
    async fn referred(&self, known: &Zone, answer: &Message, name: &Name) -> Option<Zone> {
        let mut delegations = answer.authorities.iter();
        let apex = delegations.find(|record| {
            record.record_type() == RecordType::NS
                && record.name.zone_of(name)
                && known.apex.zone_of(&record.name)
                && record.name != known.apex
        })?;
        let servers = records(&answer.authorities, &apex.name, RecordType::NS);
        self.zone(apex.name.clone(), name, &servers, answer).await
    }

    /// A zone whose servers have addresses: in the answer, or to be asked for.
    async fn zone(&self, apex: Name, below: &Name, servers: &[RData], answer: &Message) -> Option<Zone> {
        let names = servers.iter().filter_map(|server| match server {
            RData::NS(name) => Some(&name.0),
            _ => None,
        });
        let addresses = join_all(names.map(|name| self.addresses_of_server(name, &answer.additionals))).await;
        let mut servers: Vec<_> = addresses
            .concat()
            .into_iter()
            .map(|ip| SocketAddr::new(ip, self.authority_port))
            .collect();
        if servers.is_empty() {
            return None;
        }
        // Another order every time, so that one that is behind is not the only one we ever ask; IPv4 first, which we have.
        servers.shuffle(&mut rand::rng());
        servers.sort_by_key(SocketAddr::is_ipv6);
        let below = below.clone();
        let zone = Zone { apex, below, servers };
        self.zones().push(zone.clone());
        Some(zone)
    }

    async fn addresses_of_server(&self, name: &Name, glue: &[Record]) -> Vec<IpAddr> {
        let glued = |kind| records(glue, name, kind);
        let mut found = [glued(RecordType::A), glued(RecordType::AAAA)].concat();
        if found.is_empty() {
            for kind in [RecordType::A, RecordType::AAAA] {
                if let Ok(answer) = self.ask_resolvers(name, kind).await {
                    found.extend(records(&answer.answers, name, kind));
                }
            }
        }
        found.iter().filter_map(RData::ip_addr).collect()
    }

    /// Servers of a zone that say nothing are not asked again in this look.
    fn give_up(&self, silent: &Zone) {
        for zone in self.zones().iter_mut().filter(|zone| zone.apex == silent.apex) {
            zone.servers.clear();
        }
    }

    fn zones(&self) -> std::sync::MutexGuard<'_, Vec<Zone>> {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name as people write it.
pub(super) fn shown(name: &Name) -> String {
    let text = name.to_ascii();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// How long to wait for servers.
struct Patience {
    /// The next server is asked, too, when one says nothing for so long.
    next_after: Duration,
    /// One server's time.
    limit: Duration,
}

/// The first real answer of some servers.
async fn ask_one_of(
    servers: &[SocketAddr],
    patience: &Patience,
    name: &Name,
    kind: RecordType,
    recursive: bool,
) -> Result<Message, LookError> {
    let question = Question {
        name: name.clone(),
        kind,
        recursive,
    };
    let mut last = LookError::NoResolver("it names no server".to_owned());
    let mut next = iter::repeat_n(servers, ROUNDS).flatten();
    let mut asked = FuturesUnordered::new();
    loop {
        let more = next.next().map(|server| ask(*server, &question, patience.limit));
        let is_last = more.is_none();
        asked.extend(more);
        let wait = if is_last { patience.limit } else { patience.next_after };
        let name = shown(name);
        match timeout(wait, asked.next()).await {
            Ok(Some(Ok(answer))) if is_answer(&answer) => return Ok(answer),
            Ok(Some(Ok(answer))) => {
                let code = answer.metadata.response_code;
                last = LookError::Refused { name, kind, code };
            }
            Ok(Some(Err(source))) => last = LookError::Ask { name, kind, source },
            Ok(None) => return Err(last),
            Err(_) => {}
        }
    }
}

/// "There is" and "there is not" are answers; SERVFAIL, REFUSED and the like are not.
fn is_answer(answer: &Message) -> bool {
    matches!(
        answer.metadata.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}

/// The values of TXT records; the strings that one value is cut into belong together (RFC 7208 §3.3).
fn texts(section: &[Record]) -> Vec<String> {
    let texts = section.iter().filter_map(|record| match &record.data {
        RData::TXT(text) => Some(String::from_utf8_lossy(&text.txt_data.concat()).into_owned()),
        _ => None,
    });
    texts.collect()
}

fn records(section: &[Record], name: &Name, kind: RecordType) -> Vec<RData> {
    section
        .iter()
        .filter(|record| record.name == *name && record.record_type() == kind)
        .map(|record| record.data.clone())
        .collect()
}

fn alias(section: &[Record], name: &Name) -> Option<Name> {
    section.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name == *name => Some(target.0.clone()),
        _ => None,
    })
}

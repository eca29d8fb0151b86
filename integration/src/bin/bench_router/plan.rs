//! What is to be measured.

use anyhow::{Context, Result, bail};

use crate::proxy::Kind;

pub(crate) const HELP: &str = "\
integration/bench/router [ROW…] [--rounds N] [--seconds S] [--only PROXY,…] [--json]

rows (default: all)
  keep-alive      HTTP/1.1, 64 connections
  browser         the same with the headers that a browser sends
  new-conn        HTTP/1.1, a connection per request
  http2           HTTP/2 over TLS, 16 connections with 12 streams each
  tls             HTTP/1.1 over TLS 1.3, 64 connections
  handshake       full TLS 1.3 handshakes without a request; X25519MLKEM768 is offered
  resumption      resumed TLS 1.3 handshakes without a request
  100k            bodies of 100 KiB
  10m             bodies of 10 MiB
  hosts-1         the same request by the load generator's script, to one of 1 host name
  hosts-1000      in turn to each of 1,000 host names, each an app of its own
  hosts-10000     in turn to each of 10,000
  idle            memory of 10,000 connections that made one request
  idle-tls        the same over TLS
  change          a new address for one of 1,000 hosts, under load

proxies: paas, nginx, nginx-buffers, haproxy, caddy, direct
";

pub(crate) struct Plan {
    pub(crate) rows: Vec<Row>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) rounds: usize,
    pub(crate) seconds: u64,
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Row {
    KeepAlive,
    Browser,
    NewConnection,
    Http2,
    Tls,
    Handshake,
    Resumption,
    Body100K,
    Body10M,
    Hosts1,
    Hosts1000,
    Hosts10000,
    Idle,
    IdleTls,
    Change,
}

impl Row {
    const ALL: [Self; 15] = [
        Self::KeepAlive,
        Self::Browser,
        Self::NewConnection,
        Self::Http2,
        Self::Tls,
        Self::Handshake,
        Self::Resumption,
        Self::Body100K,
        Self::Body10M,
        Self::Hosts1,
        Self::Hosts1000,
        Self::Hosts10000,
        Self::Idle,
        Self::IdleTls,
        Self::Change,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::KeepAlive => "keep-alive",
            Self::Browser => "browser",
            Self::NewConnection => "new-conn",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Handshake => "handshake",
            Self::Resumption => "resumption",
            Self::Body100K => "100k",
            Self::Body10M => "10m",
            Self::Hosts1 => "hosts-1",
            Self::Hosts1000 => "hosts-1000",
            Self::Hosts10000 => "hosts-10000",
            Self::Idle => "idle",
            Self::IdleTls => "idle-tls",
            Self::Change => "change",
        }
    }

    /// How many host names the proxies know.
    pub(crate) const fn hosts(self) -> usize {
        match self {
            Self::Hosts1000 | Self::Change => 1_000,
            Self::Hosts10000 => 10_000,
            _ => 1,
        }
    }

    /// Measured in rounds, under load.
    pub(crate) const fn is_load(self) -> bool {
        !matches!(self, Self::Idle | Self::IdleTls | Self::Change)
    }

    /// The ratio to nginx that our router is to reach.
    pub(crate) const fn aim(self) -> Option<f64> {
        match self {
            Self::KeepAlive | Self::NewConnection | Self::Http2 => Some(1.10),
            Self::Tls => Some(0.95),
            Self::Handshake | Self::Body100K | Self::Body10M => Some(0.45),
            Self::Resumption => Some(0.5),
            _ => None,
        }
    }

    /// Whether the row says something about this proxy.
    pub(crate) const fn runs(self, kind: Kind) -> bool {
        match kind {
            Kind::Paas | Kind::Nginx | Kind::Haproxy => true,
            Kind::NginxBuffers => matches!(self, Self::Body100K | Self::Body10M),
            // It takes minutes to read that many.
            Kind::Caddy => !matches!(self, Self::Hosts10000),
            Kind::Direct => matches!(
                self,
                Self::KeepAlive | Self::Browser | Self::NewConnection | Self::Body100K | Self::Body10M
            ),
        }
    }
}

impl Plan {
    /// `None` when only help is wanted.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut plan = Self {
            rows: Vec::new(),
            kinds: Kind::ALL.to_vec(),
            rounds: 5,
            seconds: 2,
            json: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--json" => plan.json = true,
                "--rounds" => plan.rounds = words.next().context("--rounds needs a number")?.parse()?,
                "--seconds" => plan.seconds = words.next().context("--seconds needs a number")?.parse()?,
                "--only" => {
                    let names = words.next().context("--only needs names of proxies")?;
                    plan.kinds = names.split(',').map(kind).collect::<Result<_>>()?;
                }
                name => plan.rows.push(row(name)?),
            }
        }
        if plan.rows.is_empty() {
            plan.rows = Row::ALL.to_vec();
        }
        Ok(Some(plan))
    }
}

fn row(name: &str) -> Result<Row> {
    match Row::ALL.into_iter().find(|row| row.name() == name) {
        Some(row) => Ok(row),
        None => bail!("there is no row {name:?}\nhint: --help names them"),
    }
}

fn kind(name: &str) -> Result<Kind> {
    match Kind::ALL.into_iter().find(|kind| kind.name() == name) {
        Some(kind) => Ok(kind),
        None => bail!("there is no proxy {name:?}\nhint: --help names them"),
    }
}

//! Where people meet dynos: streams that are announced by the API, and found again by a secret.
//!
//! Whoever starts a program for somebody *invites*, and hands the secret out. Whoever comes with it, over the TLS listener of
//! Heroku's own client ([`Listener`]) or over an upgraded request of the API ([`receive`]), becomes a [`Visitor`] of the task
//! that waits. The secret is the permission; it opens one stream once, or, for forwarded ports, one stream each time.
//!
//! Nothing here is stored: a restart of the server breaks the streams, and the programs behind them are hung up on.

mod dialect;
mod listener;
mod pump;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use futures_util::stream::BoxStream;
use paas_engine::{Input, Output};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub(crate) use listener::Listener;
pub(crate) use pump::{peer_closed, receive};

/// 256 bits in base64.
const SECRET_CHARACTERS: usize = 43;

/// Everybody who is waited for.
pub(crate) struct Rendezvous {
    pub(crate) limits: Limits,
    /// Where the TLS listener is.
    port: OnceLock<u16>,
    waiting: Mutex<HashMap<String, Host>>,
}

/// How long everything may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Without a client (R13).
    pub(crate) attach: Duration,
    /// Without a byte either way (Dev Center, *One-Off Dynos*, "Timeout").
    pub(crate) idle: Duration,
    /// Between two SIGHUPs to a program whose client has gone (R16).
    pub(crate) hang_up: Duration,
    /// Between SIGTERM and SIGKILL.
    pub(crate) stop: Duration,
}

/// A task that waits for visitors. Nobody can come any more when it is dropped.
pub(crate) struct Invitation {
    rendezvous: Arc<Rendezvous>,
    pub(crate) secret: String,
    pub(crate) visitors: mpsc::Receiver<Visitor>,
}

/// Whoever has come with the secret.
pub(crate) struct Visitor {
    /// What the person types. For programs without a terminal it ends; a terminal gets a character for that.
    pub(crate) stdin: BoxStream<'static, Input>,
    /// What the person sees. Dropping it ends the stream, with `exit` if that was told.
    pub(crate) output: mpsc::Sender<Output>,
    /// Cancelled when the person has gone. Whoever cancels it sends the person away.
    pub(crate) gone: CancellationToken,
    /// How the program ended.
    pub(crate) exit: oneshot::Sender<i32>,
    /// Where a forwarded connection is to go.
    pub(crate) target: Option<Target>,
}

/// A host and a port, as a dyno knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What is invited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Invited {
    /// One program, once.
    Program { has_terminal: bool },
    /// Connections, again and again: to this port of the container itself, or to where each visitor says.
    Connections { port: Option<u16> },
}

/// The other side of an invitation.
#[derive(Clone)]
pub(crate) struct Host {
    invited: Invited,
    visitors: mpsc::Sender<Visitor>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            attach: Duration::from_secs(30),
            idle: Duration::from_hours(1),
            hang_up: Duration::from_secs(5),
            stop: Duration::from_secs(30),
        }
    }
}

impl Rendezvous {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            port: OnceLock::new(),
            waiting: Mutex::default(),
        })
    }

    pub(crate) fn invite(self: &Arc<Self>, invited: Invited) -> Result<Invitation, getrandom::Error> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let secret = BASE64_URL_SAFE_NO_PAD.encode(random);
        let (sender, visitors) = mpsc::channel(1);
        let host = Host {
            invited,
            visitors: sender,
        };
        self.lock().insert(secret.clone(), host);
        Ok(Invitation {
            rendezvous: Arc::clone(self),
            secret,
            visitors,
        })
    }

    /// Who waits for a visitor with this secret. What is good for one visit only is used up.
    pub(crate) fn find(&self, secret: &str) -> Option<Host> {
        let mut waiting = self.lock();
        let host = waiting.get(secret)?.clone();
        if host.is_program() {
            waiting.remove(secret);
        }
        Some(host)
    }

    /// The port of the TLS listener; `None` before there is one.
    pub(crate) fn port(&self) -> Option<u16> {
        self.port.get().copied()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Host>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host {
    pub(crate) const fn is_program(&self) -> bool {
        matches!(self.invited, Invited::Program { .. })
    }

    pub(crate) const fn wants_target(&self) -> bool {
        matches!(self.invited, Invited::Connections { port: None })
    }

    /// Where connections go without a word of who comes.
    pub(crate) fn own_target(&self) -> Option<Target> {
        let Invited::Connections { port: Some(port) } = self.invited else {
            return None;
        };
        Some(Target {
            host: "127.0.0.1".to_owned(),
            port,
        })
    }
}

impl Drop for Invitation {
    fn drop(&mut self) {
        self.rendezvous.lock().remove(&self.secret);
    }
}

//! SSH into dynos, for Heroku's own client: `ps:exec`, `ps:copy`, `ps:forward` and `ps:socks`.
//!
//! The client makes a key for each command and *reserves* with it (`api/exec.rs`): it is told a user name, and the key of this
//! server. Then it comes to port 80 with both, where the router knows SSH by its first bytes and hands the connection to the
//! socket of the [`Listener`]. There is no other way in: no password, no key that was not reserved with.
//!
//! Reservations live in memory, and with the right of whoever made them: their session is one of `sessions.rs`. What runs for
//! people goes the way of everything that runs beside a dyno (`control/beside.rs`).

mod copy;
mod listener;
mod person;
mod program;

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use paas_core::Id;
use paas_engine::ContainerId;
use paas_store::account::Account;
use russh::keys::{PrivateKey, PublicKey, ssh_key, ssh_key::private::Ed25519Keypair};
use thiserror::Error;
use tokio::{sync::Semaphore, time::Instant};

use crate::sessions::Session;

pub(crate) use listener::Listener;

/// As long as a one-off dyno: `ps:socks` connects anew for each of its own connections.
pub(crate) const LIFE: Duration = Duration::from_hours(24);
/// Reservations of one account; the oldest makes place.
const MOST_OF_AN_ACCOUNT: usize = 32;
/// Programs and forwarded connections by one reservation at the same time.
const MOST_CHANNELS: usize = 32;

/// The server's key, and who may come.
pub(crate) struct Ssh {
    /// Made at each start: reservations do not outlive it either, and clients learn it with theirs.
    key: PrivateKey,
    reservations: Mutex<HashMap<String, Arc<Reservation>>>,
}

/// Somebody who may come to a dyno with a key.
pub(crate) struct Reservation {
    pub(crate) account: Id<Account>,
    pub(crate) container: ContainerId,
    pub(crate) key: PublicKey,
    pub(crate) session: Session,
    pub(crate) made_at: Instant,
    channels: Arc<Semaphore>,
}

#[derive(Debug, Error)]
pub(crate) enum SshError {
    #[error("read random bytes")]
    Random(#[source] getrandom::Error),
    #[error("write the server's public key")]
    Encode(#[source] ssh_key::Error),
}

impl Ssh {
    pub(crate) fn new() -> Result<Self, SshError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SshError::Random)?;
        Ok(Self {
            key: PrivateKey::from(Ed25519Keypair::from_seed(&seed)),
            reservations: Mutex::default(),
        })
    }

    /// As a line of `known_hosts` has it behind the name.
    pub(crate) fn public_key(&self) -> Result<String, SshError> {
        self.key.public_key().to_openssh().map_err(SshError::Encode)
    }

    /// Lets somebody in from now on, by the user name that is returned.
    pub(crate) fn reserve(&self, reservation: Reservation) -> Result<String, SshError> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(SshError::Random)?;
        let user = random.iter().fold(String::new(), |mut user, byte| {
            // A String takes everything.
            let _ = write!(user, "{byte:02x}");
            user
        });
        let mut reservations = self.lock();
        reservations.retain(|_, reservation| reservation.is_good());
        let of_account = |other: &&Arc<Reservation>| other.account == reservation.account;
        if reservations.values().filter(of_account).count() >= MOST_OF_AN_ACCOUNT {
            let of_account = reservations
                .iter()
                .filter(|(_, other)| other.account == reservation.account);
            let oldest = of_account
                .min_by_key(|(_, other)| other.made_at)
                .map(|(user, _)| user.clone());
            if let Some(oldest) = oldest {
                reservations.remove(&oldest);
            }
        }
        reservations.insert(user.clone(), Arc::new(reservation));
        Ok(user)
    }

    /// Who may come by this name with this key.
    fn find(&self, user: &str, key: &PublicKey) -> Option<Arc<Reservation>> {
        let mut reservations = self.lock();
        reservations.retain(|_, reservation| reservation.is_good());
        let reservation = reservations.get(user)?.clone();
        let is_theirs = reservation.key.key_data() == key.key_data();
        is_theirs.then_some(reservation)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Reservation>>> {
        self.reservations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    pub(crate) fn new(account: Id<Account>, container: ContainerId, key: PublicKey, session: Session) -> Self {
        Self {
            account,
            container,
            key,
            session,
            made_at: Instant::now(),
            channels: Arc::new(Semaphore::new(MOST_CHANNELS)),
        }
    }

    fn is_good(&self) -> bool {
        Instant::now() < self.ends_at() && !self.session.ended().is_cancelled()
    }

    /// What it let in ends with it.
    fn ends_at(&self) -> Instant {
        self.made_at + LIFE
    }
}

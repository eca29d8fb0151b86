//! Unused connections to one backend.
//!
//! A pool belongs to a backend, so a connection never outlives the dyno, container and address that it was opened for.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::link::Link;

/// What is beyond is closed after use.
const MAX_IDLE: usize = 128;

#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    is_closed: bool,
    /// Oldest first.
    connections: Vec<(Instant, Link)>,
    /// The one of HTTP/2, and when it was last asked for; its requests outlive its place here.
    shared: Option<(Instant, Link)>,
}

impl Pool {
    /// The connection that was used last, if that was within `age`.
    pub(crate) fn take(&self, now: Instant, age: Duration) -> Option<Link> {
        let mut idle = self.lock();
        let mut index = idle.connections.len();
        while let Some(next) = index.checked_sub(1) {
            index = next;
            let (since, connection) = &mut idle.connections[index];
            connection.settle();
            if connection.is_closed() {
                idle.connections.remove(index);
            } else if now.duration_since(*since) >= age {
                // All others are older.
                return None;
            } else if connection.is_ready() {
                return Some(idle.connections.remove(index).1);
            }
            // One that just came back may not have heard of its response's end yet: leave it.
        }
        None
    }

    /// The connection of HTTP/2, if there is one.
    pub(crate) fn join(&self, now: Instant) -> Option<Link> {
        let mut idle = self.lock();
        let (since, connection) = idle.shared.as_mut().filter(|(_, connection)| !connection.is_closed())?;
        *since = now;
        connection.share()
    }

    /// Lets others use a connection of HTTP/2.
    pub(crate) fn share(&self, connection: &Link, now: Instant) {
        let mut idle = self.lock();
        if !idle.is_closed {
            idle.shared = connection.share().map(|connection| (now, connection));
        }
    }

    pub(crate) fn put(&self, mut connection: Link, now: Instant) {
        if connection.share().is_some() {
            return;
        }
        connection.settle();
        let mut idle = self.lock();
        if !idle.is_closed && !connection.is_closed() && idle.connections.len() < MAX_IDLE {
            idle.connections.push((now, connection));
        }
    }

    /// Closes what was unused for `age`.
    pub(crate) fn expire(&self, now: Instant, age: Duration) {
        let mut idle = self.lock();
        idle.connections.retain_mut(|(since, connection)| {
            connection.settle();
            !connection.is_closed() && now.duration_since(*since) < age
        });
        idle.shared
            .take_if(|(since, connection)| connection.is_closed() || now.duration_since(*since) >= age);
    }

    /// Closes what there is and whatever comes back.
    pub(crate) fn close(&self) {
        let mut idle = self.lock();
        idle.is_closed = true;
        idle.connections.clear();
        idle.shared = None;
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Hints that something wanted has changed.

use crate::Store;

/// Listens to `NOTIFY wanted`. A wake-up carries no facts: it says *look again*.
pub struct Wakeups {
    _store: Store,
}

impl Wakeups {
    /// Connects when first asked.
    pub fn new(store: &Store) -> Self {
        Self { _store: store.clone() }
    }

    /// Waits for the next change. Also returns after each connect, because changes may have been missed. Reconnects with
    /// back-off, never fails; safe to drop halfway (in `select!`).
    pub async fn next(&mut self) {
        unimplemented!()
    }
}

//! The pushes under way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use paas_core::{App, Build, Id};
use paas_store::account::Account;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::Expected;

/// Which `git receive-pack` runs for whom: the hook only knows the id of its push.
#[derive(Default)]
pub(super) struct Pushes {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pushes: HashMap<Uuid, Push>,
    turns: HashMap<Id<App>, Arc<Semaphore>>,
}

struct Push {
    app: App,
    account: Account,
    expected: Option<Expected>,
    /// Held until the ref has moved. Without it, a second push could deploy a commit that its own ref
    /// then cannot move to.
    turn: Option<OwnedSemaphorePermit>,
}

/// A push under way; it has ended when this is dropped.
pub(super) struct PushGuard {
    git: Arc<super::Git>,
    pub(super) id: Uuid,
    pub(super) app_name: String,
}

impl Pushes {
    pub(super) fn begin(git: &Arc<super::Git>, app: App, account: Account) -> PushGuard {
        let id = Uuid::new_v4();
        let app_name = app.name.to_string();
        let expected = git.backend.expect(&app);
        let push = Push {
            app,
            account,
            expected,
            turn: None,
        };
        git.pushes.lock().pushes.insert(id, push);
        PushGuard {
            git: Arc::clone(git),
            id,
            app_name,
        }
    }

    pub(super) fn find(&self, id: Uuid) -> Option<(App, Account)> {
        let state = self.lock();
        let push = state.pushes.get(&id)?;
        Some((push.app.clone(), push.account.clone()))
    }

    /// The build that was expected when the push began.
    pub(super) fn expected(&self, id: Uuid) -> Option<Id<Build>> {
        let state = self.lock();
        let expected = state.pushes.get(&id)?.expected.as_ref()?;
        Some(expected.build)
    }

    /// The app's turn if it is free, else what to wait for.
    pub(super) fn turn(&self, app: Id<App>) -> Result<OwnedSemaphorePermit, Arc<Semaphore>> {
        let mut state = self.lock();
        let turn = state.turns.entry(app).or_insert_with(|| Arc::new(Semaphore::new(1)));
        Arc::clone(turn).try_acquire_owned().map_err(|_| Arc::clone(turn))
    }

    /// The push keeps the turn until it ends. A push that has ended already gives it back.
    pub(super) fn keep(&self, id: Uuid, turn: OwnedSemaphorePermit) {
        if let Some(push) = self.lock().pushes.get_mut(&id) {
            push.turn = Some(turn);
        }
    }

    fn end(&self, id: Uuid) {
        let mut state = self.lock();
        drop(state.pushes.remove(&id));
        // Nobody holds or waits for these: the next push makes them again.
        state.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PushGuard {
    fn drop(&mut self) {
        self.git.pushes.end(self.id);
    }
}

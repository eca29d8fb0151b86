//! What people hold open: live shells, the streams of one-off dynos, followed logs.
//!
//! A request is authorized once, at its start. What outlives its request is registered here, so that it ends at the very
//! moment in which its holder loses the right to it: a token is revoked, a password changes, a member leaves a team.
//!
//! Whoever opens a session calls [`Sessions::begin`] *before* looking at the rows that allow it, and whoever takes a right
//! away changes the rows *before* calling one of the `end` functions: so no session slips through between the two.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use paas_core::{App, Id};
use paas_store::{
    StoreError,
    account::Account,
    authorization::{self, Authorization},
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::platform::Platform;

/// How long a session may outlive its token when nobody tells us.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// All sessions of the platform.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Live>);

#[derive(Default)]
struct Live {
    begun: u64,
    sessions: HashMap<u64, (Holder, CancellationToken)>,
}

/// Who holds a session, by which token, on which app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    pub(crate) account: Id<Account>,
    pub(crate) authorization: Id<Authorization>,
    pub(crate) app: Id<App>,
}

/// One session. Dropping it says that it is over.
pub(crate) struct Session {
    sessions: Arc<Sessions>,
    number: u64,
    ended: CancellationToken,
}

impl Sessions {
    /// Registers a session of `holder`.
    pub(crate) fn begin(self: &Arc<Self>, holder: Holder) -> Session {
        let ended = CancellationToken::new();
        let mut live = self.lock();
        live.begun += 1;
        let number = live.begun;
        live.sessions.insert(number, (holder, ended.clone()));
        drop(live);
        Session {
            sessions: Arc::clone(self),
            number,
            ended,
        }
    }

    /// Ends all sessions of an account: it was disabled, or has a new password.
    pub(crate) fn end(&self, account: Id<Account>) {
        self.end_where(|holder| holder.account == account);
    }

    /// Ends the sessions that a token opened: it was revoked, or has expired.
    pub(crate) fn end_by(&self, authorization: Id<Authorization>) {
        self.end_where(|holder| holder.authorization == authorization);
    }

    /// Ends the sessions of an account on an app that it may not work on any longer.
    pub(crate) fn end_of(&self, app: Id<App>, account: Id<Account>) {
        self.end_where(|holder| holder.app == app && holder.account == account);
    }

    /// Who holds a session on an app.
    pub(crate) fn accounts_on(&self, app: Id<App>) -> HashSet<Id<Account>> {
        let live = self.lock();
        let holders = live.sessions.values().map(|(holder, _)| holder);
        holders
            .filter(|holder| holder.app == app)
            .map(|holder| holder.account)
            .collect()
    }

    /// Ends all sessions on an app that is being destroyed.
    pub(crate) fn end_all_of(&self, app: Id<App>) {
        self.end_where(|holder| holder.app == app);
    }

    /// By which tokens sessions are open.
    fn authorizations(&self) -> Vec<Id<Authorization>> {
        let live = self.lock();
        let mut ids: Vec<_> = live.sessions.values().map(|(holder, _)| holder.authorization).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    fn end_where(&self, is_meant: impl Fn(&Holder) -> bool) {
        for (holder, ended) in self.lock().sessions.values() {
            if is_meant(holder) {
                ended.cancel();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks again and again whether the tokens are still good by which sessions are open: they may expire, and the operator
/// disables accounts and changes passwords from another process.
pub(crate) async fn watch(platform: &Platform) -> anyhow::Result<()> {
    while platform.stop.run_until_cancelled(sleep(LOOK_EVERY)).await.is_some() {
        if let Err(error) = end_dead(platform).await {
            tracing::debug!(%error, "cannot look at the tokens of open sessions yet");
        }
    }
    Ok(())
}

async fn end_dead(platform: &Platform) -> Result<(), StoreError> {
    let open = platform.sessions.authorizations();
    if open.is_empty() {
        return Ok(());
    }
    let mut connection = platform.store.connection().await?;
    let living = authorization::living(&mut connection, &open, platform.clock.now()).await?;
    for dead in open.into_iter().filter(|id| !living.contains(id)) {
        platform.sessions.end_by(dead);
    }
    Ok(())
}

impl Session {
    /// Cancelled when the holder may not go on.
    pub(crate) const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.sessions.lock().sessions.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn holder(account: u128, authorization: u128, app: u128) -> Holder {
        Holder {
            account: Uuid::from_u128(account).into(),
            authorization: Uuid::from_u128(authorization).into(),
            app: Uuid::from_u128(app).into(),
        }
    }

    /// Which of three sessions an action ends: of one person by two tokens on two apps, and of another.
    fn ended_by(end: impl Fn(&Sessions)) -> [bool; 3] {
        let sessions = Arc::new(Sessions::default());
        let begun = [holder(1, 11, 100), holder(1, 12, 200), holder(2, 21, 100)].map(|holder| sessions.begin(holder));
        end(&sessions);
        begun.map(|session| session.ended().is_cancelled())
    }

    #[test]
    fn exactly_what_lost_its_right_ends() {
        let Holder {
            account,
            authorization,
            app,
        } = holder(1, 11, 100);
        assert_eq!(ended_by(|sessions| sessions.end(account)), [true, true, false]);
        assert_eq!(
            ended_by(|sessions| sessions.end_by(authorization)),
            [true, false, false]
        );
        assert_eq!(ended_by(|sessions| sessions.end_of(app, account)), [true, false, false]);
        assert_eq!(ended_by(|sessions| sessions.end_all_of(app)), [true, false, true]);
    }

    #[test]
    fn a_session_that_is_over_is_forgotten() {
        let sessions = Arc::new(Sessions::default());
        drop(sessions.begin(holder(1, 1, 1)));
        assert!(sessions.lock().sessions.is_empty());
    }

    #[tokio::test]
    async fn a_session_ends_with_a_token_that_another_process_revoked() {
        let test = crate::testing::platform().await;
        let platform = &test.platform;
        let ann = crate::testing::person(platform, "ann@example.com").await;
        let mut conn = platform.store.connection().await.unwrap();
        let now = platform.clock.now();
        let new = |minutes| authorization::NewAuthorization {
            account: ann.id,
            token_hash: authorization::Token::generate().hash(),
            description: String::new(),
            scope: vec!["global".to_owned()],
            expires_at: Some(now + chrono::TimeDelta::minutes(minutes)),
        };
        let short = authorization::create(&mut conn, new(1), now).await.unwrap();
        let long = authorization::create(&mut conn, new(9), now).await.unwrap();
        let session = |id| {
            platform.sessions.begin(Holder {
                account: ann.id,
                authorization: id,
                app: Uuid::from_u128(1).into(),
            })
        };
        let (expiring, revoked) = (session(short.id), session(long.id));
        end_dead(platform).await.unwrap();
        assert!(!expiring.ended().is_cancelled() && !revoked.ended().is_cancelled());
        platform.clock.advance(chrono::TimeDelta::minutes(2));
        end_dead(platform).await.unwrap();
        assert!(expiring.ended().is_cancelled() && !revoked.ended().is_cancelled());
        authorization::delete_all(&mut conn, ann.id, None).await.unwrap();
        end_dead(platform).await.unwrap();
        assert!(revoked.ended().is_cancelled());
    }
}

//! The doors of exposed add-ons: opened and closed as the table says.
//!
//! They are the router's, and not the control plane's, because connections to a database last for hours: they go on while
//! `paasd serve` is away, and while it is upgraded beside a router of its own. A door closes at its end by itself.

use std::{collections::HashMap, io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    exposure::{Entry, Exposed},
    feed::{Exposure, Report},
    listener,
    shared::Shared,
    tls,
};

/// After a port that could not be had: somebody else may leave it.
const BIND_AGAIN: Duration = Duration::from_secs(5);

/// Somebody is told then: the door of the add-on that had this port before may close a moment after its table.
const FAILURES_TOLD: u32 = 2;

/// A port that goes from one add-on to another is another door.
type Key = (SocketAddr, Uuid);

/// One door that is open.
struct Door {
    exposure: watch::Sender<Option<Arc<Entry>>>,
    closed: CancellationToken,
}

impl Door {
    /// Nobody comes in any more, and whoever is inside goes.
    fn close(&self) {
        self.exposure.send_replace(None);
        self.closed.cancel();
    }
}

/// Keeps the doors of the table in force until the router stops.
pub(crate) async fn keep(shared: Arc<Shared>, tls: tls::Acceptor) {
    let mut tables = shared.tables.subscribe();
    let mut doors: HashMap<Key, Door> = HashMap::new();
    // How often in a row a port could not be had.
    let mut failures: HashMap<Key, u32> = HashMap::new();
    let mut before = Arc::default();
    loop {
        let wanted = tables.borrow_and_update().exposures().clone();
        let mut is_whole = true;
        if !Arc::ptr_eq(&wanted, &before) {
            doors.retain(|known, door| {
                let is_wanted = wanted.iter().any(|exposure| key(exposure) == *known);
                if !is_wanted {
                    door.close();
                }
                is_wanted
            });
            failures.retain(|known, _| wanted.iter().any(|exposure| key(exposure) == *known));
            for exposure in wanted.iter() {
                if let Err(error) = adjust(&mut doors, exposure, &shared, &tls) {
                    is_whole = false;
                    let times = failures.entry(key(exposure)).or_default();
                    *times = times.saturating_add(1);
                    if *times == FAILURES_TOLD {
                        tell(&shared, exposure, &error);
                    }
                } else {
                    failures.remove(&key(exposure));
                }
            }
        }
        if is_whole {
            before = wanted;
        }
        tokio::select! {
            changed = tables.changed() => if changed.is_err() { return },
            () = sleep(BIND_AGAIN), if !is_whole => {}
            () = shared.stop.cancelled() => break,
        }
    }
    // Those who are inside have the time of everybody to end; nobody comes in.
    for door in doors.values() {
        door.closed.cancel();
    }
}

/// Opens a door, or tells an open one what is different.
fn adjust(
    doors: &mut HashMap<Key, Door>,
    exposure: &Exposure,
    shared: &Arc<Shared>,
    tls: &tls::Acceptor,
) -> io::Result<()> {
    if let Some(door) = doors.get(&key(exposure)) {
        door.exposure.send_if_modified(|entry| {
            let is_same = entry.as_ref().is_some_and(|entry| entry.exposure == *exposure);
            if !is_same {
                *entry = Some(Arc::new(Entry::new(exposure.clone())));
            }
            !is_same
        });
        return Ok(());
    }
    let listener = listener::bind(exposure.listen)?;
    let (sender, receiver) = watch::channel(Some(Arc::new(Entry::new(exposure.clone()))));
    let closed = CancellationToken::new();
    let exposed = Exposed::new(exposure.addon, shared.clone(), tls.clone(), receiver);
    // Where the router drains, whoever is inside is waited for, and not the door.
    tracing::info!(addon.name = exposure.name, listen = %exposure.listen, "an add-on is exposed");
    shared.outbound.spawn(exposed.accept(listener, closed.clone()));
    let door = Door {
        exposure: sender,
        closed,
    };
    doors.insert(key(exposure), door);
    Ok(())
}

fn key(exposure: &Exposure) -> Key {
    (exposure.listen, exposure.addon)
}

/// Whoever exposed it waits for a port that somebody else has.
fn tell(shared: &Shared, exposure: &Exposure, error: &io::Error) {
    shared.reports.push(&Report::NoPort {
        at: std::time::SystemTime::now().into(),
        app: exposure.app,
        name: exposure.name.as_str().into(),
        listen: exposure.listen,
        error: error.to_string().into(),
    });
    tracing::warn!(
        addon.name = exposure.name,
        listen = %exposure.listen,
        %error,
        "an exposed add-on has no port; trying again"
    );
}

/// When a wall clock will show this time, by the clock that timers go by.
pub(crate) fn instant_of(at: chrono::DateTime<chrono::Utc>) -> Instant {
    let now = chrono::DateTime::<chrono::Utc>::from(std::time::SystemTime::now());
    Instant::now() + (at - now).to_std().unwrap_or_default()
}

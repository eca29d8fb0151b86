//! Apps that nobody asks for go to sleep, and wake when somebody does.
//!
//! The router says both ([`Call`]) and says them again while they are so: a call may be late, lost or overtaken. Whether an app
//! may sleep is decided here, from rows and dynos.

use std::collections::BTreeMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use paas_core::{App, AppWanted, Dyno, DynoName, Id, LogSource};
use paas_store as store;

use crate::platform::Platform;

/// What the router says of an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// A request waits for it.
    Wake,
    /// Nobody asked for it for as long as its rules say.
    Sleep,
}

/// Follows the calls, and says in the logs of the apps what came of them. `wanted` is brought up to date.
pub(super) async fn follow(
    platform: &Platform,
    conn: &mut store::Connection,
    calls: BTreeMap<Id<App>, Call>,
    wanted: &mut [AppWanted],
    dynos: &BTreeMap<Id<App>, Vec<Dyno>>,
    now: DateTime<Utc>,
) -> Result<()> {
    for app in wanted {
        let dynos = dynos.get(&app.app).map_or(&[][..], Vec::as_slice);
        match calls.get(&app.app) {
            Some(Call::Wake) if app.is_asleep => wake(platform, conn, app, now).await?,
            Some(Call::Sleep) if app.may_sleep(dynos, now) && !platform.turns.is_busy(app.app) => {
                sleep(platform, conn, app, dynos, now).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

async fn wake(
    platform: &Platform,
    conn: &mut store::Connection,
    app: &mut AppWanted,
    now: DateTime<Utc>,
) -> Result<()> {
    store::app::wake(conn, app.app, now).await?;
    app.is_asleep = false;
    for (process_type, scale) in &app.formation {
        for index in 1..=scale.quantity {
            let process_type = process_type.clone();
            let name = DynoName { process_type, index }.to_string();
            platform.log(app.app, LogSource::Heroku, &name, "Unidling");
            platform.log(app.app, LogSource::Heroku, &name, "State changed from down to starting");
        }
    }
    Ok(())
}

async fn sleep(
    platform: &Platform,
    conn: &mut store::Connection,
    app: &mut AppWanted,
    dynos: &[Dyno],
    now: DateTime<Utc>,
) -> Result<()> {
    store::app::sleep(conn, app.app, now).await?;
    app.is_asleep = true;
    for dyno in dynos.iter().filter(|dyno| !dyno.state.is_stopping()) {
        platform.log(app.app, LogSource::Heroku, &dyno.name.to_string(), "Idling");
    }
    Ok(())
}

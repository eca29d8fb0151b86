//! What people hear about certificates: in the log of the app whose name it is, or in the server's own.

use std::collections::HashMap;

use anyhow::Result;
use chrono::{DateTime, Utc};
use paas_core::{Acm, AcmState, App, DomainName, Id, LogSource, warning};
use paas_store::{
    self as store,
    acm::ManagedName,
    certificate::{Served, Source},
};

use super::step::dates;
use crate::platform::Platform;

/// Tells what has become of a name, when it is news.
pub(super) fn change(platform: &Platform, before: &ManagedName, after: &Acm) {
    let hostname = &before.hostname;
    let is_news = before.acm.reason != after.reason;
    let reason = after.reason.as_deref().unwrap_or_default();
    let message = match &after.state {
        AcmState::Issued { .. } if matches!(before.acm.state, AcmState::Ordering { .. }) => {
            format!("Certificate issued for {hostname}")
        }
        AcmState::Waiting { .. } if is_news => format!("No certificate for {hostname} yet: {reason}"),
        AcmState::Verified { .. } | AcmState::Ordering { .. } if is_news && !reason.is_empty() => {
            format!("Certificate for {hostname} is delayed: {reason}")
        }
        AcmState::Failing { retry_at } if is_news => format!(
            "Certificate for {hostname} failed: {reason} (next try at {})",
            retry_at.format("%Y-%m-%d %H:%M UTC")
        ),
        AcmState::Failed => {
            format!("Gave up on a certificate for {hostname}: {reason} (ask again with certs:auto:refresh)")
        }
        _ => return,
    };
    say(platform, before.app, &message);
}

/// Warns of certificates that end soon: at each of some days before, once.
pub(super) async fn warn(
    conn: &mut store::Connection,
    platform: &Platform,
    served: &[Served],
    rows: &HashMap<DomainName, ManagedName>,
    now: DateTime<Utc>,
) -> Result<()> {
    for Served { certificate, hostnames } in served {
        let held = dates(certificate);
        let Some(days) = warning(&held, now) else { continue };
        if !store::acm::warn_once(conn, certificate.id, days, now).await? {
            continue;
        }
        let names: Vec<_> = hostnames.iter().map(ToString::to_string).collect();
        let names = names.join(", ");
        let until = certificate.not_after.format("%Y-%m-%d %H:%M UTC");
        let verb = if held.is_valid(now) { "expires" } else { "has expired" };
        let (app, advice) = match &certificate.source {
            Source::Uploaded { app, name } => (
                Some(*app),
                format!("Upload another one with certs:update {name}, or leave it to certs:auto:enable"),
            ),
            Source::Acme | Source::Local => {
                let row = hostnames.iter().find_map(|hostname| rows.get(hostname));
                let reason = row.and_then(|row| row.acm.reason.clone());
                let reason = reason.unwrap_or_else(|| "certs:auto says how its renewal stands".to_owned());
                (row.and_then(|row| row.app), reason)
            }
        };
        let message = format!("Certificate for {names} {verb} ({until}), {days} days or less are left: {advice}");
        tracing::warn!(hostnames = names, %until, "a certificate ends soon");
        if app.is_some() {
            say(platform, app, &message);
        }
    }
    Ok(())
}

fn say(platform: &Platform, app: Option<Id<App>>, message: &str) {
    match app {
        Some(app) => platform.log(app, LogSource::Heroku, "acm", message),
        None => tracing::info!("{message}"),
    }
}

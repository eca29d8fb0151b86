//! `paasd certificates`: how every name's certificate is doing. Works on the database of a running or a stopped server.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use paas_core::{AcmState, Authority};
use paas_store::{
    self as store,
    acm::ManagedName,
    certificate::{Certificate, Source},
};

use super::serve;
use crate::{clock::Clock, config::Settings};

pub(super) async fn run(settings: Settings) -> Result<()> {
    serve::make_data_dir(&settings)?;
    let (store, embedded) = serve::open_store(&settings).await?;
    let text = report(&store, Clock::system().now()).await;
    store.close().await;
    if let Some(embedded) = embedded.filter(|_| !serve::is_running(&settings)) {
        embedded.stop().await?;
    }
    io::stdout()
        .write_all(text?.as_bytes())
        .context("writing to standard output")
}

async fn report(store: &store::Store, now: DateTime<Utc>) -> Result<String> {
    let mut conn = store.connection().await?;
    let names = store::acm::all(&mut conn).await?;
    let certificates = store::certificate::all(&mut conn).await?;
    let managed = names.iter().map(|name| Line::of_managed(name, &certificates, now));
    let uploaded = certificates
        .iter()
        .filter_map(|certificate| Line::of_uploaded(certificate, now));
    Ok(table(&managed.chain(uploaded).collect::<Vec<_>>()))
}

/// What is shown of one certificate.
struct Line {
    cells: [String; COLUMNS],
    /// The authority's, or ours about DNS.
    words: Option<String>,
}

const COLUMNS: usize = 6;
const HEADER: [&str; COLUMNS] = ["Name", "From", "Expires", "State", "Last try", "Next"];

impl Line {
    fn of_managed(name: &ManagedName, certificates: &[Certificate], now: DateTime<Utc>) -> Self {
        let acm = &name.acm;
        let of_name = certificates.iter().filter(|certificate| {
            let is_source = match acm.state {
                AcmState::Local => certificate.source == Source::Local,
                _ => certificate.source == Source::Acme,
            };
            is_source && certificate.covers(&name.hostname)
        });
        let current = of_name.max_by_key(|certificate| certificate.not_after);
        let is_valid = current.is_some_and(|certificate| certificate.is_valid_at(now));
        let from = match (&acm.state, acm.issued_by) {
            (AcmState::Local, _) => "this platform",
            (_, Some(Authority::Fallback)) => "the fallback authority",
            (_, _) if current.is_some() => "the authority",
            _ => "",
        };
        Self {
            cells: [
                name.hostname.to_string(),
                from.to_owned(),
                current.map(|certificate| expiry(certificate, now)).unwrap_or_default(),
                acm.status(is_valid).to_owned(),
                acm.tried_at.map(time).unwrap_or_default(),
                acm.next_at().map(|next| time(next.max(now))).unwrap_or_default(),
            ],
            words: acm.reason.clone(),
        }
    }

    fn of_uploaded(certificate: &Certificate, now: DateTime<Utc>) -> Option<Self> {
        let Source::Uploaded { name, .. } = &certificate.source else {
            return None;
        };
        let names: Vec<_> = certificate.hostnames.iter().map(ToString::to_string).collect();
        let state = if certificate.is_valid_at(now) {
            "uploaded"
        } else {
            "not valid"
        };
        Some(Self {
            cells: [
                names.join(", "),
                name.clone(),
                expiry(certificate, now),
                state.to_owned(),
                String::new(),
                String::new(),
            ],
            words: None,
        })
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M UTC").to_string()
}

fn expiry(certificate: &Certificate, now: DateTime<Utc>) -> String {
    let date = certificate.not_after.format("%Y-%m-%d");
    match (certificate.not_after - now).num_days() {
        _ if certificate.not_after <= now => format!("{date} (expired)"),
        0 => format!("{date} (today)"),
        1 => format!("{date} (1 day)"),
        days => format!("{date} ({days} days)"),
    }
}

/// Columns that line up; what was said stands below its line.
fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return "There are no certificates yet.\n".to_owned();
    }
    let header = HEADER.map(str::to_owned);
    let rows = || std::iter::once(&header).chain(lines.iter().map(|line| &line.cells));
    let mut widths = [0; COLUMNS];
    for cells in rows() {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    let words = std::iter::once(None).chain(lines.iter().map(|line| line.words.as_ref()));
    for (cells, words) in rows().zip(words) {
        let mut row = String::new();
        for (cell, width) in cells.iter().zip(widths) {
            let _ = write!(row, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", row.trim_end());
        for line in words.into_iter().flat_map(|words| words.lines()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use paas_core::{Acm, App, DnsVerdict, DomainName, Held, Id};
    use paas_store::{Stamp, Store, acm::Standing, app::NewApp, certificate::Material, testing};
    use uuid::Uuid;

    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn held(days: i64) -> Held {
        Held {
            not_before: noon() - TimeDelta::days(30),
            not_after: noon() + TimeDelta::days(days),
        }
    }

    fn material(hostnames: &[DomainName], days: i64) -> Material<'_> {
        Material {
            hostnames,
            chain_pem: "chain",
            key_pem: "canary",
            not_before: held(days).not_before,
            not_after: held(days).not_after,
        }
    }

    /// A managed name that stands so.
    async fn manage(store: &Store, hostname: &str, acm: Acm) {
        let mut conn = store.connection().await.unwrap();
        let server = Uuid::nil();
        store::acm::manage(&mut conn, &name(hostname), None, &Acm::new(noon()), noon())
            .await
            .unwrap();
        let row = store::acm::find(&mut conn, &name(hostname)).await.unwrap().unwrap();
        let until = noon() + TimeDelta::minutes(1);
        assert!(
            store::acm::lease(&mut conn, row.id, server, until, noon())
                .await
                .unwrap()
        );
        let standing = Standing {
            acm: &acm,
            window_due_at: None,
            fault: None,
        };
        assert!(store::acm::save(&mut conn, &row, standing, server).await.unwrap());
    }

    #[tokio::test]
    async fn every_name_is_shown_with_what_was_last_said_of_it() {
        let database = testing::database().await;
        let store = &database.store;
        assert_eq!(report(store, noon()).await.unwrap(), "There are no certificates yet.\n");

        let issued = Acm {
            tried_at: Some(noon() - TimeDelta::days(30)),
            ..Acm::new(noon()).issued(Some(Authority::Production), &held(60), noon(), 0.5)
        };
        manage(store, "www.example.com", issued).await;
        let words = "new.example.com has no address.\nCreate one.".to_owned();
        let waiting = Acm::new(noon()).dns_checked(DnsVerdict::Wait(words), noon());
        manage(store, "new.example.com", waiting).await;
        manage(
            store,
            "api.localhost",
            Acm::local("Nobody can validate it".to_owned(), noon()),
        )
        .await;

        let mut conn = store.connection().await.unwrap();
        let (www, local) = ([name("www.example.com")], [name("api.localhost")]);
        for days in [-1, 60] {
            store::certificate::issued_by_acme(&mut conn, &store.sealer, material(&www, days), noon())
                .await
                .unwrap();
        }
        store::certificate::issued_locally(&mut conn, &store.sealer, material(&local, 1), noon())
            .await
            .unwrap();
        let stamp = Stamp {
            by: database.account("ann").await,
            at: noon(),
        };
        let new = NewApp {
            id: Id::<App>::from_uuid(Uuid::from_u128(1)),
            name: "hello".parse().unwrap(),
            stack: "paas-24".to_owned(),
        };
        let app = store::app::create(&mut conn, &store.sealer, new, stamp).await.unwrap();
        let shop = [name("shop.example.com"), name("*.shop.example.com")];
        let material = material(&shop, -1);
        store::certificate::upload(&mut conn, &store.sealer, app.app.id, "tokyo-1", material, stamp)
            .await
            .unwrap();
        drop(conn);

        insta::assert_snapshot!(report(store, noon()).await.unwrap(), @"
        Name                                  From           Expires               State        Last try              Next
        api.localhost                         this platform  2026-11-22 (1 day)    cert issued
            Nobody can validate it
        new.example.com                                                            pending                            2026-11-21 12:00 UTC
            new.example.com has no address.
            Create one.
        www.example.com                       the authority  2027-01-20 (60 days)  cert issued  2026-10-22 12:00 UTC  2026-12-22 09:36 UTC
        shop.example.com, *.shop.example.com  tokyo-1        2026-11-20 (expired)  not valid
        ");
    }
}

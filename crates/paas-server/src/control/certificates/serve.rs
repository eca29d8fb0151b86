//! What the router shows in a handshake.

use anyhow::Result;
use chrono::{DateTime, Utc};
use paas_core::Id;
use paas_router::feed;
use paas_store::{
    self as store,
    certificate::{Certificate, Served, Source},
};

use crate::platform::Platform;

/// The router's word for every name without a certificate of its own.
const ANY: &str = "*";

pub(super) struct Loaded {
    pub(super) certificates: Vec<feed::Certificate>,
    pub(super) facts: Vec<Served>,
}

/// Everything that is served; `default` is for whoever asks for a name that nothing else is for.
pub(super) async fn load(
    conn: &mut store::Connection,
    platform: &Platform,
    default: Option<Id<Certificate>>,
    now: DateTime<Utc>,
) -> Result<Loaded> {
    let mut facts = store::certificate::all_served(conn, &platform.settings.domain, now).await?;
    if let Some(default) = default
        && !facts.iter().any(|served| served.certificate.id == default)
        && let Some(certificate) = store::certificate::by_id(conn, default).await?
    {
        facts.push(Served {
            certificate,
            hostnames: Vec::new(),
        });
    }
    let sealer = &platform.store.sealer;
    let certificates = facts.iter().filter_map(|served| {
        let Served { certificate, hostnames } = served;
        let mut hostnames: Vec<_> = hostnames.iter().map(ToString::to_string).collect();
        if Some(certificate.id) == default {
            hostnames.push(ANY.to_owned());
        }
        match store::certificate::key(sealer, certificate) {
            Ok(key_pem) => Some(feed::Certificate {
                hostnames,
                chain_pem: certificate.chain_pem.clone(),
                key_pem,
            }),
            // One key that does not open must not take all others away.
            Err(error) => {
                let hostnames = hostnames.join(" ");
                tracing::error!(%error, hostnames, "a certificate cannot be served");
                None
            }
        }
    });
    Ok(Loaded {
        certificates: certificates.collect(),
        facts: facts
            .iter()
            .filter(|served| served.certificate.source != Source::Local)
            .cloned()
            .collect(),
    })
}

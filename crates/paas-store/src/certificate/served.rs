//! Which certificate goes with which name.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use paas_core::{DomainName, Hostname, Id};

use super::{Certificate, Source, all};
use crate::{PgConnection, StoreError, domain, domain::Domain};

/// A certificate, and the names that it is shown for: not always all that it is valid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    pub certificate: Certificate,
    pub hostnames: Vec<DomainName>,
}

/// What the router serves, by age of the certificates. For a custom domain: the certificate that was chosen for it, else the
/// managed one of its name, if its app manages certificates. For names of the platform, which are `platform` and all below
/// it: the managed one. Of several managed ones that cover a name, the authority's goes before our own, one that is valid
/// now before others, then the one that lasts longest: an expired one still serves while there is no other.
pub async fn all_served(
    conn: &mut PgConnection,
    platform: &Hostname,
    now: DateTime<Utc>,
) -> Result<Vec<Served>, StoreError> {
    let domains = domain::list_all(conn).await?;
    let certificates = all(conn).await?;
    Ok(choose(&domains, certificates, platform, now))
}

fn choose(domains: &[Domain], certificates: Vec<Certificate>, platform: &Hostname, now: DateTime<Utc>) -> Vec<Served> {
    // Each name's best managed certificate, by every name that a certificate has.
    let mut managed: BTreeMap<&DomainName, &Certificate> = BTreeMap::new();
    for certificate in certificates.iter().filter(|certificate| is_managed(certificate)) {
        for name in &certificate.hostnames {
            let best = managed.entry(name).or_insert(certificate);
            if rank(certificate, now) > rank(best, now) {
                *best = certificate;
            }
        }
    }
    let mut chosen: BTreeMap<Id<Certificate>, BTreeSet<DomainName>> = BTreeMap::new();
    let mut serve = |certificate: Id<Certificate>, name: &DomainName| {
        chosen.entry(certificate).or_default().insert(name.clone());
    };
    for domain in domains {
        if let Some(certificate) = &domain.certificate {
            serve(certificate.id, &domain.hostname);
        } else if domain.acm {
            let above = domain.hostname.wildcard_above();
            let exact = managed.get(&domain.hostname);
            let wildcard = above.as_ref().and_then(|above| managed.get(above));
            if let Some(certificate) = exact.into_iter().chain(wildcard).max_by_key(|found| rank(found, now)) {
                serve(certificate.id, &domain.hostname);
            }
        }
    }
    let custom: BTreeSet<_> = domains.iter().map(|domain| &domain.hostname).collect();
    let is_platforms = |name: &DomainName| name.base() == platform || name.base().is_below(platform);
    for (name, certificate) in &managed {
        if is_platforms(name) && !custom.contains(name) {
            serve(certificate.id, name);
        }
    }
    certificates
        .into_iter()
        .filter_map(|certificate| {
            let hostnames = chosen.remove(&certificate.id)?.into_iter().collect();
            Some(Served { certificate, hostnames })
        })
        .collect()
}

fn is_managed(certificate: &Certificate) -> bool {
    !matches!(certificate.source, Source::Uploaded { .. })
}

fn rank(certificate: &Certificate, now: DateTime<Utc>) -> (bool, bool, DateTime<Utc>) {
    (
        certificate.source == Source::Acme,
        certificate.is_valid_at(now),
        certificate.not_after,
    )
}

//! Certificates of our own authority.

use anyhow::Result;
use chrono::{DateTime, Utc};
use paas_core::{DomainName, Id};
use paas_router::certificate::certificate_facts;
use paas_store::{
    self as store,
    certificate::{Certificate, Material, Source},
};

use super::{CertificatesController, WantedAuthority, same_names, wanted::Wanted};

/// What a laptop calls itself besides names.
const LOOPBACK: [&str; 2] = ["127.0.0.1", "::1"];

impl CertificatesController {
    /// Certifies what is wanted of us and not there, or has lived for two thirds of its life. Always among it: the
    /// certificate for every name that has no other, which is returned.
    pub(super) async fn certify_locally(
        &self,
        conn: &mut store::Connection,
        wanted: &[Wanted],
        now: DateTime<Utc>,
    ) -> Result<Id<Certificate>> {
        let certificates = store::certificate::managed(conn).await?;
        let domain = &self.platform.settings.domain;
        let default = [DomainName::Wildcard(domain.clone()), DomainName::Exact(domain.clone())];
        let local = wanted
            .iter()
            .filter(|wanted| wanted.authority == WantedAuthority::Local);
        for wanted in local.filter(|wanted| !same_names(&wanted.names, &default)) {
            self.certify(conn, &certificates, &wanted.names, now).await?;
        }
        self.certify(conn, &certificates, &default, now).await
    }

    async fn certify(
        &self,
        conn: &mut store::Connection,
        certificates: &[Certificate],
        names: &[DomainName],
        now: DateTime<Utc>,
    ) -> Result<Id<Certificate>> {
        let is_good = |certificate: &&Certificate| {
            let age = now - certificate.not_before;
            certificate.source == Source::Local
                && same_names(&certificate.hostnames, names)
                && age * 3 < (certificate.not_after - certificate.not_before) * 2
                && certificate_facts(&certificate.chain_pem).is_ok_and(|facts| self.local_ca.has_issued(&facts))
        };
        if let Some(good) = certificates.iter().filter(is_good).max_by_key(|good| good.not_after) {
            return Ok(good.id);
        }
        let mut texts: Vec<_> = names.iter().map(ToString::to_string).collect();
        if names.iter().any(|name| name.base().as_str() == "localhost") {
            texts.extend(LOOPBACK.map(str::to_owned));
        }
        let leaf = self.local_ca.issue(&texts, now)?;
        let material = Material {
            hostnames: names,
            chain_pem: &leaf.chain_pem,
            key_pem: &leaf.key_pem,
            not_before: leaf.held.not_before,
            not_after: leaf.held.not_after,
        };
        let sealer = &self.platform.store.sealer;
        let certificate = store::certificate::issued_locally(conn, sealer, material, now).await?;
        tracing::debug!(hostnames = texts.join(" "), "certified by our own authority");
        Ok(certificate.id)
    }
}

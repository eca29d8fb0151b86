//! The steps of one name, until it rests.

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{
    Acm, AcmState, AcmStep, Authority as Part, DnsVerdict, DomainName, Failure, Fault, Held, Ledger, OrderKind,
    RenewalWindow,
};
use paas_router::acme::{AcmeError, PrivateKey};
use paas_store::{
    self as store,
    acm::{ManagedName, NewOrder, Standing},
    certificate::Certificate,
};

use super::{CertificatesController, LEASE, authorities::AskError, current, tell, wanted::Wanted};
use crate::{config::AcmeSettings, dns::Verdict};

/// Far above what any way from nothing to a certificate takes.
const MAXIMUM_STEPS: usize = 20;
/// How soon and how late renewal information is asked for again, whatever the authority says (RFC 9773 §4.3).
const WINDOW_PAUSES: (TimeDelta, TimeDelta) = (TimeDelta::minutes(1), TimeDelta::days(1));
/// After an authority did not answer.
const WINDOW_RETRY: TimeDelta = TimeDelta::hours(6);

/// What has come of working on a name.
pub(super) enum Advance {
    Done,
    /// Another server has the lease, or the name is gone.
    NotOurs,
}

/// A name whose lease we have.
pub(super) struct Name<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) row: ManagedName,
    pub(super) certificate: Option<Certificate>,
    pub(super) acme: &'a AcmeSettings,
}

impl CertificatesController {
    /// Does what is due about a name.
    pub(super) async fn advance(&self, wanted: &Wanted) -> Result<Advance> {
        let mut leased = None;
        let mut result = Ok(true);
        for _ in 0..MAXIMUM_STEPS {
            let Some(name) = self.take(wanted).await? else { break };
            leased = Some(name.row.id);
            result = Box::pin(self.step(&name)).await;
            if !matches!(result, Ok(true)) {
                break;
            }
        }
        let Some(id) = leased else {
            return Ok(Advance::NotOurs);
        };
        let mut conn = self.platform.store.connection().await?;
        store::acm::release(&mut conn, id, self.server).await?;
        result.map(|_| Advance::Done)
    }

    /// The name as it stands, if nobody else works on it.
    async fn take<'a>(&'a self, wanted: &'a Wanted) -> Result<Option<Name<'a>>> {
        let acme = self.platform.settings.acme.as_ref();
        let acme = acme.context("no certificate authority is set up")?;
        let mut conn = self.platform.store.connection().await?;
        let Some(row) = store::acm::find(&mut conn, &wanted.hostname).await? else {
            return Ok(None);
        };
        let now = self.platform.clock.now();
        if !store::acm::lease(&mut conn, row.id, self.server, now + LEASE, now).await? {
            return Ok(None);
        }
        // What another server did before we had the lease.
        let Some(row) = store::acm::find(&mut conn, &wanted.hostname).await? else {
            return Ok(None);
        };
        let certificates = store::certificate::managed(&mut conn).await?;
        Ok(Some(Name {
            wanted,
            row,
            certificate: current(&certificates, wanted).cloned(),
            acme,
        }))
    }

    /// One step. `false`: there is nothing more to do for now.
    async fn step(&self, name: &Name<'_>) -> Result<bool> {
        let now = self.platform.clock.now();
        let acm = name.row.acm.clone();
        match name.decide(&self.ledger(name).await?, now) {
            AcmStep::Rest(_) => self.ask_for_window(name).await,
            AcmStep::Adopt => match name.held() {
                Some(held) => self.save(name, acm.issued(None, &held, now, dice()), None).await,
                None => Ok(false),
            },
            AcmStep::CheckDns => {
                let verdict = self.look_at_dns(name).await;
                self.save(name, acm.dns_checked(verdict, self.platform.clock.now()), None)
                    .await
            }
            AcmStep::HoldBack(blocked) => self.save(name, acm.held_back(&blocked, now), None).await,
            AcmStep::Order { authority, kind } => self.place(name, authority, kind).await,
            AcmStep::Pursue => self.pursue(name).await,
        }
    }

    async fn look_at_dns(&self, name: &Name<'_>) -> DnsVerdict {
        let issuers = name.acme.issuers();
        let verdict = match &name.wanted.hostname {
            DomainName::Exact(hostname) => {
                let addresses = self.platform.addresses.current().await;
                self.resolver.check(hostname, &addresses, &issuers).await
            }
            DomainName::Wildcard(_) if self.publisher.is_none() => {
                return DnsVerdict::Wait(
                    "A certificate for a wildcard needs DNS-01. Start paasd with --dns-hook or --dns-route53, or upload a \
                     certificate."
                        .to_owned(),
                );
            }
            DomainName::Wildcard(base) => self.resolver.check_wildcard(base, &issuers).await,
        };
        match verdict {
            Verdict::PointsHere => DnsVerdict::PointsHere,
            Verdict::Unknown(words) => DnsVerdict::Unknown(words),
            Verdict::Wait(findings) => {
                let words: Vec<_> = findings.iter().map(ToString::to_string).collect();
                DnsVerdict::Wait(words.join(" "))
            }
        }
    }

    async fn place(&self, name: &Name<'_>, part: Part, kind: OrderKind) -> Result<bool> {
        let platform = &self.platform;
        let authority = match self.authorities.get(part, platform).await {
            Ok(authority) => authority,
            Err(error) => return self.fail(name, part, &error).await,
        };
        let directory = name.acme.directory(part).context("an authority without a directory")?;
        let names = name.wanted.texts();
        let key = PrivateKey::generate()?;
        {
            let _placing = self.placing.lock().await;
            let now = platform.clock.now();
            // Other names may have placed orders since.
            if name.decide(&self.ledger(name).await?, now) != (AcmStep::Order { authority: part, kind }) {
                return Ok(true);
            }
            let order = NewOrder {
                directory: &directory.url,
                names: &names,
                kind,
                key_pem: key.pem(),
            };
            let mut conn = platform.store.connection().await?;
            let sealer = &platform.store.sealer;
            if !store::acm::begin_order(&mut conn, sealer, name.row.id, order, self.server, now).await? {
                return Ok(false);
            }
        }
        let replaces = name.certificate.as_ref().filter(|_| kind == OrderKind::Advised);
        let placed = authority.order(&names, replaces.map(|certificate| certificate.chain_pem.as_str()));
        match placed.await {
            Ok(url) => {
                let hostname = &name.row.hostname;
                tracing::info!(%hostname, authority = part.as_str(), kind = kind.as_str(), "certificate ordered");
                let acm = name.row.acm.clone();
                let acm = acm.ordered(part, url.as_str().to_owned(), platform.clock.now());
                self.save(name, acm, None).await
            }
            Err(error) => self.fail(name, part, &error.into()).await,
        }
    }

    /// Asks the authority when it would like its certificate to be renewed, if it is time to ask. `true`: that may be now.
    async fn ask_for_window(&self, name: &Name<'_>) -> Result<bool> {
        let now = self.platform.clock.now();
        let (Some(due_at), Some(part), Some(certificate)) =
            (window_due_at(&name.row), name.row.acm.issued_by, &name.certificate)
        else {
            return Ok(false);
        };
        if due_at > now {
            return Ok(false);
        }
        let window = match self.authorities.get(part, &self.platform).await {
            Ok(authority) => authority
                .renewal_window(&certificate.chain_pem)
                .await
                .map_err(AskError::Acme),
            Err(error) => Err(error),
        };
        let mut acm = name.row.acm.clone();
        let pause = match window {
            Ok(Some(window)) => {
                let suggested = RenewalWindow {
                    start: window.start,
                    end: window.end,
                };
                acm = acm.advised(suggested, now, dice());
                let (shortest, longest) = WINDOW_PAUSES;
                let told = TimeDelta::from_std(window.ask_again_after).unwrap_or(longest);
                told.clamp(shortest, longest)
            }
            Ok(None) => WINDOW_PAUSES.1,
            Err(error) => {
                tracing::debug!(hostname = %name.row.hostname, %error, "no renewal information");
                WINDOW_RETRY
            }
        };
        let is_new = acm.window != name.row.acm.window;
        self.save_with(name, acm, None, Some(now + pause)).await?;
        Ok(is_new)
    }

    /// Notes that nothing came of an order. What is not the world's fault is returned as an error.
    pub(super) async fn fail(&self, name: &Name<'_>, part: Part, error: &AskError) -> Result<bool> {
        let now = self.platform.clock.now();
        let Some(fault) = error.fault(now) else {
            anyhow::bail!("{error}");
        };
        let words = match error {
            AskError::Acme(AcmeError::Refused(problem)) => problem.words.clone(),
            other => other.to_string(),
        };
        self.fail_with(name, part, fault, words).await
    }

    pub(super) async fn fail_with(&self, name: &Name<'_>, part: Part, fault: Fault, words: String) -> Result<bool> {
        let now = self.platform.clock.now();
        if fault == Fault::Lost {
            self.authorities.forget(part).await;
        }
        let failure = Failure {
            authority: part,
            fault,
            words,
        };
        let has_certificate = name.held().is_some_and(|held| held.is_valid(now));
        let acm = name.row.acm.clone();
        let acm = acm.failed(failure, has_certificate, name.acme.authorities(), now, dice());
        self.save(name, acm, Some(fault)).await?;
        Ok(false)
    }

    /// Saves where the name stands now. `false`: the lease is gone, and the name with it.
    pub(super) async fn save(&self, name: &Name<'_>, acm: Acm, fault: Option<Fault>) -> Result<bool> {
        // A new certificate has a window of its own.
        let is_new = matches!(acm.state, AcmState::Issued { .. });
        let due_at = name.row.window_due_at.filter(|_| !is_new);
        self.save_with(name, acm, fault, due_at).await
    }

    async fn save_with(
        &self,
        name: &Name<'_>,
        acm: Acm,
        fault: Option<Fault>,
        window_due_at: Option<DateTime<Utc>>,
    ) -> Result<bool> {
        let standing = Standing {
            acm: &acm,
            window_due_at,
            fault,
        };
        let mut conn = self.platform.store.connection().await?;
        let saved = store::acm::save(&mut conn, &name.row, standing, self.server).await?;
        drop(conn);
        if saved {
            tell::change(&self.platform, &name.row, &acm);
        }
        Ok(saved)
    }

    async fn ledger(&self, name: &Name<'_>) -> Result<Ledger> {
        let mut entries = Vec::new();
        if matches!(name.row.acm.state, AcmState::Verified { .. }) {
            let now = self.platform.clock.now();
            let mut conn = self.platform.store.connection().await?;
            for part in Part::ALL {
                if let Some(directory) = name.acme.directory(part) {
                    entries.extend(store::acme_ledger::of_directory(&mut conn, &directory.url, part, now).await?);
                }
            }
        }
        Ok(Ledger(entries))
    }
}

impl Name<'_> {
    fn decide(&self, ledger: &Ledger, now: DateTime<Utc>) -> AcmStep {
        let (names, held) = (self.wanted.texts(), self.held());
        self.row
            .acm
            .decide(&names, held.as_ref(), ledger, self.acme.authorities(), now)
    }

    pub(super) fn held(&self) -> Option<Held> {
        self.certificate.as_ref().map(dates)
    }
}

pub(super) fn dates(certificate: &Certificate) -> Held {
    Held {
        not_before: certificate.not_before,
        not_after: certificate.not_after,
    }
}

/// When to ask for renewal information: at once for a new certificate.
pub(super) fn window_due_at(row: &ManagedName) -> Option<DateTime<Utc>> {
    let is_issued = matches!(row.acm.state, AcmState::Issued { .. }) && row.acm.issued_by.is_some();
    is_issued.then(|| row.window_due_at.unwrap_or(row.acm.changed_at))
}

/// From 0 to 1.
pub(super) fn dice() -> f64 {
    rand::random()
}

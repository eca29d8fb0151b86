//! Brings an order on: shows the authority what it wants to see, until it gives out the certificate or says why not.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use paas_core::{AcmState, Authority as Part, Fault};
use paas_router::{
    acme::{Authority, ChallengeKind, Offer, OrderState, OrderUrl, PrivateKey, Problem, Validation, ValidationState},
    certificate::certificate_facts,
};
use paas_store::{self as store, certificate::Material};
use tokio::time::{Instant, sleep};

use super::{
    CertificatesController, LEASE,
    authorities::{AskError, of_problem},
    step::{Name, dates, dice},
};

/// An authority that takes longer is looked at again later.
const LIMIT: Duration = Duration::from_mins(5);
const FIRST_LOOK: Duration = Duration::from_millis(500);
const LAST_LOOK: Duration = Duration::from_secs(5);
/// Servers of a zone tell each other of a record within minutes.
const VISIBLE_LIMIT: Duration = Duration::from_mins(5);
/// A lease that outlives the wait for all of them.
const LONG_LEASE: TimeDelta = TimeDelta::minutes(10);

/// What an order has come to.
enum Outcome {
    /// The authority is convinced, and was only asked for that.
    Rehearsed,
    Issued {
        chain_pem: String,
        key_pem: String,
    },
    Failed(Fault, String),
    /// Another server works on the name.
    Left,
}

/// TXT records by name.
type Records = BTreeMap<String, Vec<String>>;

impl CertificatesController {
    pub(super) async fn pursue(&self, name: &Name<'_>) -> Result<bool> {
        let AcmState::Ordering {
            authority: part,
            order_url,
            ..
        } = &name.row.acm.state
        else {
            return Ok(false);
        };
        let part = *part;
        let directory = name.acme.directory(part).map(|directory| directory.url.as_str());
        if directory.is_none() || name.row.order.as_ref().map(|order| order.directory.as_str()) != directory {
            let words = "The order was placed with an authority that is not set up any more".to_owned();
            return self.fail_with(name, part, Fault::Lost, words).await;
        }
        let authority = match self.authorities.get(part, &self.platform).await {
            Ok(authority) => authority,
            Err(error) => return self.fail(name, part, &error).await,
        };
        let mut records = Records::new();
        let order = OrderUrl::new(order_url.clone());
        let outcome = self.bring_on(name, part, &authority, &order, &mut records).await;
        self.clear(name, &records).await;
        match outcome {
            Ok(Outcome::Left) => Ok(false),
            Ok(Outcome::Rehearsed) => {
                let acm = name.row.acm.clone();
                self.save(name, acm.rehearsed(self.platform.clock.now()), None).await
            }
            Ok(Outcome::Issued { chain_pem, key_pem }) => self.keep(name, part, &chain_pem, &key_pem).await,
            Ok(Outcome::Failed(fault, words)) => self.fail_with(name, part, fault, words).await,
            Err(error) => self.fail(name, part, &error).await,
        }
    }

    async fn bring_on(
        &self,
        name: &Name<'_>,
        part: Part,
        authority: &Authority,
        order: &OrderUrl,
        records: &mut Records,
    ) -> Result<Outcome, AskError> {
        let deadline = Instant::now() + LIMIT;
        let mut pause = FIRST_LOOK;
        let mut is_shown = false;
        loop {
            match authority.look(order).await? {
                OrderState::Validate(validations) => {
                    if are_to_be_shown(&validations, is_shown) {
                        is_shown = true;
                        if let Err(error) = self.prove(name, &validations, records).await {
                            return Ok(Outcome::Failed(Fault::Ours, format!("{error:#}")));
                        }
                        for validation in validations.iter().filter(|validation| is_wanted(validation)) {
                            let kind = kind(name, validation);
                            authority.ready(order, &validation.name, kind).await?;
                        }
                        pause = FIRST_LOOK;
                    }
                }
                OrderState::Ready if part == Part::Staging => return Ok(Outcome::Rehearsed),
                OrderState::Ready => match self.key(name)? {
                    Some(key_pem) => {
                        authority.finalize(order, &PrivateKey::from_pem(key_pem)).await?;
                        pause = FIRST_LOOK;
                    }
                    None => return Ok(lost_key()),
                },
                OrderState::Processing => {}
                OrderState::Issued { chain_pem } => {
                    return Ok(match self.key(name)? {
                        Some(key_pem) => Outcome::Issued { chain_pem, key_pem },
                        None => lost_key(),
                    });
                }
                OrderState::Failed(problem) => return Ok(failed(problem)),
            }
            if Instant::now() > deadline {
                let words = "The authority has not decided about the order yet".to_owned();
                return Ok(Outcome::Failed(Fault::Authority { retry_at: None }, words));
            }
            sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_LOOK);
            if !self.extend_lease(name, LEASE).await? {
                return Ok(Outcome::Left);
            }
        }
    }

    /// Puts in place what the authority wants to see of every name that is not validated yet.
    async fn prove(&self, name: &Name<'_>, validations: &[Validation], records: &mut Records) -> Result<()> {
        let mut challenges = Vec::new();
        for validation in validations
            .iter()
            .filter(|validation| validation.state != ValidationState::Valid)
        {
            let kind = kind(name, validation);
            let words = || {
                format!(
                    "the authority offers no {} challenge for {}",
                    kind.as_str(),
                    validation.name
                )
            };
            let offer = validation.offer(kind).with_context(words)?;
            match kind {
                ChallengeKind::Http01 => challenges.push(offer.http_challenge()),
                ChallengeKind::TlsAlpn01 => challenges.push(offer.alpn_challenge(&validation.name)?),
                ChallengeKind::Dns01 => add(records, validation.dns_record(), offer),
            }
        }
        if !challenges.is_empty() {
            self.challenges.show(&name.wanted.hostname, challenges).await?;
        }
        if !records.is_empty() {
            let publisher = self.publisher.as_ref();
            let publisher = publisher.context("DNS-01 is not set up: start paasd with --dns-hook or --dns-route53")?;
            self.extend_lease(name, LONG_LEASE).await?;
            for (record, values) in records.iter() {
                publisher.publish(record, values).await?;
            }
            for (record, values) in records.iter() {
                publisher.wait_visible(record, values, VISIBLE_LIMIT).await?;
            }
        }
        Ok(())
    }

    /// Takes away what was put in place.
    async fn clear(&self, name: &Name<'_>, records: &Records) {
        self.challenges.hide(&name.wanted.hostname).await;
        let Some(publisher) = &self.publisher else { return };
        for (record, values) in records {
            if let Err(error) = publisher.remove(record, values).await {
                tracing::warn!(record, %error, "a TXT record stays behind");
            }
        }
    }

    /// Stores a certificate: it serves from the next pass on, which is now.
    async fn keep(&self, name: &Name<'_>, part: Part, chain_pem: &str, key_pem: &str) -> Result<bool> {
        let facts = match certificate_facts(chain_pem) {
            Ok(facts) if name.wanted.texts().iter().all(|name| facts.names.contains(name)) => facts,
            Ok(facts) => {
                let words = format!("The certificate that came is for {}", facts.names.join(", "));
                return self.fail_with(name, part, Fault::Lost, words).await;
            }
            Err(error) => {
                let words = format!("The certificate that came cannot be read: {error}");
                return self.fail_with(name, part, Fault::Lost, words).await;
            }
        };
        let material = Material {
            hostnames: &name.wanted.names,
            chain_pem,
            key_pem,
            not_before: facts.not_before,
            not_after: facts.not_after,
        };
        let (store, now) = (&self.platform.store, self.platform.clock.now());
        let mut conn = store.connection().await?;
        let certificate = store::certificate::issued_by_acme(&mut conn, &store.sealer, material, now).await?;
        drop(conn);
        tracing::info!(hostname = %name.row.hostname, issuer = facts.issuer, not_after = %facts.not_after, "certificate issued");
        let acm = name.row.acm.clone();
        let saved = self
            .save(name, acm.issued(Some(part), &dates(&certificate), now, dice()), None)
            .await;
        self.platform.wake_certificates.notify_one();
        saved
    }

    fn key(&self, name: &Name<'_>) -> Result<Option<String>, AskError> {
        Ok(store::acm::order_key(&self.platform.store.sealer, &name.row)?)
    }

    async fn extend_lease(&self, name: &Name<'_>, lease: TimeDelta) -> Result<bool, store::StoreError> {
        let now = self.platform.clock.now();
        let mut conn = self.platform.store.connection().await?;
        store::acm::lease(&mut conn, name.row.id, self.server, now + lease, now).await
    }
}

/// How a name is validated. By turns where there are two ways: one port may be closed where the other is open.
fn kind(name: &Name<'_>, validation: &Validation) -> ChallengeKind {
    let has_wildcard = name.wanted.names.iter().any(paas_core::DomainName::is_wildcard);
    if has_wildcard {
        return ChallengeKind::Dns01;
    }
    let ways = [ChallengeKind::Http01, ChallengeKind::TlsAlpn01];
    let turn = usize::from(!name.row.acm.attempts.is_multiple_of(2));
    let [first, second] = [ways[turn], ways[1 - turn]];
    if validation.offer(first).is_none() && validation.offer(second).is_some() {
        second
    } else {
        first
    }
}

/// Whether challenges have to be put in place (again): an authority that was told of them before a restart of ours may still be
/// about to look.
fn are_to_be_shown(validations: &[Validation], are_shown: bool) -> bool {
    !are_shown || validations.iter().any(is_wanted)
}

fn is_wanted(validation: &Validation) -> bool {
    validation.state == ValidationState::Wanted
}

fn add(records: &mut Records, record: String, offer: &Offer) {
    let values = records.entry(record).or_default();
    let value = offer.dns_value();
    if !values.contains(&value) {
        values.push(value);
    }
}

fn failed(problem: Problem) -> Outcome {
    Outcome::Failed(of_problem(&problem.kind, None), problem.words)
}

/// Sealed with a key that is gone, say: the order is of no use.
fn lost_key() -> Outcome {
    Outcome::Failed(Fault::Lost, "The key of the certificate is gone".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_in_place_as_long_as_an_authority_may_look() {
        let of = |state| {
            let (name, offers) = ("www.example.com".to_owned(), Vec::new());
            [Validation { name, state, offers }]
        };
        let (wanted, told) = (of(ValidationState::Wanted), of(ValidationState::Told));
        assert!(are_to_be_shown(&wanted, false) && are_to_be_shown(&wanted, true));
        assert!(
            are_to_be_shown(&told, false),
            "another server told the authority, and is gone"
        );
        assert!(!are_to_be_shown(&told, true));
    }
}

//! Add-ons that a provider runs elsewhere, behind Heroku's Add-on Partner API: what it has to be asked for next.
//!
//! Each request may come twice, after a crash for one; the provider tells them apart by the id of the add-on (Dev Center,
//! *Add-on Partner API Reference*, "Idempotency").

use chrono::{DateTime, TimeDelta, Utc};

use crate::AddonState;

/// A provider of add-ons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddonProvider {}

/// What is wanted of an add-on of a provider, and what the provider knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceWanted {
    pub state: AddonState,
    pub plan: String,
    /// `None` until it was asked for.
    pub known: Option<KnownResource>,
    /// After something that failed: when it may be tried again.
    pub retry_at: Option<DateTime<Utc>>,
}

/// What a provider has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownResource {
    pub plan: String,
    /// It works on it, and will say when it is there.
    pub accepted_at: Option<DateTime<Utc>>,
}

/// What a provider is to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceStep {
    /// Nothing, until something changes, or until then.
    Rest(Option<DateTime<Utc>>),
    Provision,
    /// It has had all the time there is: people hear of it, and it is asked again.
    GiveUp,
    ChangePlan,
    Deprovision,
}

/// How long a provider may work on an add-on (*Asynchronous Provisioning of Add-ons*).
const PROVISION_LIMIT: TimeDelta = TimeDelta::hours(12);

impl ResourceWanted {
    pub fn decide(&self, now: DateTime<Utc>) -> ResourceStep {
        let step = match self.state {
            AddonState::Deprovisioning => ResourceStep::Deprovision,
            AddonState::Provisioning => match self.known.as_ref().and_then(|known| known.accepted_at) {
                None => ResourceStep::Provision,
                Some(at) if now < at + PROVISION_LIMIT => return ResourceStep::Rest(Some(at + PROVISION_LIMIT)),
                Some(_) => ResourceStep::GiveUp,
            },
            AddonState::Provisioned if self.known.as_ref().is_some_and(|known| known.plan != self.plan) => {
                ResourceStep::ChangePlan
            }
            AddonState::Provisioned => return ResourceStep::Rest(None),
        };
        match self.retry_at {
            Some(at) if at > now => ResourceStep::Rest(Some(at)),
            _ => step,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::<Utc>::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    fn wanted(state: AddonState, plan: &str, known: Option<(&str, Option<i64>)>) -> ResourceWanted {
        ResourceWanted {
            state,
            plan: plan.to_owned(),
            known: known.map(|(plan, accepted)| KnownResource {
                plan: plan.to_owned(),
                accepted_at: accepted.map(at),
            }),
            retry_at: None,
        }
    }

    #[test]
    fn a_provider_is_asked_until_it_has_answered() {
        use AddonState::{Deprovisioning, Provisioned, Provisioning};
        for (state, known, step) in [
            (Provisioning, None, ResourceStep::Provision),
            (Provisioning, Some(("basic", None)), ResourceStep::Provision),
            (
                Provisioning,
                Some(("basic", Some(0))),
                ResourceStep::Rest(Some(at(12 * 60))),
            ),
            (Provisioned, Some(("basic", None)), ResourceStep::Rest(None)),
            (Provisioned, Some(("basic", Some(0))), ResourceStep::Rest(None)),
            (Provisioned, Some(("small", None)), ResourceStep::ChangePlan),
            (Deprovisioning, Some(("basic", None)), ResourceStep::Deprovision),
            // It may have been asked for by a server that died then.
            (Deprovisioning, None, ResourceStep::Deprovision),
        ] {
            assert_eq!(wanted(state, "basic", known).decide(at(1)), step, "{state:?} {known:?}");
        }
        let slow = wanted(Provisioning, "basic", Some(("basic", Some(0))));
        assert_eq!(slow.decide(at(12 * 60)), ResourceStep::GiveUp);
        let failed = ResourceWanted {
            retry_at: Some(at(5)),
            ..wanted(Provisioning, "basic", None)
        };
        assert_eq!(failed.decide(at(1)), ResourceStep::Rest(Some(at(5))));
        assert_eq!(failed.decide(at(5)), ResourceStep::Provision);
    }
}

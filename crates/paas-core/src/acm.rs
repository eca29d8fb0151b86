//! Automated certificate management (ACM): what to do next about the certificate of one name.
//!
//! ```text
//!                 ┌──────────── asked again ─────────── failed
//!                 ▼                                       ▲ 30 days without any
//! (new) ─▶ waiting ─DNS leads here─▶ verified ─▶ ordering ─▶ failing
//!                 ▲                      ▲          │           │ retry_at
//!                 │                      └─rehearsed┤           ▼
//!                 └── renew_at ── issued ◀──────────┘        (DNS again)
//! ```
//!
//! Every order begins with a look at DNS. The first order of a name, and the first after a failure, is a rehearsal at the
//! staging authority when there is one: production counts failed validations. What serves is not part of this: a
//! certificate that was issued stays in use until it is replaced, whatever becomes of its renewal.
//!
//! Time and randomness (`dice`, from 0 to 1) are arguments. A wall clock that jumps harms nothing: what was decided in what
//! now is the future is decided again, and renewals go by the dates in the certificate.

mod ledger;
mod name;
mod schedule;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use ledger::{Blocked, LEDGER_KEPT, Ledger, LedgerEntry, OrderKind};
pub use name::{is_public_name, registered_domain};
pub use schedule::warning;

use chrono::{DateTime, TimeDelta, Utc};
use ledger::Request;

/// How long a look at DNS is good for.
const VERDICT_AGE: TimeDelta = TimeDelta::minutes(10);
/// An authority that is at fault so many times in a row is passed over for the fallback.
const OUTAGES: u32 = 3;
/// How long we keep trying without having any certificate.
const PATIENCE: TimeDelta = TimeDelta::days(30);
/// An order that came to no end by then is given up. Authorities let one expire after a week.
const ORDER_LIMIT: TimeDelta = TimeDelta::days(5);
/// A limit of the production authority that lasts longer is reason enough to ask the fallback.
const LONG_BLOCK: TimeDelta = TimeDelta::hours(1);
/// `Retry-After` is obeyed up to this: no published limit lasts longer.
const LONGEST_RETRY_AFTER: TimeDelta = TimeDelta::days(8);
/// A clock may be set back this far without meaning anything.
const SLEW: TimeDelta = TimeDelta::minutes(1);

/// One name under automated management.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acm {
    pub state: AcmState,
    /// When the state was last written: later than now when the clock was set back.
    pub changed_at: DateTime<Utc>,
    /// What DNS lacks, the authority's own words, or what is waited for.
    pub reason: Option<String>,
    /// Orders that came to nothing since the last certificate.
    pub attempts: u32,
    /// Since when there have been any.
    pub failing_since: Option<DateTime<Utc>>,
    /// When an authority was last asked.
    pub tried_at: Option<DateTime<Utc>>,
    /// Failures in a row that were the authority's own.
    pub outages: u32,
    /// Nothing speaks against asking production.
    pub is_rehearsed: bool,
    /// `Retry-After` of the production authority.
    pub production_rests_until: Option<DateTime<Utc>>,
    /// Who issued the certificate of now.
    pub issued_by: Option<Authority>,
    /// When that authority would like it to be renewed (RFC 9773).
    pub window: Option<RenewalWindow>,
}

/// Where the name stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcmState {
    /// DNS does not lead here yet, as far as we know.
    Waiting {
        checks: u32,
        check_at: DateTime<Utc>,
    },
    /// DNS led here at `at`; the order is placed when the ledger allows it.
    Verified {
        at: DateTime<Utc>,
        order_at: DateTime<Utc>,
    },
    /// An authority has our order.
    Ordering {
        authority: Authority,
        order_url: String,
        since: DateTime<Utc>,
        look_at: DateTime<Utc>,
    },
    Issued {
        renew_at: DateTime<Utc>,
    },
    Failing {
        retry_at: DateTime<Utc>,
    },
    /// Given up, until somebody asks again.
    Failed,
    /// No public authority can validate the name: ours certifies it.
    Local,
}

/// A certificate authority by its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authority {
    Production,
    Staging,
    Fallback,
}

/// Which authorities there are besides production.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Authorities {
    pub has_staging: bool,
    pub has_fallback: bool,
}

/// The dates of the certificate in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
}

/// ACME Renewal Information.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenewalWindow {
    pub start: DateTime<Utc>,
    pub end: DateTime<Utc>,
}

/// What DNS says about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsVerdict {
    PointsHere,
    /// It could become right; the words say what to change.
    Wait(String),
    /// The resolver is in trouble.
    Unknown(String),
}

/// Whose fault it is that an order came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// What the name shows to the world: DNS, CAA, the answer to a challenge.
    Name,
    /// The authority does not answer, is broken, or takes no more for now.
    Authority { retry_at: Option<DateTime<Utc>> },
    /// The authority knows nothing of the order or the account any more.
    Lost,
    /// We did not do our part: no router was there, or no record could be made.
    Ours,
}

/// An order that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub authority: Authority,
    pub fault: Fault,
    /// The authority's own.
    pub words: String,
}

/// What to do next about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcmStep {
    /// Nothing before then; nothing by itself with `None`.
    Rest(Option<DateTime<Utc>>),
    /// A certificate is there from another time, when another app had the name, say: [`Acm::issued`].
    Adopt,
    /// Look at DNS, then [`Acm::dns_checked`].
    CheckDns,
    /// Place an order, then [`Acm::ordered`]. One that is advised tells the authority which certificate it replaces.
    Order { authority: Authority, kind: OrderKind },
    /// A limit is in the way: [`Acm::held_back`].
    HoldBack(Blocked),
    /// Bring the order on, then [`Acm::rehearsed`], [`Acm::issued`], or [`Acm::failed`].
    Pursue,
}

impl Acm {
    /// A name that nothing is known about.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            state: AcmState::Waiting {
                checks: 0,
                check_at: now,
            },
            changed_at: now,
            reason: None,
            attempts: 0,
            failing_since: None,
            tried_at: None,
            outages: 0,
            is_rehearsed: false,
            production_rests_until: None,
            issued_by: None,
            window: None,
        }
    }

    /// A name that our own authority certifies, and why.
    pub fn local(reason: String, now: DateTime<Utc>) -> Self {
        Self {
            state: AcmState::Local,
            reason: Some(reason),
            ..Self::new(now)
        }
    }

    /// What to do now. `names` are those that the certificate is for.
    pub fn decide(
        &self,
        names: &[String],
        held: Option<&Held>,
        ledger: &Ledger,
        authorities: Authorities,
        now: DateTime<Utc>,
    ) -> AcmStep {
        let due = |at: DateTime<Utc>, step: AcmStep| {
            if at <= now || self.is_of_the_future(now) {
                step
            } else {
                AcmStep::Rest(Some(at))
            }
        };
        match &self.state {
            AcmState::Waiting { checks: 0, .. }
                if self.issued_by.is_none()
                    && self.tried_at.is_none()
                    && held.is_some_and(|held| schedule::renewal(held, 0.0) > now) =>
            {
                AcmStep::Adopt
            }
            AcmState::Waiting { check_at: at, .. } | AcmState::Failing { retry_at: at } => due(*at, AcmStep::CheckDns),
            AcmState::Verified { order_at, .. } if *order_at > now && !self.is_of_the_future(now) => {
                AcmStep::Rest(Some(*order_at))
            }
            AcmState::Verified { at, .. } if now - *at > VERDICT_AGE || self.is_of_the_future(now) => AcmStep::CheckDns,
            AcmState::Verified { .. } => self.order(names, held, ledger, authorities, now),
            AcmState::Ordering { look_at, .. } => due(*look_at, AcmStep::Pursue),
            AcmState::Issued { renew_at } => match held {
                None => AcmStep::CheckDns,
                Some(held) => match self.renewal_at(*renew_at, held, now) {
                    at if at <= now => AcmStep::CheckDns,
                    at => AcmStep::Rest(Some(at)),
                },
            },
            AcmState::Failed | AcmState::Local => AcmStep::Rest(None),
        }
    }

    /// After a look at DNS.
    #[must_use]
    pub fn dns_checked(mut self, verdict: DnsVerdict, now: DateTime<Utc>) -> Self {
        let words = match verdict {
            DnsVerdict::PointsHere => None,
            // Somebody who had a certificate may well have one again: the authority is the judge.
            DnsVerdict::Unknown(_) if self.issued_by.is_some() => None,
            DnsVerdict::Wait(words) | DnsVerdict::Unknown(words) => Some(words),
        };
        let checks = match self.state {
            AcmState::Waiting { checks, .. } => checks + 1,
            _ => 1,
        };
        self.state = match words {
            None => {
                // What DNS lacked is past; what an authority said last is not.
                self.reason = self.reason.filter(|_| self.attempts > 0);
                AcmState::Verified { at: now, order_at: now }
            }
            Some(words) => {
                self.reason = Some(words);
                AcmState::Waiting {
                    checks,
                    check_at: now + schedule::dns_pause(checks),
                }
            }
        };
        self.changed(now)
    }

    /// After a limit was found to be in the way.
    #[must_use]
    pub fn held_back(mut self, blocked: &Blocked, now: DateTime<Utc>) -> Self {
        self.reason = Some(blocked.to_string());
        self.state = AcmState::Verified {
            at: now,
            order_at: blocked.until,
        };
        self.changed(now)
    }

    /// After the authority took our order.
    #[must_use]
    pub fn ordered(mut self, authority: Authority, order_url: String, now: DateTime<Utc>) -> Self {
        self.tried_at = Some(now);
        self.state = AcmState::Ordering {
            authority,
            order_url,
            since: now,
            look_at: now,
        };
        self.changed(now)
    }

    /// After the staging authority was convinced.
    #[must_use]
    pub fn rehearsed(mut self, now: DateTime<Utc>) -> Self {
        self.is_rehearsed = true;
        self.outages = 0;
        self.state = AcmState::Verified { at: now, order_at: now };
        self.changed(now)
    }

    /// After a certificate came, or one was found that is good for this name.
    #[must_use]
    pub fn issued(mut self, by: Option<Authority>, held: &Held, now: DateTime<Utc>, dice: f64) -> Self {
        self = Self {
            is_rehearsed: true,
            issued_by: by,
            production_rests_until: self.production_rests_until,
            tried_at: self.tried_at,
            ..Self::new(now)
        };
        self.state = AcmState::Issued {
            renew_at: schedule::renewal(held, dice),
        };
        self.changed(now)
    }

    /// After the authority said when the certificate of now should be renewed.
    #[must_use]
    pub fn advised(mut self, window: RenewalWindow, now: DateTime<Utc>, dice: f64) -> Self {
        if self.window != Some(window)
            && let AcmState::Issued { renew_at } = &mut self.state
        {
            *renew_at = schedule::within(window, dice).max(now);
            self.window = Some(window);
        }
        self
    }

    /// After an order came to nothing, or could not be placed or pursued.
    #[must_use]
    pub fn failed(
        mut self,
        failure: Failure,
        has_certificate: bool,
        authorities: Authorities,
        now: DateTime<Utc>,
        dice: f64,
    ) -> Self {
        let Failure {
            authority,
            fault,
            words,
        } = failure;
        self.attempts += 1;
        self.tried_at = Some(now);
        self.reason = Some(words);
        let failing_since = self.failing_since.filter(|since| *since <= now).unwrap_or(now);
        self.failing_since = Some(failing_since);
        let mut retry_at = now + schedule::back_off(self.attempts, dice);
        match fault {
            Fault::Name => {
                self.outages = 0;
                self.is_rehearsed = false;
            }
            Fault::Lost | Fault::Ours => {}
            Fault::Authority { retry_at: told } => {
                let told = told.map(|told| told.min(now + LONGEST_RETRY_AFTER));
                if authority != Authority::Staging {
                    self.outages += 1;
                }
                match (authority, told) {
                    // A rehearsal is a favour: without one, production it is.
                    (Authority::Staging, _) => self.is_rehearsed = true,
                    (Authority::Production, Some(told)) if authorities.has_fallback && told - now > LONG_BLOCK => {
                        self.production_rests_until = Some(told);
                    }
                    (_, Some(told)) => retry_at = retry_at.max(told),
                    (_, None) => {}
                }
            }
        }
        let is_kept = match fault {
            Fault::Name | Fault::Lost => false,
            Fault::Ours => true,
            // Unless somebody else is asked next.
            Fault::Authority { .. } => authority != Authority::Staging && self.prefers(authorities, now) == authority,
        };
        // The order outlives the trouble.
        if let AcmState::Ordering { since, look_at, .. } = &mut self.state
            && is_kept
            && now - *since < ORDER_LIMIT
        {
            *look_at = retry_at;
            return self.changed(now);
        }
        self.state = if now - failing_since > PATIENCE && !has_certificate {
            AcmState::Failed
        } else {
            AcmState::Failing { retry_at }
        };
        self.changed(now)
    }

    /// Somebody asks for it now.
    #[must_use]
    pub fn asked_again(mut self, now: DateTime<Utc>) -> Self {
        match &mut self.state {
            AcmState::Issued { .. } | AcmState::Local => return self,
            AcmState::Ordering { look_at, .. } => *look_at = now,
            AcmState::Waiting { .. } | AcmState::Verified { .. } | AcmState::Failing { .. } | AcmState::Failed => {
                self.state = AcmState::Waiting {
                    checks: 0,
                    check_at: now,
                };
            }
        }
        self.attempts = 0;
        self.failing_since = None;
        self.changed(now)
    }

    /// When something happens next by itself.
    pub fn next_at(&self) -> Option<DateTime<Utc>> {
        match &self.state {
            AcmState::Waiting { check_at: at, .. }
            | AcmState::Verified { order_at: at, .. }
            | AcmState::Ordering { look_at: at, .. }
            | AcmState::Issued { renew_at: at }
            | AcmState::Failing { retry_at: at } => Some(*at),
            AcmState::Failed | AcmState::Local => None,
        }
    }

    /// Heroku's `acm_status` of a domain.
    pub fn status(&self, has_certificate: bool) -> &'static str {
        match &self.state {
            AcmState::Issued { .. } | AcmState::Local => "cert issued",
            AcmState::Failed => "failed",
            AcmState::Failing { .. } => "failing",
            // A certificate whose renewal cannot even begin.
            AcmState::Waiting { .. } if has_certificate && self.reason.is_some() => "failing",
            AcmState::Waiting { .. } => "pending",
            AcmState::Verified { .. } => "dns-verified",
            AcmState::Ordering { .. } => "in-progress",
        }
    }

    fn changed(mut self, now: DateTime<Utc>) -> Self {
        self.changed_at = now;
        self
    }

    fn is_of_the_future(&self, now: DateTime<Utc>) -> bool {
        self.changed_at > now + SLEW
    }

    /// By the dates of the certificate, whatever was planned. But one that came only just now is not renewed at once,
    /// whatever its dates say to a clock that may be wrong.
    fn renewal_at(&self, planned: DateTime<Utc>, held: &Held, now: DateTime<Utc>) -> DateTime<Utc> {
        let at = schedule::latest_renewal(held).min(planned);
        let third = held.life() / 3;
        // An authority that wants a certificate back at once has a reason.
        let fresh = if self.window.is_some() {
            third.min(LONG_BLOCK)
        } else {
            third
        };
        if self.changed_at <= now {
            at.max(self.changed_at + fresh)
        } else {
            at
        }
    }

    /// Which of the two that issue real certificates is asked next.
    fn prefers(&self, authorities: Authorities, now: DateTime<Utc>) -> Authority {
        let is_resting = self.production_rests_until.is_some_and(|until| until > now);
        // From then on by turns, until one of them answers.
        let is_fallbacks_turn = self.outages >= OUTAGES && (self.outages - OUTAGES).is_multiple_of(2);
        if authorities.has_fallback && (is_resting || is_fallbacks_turn) {
            Authority::Fallback
        } else {
            Authority::Production
        }
    }

    fn order(
        &self,
        names: &[String],
        held: Option<&Held>,
        ledger: &Ledger,
        authorities: Authorities,
        now: DateTime<Utc>,
    ) -> AcmStep {
        let mut authority = self.prefers(authorities, now);
        if authorities.has_staging && !self.is_rehearsed {
            authority = Authority::Staging;
        }
        let request = |authority| Request {
            authority,
            names,
            kind: self.kind(authority, held),
            life: held.map(Held::life),
        };
        let placed = |authority| AcmStep::Order {
            authority,
            kind: self.kind(authority, held),
        };
        let Err(blocked) = ledger.allows(request(authority), now) else {
            return placed(authority);
        };
        let may_fall_back = authority == Authority::Production && authorities.has_fallback;
        if may_fall_back && blocked.until - now > LONG_BLOCK && ledger.allows(request(Authority::Fallback), now).is_ok()
        {
            return placed(Authority::Fallback);
        }
        AcmStep::HoldBack(blocked)
    }

    fn kind(&self, authority: Authority, held: Option<&Held>) -> OrderKind {
        if held.is_none() || self.issued_by != Some(authority) {
            return OrderKind::First;
        }
        // Once: an authority may have lost the certificate that we say we replace.
        if self.window.is_some() && self.attempts == 0 {
            OrderKind::Advised
        } else {
            OrderKind::Renewal
        }
    }
}

impl AcmState {
    /// The word in the database.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Verified { .. } => "verified",
            Self::Ordering { .. } => "ordering",
            Self::Issued { .. } => "issued",
            Self::Failing { .. } => "failing",
            Self::Failed => "failed",
            Self::Local => "local",
        }
    }
}

impl Authority {
    pub const ALL: [Self; 3] = [Self::Production, Self::Staging, Self::Fallback];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Staging => "staging",
            Self::Fallback => "fallback",
        }
    }
}

impl Held {
    pub fn life(&self) -> TimeDelta {
        (self.not_after - self.not_before).max(TimeDelta::zero())
    }

    pub fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

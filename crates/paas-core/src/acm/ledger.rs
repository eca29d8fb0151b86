//! What was asked of authorities lately, held against what they give out.

use std::fmt;

use chrono::{DateTime, TimeDelta, Utc};

use super::{Authority, name::registered_domain};

/// Let's Encrypt, *Rate Limits*: new orders per account. Other authorities publish none or larger ones.
const ORDERS: (usize, TimeDelta) = (300, TimeDelta::hours(3));
/// New certificates per registered domain.
const CERTIFICATES: (usize, TimeDelta) = (50, TimeDelta::days(7));
/// New certificates with exactly the same names.
const IDENTICAL: (usize, TimeDelta) = (5, TimeDelta::days(7));
/// Failed validations per name: five, of which we leave two to people who try by hand.
const FAILURES: (usize, TimeDelta) = (3, TimeDelta::hours(1));
/// New accounts per address that asks.
const ACCOUNTS: (usize, TimeDelta) = (10, TimeDelta::hours(3));

/// A clock that was wrong for a while may have left entries of another time; they count no more than a day ahead.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// For how long an entry matters.
pub const LEDGER_KEPT: TimeDelta = TimeDelta::days(8);

/// Everything that was asked of authorities within [`LEDGER_KEPT`], in any order.
#[derive(Debug, Clone, Default)]
pub struct Ledger(pub Vec<LedgerEntry>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LedgerEntry {
    /// Written before the order is placed: one that was lost to a crash counts, too.
    Order {
        authority: Authority,
        names: Vec<String>,
        kind: OrderKind,
        at: DateTime<Utc>,
        /// When it came to nothing.
        failed_at: Option<DateTime<Utc>>,
        /// Because a name could not be validated.
        is_invalid: bool,
    },
    Account {
        authority: Authority,
        at: DateTime<Utc>,
    },
}

/// Which limits an order counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderKind {
    /// The authority has not issued a certificate for these names.
    First,
    /// It has: this one does not count against the registered domain.
    Renewal,
    /// It suggested when to renew, and is told what this one replaces (RFC 9773 §5): counts against nothing.
    Advised,
}

impl OrderKind {
    pub const ALL: [Self; 3] = [Self::First, Self::Renewal, Self::Advised];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Renewal => "renewal",
            Self::Advised => "advised",
        }
    }
}

/// An order that may be placed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) authority: Authority,
    pub(super) names: &'a [String],
    pub(super) kind: OrderKind,
    /// How long the certificate of now lives, if there is one.
    pub(super) life: Option<TimeDelta>,
}

/// A limit that the next order would break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    pub until: DateTime<Utc>,
    limit: Limit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Limit {
    Orders,
    Certificates { domain: String },
    Identical,
    Failures { name: String },
    Accounts,
}

impl Ledger {
    /// Whether an order keeps within every limit.
    pub(super) fn allows(&self, request: Request<'_>, now: DateTime<Utc>) -> Result<(), Blocked> {
        let Request {
            authority,
            names,
            kind,
            life,
        } = request;
        if kind == OrderKind::Advised {
            return Ok(());
        }
        let orders: Vec<_> = self.orders(authority).collect();
        let mut blocked = vec![check(ORDERS, orders.iter().map(|order| order.at), now, Limit::Orders)];
        for name in names {
            let of_name = orders.iter().filter(|order| order.names.contains(name));
            let failures = of_name
                .filter(|order| order.is_invalid)
                .filter_map(|order| order.failed_at);
            blocked.push(check(FAILURES, failures, now, Limit::Failures { name: name.clone() }));
        }
        let lasting: Vec<_> = orders.into_iter().filter(|order| order.failed_at.is_none()).collect();
        // A staging authority is there to be asked.
        if authority != Authority::Staging {
            let (most, span) = IDENTICAL;
            // Authorities that give out certificates for less than two days expect to be asked more often.
            let span = life.map_or(span, |life| span.min(life * 3));
            let same = lasting.iter().filter(|order| order.names == names);
            blocked.push(check((most, span), same.map(|order| order.at), now, Limit::Identical));
        }
        if authority != Authority::Staging && kind == OrderKind::First {
            let domain = names.first().map_or("", |name| registered_domain(name)).to_owned();
            let is_of_domain = |name: &String| registered_domain(name) == domain;
            let of_domain = lasting
                .iter()
                .filter(|order| order.kind == OrderKind::First && order.names.iter().any(is_of_domain));
            let at: Vec<_> = of_domain.map(|order| order.at).collect();
            blocked.push(check(CERTIFICATES, at.into_iter(), now, Limit::Certificates { domain }));
        }
        match blocked.into_iter().flatten().max_by_key(|blocked| blocked.until) {
            Some(blocked) => Err(blocked),
            None => Ok(()),
        }
    }

    /// Whether another account may be made.
    pub fn allows_account(&self, authority: Authority, now: DateTime<Utc>) -> Result<(), Blocked> {
        let accounts = self.0.iter().filter_map(|entry| match entry {
            LedgerEntry::Account { authority: of, at } if *of == authority => Some(*at),
            _ => None,
        });
        check(ACCOUNTS, accounts, now, Limit::Accounts).map_or(Ok(()), Err)
    }

    /// Orders that count.
    fn orders(&self, authority: Authority) -> impl Iterator<Item = Order<'_>> {
        self.0.iter().filter_map(move |entry| match entry {
            LedgerEntry::Order {
                authority: of,
                names,
                kind,
                at,
                failed_at,
                is_invalid,
            } if *of == authority && *kind != OrderKind::Advised => Some(Order {
                names,
                kind: *kind,
                at: *at,
                failed_at: *failed_at,
                is_invalid: *is_invalid,
            }),
            _ => None,
        })
    }
}

struct Order<'a> {
    names: &'a [String],
    kind: OrderKind,
    at: DateTime<Utc>,
    failed_at: Option<DateTime<Utc>>,
    is_invalid: bool,
}

/// Blocked while as many as the limit lie within its span: until the oldest of those leaves it.
fn check(
    (most, span): (usize, TimeDelta),
    at: impl Iterator<Item = DateTime<Utc>>,
    now: DateTime<Utc>,
    limit: Limit,
) -> Option<Blocked> {
    let mut at: Vec<_> = at.filter(|at| *at > now - span && *at < now + AHEAD).collect();
    at.sort_unstable();
    let oldest = at.len().checked_sub(most).map(|index| at[index])?;
    Some(Blocked {
        until: oldest + span,
        limit,
    })
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.limit {
            Limit::Orders => f.write_str("An authority takes 300 orders in 3 hours, and we have placed as many"),
            Limit::Certificates { domain } => write!(
                f,
                "An authority gives out 50 certificates in 7 days for {domain}, and we have ordered as many (one wildcard \
                 certificate stands for all names: set up DNS-01)"
            ),
            Limit::Identical => f.write_str("An authority gives out 5 certificates in 7 days for the same name"),
            Limit::Failures { name } => write!(f, "{name} could not be validated 3 times within an hour"),
            Limit::Accounts => f.write_str("An authority allows 10 new accounts in 3 hours"),
        }?;
        write!(f, "; the next order is at {}", self.until.format("%Y-%m-%d %H:%M UTC"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minute)
    }

    fn order(names: &[&str], at: i64, failed_at: Option<i64>) -> LedgerEntry {
        LedgerEntry::Order {
            authority: Authority::Production,
            names: strings(names),
            kind: OrderKind::First,
            at: minute(at),
            failed_at: failed_at.map(minute),
            is_invalid: failed_at.is_some(),
        }
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn asked(ledger: &Ledger, name: &str, kind: OrderKind, life: Option<TimeDelta>, now: i64) -> Option<i64> {
        let request = Request {
            authority: Authority::Production,
            names: &strings(&[name]),
            kind,
            life,
        };
        let blocked = ledger.allows(request, minute(now)).err()?;
        Some((blocked.until - minute(0)).num_minutes())
    }

    fn until(ledger: &Ledger, name: &str, now: i64) -> Option<i64> {
        asked(ledger, name, OrderKind::First, None, now)
    }

    #[test]
    fn five_certificates_a_week_for_one_name_and_fifty_for_its_domain() {
        let ledger = Ledger((0..5).map(|at| order(&["www.example.com"], at, None)).collect());
        assert_eq!(until(&ledger, "www.example.com", 10), Some(7 * 24 * 60));
        assert_eq!(until(&ledger, "www.example.com", 7 * 24 * 60), None);
        assert_eq!(until(&ledger, "api.example.com", 10), None);
        let names: Vec<String> = (0..50).map(|number| format!("n{number}.example.com")).collect();
        let ledger = Ledger(names.iter().map(|name| order(&[name], 3, None)).collect());
        assert_eq!(until(&ledger, "www.example.com", 10), Some(7 * 24 * 60 + 3));
        assert_eq!(until(&ledger, "www.example.org", 10), None);
        let renewal = asked(&ledger, "n7.example.com", OrderKind::Renewal, None, 10);
        assert_eq!(renewal, None, "renewals do not count against their domain");
    }

    #[test]
    fn certificates_that_live_for_a_day_may_be_renewed_every_day() {
        let day = 24 * 60;
        let renewals = (0..10).map(|number| order(&["www.example.com"], number * day * 2 / 3, None));
        let ledger = Ledger(renewals.collect());
        let asked = |life| {
            asked(
                &ledger,
                "www.example.com",
                OrderKind::Renewal,
                Some(TimeDelta::days(life)),
                7 * day,
            )
        };
        assert_eq!(asked(1), None);
        assert!(asked(90).is_some());
    }

    #[test]
    fn an_hour_sees_three_failures_of_a_name_at_most() {
        let ledger = Ledger((0..3).map(|at| order(&["www.example.com"], at, Some(at + 1))).collect());
        assert_eq!(until(&ledger, "www.example.com", 4), Some(61));
        assert_eq!(until(&ledger, "www.example.com", 61), None);
        assert_eq!(until(&ledger, "api.example.com", 4), None);
        let staging = Request {
            authority: Authority::Staging,
            names: &strings(&["www.example.com"]),
            kind: OrderKind::First,
            life: None,
        };
        assert_eq!(
            ledger.allows(staging, minute(4)),
            Ok(()),
            "each authority counts for itself"
        );
    }

    #[test]
    fn renewals_that_the_authority_asked_for_count_against_nothing() {
        let ledger = Ledger((0..5).map(|at| order(&["www.example.com"], at, None)).collect());
        assert_eq!(asked(&ledger, "www.example.com", OrderKind::Advised, None, 10), None);
        let mut ledger = ledger;
        for entry in &mut ledger.0 {
            if let LedgerEntry::Order { kind, .. } = entry {
                *kind = OrderKind::Advised;
            }
        }
        assert_eq!(until(&ledger, "www.example.com", 10), None);
    }

    #[test]
    fn orders_and_accounts_are_counted_over_all_names() {
        let ledger = Ledger(
            (0..300)
                .map(|at| order(&[&format!("a.b{at}.com")], 0, Some(0)))
                .collect(),
        );
        assert_eq!(until(&ledger, "www.example.com", 10), Some(180));
        let account = LedgerEntry::Account {
            authority: Authority::Production,
            at: minute(0),
        };
        let ledger = Ledger(vec![account; 10]);
        assert!(ledger.allows_account(Authority::Production, minute(1)).is_err());
        assert!(ledger.allows_account(Authority::Fallback, minute(1)).is_ok());
        assert!(ledger.allows_account(Authority::Production, minute(180)).is_ok());
    }

    #[test]
    fn entries_of_a_clock_that_ran_ahead_block_nobody() {
        let ahead = 400 * 24 * 60;
        let ledger = Ledger((0..5).map(|at| order(&["www.example.com"], ahead + at, None)).collect());
        assert_eq!(until(&ledger, "www.example.com", 10), None);
    }

    #[test]
    fn a_limit_says_what_it_is_and_when_it_ends() {
        let ledger = Ledger((0..3).map(|at| order(&["www.example.com"], at, Some(at))).collect());
        let request = Request {
            authority: Authority::Production,
            names: &strings(&["www.example.com"]),
            kind: OrderKind::First,
            life: None,
        };
        assert_eq!(
            ledger.allows(request, minute(4)).unwrap_err().to_string(),
            "www.example.com could not be validated 3 times within an hour; the next order is at 2027-01-15 09:00 UTC"
        );
    }
}

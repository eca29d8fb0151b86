//! Months of random trouble: authorities that are down, limited, or forget; DNS that is wrong; servers that die between two
//! lines. Whatever happens, no authority is asked for more than it gives out, a certificate that once existed is followed
//! by the next in time, and a world in order is a quiet one.

use super::*;
use crate::simulation::dice::Dice;

const SEEDS: u64 = 300;
const LENGTH: TimeDelta = TimeDelta::days(240);
/// Trouble of one kind lasts this long at most: with renewal thirty days before the end, ten days are left.
const LONGEST_TROUBLE_DAYS: i64 = 19;
const CALM: TimeDelta = TimeDelta::days(11);
/// What a name may cost on its busiest day: a look at DNS every ten minutes, and what a beginning takes.
const BUSIEST_DAY: u32 = 220;

struct Name {
    names: Vec<String>,
    acm: Acm,
    held: Option<Held>,
    /// The order in the ledger that is open.
    entry: Option<usize>,
    steps_today: u32,
}

/// What is wrong with the world at the moment.
#[derive(Default)]
struct Trouble {
    down: Vec<Authority>,
    limited: Vec<Authority>,
    dns_wrong: bool,
    resolver_down: bool,
    /// DNS leads here, and the challenge is not answered all the same.
    unanswered: bool,
}

struct World {
    dice: Dice,
    now: DateTime<Utc>,
    authorities: Authorities,
    has_renewal_information: bool,
    life: TimeDelta,
    names: Vec<Name>,
    ledger: Ledger,
    trouble: Trouble,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let names = (0..dice.between(1, 5)).map(|number| Name {
            names: vec![format!("n{number}.example.com")],
            acm: Acm::new(now),
            held: None,
            entry: None,
            steps_today: 0,
        });
        Self {
            names: names.collect(),
            now,
            authorities: Authorities {
                has_staging: dice.chance(60),
                has_fallback: dice.chance(40),
            },
            has_renewal_information: dice.chance(50),
            life: TimeDelta::days(90),
            ledger: Ledger::default(),
            trouble: Trouble::default(),
            dice,
        }
    }

    /// Lets time pass, with everything as it is.
    fn pass(&mut self, span: TimeDelta) {
        let end = self.now + span;
        while self.now < end {
            let tomorrow = self.now + TimeDelta::days(1);
            for name in &mut self.names {
                name.steps_today = 0;
            }
            while self.now < tomorrow.min(end) {
                let due = (0..self.names.len()).filter_map(|index| self.settle(index)).min();
                self.now = due
                    .unwrap_or(tomorrow)
                    .max(self.now + TimeDelta::seconds(1))
                    .min(tomorrow.min(end));
                self.check();
            }
        }
    }

    /// Takes the steps of one name until it rests; until when.
    fn settle(&mut self, index: usize) -> Option<DateTime<Utc>> {
        loop {
            let name = &self.names[index];
            let step = name.acm.decide(
                &name.names,
                name.held.as_ref(),
                &self.ledger,
                self.authorities,
                self.now,
            );
            if let AcmStep::Rest(at) = step {
                return at;
            }
            self.names[index].steps_today += 1;
            assert!(
                self.names[index].steps_today < BUSIEST_DAY,
                "busy: {:?}",
                self.names[index].acm
            );
            self.names[index].acm = self.step(index, step);
            // The server may be stopped at any line, and asks somewhat later.
            if self.dice.chance(3) {
                return Some(self.now + TimeDelta::minutes(self.dice.between(0, 90)));
            }
        }
    }

    fn step(&mut self, index: usize, step: AcmStep) -> Acm {
        let share = self.dice.share();
        let name = &self.names[index];
        let acm = name.acm.clone();
        match step {
            AcmStep::Rest(_) => acm,
            AcmStep::Adopt => acm.issued(None, &name.held.unwrap(), self.now, share),
            AcmStep::CheckDns => {
                let verdict = match &self.trouble {
                    Trouble { dns_wrong: true, .. } => DnsVerdict::Wait("elsewhere".to_owned()),
                    Trouble {
                        resolver_down: true, ..
                    } => DnsVerdict::Unknown("SERVFAIL".to_owned()),
                    _ => DnsVerdict::PointsHere,
                };
                acm.dns_checked(verdict, self.now)
            }
            AcmStep::HoldBack(blocked) => {
                assert!(blocked.until > self.now);
                acm.held_back(&blocked, self.now)
            }
            AcmStep::Order { authority, kind } => {
                self.names[index].entry = Some(self.ledger.0.len());
                self.ledger.0.push(LedgerEntry::Order {
                    authority,
                    names: self.names[index].names.clone(),
                    kind,
                    at: self.now,
                    failed_at: None,
                    is_invalid: false,
                });
                if self.dice.chance(2) {
                    // Dead before the answer was stored.
                    return acm;
                }
                match self.refusal(authority) {
                    Some(fault) => self.fail(index, acm, authority, fault),
                    None => acm.ordered(authority, "https://ca/order".to_owned(), self.now),
                }
            }
            AcmStep::Pursue => self.pursue(index, acm, share),
        }
    }

    fn pursue(&mut self, index: usize, acm: Acm, share: f64) -> Acm {
        let AcmState::Ordering { authority, .. } = acm.state else {
            panic!("no order to pursue: {acm:?}");
        };
        if let Some(fault) = self.refusal(authority) {
            return self.fail(index, acm, authority, fault);
        }
        if self.dice.chance(2) {
            return self.fail(index, acm, authority, Fault::Lost);
        }
        if self.trouble.dns_wrong || self.trouble.unanswered || self.dice.chance(2) {
            return self.fail(index, acm, authority, Fault::Name);
        }
        if authority == Authority::Staging {
            return acm.rehearsed(self.now);
        }
        let held = Held {
            not_before: self.now - TimeDelta::hours(1),
            not_after: self.now - TimeDelta::hours(1) + self.life,
        };
        self.names[index].held = Some(held);
        let acm = acm.issued(Some(authority), &held, self.now, share);
        if !self.has_renewal_information {
            return acm;
        }
        let window = RenewalWindow {
            start: held.not_before + self.life * 2 / 3 - self.life / 90,
            end: held.not_before + self.life * 2 / 3 + self.life / 90,
        };
        acm.advised(window, self.now, share)
    }

    /// What an authority in trouble says.
    fn refusal(&mut self, authority: Authority) -> Option<Fault> {
        if self.trouble.down.contains(&authority) {
            return Some(Fault::Authority { retry_at: None });
        }
        let is_limited = self.trouble.limited.contains(&authority) && self.dice.chance(80);
        is_limited.then(|| Fault::Authority {
            retry_at: Some(self.now + TimeDelta::minutes(self.dice.between(1, self.life.num_minutes() / 64))),
        })
    }

    fn fail(&mut self, index: usize, acm: Acm, authority: Authority, fault: Fault) -> Acm {
        let share = self.dice.share();
        let failure = Failure {
            authority,
            fault,
            words: "no".to_owned(),
        };
        let name = &mut self.names[index];
        let has_certificate = name.held.is_some_and(|held| held.is_valid(self.now));
        let acm = acm.failed(failure, has_certificate, self.authorities, self.now, share);
        if !matches!(acm.state, AcmState::Ordering { .. })
            && let Some(entry) = name.entry.take()
            && let LedgerEntry::Order {
                failed_at, is_invalid, ..
            } = &mut self.ledger.0[entry]
        {
            *failed_at = Some(self.now);
            *is_invalid = fault == Fault::Name;
        }
        acm
    }

    /// The limits as Let's Encrypt publishes them.
    fn check(&self) {
        for authority in Authority::ALL {
            let orders = self.ledger.0.iter().filter_map(|entry| match entry {
                LedgerEntry::Order {
                    authority: of,
                    names,
                    kind: kind @ (OrderKind::First | OrderKind::Renewal),
                    at,
                    failed_at,
                    is_invalid,
                } if *of == authority && *at > self.now - TimeDelta::days(7) => {
                    Some((names, *kind, *at, *failed_at, *is_invalid))
                }
                _ => None,
            });
            let orders: Vec<_> = orders.collect();
            let recent = orders
                .iter()
                .filter(|(_, _, at, ..)| *at > self.now - TimeDelta::hours(3));
            assert!(recent.count() <= 300, "too many orders");
            for name in &self.names {
                let failures = orders.iter().filter(|(names, _, _, failed_at, is_invalid)| {
                    **names == name.names
                        && *is_invalid
                        && failed_at.is_some_and(|at| at > self.now - TimeDelta::hours(1))
                });
                assert!(failures.count() <= 5, "too many failed validations");
            }
            if authority == Authority::Staging {
                continue;
            }
            let lasting: Vec<_> = orders.iter().filter(|(.., failed_at, _)| failed_at.is_none()).collect();
            let first = lasting.iter().filter(|(_, kind, ..)| *kind == OrderKind::First);
            assert!(first.count() <= 50, "too many certificates of one domain");
            for name in &self.names {
                let same = lasting.iter().filter(|(names, ..)| **names == name.names).count();
                assert!(same <= 5, "{same} certificates with the same names");
            }
        }
        for name in &self.names {
            let is_served = name.held.is_none_or(|held| held.is_valid(self.now));
            assert!(is_served, "a certificate ran out: {:?} at {}", name.acm, self.now);
        }
    }

    fn make_trouble(&mut self) {
        let mut trouble = Trouble {
            dns_wrong: self.dice.chance(20),
            resolver_down: self.dice.chance(20),
            unanswered: self.dice.chance(20),
            ..Trouble::default()
        };
        for authority in Authority::ALL {
            if self.dice.chance(30) {
                trouble.down.push(authority);
            }
            if self.dice.chance(20) {
                trouble.limited.push(authority);
            }
        }
        self.trouble = trouble;
    }

    fn is_done(&self) -> bool {
        self.names
            .iter()
            .all(|name| matches!(name.acm.state, AcmState::Issued { .. }))
    }
}

#[test]
fn no_limit_is_broken_and_no_certificate_runs_out_in_months_of_trouble() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed);
        let end = world.now + LENGTH;
        while world.now < end {
            let mut left = TimeDelta::hours(world.dice.between(1, LONGEST_TROUBLE_DAYS * 24));
            while left > TimeDelta::zero() {
                world.make_trouble();
                let part = TimeDelta::hours(world.dice.between(1, 100)).min(left);
                world.pass(part);
                left -= part;
            }
            world.trouble = Trouble::default();
            world.pass(CALM);
            assert!(
                world.is_done(),
                "seed {seed}: {:?}",
                world.names.iter().map(|name| &name.acm).collect::<Vec<_>>()
            );
        }
        // A world in order: a few steps per renewal, and none else.
        let orders = world.ledger.0.len();
        world.pass(TimeDelta::days(40));
        let placed = world.ledger.0.len() - orders;
        assert!(placed <= 6 * world.names.len(), "seed {seed}: {placed} orders in calm");
    }
}

#[test]
fn certificates_of_six_days_are_renewed_in_time_through_a_day_of_trouble() {
    for seed in 0..SEEDS / 3 {
        let mut world = World::new(seed);
        world.life = TimeDelta::days(6);
        for _ in 0..20 {
            world.make_trouble();
            world.pass(TimeDelta::hours(20));
            world.trouble = Trouble::default();
            world.pass(TimeDelta::days(3));
            // One may be in the middle of its renewal.
            assert!(world.names.iter().all(|name| name.held.is_some()), "seed {seed}");
        }
    }
}

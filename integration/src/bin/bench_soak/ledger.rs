//! What came of the visits.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::client::Kind;

/// How many failures of a kind are written out.
const SHOWN: usize = 5;

#[derive(Default)]
pub(crate) struct Ledger {
    tallies: [Mutex<Tally>; Kind::ALL.len()],
    certificates: Mutex<BTreeSet<Vec<u8>>>,
}

#[derive(Default)]
struct Tally {
    visits: u64,
    failures: u64,
    shown: Vec<String>,
    slowest: Duration,
}

impl Ledger {
    pub(crate) fn note(&self, kind: Kind, elapsed: Duration, failure: Option<String>) {
        let mut tally = self.tally(kind);
        tally.visits += 1;
        tally.slowest = tally.slowest.max(elapsed);
        if let Some(failure) = failure {
            tally.failures += 1;
            if tally.shown.len() < SHOWN {
                tally.shown.push(failure);
            }
        }
    }

    pub(crate) fn saw_certificate(&self, certificate: &[u8]) {
        lock(&self.certificates).insert(certificate.to_vec());
    }

    pub(crate) fn certificates(&self) -> usize {
        lock(&self.certificates).len()
    }

    pub(crate) fn visits(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.tally(*kind).visits).sum()
    }

    pub(crate) fn failures(&self) -> u64 {
        Kind::ALL.iter().map(|kind| self.tally(*kind).failures).sum()
    }

    /// Kinds of which nothing came at all.
    pub(crate) fn idle(&self) -> Vec<&'static str> {
        let idle = Kind::ALL.iter().filter(|kind| self.tally(**kind).visits == 0);
        idle.map(|kind| kind.name()).collect()
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{:22}{:>9}{:>9}{:>12}", "", "visits", "failed", "slowest")?;
        for kind in Kind::ALL {
            let tally = self.tally(kind);
            let Tally {
                visits,
                failures,
                shown,
                slowest,
            } = &*tally;
            writeln!(out, "{:22}{visits:>9}{failures:>9}{slowest:>12.1?}", kind.name())?;
            for failure in shown {
                writeln!(out, "    {failure}")?;
            }
        }
        Ok(())
    }

    fn tally(&self, kind: Kind) -> MutexGuard<'_, Tally> {
        let index = Kind::ALL.iter().position(|each| *each == kind);
        lock(&self.tallies[index.expect("every kind is one of all")])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

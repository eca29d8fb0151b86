//! How fast a client sends what a dyno waits for.

use std::time::Duration;

use tokio::time::Instant;

/// The least that is enough: a byte now and then would keep a dyno's connection for ever.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Floor {
    pub(crate) bytes_per_second: u32,
    /// A dyno has to wait this long in all before anybody counts.
    pub(crate) grace: Duration,
}

/// One request body on its way. Time counts while the dyno waits for the client, and not the other way round.
#[derive(Default)]
pub(crate) struct Pace {
    bytes: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
}

impl Pace {
    pub(crate) fn wait(&mut self, now: Instant) {
        self.waiting_since.get_or_insert(now);
    }

    pub(crate) fn receive(&mut self, bytes: usize, now: Instant) {
        self.bytes += bytes as u64;
        if let Some(since) = self.waiting_since.take() {
            self.waited += now - since;
        }
    }

    pub(crate) fn is_below(&self, floor: Floor) -> bool {
        self.waited > floor.grace
            && u128::from(self.bytes) * 1000 < u128::from(floor.bytes_per_second) * self.waited.as_millis()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOR: Floor = Floor {
        bytes_per_second: 100,
        grace: Duration::from_secs(30),
    };

    #[test]
    fn only_time_that_the_dyno_waited_counts() {
        let (mut pace, mut now) = (Pace::default(), Instant::now());
        for _ in 0..4 {
            assert!(!pace.is_below(FLOOR));
            pace.wait(now);
            now += Duration::from_secs(10);
            pace.receive(1, now);
            // The dyno does something else.
            now += Duration::from_secs(100);
        }
        assert!(pace.is_below(FLOOR));
        pace.receive(4000, now);
        assert!(!pace.is_below(FLOOR));
    }
}

//! When: how long to wait for DNS, after a failure, and until a renewal. All of it depends on arguments alone; `dice` is a
//! random number from 0 to 1, so that many names do not knock at once.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Held, RenewalWindow};

/// Minutes to wait after each failure in a row; the last one repeats. The schedule of certmagic, which has served Caddy's
/// users for years: quick while somebody is watching, and no burden on an authority that is down for days.
const BACK_OFF_MINUTES: [i64; 24] = [
    1, 2, 2, 5, 10, 10, 10, 20, 20, 20, 20, 30, 30, 30, 30, 30, 30, 60, 60, 60, 120, 120, 180, 360,
];

/// How many checks of DNS come ten minutes apart before they are an hour apart: about a day.
const QUICK_CHECKS: u32 = 150;
/// And then, after about a month, six hours.
const HOURLY_CHECKS: u32 = QUICK_CHECKS + 30 * 24;

/// Days before the end of a certificate at which people are told.
const WARNING_DAYS: [i64; 3] = [14, 7, 2];

/// How long to wait after the `attempts`-th failure in a row, counted from 1: up to a fifth longer than the schedule says.
pub(super) fn back_off(attempts: u32, dice: f64) -> TimeDelta {
    let index = usize::try_from(attempts.saturating_sub(1)).unwrap_or(usize::MAX);
    let minutes = BACK_OFF_MINUTES[index.min(BACK_OFF_MINUTES.len() - 1)];
    let pause = TimeDelta::minutes(minutes);
    pause + part(pause, dice / 5.0)
}

/// How long to wait after the `checks`-th look at DNS that did not find what is needed, counted from 1.
pub(super) fn dns_pause(checks: u32) -> TimeDelta {
    let seconds = match checks {
        0 | 1 => 30,
        few if few <= 5 => 30 << (few - 1),
        some if some <= QUICK_CHECKS => 600,
        many if many <= HOURLY_CHECKS => 3600,
        _ => 6 * 3600,
    };
    TimeDelta::seconds(seconds)
}

/// At two thirds of a certificate's life, or up to a fiftieth of it later.
pub(super) fn renewal(held: &Held, dice: f64) -> DateTime<Utc> {
    held.not_before + held.life() * 2 / 3 + part(held.life(), dice / 50.0)
}

/// Whatever the authority suggested: from here on there would be too little time for things to go wrong.
pub(super) fn latest_renewal(held: &Held) -> DateTime<Utc> {
    held.not_after - held.life() / 6
}

/// A random moment in the window that the authority suggests (RFC 9773 §4.2).
pub(super) fn within(window: RenewalWindow, dice: f64) -> DateTime<Utc> {
    window.start + part((window.end - window.start).max(TimeDelta::zero()), dice)
}

/// Days before the end that have begun, of those at which people are told; `None` while the renewal is not even late.
///
/// A certificate that lives for less than three times as long is renewed after that point: no reason to worry anybody.
pub fn warning(held: &Held, now: DateTime<Utc>) -> Option<i64> {
    let left = held.not_after - now;
    let is_meant = |days: &i64| TimeDelta::days(*days) < held.life() / 3;
    let begun = WARNING_DAYS.into_iter().filter(is_meant);
    begun.filter(|days| left <= TimeDelta::days(*days)).min()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "randomness needs no precision, and no pause comes near 2⁵² milliseconds"
)]
fn part(of: TimeDelta, share: f64) -> TimeDelta {
    TimeDelta::milliseconds((of.num_milliseconds() as f64 * share.clamp(0.0, 1.0)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::days(day)
    }

    fn held(days: i64) -> Held {
        Held {
            not_before: day(0),
            not_after: day(days),
        }
    }

    #[test]
    fn retries_begin_after_a_minute_and_end_six_hours_apart() {
        let minutes: Vec<_> = (1..=8).map(|attempts| back_off(attempts, 0.0).num_minutes()).collect();
        assert_eq!(minutes, [1, 2, 2, 5, 10, 10, 10, 20]);
        assert_eq!(back_off(u32::MAX, 0.0), TimeDelta::hours(6));
        assert_eq!(back_off(5, 1.0), TimeDelta::minutes(12), "jitter only ever delays");
        assert_eq!(back_off(0, 0.0), TimeDelta::minutes(1));
    }

    #[test]
    fn dns_is_looked_at_often_at_first_and_seldom_after_a_month() {
        let seconds: Vec<_> = (1..=7).map(|checks| dns_pause(checks).num_seconds()).collect();
        assert_eq!(seconds, [30, 60, 120, 240, 480, 600, 600]);
        let checks_within = |days: i64| {
            let mut at = TimeDelta::zero();
            let is_within = |checks: &u32| {
                at += dns_pause(*checks);
                at < TimeDelta::days(days)
            };
            (1..10_000).take_while(is_within).count()
        };
        assert_eq!(checks_within(1), 147);
        assert!(checks_within(60) < 1100);
        assert_eq!(dns_pause(u32::MAX), TimeDelta::hours(6));
    }

    #[test]
    fn a_renewal_is_due_at_two_thirds_of_any_life() {
        assert_eq!(renewal(&held(90), 0.0), day(60));
        assert!(renewal(&held(90), 1.0) < day(62));
        assert_eq!(latest_renewal(&held(90)), day(75));
        let short = Held {
            not_before: day(0),
            not_after: day(0) + TimeDelta::seconds(300),
        };
        assert_eq!(renewal(&short, 0.0), day(0) + TimeDelta::seconds(200));
    }

    #[test]
    fn people_are_told_14_7_and_2_days_before_the_end() {
        for (at, days) in [
            (0, None),
            (75, None),
            (76, Some(14)),
            (82, Some(14)),
            (83, Some(7)),
            (88, Some(2)),
            (99, Some(2)),
        ] {
            assert_eq!(warning(&held(90), day(at)), days, "on day {at}");
        }
        for at in 0..7 {
            assert_eq!(
                warning(&held(6), day(at)),
                None,
                "a week's certificate is renewed in its last two days"
            );
        }
        assert_eq!(warning(&held(30), day(28)), Some(2));
        assert_eq!(warning(&held(30), day(24)), Some(7));
    }
}

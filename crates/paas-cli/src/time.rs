//! Times as people read them.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use paas_api::Time;

/// `2026/01/02 03:04:05 +0000`, and how long ago when that is less than a day.
pub(crate) fn told(time: Time, now: DateTime<Utc>) -> String {
    let seconds = (now - time.0).num_seconds();
    let ago = match seconds {
        0..60 => format!(" (~ {seconds}s ago)"),
        60..3600 => format!(" (~ {}m ago)", seconds / 60),
        3600..86_400 => format!(" (~ {}h ago)", seconds / 3600),
        _ => String::new(),
    };
    format!("{}{ago}", time.0.format("%Y/%m/%d %H:%M:%S %z"))
}

/// `2026/01/02 03:04:05 +0000`, and how soon when that is within a day.
pub(crate) fn due(time: Time, now: DateTime<Utc>) -> String {
    let seconds = (time.0 - now).num_seconds();
    let soon = match seconds {
        0..60 => format!(" (~ in {seconds}s)"),
        60..3600 => format!(" (~ in {}m)", seconds / 60),
        3600..86_400 => format!(" (~ in {}h)", seconds / 3600),
        _ => String::new(),
    };
    format!("{}{soon}", time.0.format("%Y/%m/%d %H:%M:%S %z"))
}

/// `2026-01-02 03:04 UTC`
pub(crate) fn minute(time: Time) -> String {
    time.0.format("%Y-%m-%d %H:%M UTC").to_string()
}

const UNITS: [(char, u64); 5] = [
    ('y', 365 * 24 * 3600),
    ('d', 24 * 3600),
    ('h', 3600),
    ('m', 60),
    ('s', 1),
];

/// The seconds of `90s`, `10m`, `2h`, `30d`, `1y`, or of a bare number.
pub(crate) fn seconds(text: &str) -> Option<u64> {
    let with_unit = UNITS
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(*unit)?, *factor)));
    let (number, factor) = with_unit.unwrap_or((text, 1));
    // `parse` takes a sign, too.
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| number.parse().ok())??;
    number.checked_mul(factor)
}

/// Seconds in the largest unit that fits: `2m`, `90s`.
pub(crate) fn duration(seconds: u64) -> String {
    let fits = |(_, factor): &&(char, u64)| seconds > 0 && seconds.is_multiple_of(*factor);
    let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&('s', 1));
    format!("{}{unit}", seconds / factor)
}

/// The clock of this machine: for what is told, and made, here.
pub(crate) fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn what_is_recent_says_how_recent() {
        let time: DateTime<Utc> = "2026-01-02T03:04:05Z".parse().unwrap();
        let at = |age| told(time.into(), time + age);
        assert_eq!(at(TimeDelta::seconds(5)), "2026/01/02 03:04:05 +0000 (~ 5s ago)");
        assert_eq!(at(TimeDelta::minutes(61)), "2026/01/02 03:04:05 +0000 (~ 1h ago)");
        assert_eq!(at(TimeDelta::days(2)), "2026/01/02 03:04:05 +0000");
        assert_eq!(at(TimeDelta::seconds(-1)), "2026/01/02 03:04:05 +0000");
        let before = |wait| due(time.into(), time - wait);
        assert_eq!(before(TimeDelta::minutes(12)), "2026/01/02 03:04:05 +0000 (~ in 12m)");
        assert_eq!(before(TimeDelta::days(2)), "2026/01/02 03:04:05 +0000");
    }

    #[test]
    fn durations_are_numbers_with_a_unit() {
        for (text, told) in [
            ("120s", "2m"),
            ("90s", "90s"),
            ("90", "90s"),
            ("10m", "10m"),
            ("48h", "2d"),
            ("1y", "1y"),
            ("0s", "0s"),
        ] {
            assert_eq!(duration(seconds(text).unwrap()), told, "{text}");
        }
        for bad in [
            "",
            "s",
            "-1s",
            "+1s",
            "1ss",
            "1w",
            "1.5h",
            "99999999999999999999s",
            "9999999999999999y",
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}

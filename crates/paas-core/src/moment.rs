//! Moments and spans of time, as people write them.

use chrono::{DateTime, FixedOffset, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::NameError;

const MOMENT: &str = "Moment";
const SPAN: &str = "Span of time";
const FORMATS: [&str; 3] = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S%.f"];
const DAY: i64 = 24 * 60 * 60;
const HOUR: i32 = 60 * 60;
/// Nobody asks for more, and nothing overflows.
const LONGEST_DAYS: i64 = 36_500;

/// Short names that Heroku's command knows, each for a place whose clocks are set forward and back.
const SHORT: [(&str, &str); 15] = [
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("MST", "America/Boise"),
    ("MDT", "America/Boise"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("UTC", "UTC"),
    ("Z", "UTC"),
    ("GMT", "Europe/London"),
    ("BST", "Europe/London"),
    ("CET", "Europe/Paris"),
    ("CEST", "Europe/Paris"),
    ("", "UTC"),
];

/// What the same names say of a moment: one and the same offset on each day of the year.
const HOURS: [(&str, i32); 12] = [
    ("PST", -8),
    ("PDT", -7),
    ("MST", -7),
    ("MDT", -6),
    ("CST", -6),
    ("CDT", -5),
    ("EST", -5),
    ("EDT", -4),
    ("GMT", 0),
    ("BST", 1),
    ("CET", 1),
    ("CEST", 2),
];

/// A time zone by its name in the IANA database, or by a short name.
pub fn time_zone(name: &str) -> Option<Tz> {
    let place = SHORT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name));
    place.map_or(name, |(_, place)| place).parse().ok()
}

/// `10 minutes ago`, `2026-11-22T03:00:00Z`, `2026-11-22 03:00 America/Los_Angeles`; without a time zone it is UTC.
pub fn moment(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, NameError> {
    let text = text.trim();
    if text == "now" {
        return Ok(now);
    }
    if let Some(words) = text.strip_suffix("ago") {
        return Ok(now - span(words)?);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_utc());
    }
    let rule = "must be such as '10 minutes ago', '2026-11-22T03:00:00Z' or '2026-11-22 03:00 America/Los_Angeles'";
    let odd = || NameError::new(MOMENT, rule);
    // The zone is what follows the time, which ends with a digit.
    let (local, zone) = match text.rsplit_once(' ') {
        Some((local, zone)) if local.contains(':') => (local.trim(), zone),
        _ => (text, ""),
    };
    let mut formats = FORMATS.iter();
    let local = formats.find_map(|format| NaiveDateTime::parse_from_str(local, format).ok());
    let local = local.ok_or_else(odd)?;
    let short = HOURS.iter().find(|(short, _)| short.eq_ignore_ascii_case(zone));
    let fixed = match short {
        Some((_, hours)) => FixedOffset::east_opt(hours * HOUR),
        None => zone.parse().ok(),
    };
    if let Some(offset) = fixed {
        return offset
            .from_local_datetime(&local)
            .single()
            .map(|at| at.to_utc())
            .ok_or_else(odd);
    }
    let zone = time_zone(zone).ok_or(NameError::new(
        MOMENT,
        "must have a time zone such as UTC or America/Los_Angeles",
    ))?;
    match zone.from_local_datetime(&local) {
        LocalResult::Single(at) => Ok(at.to_utc()),
        LocalResult::Ambiguous(..) => Err(NameError::new(
            MOMENT,
            "must be in UTC: clocks are set back then, and this time comes twice",
        )),
        LocalResult::None => Err(NameError::new(
            MOMENT,
            "must be in UTC: clocks are set forward then, and this time does not come",
        )),
    }
}

/// `3 days 7 hours 22 minutes`
pub fn span(text: &str) -> Result<TimeDelta, NameError> {
    let odd = || NameError::new(SPAN, "must be such as '3 days 7 hours 22 minutes'");
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut whole = 0_i64;
    for pair in words.chunks(2) {
        let [number, unit] = pair else { return Err(odd()) };
        let number: u32 = number.parse().map_err(|_| odd())?;
        let seconds = match unit.trim_end_matches(',').trim_end_matches('s') {
            "second" | "sec" => 1,
            "minute" | "min" => 60,
            "hour" => 60 * 60,
            "day" => DAY,
            "week" => 7 * DAY,
            _ => return Err(odd()),
        };
        whole += i64::from(number) * seconds;
    }
    if words.is_empty() || whole > LONGEST_DAYS * DAY {
        return Err(odd());
    }
    Ok(TimeDelta::seconds(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_people_write() {
        let now: DateTime<Utc> = "2026-11-22T12:00:00Z".parse().unwrap();
        for (text, meant) in [
            ("10 minutes ago", "2026-11-22T11:50:00Z"),
            ("1 day 2 hours ago", "2026-11-21T10:00:00Z"),
            ("3 days, 1 second ago", "2026-11-19T11:59:59Z"),
            ("2026-11-22T03:00:00Z", "2026-11-22T03:00:00Z"),
            ("2026-11-22T03:00:00.25+02:00", "2026-11-22T01:00:00.25Z"),
            ("2026-11-22 03:00", "2026-11-22T03:00:00Z"),
            ("2026-11-22T03:00:30", "2026-11-22T03:00:30Z"),
            ("2026-11-22 03:00:12.5 UTC", "2026-11-22T03:00:12.5Z"),
            ("2026-11-22 03:00 America/Los_Angeles", "2026-11-22T11:00:00Z"),
            ("2026-07-22 03:00 PDT", "2026-07-22T10:00:00Z"),
            // Whatever the clocks of a place say on that day.
            ("2026-07-22 03:00 GMT", "2026-07-22T03:00:00Z"),
            ("2026-07-22 03:00 pst", "2026-07-22T11:00:00Z"),
            ("2026-11-22 03:00 CEST", "2026-11-22T01:00:00Z"),
            ("2026-10-25 02:30 CET", "2026-10-25T01:30:00Z"),
            ("2026-11-22 03:00 +05:30", "2026-11-21T21:30:00Z"),
            (" now ", "2026-11-22T12:00:00Z"),
        ] {
            assert_eq!(moment(text, now), Ok(meant.parse().unwrap()), "{text}");
        }
        for odd in [
            "",
            "ago",
            "yesterday",
            "10 ago",
            "-1 minutes ago",
            "1 fortnight ago",
            "2026-13-01 03:00",
            "2026-11-22",
            "03:00",
            "2026-11-22 03:00 Nowhere/Else",
            "99999999 weeks ago",
        ] {
            assert!(moment(odd, now).is_err(), "{odd:?}");
        }
    }

    #[test]
    fn a_local_time_that_is_not_one_moment_is_refused() {
        let now = DateTime::default();
        let twice = moment("2026-10-25 02:30 Europe/Paris", now).unwrap_err().to_string();
        assert!(twice.contains("comes twice"), "{twice}");
        let never = moment("2026-03-29 02:30 Europe/Paris", now).unwrap_err().to_string();
        assert!(never.contains("does not come"), "{never}");
    }
}

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

/// The clock of this machine, for nothing but telling.
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
    }
}

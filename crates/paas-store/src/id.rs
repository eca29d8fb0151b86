//! New identifiers.

use chrono::{DateTime, Utc};
use paas_core::Id;
use uuid::Builder;

/// A new identifier: a version 7 UUID of this time (RFC 9562 §5.7), so that ids sort by age.
pub fn new_id<T>(now: DateTime<Utc>) -> Id<T> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).expect("the kernel has randomness once the machine has booted");
    let milliseconds = u64::try_from(now.timestamp_millis()).unwrap_or(0);
    Id::from_uuid(Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};
    use paas_core::App;

    use super::*;

    #[test]
    fn ids_sort_by_age_and_never_repeat() {
        let now = Utc.with_ymd_and_hms(2026, 1, 2, 3, 4, 5).unwrap();
        let (one, two) = (new_id::<App>(now), new_id::<App>(now));
        assert_ne!(one, two);
        assert_eq!(one.as_uuid().get_version_num(), 7);
        assert!(one < new_id(now + TimeDelta::milliseconds(1)));
    }
}

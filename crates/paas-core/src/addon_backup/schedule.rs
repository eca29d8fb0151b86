//! At which time of day an add-on is copied.

use chrono::{DateTime, NaiveDate, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::{Addon, Id, NameError, time_zone};

/// Once a day at a local time. It belongs to the add-on: what is put back into it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupSchedule {
    hour: u32,
    minute: u32,
    zone: Tz,
}

/// What decides whether a scheduled backup of an add-on is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupTurn {
    pub schedule: BackupSchedule,
    /// When the add-on was made.
    pub created_at: DateTime<Utc>,
    /// The last one that was tried, and the last one that came off.
    pub last_begun: Option<DateTime<Utc>>,
    pub last_good: Option<DateTime<Utc>>,
}

const SCHEDULE: &str = "Schedule";
/// Minutes after one o'clock in the night in which add-ons that nobody has said anything about are copied, each at its own.
const QUIET_MINUTES: u32 = 4 * 60;
/// After one that did not come off.
const TRY_AGAIN: TimeDelta = TimeDelta::hours(1);
const MINUTES_A_DAY: i64 = 24 * 60;

impl BackupSchedule {
    /// At a full hour of a time zone, such as `America/Los_Angeles` or `PST`.
    pub fn new(hour: u32, zone: &str) -> Result<Self, NameError> {
        if hour > 23 {
            return Err(NameError::new(SCHEDULE, "must have an hour from 0 to 23"));
        }
        let rule = "must have a time zone such as UTC or America/Los_Angeles";
        let zone = time_zone(zone).ok_or(NameError::new(SCHEDULE, rule))?;
        Ok(Self { hour, minute: 0, zone })
    }

    /// A minute of its own in the night (UTC), so that not all are copied at once.
    pub fn quiet(addon: Id<Addon>) -> Self {
        // The last bytes are the random ones.
        let bytes = addon.as_uuid().as_bytes();
        let minute = u32::from(u16::from_be_bytes([bytes[14], bytes[15]])) % QUIET_MINUTES;
        Self {
            hour: 1 + minute / 60,
            minute: minute % 60,
            zone: Tz::UTC,
        }
    }

    pub const fn hour(&self) -> u32 {
        self.hour
    }

    pub const fn minute(&self) -> u32 {
        self.minute
    }

    /// As the IANA database calls it.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The last time that has come.
    pub fn last_due(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let today = now.with_timezone(&self.zone).date_naive();
        let at = self.on(today);
        if at <= now {
            return at;
        }
        self.on(today - TimeDelta::days(1))
    }

    /// Where clocks are set back the time comes twice, and the first counts; where they are set forward and it does not come at
    /// all, the first moment after.
    fn on(&self, day: NaiveDate) -> DateTime<Utc> {
        let wanted = day
            .and_hms_opt(self.hour, self.minute, 0)
            .expect("an hour below 24 and a minute below 60");
        let real = (0..=MINUTES_A_DAY).find_map(|minutes| {
            let local = wanted + TimeDelta::minutes(minutes);
            self.zone.from_local_datetime(&local).earliest()
        });
        // No clock was ever set forward by more than a day.
        real.map_or_else(|| wanted.and_utc(), |local| local.to_utc())
    }
}

impl BackupTurn {
    pub fn is_due(&self, now: DateTime<Utc>) -> bool {
        let due = self.schedule.last_due(now);
        due > self.created_at
            && self.last_good.is_none_or(|good| good < due)
            && self
                .last_begun
                .is_none_or(|begun| begun < due || begun + TRY_AGAIN <= now)
    }
}

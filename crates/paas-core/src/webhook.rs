//! Webhooks: whom an app's people want told of what, and how often it is tried.
//!
//! Entities and levels are Heroku's (Dev Center, *App Webhooks*). A delivery of level `sync` is tried until the receiver
//! answers 2xx or three days have passed since the event; one of level `notify` is tried once.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use crate::{DrainUrl, NameError};

/// Where notifications are sent. `Debug` leaves out what may be secret: user, password, path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(DrainUrl);

/// What a webhook may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WebhookEntity {
    AddonAttachment,
    Addon,
    App,
    Build,
    Collaborator,
    Domain,
    /// A one-off dyno that somebody asked for.
    NewDyno,
    Formation,
    Release,
    SniEndpoint,
    /// The states of each dyno.
    Dyno,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookLevel {
    /// One attempt.
    Notify,
    /// Again and again until it is delivered.
    Sync,
}

/// What the receiver of an attempt said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookAnswer {
    Status(u16),
    /// There was no answer.
    Nothing,
}

/// What becomes of a delivery after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookOutcome {
    Succeeded,
    Failed,
    Retry { at: DateTime<Utc> },
}

const KIND: &str = "Url";
const FIRST_RETRY: Duration = Duration::from_secs(20);
const LAST_RETRY: Duration = Duration::from_hours(1);
/// Heroku's limit (Dev Center changelog 2525).
const SYNC_LIMIT: TimeDelta = TimeDelta::hours(72);
/// The receiver says that it is gone, and likely for good (RFC 9110 §15.5.11).
const GONE: u16 = 410;

impl WebhookUrl {
    /// The URL as it was typed, secrets and all.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Host, port, path and credentials.
    pub fn parts(&self) -> &DrainUrl {
        &self.0
    }
}

impl FromStr for WebhookUrl {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        if !matches!(scheme.as_deref(), Some("http" | "https")) {
            return Err(NameError::new(KIND, "must be a whole https:// or http:// address"));
        }
        text.parse().map(Self)
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WebhookUrl").field(&self.0.place()).finish()
    }
}

impl WebhookEntity {
    pub const ALL: [Self; 11] = [
        Self::AddonAttachment,
        Self::Addon,
        Self::App,
        Self::Build,
        Self::Collaborator,
        Self::Domain,
        Self::NewDyno,
        Self::Formation,
        Self::Release,
        Self::SniEndpoint,
        Self::Dyno,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AddonAttachment => "api:addon-attachment",
            Self::Addon => "api:addon",
            Self::App => "api:app",
            Self::Build => "api:build",
            Self::Collaborator => "api:collaborator",
            Self::Domain => "api:domain",
            Self::NewDyno => "api:dyno",
            Self::Formation => "api:formation",
            Self::Release => "api:release",
            Self::SniEndpoint => "api:sni-endpoint",
            Self::Dyno => "dyno",
        }
    }

    /// The entity that a recorded change belongs to. Of most changes nobody is told.
    pub fn of(action: &str, resource: &str) -> Option<Self> {
        if !matches!(action, "create" | "update" | "destroy") {
            return None;
        }
        match resource {
            "addon" => Some(Self::Addon),
            "addon-attachment" => Some(Self::AddonAttachment),
            "app" => Some(Self::App),
            "build" => Some(Self::Build),
            "collaborator" => Some(Self::Collaborator),
            "domain" => Some(Self::Domain),
            "dyno" if action == "create" => Some(Self::NewDyno),
            "dyno-state" => Some(Self::Dyno),
            "formation" => Some(Self::Formation),
            "release" => Some(Self::Release),
            "sni-endpoint" => Some(Self::SniEndpoint),
            _ => None,
        }
    }

    /// What a payload calls the resource.
    pub fn resource(self) -> &'static str {
        let name = self.as_str();
        name.strip_prefix("api:").unwrap_or(name)
    }
}

impl FromStr for WebhookEntity {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|entity| entity.as_str() == text);
        found.ok_or(NameError::new(
            "Include",
            "must name what to be told of: api:addon-attachment, api:addon, api:app, api:build, api:collaborator, \
             api:domain, api:dyno, api:formation, api:release, api:sni-endpoint and dyno",
        ))
    }
}

impl WebhookLevel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notify => "notify",
            Self::Sync => "sync",
        }
    }

    /// What becomes of a delivery after this many attempts. `random` (from 0 to 1) spreads the next attempts of deliveries
    /// that failed together.
    pub fn outcome(
        self,
        answer: WebhookAnswer,
        attempts: u32,
        created_at: DateTime<Utc>,
        now: DateTime<Utc>,
        random: f64,
    ) -> WebhookOutcome {
        match answer {
            WebhookAnswer::Status(200..=299) => return WebhookOutcome::Succeeded,
            WebhookAnswer::Status(GONE) => return WebhookOutcome::Failed,
            WebhookAnswer::Status(_) | WebhookAnswer::Nothing => {}
        }
        let exponent = attempts.saturating_sub(1).min(16);
        let wait = FIRST_RETRY.saturating_mul(1 << exponent).min(LAST_RETRY);
        let at = now + wait.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0);
        if self == Self::Notify || at >= created_at + SYNC_LIMIT {
            WebhookOutcome::Failed
        } else {
            WebhookOutcome::Retry { at }
        }
    }
}

impl FromStr for WebhookLevel {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "notify" => Ok(Self::Notify),
            "sync" => Ok(Self::Sync),
            _ => Err(NameError::new("Level", "must be notify or sync")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_notification_is_tried_once() {
        let outcome = |answer| WebhookLevel::Notify.outcome(answer, 1, at(0), at(0), 0.5);
        assert_eq!(outcome(WebhookAnswer::Status(204)), WebhookOutcome::Succeeded);
        assert_eq!(outcome(WebhookAnswer::Status(500)), WebhookOutcome::Failed);
        assert_eq!(outcome(WebhookAnswer::Nothing), WebhookOutcome::Failed);
    }

    #[test]
    fn a_synchronization_is_tried_for_three_days_with_growing_pauses() {
        let (mut now, mut attempts, mut last) = (at(0), 0, TimeDelta::zero());
        loop {
            attempts += 1;
            match WebhookLevel::Sync.outcome(WebhookAnswer::Status(302), attempts, at(0), now, 1.0) {
                WebhookOutcome::Retry { at } => {
                    assert!(at - now >= last && at - now <= TimeDelta::hours(1));
                    (last, now) = (at - now, at);
                }
                outcome => {
                    assert_eq!(outcome, WebhookOutcome::Failed);
                    break;
                }
            }
        }
        assert!(now < at(72 * 3600) && now >= at(71 * 3600 - 60), "{now}");
        assert!((70..90).contains(&attempts), "{attempts}");
    }

    #[test]
    fn a_receiver_that_is_gone_is_not_asked_again() {
        let gone = WebhookAnswer::Status(410);
        let outcome = WebhookLevel::Sync.outcome(gone, 1, at(0), at(0), 0.5);
        assert_eq!(outcome, WebhookOutcome::Failed);
    }

    #[test]
    fn the_pauses_of_many_deliveries_differ() {
        let next = |random| WebhookLevel::Sync.outcome(WebhookAnswer::Nothing, 1, at(0), at(0), random);
        assert_eq!(next(0.0), WebhookOutcome::Retry { at: at(10) });
        assert_eq!(next(1.0), WebhookOutcome::Retry { at: at(20) });
    }

    #[test]
    fn names_of_entities_are_read_as_they_are_written() {
        for entity in WebhookEntity::ALL {
            assert_eq!(entity.as_str().parse(), Ok(entity));
        }
        assert!("api:nothing".parse::<WebhookEntity>().is_err());
        assert_eq!(WebhookEntity::of("restart", "dyno"), None);
        assert_eq!(WebhookEntity::of("create", "dyno"), Some(WebhookEntity::NewDyno));
        assert_eq!(WebhookEntity::NewDyno.resource(), "dyno");
    }

    #[test]
    fn a_url_is_a_whole_http_address_and_debug_hides_what_is_in_it() {
        let url: WebhookUrl = "https://ann:hunter2@example.com/in?key=s3cret".parse().unwrap();
        assert_eq!(format!("{url:?}"), "WebhookUrl(\"https://example.com:443\")");
        for wrong in [
            "",
            "example.com",
            "syslog://example.com",
            "https://",
            "file:///etc/passwd",
        ] {
            assert!(wrong.parse::<WebhookUrl>().is_err(), "{wrong}");
        }
    }
}

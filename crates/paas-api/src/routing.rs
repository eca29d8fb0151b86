//! How the requests of an app are treated. Heroku has no such resource: some of it are features there, some cannot be set.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::AppRef;

/// `GET /apps/{app}/routing`. Null: as on Heroku.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    pub app: AppRef,
    /// How long a request waits for a dyno that boots or wakes.
    pub boot_timeout_seconds: Option<u64>,
    /// `max-age` of `Strict-Transport-Security`.
    pub hsts_seconds: Option<u64>,
    /// Plain HTTP is redirected to HTTPS.
    pub https_redirect: bool,
    /// How long a connection may be silent.
    pub idle_timeout_seconds: Option<u64>,
    /// How long a dyno may take to begin its answer.
    pub response_timeout_seconds: Option<u64>,
    pub session_affinity: bool,
    /// Without a request for this long the app sleeps.
    pub sleep_after_seconds: Option<u64>,
}

/// `PATCH /apps/{app}/routing`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingUpdate {
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub boot_timeout_seconds: RuleChange<u64>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub hsts_seconds: RuleChange<u64>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub https_redirect: RuleChange<bool>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub idle_timeout_seconds: RuleChange<u64>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub response_timeout_seconds: RuleChange<u64>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub session_affinity: RuleChange<bool>,
    #[serde(skip_serializing_if = "RuleChange::is_keep")]
    pub sleep_after_seconds: RuleChange<u64>,
}

/// What becomes of one rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuleChange<T> {
    /// Left out: it stays.
    #[default]
    Keep,
    /// Null: as on Heroku again.
    Reset,
    To(T),
}

impl<T> RuleChange<T> {
    pub const fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for RuleChange<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::To))
    }
}

impl<T: Serialize> Serialize for RuleChange<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Reset => serializer.serialize_none(),
            Self::To(value) => value.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_is_not_nothing() {
        let update: RoutingUpdate = serde_json::from_str(r#"{"hsts_seconds":null,"https_redirect":true}"#).unwrap();
        let expected = RoutingUpdate {
            hsts_seconds: RuleChange::Reset,
            https_redirect: RuleChange::To(true),
            ..RoutingUpdate::default()
        };
        assert_eq!(update, expected);
        let text = serde_json::to_string(&update).unwrap();
        assert_eq!(text, r#"{"hsts_seconds":null,"https_redirect":true}"#);
        assert!(serde_json::from_str::<RoutingUpdate>(r#"{"sleep":1}"#).is_err());
    }
}

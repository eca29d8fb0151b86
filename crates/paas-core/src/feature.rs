//! Features of an app: Heroku's switches that change how its dynos run.
//!
//! Those that change how requests are treated are rules of its [`Routing`](crate::Routing).

use std::collections::BTreeSet;

/// A switch that has a row once somebody touched it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// Memory and load of each dyno as lines of the log, every 20 s (Dev Center, *log-runtime-metrics*).
    LogRuntimeMetrics,
    /// New dynos serve before old ones stop. It is always so here: the switch is kept for those who look at it.
    Preboot,
    /// `HEROKU_APP_NAME` and its like in the environment of each dyno (Dev Center, *Dyno Metadata*).
    RuntimeDynoMetadata,
    /// People may enter running dynos: `ps:exec`.
    RuntimeHerokuExec,
}

/// The features of one app that are on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features(BTreeSet<Feature>);

impl Feature {
    pub const ALL: [Self; 4] = [
        Self::LogRuntimeMetrics,
        Self::Preboot,
        Self::RuntimeDynoMetadata,
        Self::RuntimeHerokuExec,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogRuntimeMetrics => "log-runtime-metrics",
            Self::Preboot => "preboot",
            Self::RuntimeDynoMetadata => "runtime-dyno-metadata",
            Self::RuntimeHerokuExec => "runtime-heroku-exec",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|feature| feature.as_str() == name)
    }

    /// What it is until somebody switches it.
    pub const fn is_on_by_default(self) -> bool {
        // Nothing has to be installed in a dyno for it, so there is no reason to ask first.
        matches!(self, Self::RuntimeHerokuExec)
    }
}

impl Features {
    pub fn is_on(&self, feature: Feature) -> bool {
        self.0.contains(&feature)
    }

    pub fn switch(&mut self, feature: Feature, on: bool) {
        if on {
            self.0.insert(feature);
        } else {
            self.0.remove(&feature);
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self(
            Feature::ALL
                .into_iter()
                .filter(|feature| feature.is_on_by_default())
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_feature_is_read_as_it_is_written() {
        for feature in Feature::ALL {
            assert_eq!(Feature::parse(feature.as_str()), Some(feature));
        }
        assert_eq!(Feature::parse("spaces-trusted-ips"), None);
    }

    #[test]
    fn what_is_switched_stays_so() {
        let mut features = Features::default();
        assert!(features.is_on(Feature::RuntimeHerokuExec) && !features.is_on(Feature::Preboot));
        features.switch(Feature::Preboot, true);
        features.switch(Feature::RuntimeHerokuExec, false);
        assert!(!features.is_on(Feature::RuntimeHerokuExec) && features.is_on(Feature::Preboot));
    }
}

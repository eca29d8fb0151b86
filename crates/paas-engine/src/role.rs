//! What a container is for, written on it as labels.

use std::collections::HashMap;

use paas_core::{Addon, App, Build, Dyno, DynoName, Id, Release, ReleaseVersion};

/// What a container is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A dyno of a formation: what the planner looks after.
    Dyno {
        app: Id<App>,
        dyno: Id<Dyno>,
        attempt: u32,
        name: DynoName,
        release: ReleaseVersion,
    },
    /// A one-off dyno (`paas run`).
    OneOff {
        app: Id<App>,
        name: DynoName,
        release: ReleaseVersion,
    },
    /// The release phase of a release.
    Release {
        app: Id<App>,
        release: Id<Release>,
        version: ReleaseVersion,
    },
    Build {
        app: Id<App>,
        build: Id<Build>,
    },
    /// The server of an add-on. It belongs to no app: several may use it, and its volume outlives them all.
    Addon {
        addon: Id<Addon>,
        /// Grows when the container has to be made anew, as for another plan.
        generation: u32,
    },
    /// A task of the platform itself, such as making a stack image.
    Task {
        purpose: String,
    },
}

/// Marks every object as one platform's.
pub(crate) const PLATFORM: &str = "paas.platform";
/// The app that an object belongs to.
pub(crate) const APP: &str = "paas.app";
pub(crate) const ROLE: &str = "paas.role";
const DYNO: &str = "paas.dyno";
const DYNO_NAME: &str = "paas.dyno-name";
const ATTEMPT: &str = "paas.attempt";
const RELEASE: &str = "paas.release";
const RELEASE_VERSION: &str = "paas.release-version";
const BUILD: &str = "paas.build";
const PURPOSE: &str = "paas.purpose";
const ADDON: &str = "paas.addon";
const GENERATION: &str = "paas.addon-generation";
/// The labels that only containers carry, never images.
pub(crate) const OF_CONTAINERS: [&str; 2] = [ROLE, PURPOSE];

impl Role {
    /// The app it works for, unless it works for the platform.
    pub const fn app(&self) -> Option<Id<App>> {
        match self {
            Self::Dyno { app, .. } | Self::OneOff { app, .. } | Self::Release { app, .. } | Self::Build { app, .. } => {
                Some(*app)
            }
            Self::Addon { .. } | Self::Task { .. } => None,
        }
    }

    /// The labels that say this role, without the platform's.
    pub(crate) fn to_labels(&self) -> HashMap<String, String> {
        let mut labels = HashMap::new();
        let mut set = |key: &str, value: String| labels.insert(key.to_owned(), value);
        if let Some(app) = self.app() {
            set(APP, app.to_string());
        }
        match self {
            Self::Dyno {
                app: _,
                dyno,
                attempt,
                name,
                release,
            } => {
                set(ROLE, "dyno".to_owned());
                set(DYNO, dyno.to_string());
                set(ATTEMPT, attempt.to_string());
                set(DYNO_NAME, name.to_string());
                set(RELEASE_VERSION, release.to_string());
            }
            Self::OneOff { app: _, name, release } => {
                set(ROLE, "one-off".to_owned());
                set(DYNO_NAME, name.to_string());
                set(RELEASE_VERSION, release.to_string());
            }
            Self::Release {
                app: _,
                release,
                version,
            } => {
                set(ROLE, "release".to_owned());
                set(RELEASE, release.to_string());
                set(RELEASE_VERSION, version.to_string());
            }
            Self::Build { app: _, build } => {
                set(ROLE, "build".to_owned());
                set(BUILD, build.to_string());
            }
            Self::Addon { addon, generation } => {
                set(ROLE, "addon".to_owned());
                set(ADDON, addon.to_string());
                set(GENERATION, generation.to_string());
            }
            Self::Task { purpose } => {
                set(ROLE, "task".to_owned());
                set(PURPOSE, purpose.clone());
            }
        }
        labels
    }

    /// The role that labels say; `None` when they say none that we know.
    pub(crate) fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let get = |key: &str| labels.get(key).map(String::as_str);
        let app = || get(APP)?.parse().ok();
        let name = || get(DYNO_NAME)?.parse().ok();
        let version = || get(RELEASE_VERSION)?.parse().ok();
        match get(ROLE)? {
            "dyno" => Some(Self::Dyno {
                app: app()?,
                dyno: get(DYNO)?.parse().ok()?,
                attempt: get(ATTEMPT)?.parse().ok()?,
                name: name()?,
                release: version()?,
            }),
            "one-off" => Some(Self::OneOff {
                app: app()?,
                name: name()?,
                release: version()?,
            }),
            "release" => Some(Self::Release {
                app: app()?,
                release: get(RELEASE)?.parse().ok()?,
                version: version()?,
            }),
            "build" => Some(Self::Build {
                app: app()?,
                build: get(BUILD)?.parse().ok()?,
            }),
            "addon" => Some(Self::Addon {
                addon: get(ADDON)?.parse().ok()?,
                generation: get(GENERATION)?.parse().ok()?,
            }),
            "task" => Some(Self::Task {
                purpose: get(PURPOSE)?.to_owned(),
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_role_survives_the_way_through_labels() {
        let app = Id::from_uuid(Uuid::from_u128(1));
        let release = "v42".parse().unwrap();
        let name: DynoName = "web.2".parse().unwrap();
        for role in [
            Role::Dyno {
                app,
                dyno: Id::from_uuid(Uuid::from_u128(2)),
                attempt: 3,
                name: name.clone(),
                release,
            },
            Role::OneOff { app, name, release },
            Role::Release {
                app,
                release: Id::from_uuid(Uuid::from_u128(4)),
                version: release,
            },
            Role::Build {
                app,
                build: Id::from_uuid(Uuid::from_u128(5)),
            },
            Role::Addon {
                addon: Id::from_uuid(Uuid::from_u128(6)),
                generation: 7,
            },
            Role::Task {
                purpose: "stack".to_owned(),
            },
        ] {
            assert_eq!(Role::from_labels(&role.to_labels()), Some(role));
        }
    }

    #[test]
    fn labels_of_another_time_are_no_role() {
        let mut labels = HashMap::from([(ROLE.to_owned(), "accumulator".to_owned())]);
        assert_eq!(Role::from_labels(&labels), None);
        labels.insert(ROLE.to_owned(), "dyno".to_owned());
        assert_eq!(Role::from_labels(&labels), None);
    }
}

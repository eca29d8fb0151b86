//! Add-ons: servers that apps use, such as a database.
//!
//! An add-on is a row, a volume that is named after it, and at most one container, which may be lost at any time: it is made
//! anew on its volume. The container is on the networks of the apps that the add-on is attached to, and on no other.
//!
//! ```text
//! provisioning ─answers─▶ provisioned ─▶ deprovisioning ─▶ gone
//!        └───────────────────────────────────▲
//! ```

use std::{collections::BTreeSet, fmt, str::FromStr};

use chrono::{DateTime, Utc};

use crate::{App, ConfigKey, Id, NameError, UpgradeState};

/// A server that one app pays for and others may use too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addon {
    pub id: Id<Addon>,
    /// Whose it is: it goes with this app.
    pub app: Id<App>,
    pub name: AddonName,
    /// What it is: `heroku-postgresql`.
    pub service: String,
    /// How large it is: `essential-0`.
    pub plan: String,
    pub state: AddonState,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// The use that an app makes of an add-on: its config vars there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    pub id: Id<Attachment>,
    pub addon: Id<Addon>,
    pub app: Id<App>,
    pub name: AttachmentName,
    /// A part of the add-on, such as `credential:reader`.
    pub namespace: Option<String>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddonState {
    /// It has never answered yet.
    Provisioning,
    Provisioned,
    /// Its container goes, then its volume, then its row.
    Deprovisioning,
}

/// The name of an add-on, unique on the platform: letters, digits, underscores and dashes, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddonName(String);

/// The name of an attachment, unique in its app: capital letters, digits and underscores, a letter first. What its config
/// vars begin with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttachmentName(String);

/// What is wanted of the container of an add-on.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a duty of its own, and any of them may be open"
)]
pub struct AddonWanted {
    pub state: AddonState,
    /// A container of another one is replaced.
    pub generation: u32,
    /// Its volume is to be filled before its server is started for the first time.
    pub is_to_fill: bool,
    /// Its server has to learn new credentials.
    pub is_rotating: bool,
    /// It is to be backed up once more before it goes. So far it is looked after as if it were to stay.
    pub owes_farewell: bool,
    /// Its server has to learn of other credentials, or to forget some.
    pub has_news: bool,
    /// How far it is on its way to another version.
    pub upgrade: Option<UpgradeState>,
    /// It is to go no farther on that way.
    pub is_called_off: bool,
    /// It is time to look how full its disk is.
    pub is_to_measure: bool,
    /// After something that failed: when it may be tried again.
    pub retry_at: Option<DateTime<Utc>>,
    /// The apps on whose networks it is.
    pub apps: BTreeSet<Id<App>>,
}

/// A container of an add-on, as an engine shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenAddon {
    pub container: String,
    pub generation: u32,
    pub state: SeenAddonState,
    pub apps: BTreeSet<Id<App>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenAddonState {
    Created,
    Running {
        /// Its server has its credentials, and has answered.
        is_ready: bool,
    },
    Exited,
}

/// What is to be done about an add-on next. Each may be repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddonStep {
    /// Nothing, until something changes, or until then.
    Rest(Option<DateTime<Utc>>),
    /// Ends a container and removes it; its volume stays.
    Remove { container: String, has_crashed: bool },
    /// Fills the volume with what another add-on held at a moment.
    Fill,
    /// Makes and starts the container.
    Start,
    /// Puts the container on the network of an app.
    Join { container: String, app: Id<App> },
    /// Takes the container off the network of an app.
    Leave { container: String, app: Id<App> },
    /// Gives the server its credentials and waits until it answers; then it is provisioned.
    Prepare { container: String },
    /// Gives the server its new credentials; then the apps get them.
    Rotate { container: String },
    /// Keeps a last backup.
    Farewell { container: String },
    /// Tells the server of its other credentials, and lets it forget those that are revoked.
    Teach { container: String },
    /// Loads what it holds into a scratch server of another version.
    Try { container: String },
    /// Loads what is on its volume onto another one, while no server of its own is there.
    Move,
    /// Removes what the way to another version has made so far, and says that it is over.
    CallOff,
    /// Looks how full its disk is.
    Measure { container: String },
    /// No container is left: removes the volume, and the row.
    Delete,
}

const NAME: &str = "Name";
const ATTACHMENT: &str = "Attachment name";
const LONGEST_NAME: usize = 256;

impl AddonWanted {
    /// The next step. There is never a second container on a volume: whatever is in the way goes before another is made.
    pub fn decide(&self, seen: &[SeenAddon], now: DateTime<Utc>) -> AddonStep {
        // Whatever else is wrong with it: somebody waits for that.
        if self.is_called_off && self.state != AddonState::Deprovisioning {
            return AddonStep::CallOff;
        }
        let is_ended = self.state == AddonState::Deprovisioning && !self.owes_farewell;
        // No server is on a volume that is still to be filled, or that is being read by somebody else.
        let is_moving = self.upgrade == Some(UpgradeState::Moving) && self.state != AddonState::Deprovisioning;
        let is_alive = !is_ended && !self.is_to_fill && !is_moving;
        let is_wanted =
            |seen: &SeenAddon| is_alive && seen.generation == self.generation && seen.state != SeenAddonState::Exited;
        if let Some(other) = seen.iter().find(|seen| !is_wanted(seen)) {
            return AddonStep::Remove {
                container: other.container.clone(),
                has_crashed: is_alive && other.generation == self.generation && other.state == SeenAddonState::Exited,
            };
        }
        let [seen, others @ ..] = seen else {
            if is_ended {
                return AddonStep::Delete;
            }
            let step = if self.is_to_fill {
                AddonStep::Fill
            } else if is_moving {
                AddonStep::Move
            } else {
                AddonStep::Start
            };
            return self.in_its_time(step, now);
        };
        if let Some(other) = others.first() {
            let container = other.container.clone();
            return AddonStep::Remove {
                container,
                has_crashed: false,
            };
        }
        self.look_after(seen, now)
    }

    /// What may fail is not tried again before its time.
    fn in_its_time(&self, step: AddonStep, now: DateTime<Utc>) -> AddonStep {
        match self.retry_at {
            Some(at) if at > now => AddonStep::Rest(Some(at)),
            _ => step,
        }
    }

    /// What the one container needs.
    fn look_after(&self, seen: &SeenAddon, now: DateTime<Utc>) -> AddonStep {
        let container = seen.container.clone();
        let SeenAddonState::Running { is_ready } = seen.state else {
            return self.in_its_time(AddonStep::Start, now);
        };
        if let Some(app) = self.apps.difference(&seen.apps).next() {
            return AddonStep::Join { container, app: *app };
        }
        if let Some(app) = seen.apps.difference(&self.apps).next() {
            return AddonStep::Leave { container, app: *app };
        }
        if !is_ready || self.state == AddonState::Provisioning {
            return self.in_its_time(AddonStep::Prepare { container }, now);
        }
        if self.state == AddonState::Deprovisioning {
            return self.in_its_time(AddonStep::Farewell { container }, now);
        }
        if self.is_rotating {
            return self.in_its_time(AddonStep::Rotate { container }, now);
        }
        if self.has_news {
            return self.in_its_time(AddonStep::Teach { container }, now);
        }
        if self.upgrade == Some(UpgradeState::Trying) {
            return self.in_its_time(AddonStep::Try { container }, now);
        }
        if self.is_to_measure {
            return self.in_its_time(AddonStep::Measure { container }, now);
        }
        AddonStep::Rest(None)
    }
}

impl AddonState {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Deprovisioning => "deprovisioning",
        }
    }
}

impl FromStr for AddonState {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        [Self::Provisioning, Self::Provisioned, Self::Deprovisioning]
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or(NameError::new(
                "State",
                "must be provisioning, provisioned or deprovisioning",
            ))
    }
}

impl AddonName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AddonName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let is_valid = text.len() <= LONGEST_NAME
            && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
            && text.bytes().all(is_word);
        if !is_valid {
            let rule = "must start with a letter and can only contain letters, numbers, underscores and dashes";
            return Err(NameError::new(NAME, rule));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for AddonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AttachmentName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The config var of this attachment that ends so: `DATABASE` and `URL` make `DATABASE_URL`.
    pub fn config_key(&self, suffix: &str) -> Option<ConfigKey> {
        format!("{}_{suffix}", self.0).parse().ok()
    }
}

impl FromStr for AttachmentName {
    type Err = NameError;

    /// Small letters and dashes are made what they have to be, as Heroku does.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let text = text.to_ascii_uppercase().replace('-', "_");
        let is_word = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        let is_valid = text.len() <= LONGEST_NAME / 2
            && text.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
            && text.bytes().all(is_word);
        if !is_valid {
            let rule = "must start with a letter and can only contain letters, numbers and underscores";
            return Err(NameError::new(ATTACHMENT, rule));
        }
        Ok(Self(text))
    }
}

impl fmt::Display for AttachmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests;

//! Config vars: the environment of an app, whole in every release.

use std::{
    collections::{BTreeMap, btree_map},
    fmt,
    str::FromStr,
};

use thiserror::Error;

/// All config vars of a release. `Debug` shows the keys only: values are secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ConfigVars(BTreeMap<ConfigKey, String>);

/// The name of a config var: letters, digits and underscores, not starting with a digit or with `__`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigKey(String);

/// The largest sum of all keys and values.
const MAXIMUM_BYTES: usize = 64 * 1024;
const MAXIMUM_KEY_BYTES: usize = 255;

/// Why config vars were refused. No variant carries a value.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    #[error("Config var name is missing")]
    EmptyKey,
    #[error("Config var name {start}… is too long (maximum is 255 characters)")]
    LongKey { start: String },
    #[error(
        "Config var name {key} is not allowed: use letters, numbers and underscores, and start with a letter or one underscore"
    )]
    BadKey { key: String },
    #[error("Config var name {key} is set by the platform and cannot be changed")]
    ReservedKey { key: String },
    #[error("Config var {key} contains a NUL byte, which no environment can hold")]
    NulInValue { key: ConfigKey },
    #[error("Config vars are too large: {bytes} bytes of keys and values, the maximum is {MAXIMUM_BYTES}")]
    TooLarge { bytes: usize },
}

impl ConfigVars {
    /// These vars with `changes` made: a `None` removes its key.
    pub fn with(&self, changes: impl IntoIterator<Item = (ConfigKey, Option<String>)>) -> Result<Self, ConfigError> {
        let mut vars = self.0.clone();
        for (key, value) in changes {
            match value {
                Some(value) if value.contains('\0') => return Err(ConfigError::NulInValue { key }),
                Some(value) => vars.insert(key, value),
                None => vars.remove(&key),
            };
        }
        let bytes = vars.iter().map(|(key, value)| key.0.len() + value.len()).sum();
        if bytes > MAXIMUM_BYTES {
            return Err(ConfigError::TooLarge { bytes });
        }
        Ok(Self(vars))
    }

    pub fn iter(&self) -> btree_map::Iter<'_, ConfigKey, String> {
        self.0.iter()
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find_map(|(name, value)| (name.0 == key).then_some(value.as_str()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for &'a ConfigVars {
    type Item = (&'a ConfigKey, &'a String);
    type IntoIter = btree_map::Iter<'a, ConfigKey, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for ConfigVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl ConfigKey {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ConfigKey {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ConfigError::EmptyKey);
        }
        if text.len() > MAXIMUM_KEY_BYTES {
            let start = text.chars().take(32).collect();
            return Err(ConfigError::LongKey { start });
        }
        let key = text.to_owned();
        let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !word || text.as_bytes()[0].is_ascii_digit() || text.starts_with("__") {
            return Err(ConfigError::BadKey { key });
        }
        if ["PORT", "DYNO", "PS"].contains(&text) {
            return Err(ConfigError::ReservedKey { key });
        }
        Ok(Self(key))
    }
}

impl fmt::Display for ConfigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> ConfigKey {
        text.parse().unwrap()
    }

    fn set(pairs: &[(&str, &str)]) -> Result<ConfigVars, ConfigError> {
        let changes = pairs.iter().map(|(name, value)| (key(name), Some((*value).to_owned())));
        ConfigVars::default().with(changes)
    }

    #[test]
    fn keys_are_words_of_an_environment() {
        for good in ["A", "_a", "DATABASE_URL", "lower_case1", "PORTS", &"K".repeat(255)] {
            assert_eq!(key(good).as_str(), good);
        }
        for bad in ["1A", "__A", "A-B", "A=B", "A B", "É", "A\0", "A\n", "-"] {
            assert_eq!(
                bad.parse::<ConfigKey>(),
                Err(ConfigError::BadKey { key: bad.to_owned() })
            );
        }
        assert_eq!("".parse::<ConfigKey>(), Err(ConfigError::EmptyKey));
        for reserved in ["PORT", "DYNO", "PS"] {
            let key = reserved.to_owned();
            assert_eq!(reserved.parse::<ConfigKey>(), Err(ConfigError::ReservedKey { key }));
        }
    }

    #[test]
    fn a_long_key_is_refused_without_repeating_it() {
        let error = "K".repeat(500).parse::<ConfigKey>().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "Config var name {}… is too long (maximum is 255 characters)",
                "K".repeat(32)
            )
        );
        assert!("é".repeat(200).parse::<ConfigKey>().is_err());
    }

    #[test]
    fn changes_set_and_remove() {
        let vars = set(&[("A", "1"), ("B", "2")]).unwrap();
        let vars = vars
            .with([(key("A"), None), (key("B"), Some("3".to_owned())), (key("GONE"), None)])
            .unwrap();
        assert_eq!((vars.get("A"), vars.get("B")), (None, Some("3")));
        assert_eq!(vars.iter().count(), 1);
    }

    #[test]
    fn what_no_environment_can_hold_is_refused() {
        assert_eq!(set(&[("A", "b\0c")]), Err(ConfigError::NulInValue { key: key("A") }));
        let value = "x".repeat(MAXIMUM_BYTES - 1);
        assert!(set(&[("A", &value)]).is_ok());
        let bytes = MAXIMUM_BYTES + 1;
        assert_eq!(set(&[("AB", &value)]), Err(ConfigError::TooLarge { bytes }));
    }

    #[test]
    fn debug_shows_no_value() {
        let shown = format!("{:?}", set(&[("TOKEN", "hunter2")]).unwrap());
        assert_eq!(shown, r#"{ConfigKey("TOKEN")}"#);
    }
}

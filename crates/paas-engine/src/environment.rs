//! The environment of a container: config vars and what the platform adds.

use std::{collections::BTreeMap, fmt};

use paas_core::ConfigVars;

/// Variables and their values. `Debug` shows the keys only: values are secrets.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    pub fn new() -> Self {
        Self::default()
    }

    /// This environment with one more variable; the last value of a key counts.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The form that engines take: `KEY=value`.
    pub(crate) fn to_assignments(&self) -> Vec<String> {
        self.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

impl From<&ConfigVars> for Environment {
    fn from(config: &ConfigVars) -> Self {
        config
            .iter()
            .map(|(key, value)| (key.as_str().to_owned(), value.clone()))
            .collect()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

impl Extend<(String, String)> for Environment {
    fn extend<I: IntoIterator<Item = (String, String)>>(&mut self, variables: I) {
        self.0.extend(variables);
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_keys_but_no_values() {
        let environment = Environment::new().with("SECRET_KEY", "hunter2");
        assert_eq!(format!("{environment:?}"), r#"{"SECRET_KEY"}"#);
    }
}

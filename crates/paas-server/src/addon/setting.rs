//! What people may choose of how a server runs.

use std::{collections::BTreeMap, fmt::Write as _};

use paas_store::addon::Values;
use serde::Deserialize;

use super::Service;

/// One thing to choose, and what it may be: yes or no, one of some words, a number, or some letters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) default: String,
    /// Words, and what each means.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    #[serde(default)]
    is_boolean: bool,
    /// The smallest number, where that is not 0.
    #[serde(default)]
    least: i64,
    /// The largest number.
    most: Option<i64>,
    letters: Option<String>,
    /// Why nobody can choose it here.
    fixed: Option<String>,
}

impl Setting {
    /// Whether it may be that; otherwise the rule, after the setting's name.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        if let Some(reason) = &self.fixed {
            let is_fit = value == self.default;
            return is_fit
                .then_some(())
                .ok_or(format!("must be {}: {reason}", self.default));
        }
        if self.is_boolean {
            let is_fit = matches!(value, "true" | "false");
            return is_fit.then_some(()).ok_or("must be true or false".to_owned());
        }
        if let Some(most) = self.most {
            let least = self.least;
            // As servers read it: `+5` and `007` are numbers to a parser, and keep Redis from starting.
            let is_fit = value
                .parse::<i64>()
                .is_ok_and(|number| (least..=most).contains(&number) && number.to_string() == value);
            return is_fit
                .then_some(())
                .ok_or(format!("must be a whole number from {least} to {most}"));
        }
        if let Some(letters) = &self.letters {
            // What a quoted word of a shell cannot hold is never among them; each counts once, so more say nothing.
            let is_fit =
                value.len() <= letters.len() && value.chars().all(|letter| letters.contains(letter) && letter != '\'');
            return is_fit
                .then_some(())
                .ok_or(format!("must be made of these letters: {letters}"));
        }
        let words: Vec<_> = self.values.keys().map(String::as_str).collect();
        let is_fit = words.contains(&value) && !value.contains('\'');
        is_fit
            .then_some(())
            .ok_or(format!("must be one of {}", words.join(", ")))
    }

    /// On the wire numbers are numbers, and so is what is true or not.
    pub(crate) fn to_json(&self, value: &str) -> serde_json::Value {
        if self.is_boolean {
            return (value == "true").into();
        }
        match value.parse::<i64>() {
            Ok(number) if self.most.is_some() => number.into(),
            _ => value.into(),
        }
    }
}

impl Service {
    /// Everything that can be chosen, with what was chosen of it.
    pub(crate) fn settings(&self, chosen: &Values) -> Values {
        let settings = self.kind.settings.iter();
        settings
            .map(|(name, setting)| (name.clone(), chosen.get(name).unwrap_or(&setting.default).clone()))
            .collect()
    }

    /// The same as a shell reads it.
    pub(crate) fn settings_file(&self, chosen: &Values) -> String {
        let mut file = String::new();
        for (name, value) in self.settings(chosen) {
            let name = name.to_ascii_uppercase().replace('.', "_");
            let _ = writeln!(file, "SETTING_{name}='{value}'");
        }
        file
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::addon::Catalogue;

    #[test]
    fn only_what_fits_can_be_chosen_and_a_shell_reads_it_as_it_is() {
        let catalogue = Catalogue::load(Path::new("/nowhere")).unwrap();
        let redis = catalogue.service("heroku-redis").unwrap();
        let check = |name: &str, value: &str| redis.kind.settings[name].check(value);
        for (name, good, bad) in [
            ("timeout", "60", "-1"),
            ("timeout", "0", "soon"),
            ("timeout", "7", "007"),
            ("timeout", "5", "+5"),
            ("maxmemory_policy", "allkeys-lru", "'; rm -rf /'"),
            ("notify_keyspace_events", "g$KE", "g'"),
            ("notify_keyspace_events", "", "k"),
            ("notify_keyspace_events", "A", &"A".repeat(200_000)),
        ] {
            assert_eq!(check(name, good), Ok(()), "{name}={good}");
            assert!(check(name, bad).unwrap_err().contains("must be"), "{name}={bad}");
        }
        let chosen = [("notify_keyspace_events".to_owned(), "g$KE".to_owned())].into();
        let file = redis.settings_file(&chosen);
        assert!(file.contains("SETTING_NOTIFY_KEYSPACE_EVENTS='g$KE'\n"), "{file}");
        assert!(file.contains("SETTING_TIMEOUT='300'\n"), "{file}");
        assert_eq!(redis.kind.settings["timeout"].to_json("60"), 60);
    }

    #[test]
    fn a_database_says_yes_and_no_and_numbers_below_nothing() {
        let catalogue = Catalogue::load(Path::new("/nowhere")).unwrap();
        let postgres = catalogue.service("heroku-postgresql").unwrap();
        let settings = &postgres.kind.settings;
        for (name, good, bad) in [
            ("log_connections", "false", "off"),
            ("log_min_duration_statement", "-1", "-2"),
            ("auto_explain.log_min_duration", "0", "1.5"),
            ("log_statement", "mod", "dml"),
            ("data_connector_details_logs", "false", "true"),
        ] {
            assert_eq!(settings[name].check(good), Ok(()), "{name}={good}");
            assert!(
                settings[name].check(bad).unwrap_err().contains("must be"),
                "{name}={bad}"
            );
        }
        assert_eq!(settings["log_connections"].to_json("true"), true);
        assert_eq!(settings["log_min_duration_statement"].to_json("-1"), -1);
        // A shell knows no names with dots.
        let file = postgres.settings_file(&[("auto_explain.log_analyze".to_owned(), "true".to_owned())].into());
        assert!(file.contains("SETTING_AUTO_EXPLAIN_LOG_ANALYZE='true'\n"), "{file}");
        assert!(file.contains("SETTING_LOG_STATEMENT='ddl'\n"), "{file}");
    }
}

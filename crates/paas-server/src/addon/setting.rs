//! What people may choose of how a server runs.

use std::{collections::BTreeMap, fmt::Write as _};

use paas_store::addon::Values;
use serde::Deserialize;

use super::Service;

/// One thing to choose, and what it may be: one of some words, a number, or some letters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setting {
    pub(crate) default: String,
    /// Words, and what each means.
    #[serde(default)]
    pub(crate) values: BTreeMap<String, String>,
    /// The largest number.
    most: Option<u64>,
    letters: Option<String>,
}

impl Setting {
    /// Whether it may be that; otherwise the rule, after the setting's name.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        if let Some(most) = self.most {
            // As servers read it: `+5` and `007` are numbers to a parser, and keep Redis from starting.
            let is_fit = value
                .parse::<u64>()
                .is_ok_and(|number| number <= most && number.to_string() == value);
            return is_fit
                .then_some(())
                .ok_or(format!("must be a whole number from 0 to {most}"));
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

    /// Numbers are numbers on the wire.
    pub(crate) fn to_json(&self, value: &str) -> serde_json::Value {
        match value.parse::<u64>() {
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
            let _ = writeln!(file, "SETTING_{}='{value}'", name.to_ascii_uppercase());
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
}

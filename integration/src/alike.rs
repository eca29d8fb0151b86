//! What two clients say about the same thing, held side by side.

use std::fmt;

use crate::Output;

/// The output of Heroku's client, and that of ours.
pub struct Both {
    pub heroku: Output,
    pub paas: Output,
}

impl Both {
    /// Calls the app of the one by the name of the other.
    #[must_use]
    pub(crate) fn renaming(mut self, heroku: &str, paas: &str) -> Self {
        for text in [&mut self.paas.stdout, &mut self.paas.stderr] {
            *text = text.replace(paas, heroku);
        }
        self
    }

    /// Both ended the same way, and said the same on both streams, but for ids, times and versions.
    #[track_caller]
    pub fn expect_alike(&self) -> &Self {
        assert_eq!(self.heroku.code, self.paas.code, "{self:?}");
        for (heroku, paas) in [
            (&self.heroku.stdout, &self.paas.stdout),
            (&self.heroku.stderr, &self.paas.stderr),
        ] {
            let (heroku, paas) = (normal(heroku), normal(paas));
            assert!(heroku == paas, "heroku:\n{heroku}\npaas:\n{paas}\n{self:?}");
        }
        self
    }

    /// Both did what was asked.
    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        self.heroku.expect_success();
        self.paas.expect_success();
        self
    }

    /// Both said this.
    #[track_caller]
    pub fn expect(&self, text: &str) -> &Self {
        self.heroku.expect(text);
        self.paas.expect(text);
        self
    }
}

impl fmt::Debug for Both {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "heroku: {:?}\npaas: {:?}", self.heroku, self.paas)
    }
}

/// Each word that is another one in each run is named by what it is; blanks at the ends of lines are nothing.
fn normal(text: &str) -> String {
    let lines = text.trim_end().lines().map(|line| {
        let words = line.trim_end().split(' ').map(normal_word);
        words.collect::<Vec<_>>().join(" ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn normal_word(word: &str) -> String {
    let is_punctuation = |character: char| matches!(character, '(' | ')' | ',' | '.' | '"' | '\'' | ':');
    let bare = word.trim_matches(is_punctuation);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Every digit a 0: what is left is the form.
    let form: String = bare
        .chars()
        .map(|character| if character.is_ascii_digit() { '0' } else { character })
        .collect();
    let name = match form.as_str() {
        "0000/00/00" | "0000-00-00" => "DATE",
        "00:00:00" => "TIME",
        "+0000" | "-0000" => "ZONE",
        "0000-00-00T00:00:00Z" => "MOMENT",
        _ if uuid::Uuid::parse_str(bare).is_ok() => "ID",
        _ if bare.strip_prefix('v').is_some_and(digits) => "VERSION",
        // `3s ago`, `2m ago`.
        _ if bare.len() > 1 && bare.strip_suffix(['s', 'm', 'h']).is_some_and(digits) => "AGE",
        _ => return word.to_owned(),
    };
    word.replacen(bare, name, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_times_and_versions_are_no_difference() {
        let heroku = "web.1: up 2026/01/02 03:04:05 +0000 (~ 3s ago)  \nv4: done, v12\n";
        let paas = "web.1: up 2026/11/21 13:24:15 +0000 (~ 14s ago)\nv5: done, v3\n\n";
        assert_eq!(normal(heroku), normal(paas));
        assert_eq!(
            normal("Release v3 3b241101-e2bb-4255-8caf-4136c566a962"),
            "Release VERSION ID"
        );
    }

    #[test]
    fn other_words_and_columns_are() {
        assert_ne!(normal("web.1: up"), normal("web.2: up"));
        assert_ne!(normal("a  b"), normal("a b"));
        assert_eq!(normal("5 dynos"), "5 dynos");
    }
}

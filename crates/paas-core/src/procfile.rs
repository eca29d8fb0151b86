//! The Procfile: process types and their commands.
//!
//! One `type: command` per line (Dev Center, *The Procfile*). Blank lines and lines that start with `#` say nothing; a
//! byte order mark and Windows line ends are forgiven. Anything else is refused with the line and with what to write
//! instead: a line that were skipped in silence would be a process type that silently never runs.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    str::FromStr,
};

use thiserror::Error;

use crate::ProcessType;

/// A parsed Procfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Procfile(BTreeMap<ProcessType, String>);

/// Which line is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Procfile line {line}: {problem}")]
pub struct ProcfileError {
    pub line: usize,
    pub problem: String,
}

/// Far above any real Procfile: what is larger is another file under the wrong name.
const MAXIMUM_BYTES: usize = 64 * 1024;

/// How much of a wrong line an error message repeats.
const SHOWN_CHARACTERS: usize = 60;

impl Procfile {
    pub fn process_types(&self) -> &BTreeMap<ProcessType, String> {
        &self.0
    }

    pub fn into_process_types(self) -> BTreeMap<ProcessType, String> {
        self.0
    }
}

impl FromStr for Procfile {
    type Err = ProcfileError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAXIMUM_BYTES {
            let fits = text.char_indices().take_while(|(index, _)| *index < MAXIMUM_BYTES);
            let line = 1 + fits.filter(|(_, character)| *character == '\n').count();
            let problem = format!(
                "the file grows beyond {} KiB here; a Procfile holds one \"type: command\" per line and nothing else",
                MAXIMUM_BYTES / 1024
            );
            return Err(ProcfileError { line, problem });
        }
        let mut process_types = BTreeMap::new();
        let mut first_lines = BTreeMap::new();
        for (index, text) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
            let line = index + 1;
            let error = |problem| ProcfileError { line, problem };
            let Some((process_type, command)) = parse_line(text).map_err(error)? else {
                continue;
            };
            match first_lines.entry(process_type.clone()) {
                Entry::Occupied(first) => {
                    return Err(error(format!(
                        "\"{process_type}\" is already on line {}; each process type has one line",
                        first.get()
                    )));
                }
                Entry::Vacant(entry) => entry.insert(line),
            };
            process_types.insert(process_type, command);
        }
        Ok(Self(process_types))
    }
}

impl fmt::Display for Procfile {
    /// As a Procfile again, in the order of the process types.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|(process_type, command)| writeln!(f, "{process_type}: {command}"))
    }
}

/// One line: `None` when it says nothing.
fn parse_line(line: &str) -> Result<Option<(ProcessType, String)>, String> {
    if line.contains('\0') {
        return Err(format!(
            "{} contains a NUL byte, which no command can hold; save the file as UTF-8 text",
            shown(line)
        ));
    }
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let Some((process_type, command)) = line.split_once(':') else {
        return Err(format!(
            "expected \"type: command\", such as \"web: python app.py\", but there is no colon in {}",
            shown(line)
        ));
    };
    let (process_type, command) = (process_type.trim(), command.trim());
    let process_type: ProcessType = process_type.parse().map_err(|error| {
        format!(
            "{error}, such as \"web\" in \"web: python app.py\", but this is {}",
            shown(line)
        )
    })?;
    if command.is_empty() {
        return Err(format!(
            "the command of \"{process_type}\" is missing; write what starts it after the colon, such as \
             \"{process_type}: python app.py\""
        ));
    }
    Ok(Some((process_type, command.to_owned())))
}

/// The start of a wrong line in quotes, with control characters made visible.
fn shown(line: &str) -> String {
    let start: String = line.chars().take(SHOWN_CHARACTERS).collect();
    let dots = if start.len() < line.len() { "…" } else { "" };
    format!("\"{}{dots}\"", start.escape_debug())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let procfile: Procfile = text.parse().unwrap();
        let pairs = procfile.into_process_types().into_iter();
        pairs.map(|(name, command)| (name.to_string(), command)).collect()
    }

    fn refused(text: &str) -> String {
        text.parse::<Procfile>().unwrap_err().to_string()
    }

    #[test]
    fn each_line_is_a_type_and_a_command() {
        let text =
            "\u{feff}# what runs\r\n\r\n web: gunicorn app:app --bind :$PORT \r\nworker_2:./run\r\nclock:\tx # y";
        let expected = [
            ("clock", "x # y"),
            ("web", "gunicorn app:app --bind :$PORT"),
            ("worker_2", "./run"),
        ];
        assert_eq!(
            parsed(text),
            expected.map(|(name, command)| (name.to_owned(), command.to_owned()))
        );
        assert!(parsed("").is_empty());
        assert!(parsed("# nothing\n\n").is_empty());
    }

    #[test]
    fn a_wrong_line_is_refused_with_what_to_write_instead() {
        assert_eq!(
            refused("web: run\n\npython app.py\n"),
            "Procfile line 3: expected \"type: command\", such as \"web: python app.py\", but there is no colon in \
             \"python app.py\""
        );
        assert_eq!(
            refused("web:   \n"),
            "Procfile line 1: the command of \"web\" is missing; write what starts it after the colon, such as \
             \"web: python app.py\""
        );
        assert_eq!(
            refused("web: a\nworker: b\nweb: c"),
            "Procfile line 3: \"web\" is already on line 1; each process type has one line"
        );
        assert_eq!(
            refused("my web: run"),
            "Procfile line 1: Process type can only contain letters, numbers, dashes, and underscores, such as \"web\" in \
             \"web: python app.py\", but this is \"my web: run\""
        );
        assert!(refused(": run").contains("Process type is missing"));
        assert!(refused("web: a\nworker: b\0c").starts_with("Procfile line 2: \"worker: b\\0c\" contains a NUL byte"));
        assert!(refused(&"x".repeat(500)).ends_with(&format!("\"{}…\"", "x".repeat(SHOWN_CHARACTERS))));
    }

    #[test]
    fn a_large_file_is_refused_at_the_line_where_it_is_too_large() {
        let text = "# filler\n".repeat(MAXIMUM_BYTES / 9);
        assert!(text.parse::<Procfile>().is_ok());
        let message = refused(&format!("{text}web: {}", "x".repeat(100)));
        assert!(
            message.starts_with("Procfile line 7282: the file grows beyond 64 KiB"),
            "{message}"
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s)[\u{feff}]?([a-z_ -]{0,5}[:#\u{0}\r\n\t]{0,2}.{0,6}){0,12}") {
            if let Err(error) = text.parse::<Procfile>() {
                prop_assert!(error.line >= 1 && error.line <= text.lines().count());
            }
        }

        #[test]
        fn what_is_written_is_read_again(
            process_types in prop::collection::btree_map("[A-Za-z0-9_-]{1,63}", "[!-~]([ -~é]{0,40}[!-~])?", 0..8),
        ) {
            let types = process_types.into_iter().map(|(name, command)| (name.parse().unwrap(), command)).collect();
            let procfile = Procfile(types);
            prop_assert_eq!(procfile.to_string().parse::<Procfile>().unwrap(), procfile);
        }
    }
}

//! The netrc: where the token is kept, so that a plain `git push` and `curl -n` find it too.
//!
//! The file is the user's: entries of other machines, comments and macros stay as they are, byte for byte. It is
//! replaced by renaming, under a lock, and only its owner can read it. Format: inetutils, *The .netrc file*; quoting as
//! curl reads it (`"` around, `\` before `"` and `\`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    ops::Range,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use paas_api::Secret;

use crate::error::{Error, Result};

/// A netrc by its path. It need not exist.
#[derive(Debug)]
pub(crate) struct Netrc {
    path: PathBuf,
}

/// Who we are on one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) token: Secret,
}

impl Netrc {
    /// The netrc at `path`; a symlink (dotfiles are often links into a repository) is followed, never replaced.
    pub(crate) fn new(path: &Path) -> Self {
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Self { path }
    }

    /// The login for a machine, if there is one.
    pub(crate) fn login(&self, machine: &str) -> Result<Option<Login>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error(error)),
        };
        Ok(entries(&text)
            .into_iter()
            .find(|entry| entry.machine.as_deref() == Some(machine))
            .and_then(|entry| {
                Some(Login {
                    email: entry.login.unwrap_or_default(),
                    token: Secret::new(entry.password?),
                })
            }))
    }

    /// Keeps one login for each of these machines.
    pub(crate) fn set(&self, machines: &[String], login: &Login) -> Result<()> {
        self.change(|text| machines.iter().fold(text, |text, machine| with(&text, machine, login)))
    }

    /// Forgets these machines.
    pub(crate) fn remove(&self, machines: &[String]) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        self.change(|text| machines.iter().fold(text, |text, machine| without(&text, machine)))
    }

    fn change(&self, edit: impl FnOnce(String) -> String) -> Result<()> {
        self.replace(edit).map_err(|error| self.error(error))
    }

    fn replace(&self, edit: impl FnOnce(String) -> String) -> io::Result<()> {
        let _lock = self.lock()?;
        let text = edit(fs::read_to_string(&self.path)?);
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Created with mode 0600.
        let mut file = tempfile::Builder::new()
            .prefix(".netrc.")
            .tempfile_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }

    /// Locks the file that the path names now. Another writer may have put a new file there while we waited; then the
    /// lock that we got is one on a file that nobody can see any more.
    fn lock(&self) -> io::Result<File> {
        loop {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)?;
            file.lock()?;
            let (ours, named) = (file.metadata()?, fs::metadata(&self.path));
            if named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                return Ok(file);
            }
        }
    }

    fn error(&self, source: io::Error) -> Error {
        Error::Netrc {
            path: self.path.display().to_string(),
            source,
        }
    }
}

/// One `machine` or `default`, and where it stands in the text: from its first word to the end of its last.
#[derive(Debug, Default)]
struct Entry {
    machine: Option<String>,
    login: Option<String>,
    password: Option<String>,
    span: Range<usize>,
}

fn with(text: &str, machine: &str, login: &Login) -> String {
    let text = without(text, machine);
    let entry = format!(
        "machine {}\n  login {}\n  password {}\n",
        quote(machine),
        quote(&login.email),
        quote(login.token.expose())
    );
    // Readers stop at `default`, so nothing may stand behind it.
    let default = entries(&text).into_iter().find(|entry| entry.machine.is_none());
    let place = default.map_or(text.len(), |entry| entry.span.start);
    let (before, after) = text.split_at(place);
    let gap = if before.is_empty() || before.ends_with('\n') {
        ""
    } else {
        "\n"
    };
    format!("{before}{gap}{entry}{after}")
}

fn without(text: &str, machine: &str) -> String {
    let mut text = text.to_owned();
    for entry in entries(&text).into_iter().rev() {
        if entry.machine.as_deref() == Some(machine) {
            let rest = &text[entry.span.end..];
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
            let newline = usize::from(rest[blank..].starts_with('\n'));
            let end = entry.span.end + if newline == 1 { blank + 1 } else { 0 };
            text.replace_range(entry.span.start..end, "");
        }
    }
    text
}

fn entries(text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut words = Words { text, at: 0 };
    while let Some((word, span)) = words.next() {
        match word.as_str() {
            "default" => entries.push(Entry {
                span,
                ..Entry::default()
            }),
            "macdef" => words.skip_macro(),
            "machine" | "login" | "password" | "account" => {
                let Some((value, end)) = words.next() else { break };
                if word == "machine" {
                    entries.push(Entry {
                        machine: Some(value),
                        span: span.start..end.end,
                        ..Entry::default()
                    });
                } else if let Some(entry) = entries.last_mut() {
                    entry.span.end = end.end;
                    match word.as_str() {
                        "login" => entry.login = Some(value),
                        "password" => entry.password = Some(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    entries
}

/// The words of a netrc, unquoted, with their places.
#[derive(Debug)]
struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl Words<'_> {
    fn next(&mut self) -> Option<(String, Range<usize>)> {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            let is_first = self.text[..self.at].trim_end_matches([' ', '\t']).ends_with('\n') || self.at == 0;
            if !(is_first && self.text[self.at..].starts_with('#')) {
                break;
            }
            self.skip_past("\n");
        }
        let start = self.at;
        let rest = &self.text[start..];
        let mut word = String::new();
        let mut characters = rest.char_indices();
        let is_quoted = rest.starts_with('"');
        if is_quoted {
            characters.next();
        }
        self.at = self.text.len();
        while let Some((offset, character)) = characters.next() {
            match character {
                '\\' if is_quoted => word.extend(characters.next().map(|(_, escaped)| escaped)),
                '"' if is_quoted => {
                    self.at = start + offset + 1;
                    break;
                }
                space if !is_quoted && space.is_whitespace() => {
                    self.at = start + offset;
                    break;
                }
                other => word.push(other),
            }
        }
        (self.at > start).then_some((word, start..self.at))
    }

    /// A macro ends at the first empty line.
    fn skip_macro(&mut self) {
        self.skip_past("\n\n");
    }

    fn skip_past(&mut self, end: &str) {
        let rest = &self.text[self.at..];
        self.at += rest.find(end).map_or(rest.len(), |offset| offset + end.len());
    }
}

/// A word as it stands in the file. Only words that need quotes get them: older readers know none.
fn quote(word: &str) -> String {
    let is_plain = !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c == '"' || c == '\\');
    if is_plain && !word.starts_with('#') {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, thread};

    use super::*;

    fn login(token: &str) -> Login {
        Login {
            email: "dev@example.com".to_owned(),
            token: Secret::new(token),
        }
    }

    fn machines(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_login_is_found_again_and_only_its_owner_can_read_it() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".netrc");
        let netrc = Netrc::new(&path);
        assert_eq!(netrc.login("127.0.0.1").unwrap(), None);
        netrc
            .set(&machines(&["127.0.0.1", "git.example.com"]), &login("one"))
            .unwrap();
        netrc.set(&machines(&["127.0.0.1"]), &login("two")).unwrap();
        assert_eq!(netrc.login("127.0.0.1").unwrap(), Some(login("two")));
        assert_eq!(netrc.login("git.example.com").unwrap(), Some(login("one")));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().matches("machine").count(), 2);
    }

    #[test]
    fn permissions_that_were_too_wide_are_narrowed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".netrc");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        Netrc::new(&path).set(&machines(&["host"]), &login("token")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn entries_of_others_stay_as_they_are() {
        let others = "# mine, not \"yours\nmachine a.example login x password \"p w\\\"\" # tail\n\
                      macdef init\ncd machine\n\nmachine b.example\n\taccount z\n\tpassword y\n";
        let default = "default login anonymous password me\n";
        let ours = "machine host\n  login dev@example.com\n  password token\n";
        let text = with(&format!("{others}{default}"), "host", &login("token"));
        assert_eq!(text, format!("{others}{ours}{default}"));
        assert_eq!(without(&text, "host"), format!("{others}{default}"));
        let a = entries(&text)
            .into_iter()
            .find(|entry| entry.machine.as_deref() == Some("a.example"));
        assert_eq!(a.unwrap().password.unwrap(), "p w\"");
    }

    #[test]
    fn an_entry_on_one_line_without_an_end_of_line_is_replaced() {
        let text = with("machine host login a password b", "host", &login("new"));
        assert_eq!(text, "machine host\n  login dev@example.com\n  password new\n");
        let text = with("machine x login a password b", "host", &login("new"));
        assert!(
            text.starts_with("machine x login a password b\nmachine host\n"),
            "{text}"
        );
    }

    #[test]
    fn odd_words_survive_quoting() {
        for odd in ["a b", "quote\"", "back\\slash", "", "#hash", "tab\there"] {
            let text = with("", odd, &login(odd));
            let entry = entries(&text).pop().unwrap();
            assert_eq!(entry.machine.as_deref(), Some(odd), "{text}");
            assert_eq!(entry.password.as_deref(), Some(odd), "{text}");
        }
    }

    #[test]
    fn a_symlink_is_followed_and_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join(".netrc"));
        fs::write(&real, "").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        Netrc::new(&link).set(&machines(&["host"]), &login("token")).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("token"));
    }

    #[test]
    fn writers_at_the_same_time_lose_nothing() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".netrc");
        thread::scope(|scope| {
            for writer in 0..8 {
                let path = &path;
                scope.spawn(move || {
                    for entry in 0..5 {
                        let machine = vec![format!("host-{writer}-{entry}")];
                        Netrc::new(path).set(&machine, &login("token")).unwrap();
                    }
                });
            }
        });
        assert_eq!(entries(&fs::read_to_string(&path).unwrap()).len(), 40);
    }
}

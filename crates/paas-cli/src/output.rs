//! The only way to print: data to stdout, talk to stderr.
//!
//! Colour never carries meaning alone, and goes only to terminals that want it.

use std::io::{self, BufRead, IsTerminal, Write};

use serde::Serialize;

use crate::{
    config::Config,
    error::{Error, Result},
    table::Table,
};

/// Where a command says what it has to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    colour_stdout: bool,
    colour_stderr: bool,
}

/// SGR codes (ECMA-48 §8.3.117), the few that we use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Red,
    Green,
    Yellow,
    Cyan,
    Blue,
    Magenta,
}

impl Output {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            colour_stdout: !config.is_plain && io::stdout().is_terminal(),
            colour_stderr: !config.is_plain && io::stderr().is_terminal(),
        }
    }

    /// One line of data.
    pub(crate) fn line(self, text: impl AsRef<str>) -> Result<()> {
        // One write per line, so that a reader of a pipe never sees half of one for long.
        self.bytes(format!("{}\n", text.as_ref()).as_bytes())
    }

    /// Data as it is, flushed: streams are watched while they run.
    #[expect(
        clippy::unused_self,
        reason = "printing goes through a value, so that no code prints by the way"
    )]
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        Ok(stdout.flush()?)
    }

    /// `=== hello Config Vars`, then a blank line.
    pub(crate) fn header(self, text: &str) -> Result<()> {
        self.line(format!("=== {}\n", self.paint(Style::Bold, text)))
    }

    /// Names and values, lined up. Further lines of a value begin below its first.
    pub(crate) fn facts<K: AsRef<str>, V: AsRef<str>>(self, facts: &[(K, V)]) -> Result<()> {
        let width = facts.iter().map(|(key, _)| key.as_ref().chars().count()).max();
        let width = width.unwrap_or_default() + 1;
        for (key, value) in facts {
            let label = format!("{}:", key.as_ref());
            let value = value.as_ref().replace('\n', &format!("\n{:width$} ", ""));
            let text = format!("{label:width$} {value}");
            self.line(text.trim_end_matches(' '))?;
        }
        Ok(())
    }

    pub(crate) fn table(self, table: &Table) -> Result<()> {
        self.line(table.to_string())
    }

    /// The answer itself, for programs.
    pub(crate) fn json(self, value: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(io::Error::from)?;
        self.line(text)
    }

    /// `text`, in a style when stdout shows styles.
    pub(crate) fn paint(self, style: Style, text: &str) -> String {
        paint(self.colour_stdout, style, text)
    }

    /// A line of talk.
    pub(crate) fn note(self, text: &str) -> Result<()> {
        self.talk(&format!("{text}\n"))
    }

    pub(crate) fn warning(self, text: &str) -> Result<()> {
        let mark = paint(self.colour_stderr, Style::Yellow, "!");
        self.talk(&format!(" {mark}    Warning: {text}\n"))
    }

    /// Does some work between `Creating app...` and ` done`. `tell` may add what came of it: `, v42`.
    pub(crate) fn action<T>(
        self,
        what: &str,
        work: impl FnOnce() -> Result<T>,
        tell: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        let done = paint(self.colour_stderr, Style::Green, "done");
        self.action_ending(what, work, |value| format!("{done}{}", tell(value)))
    }

    /// The same, ending in words of its own: `Running bash... up, run.1234`.
    pub(crate) fn action_ending<T>(
        self,
        what: &str,
        work: impl FnOnce() -> Result<T>,
        end: impl FnOnce(&T) -> String,
    ) -> Result<T> {
        self.talk(&format!("{what}..."))?;
        match work() {
            Ok(value) => {
                self.talk(&format!(" {}\n", end(&value)))?;
                Ok(value)
            }
            Err(error) => {
                self.talk(&format!(" {}\n", paint(self.colour_stderr, Style::Red, "!")))?;
                Err(error)
            }
        }
    }

    /// Asks on stderr and reads a line of stdin.
    pub(crate) fn ask(self, question: &str, what: &'static str, instead: &'static str) -> Result<String> {
        if !io::stdin().is_terminal() {
            return Err(Error::NoTerminal { what, instead });
        }
        self.talk(question)?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(answer.trim().to_owned())
    }

    /// Asks on the terminal, without echo.
    #[expect(
        clippy::unused_self,
        reason = "asking is part of the conversation that this type holds"
    )]
    pub(crate) fn ask_secret(self, question: &str, what: &'static str, instead: &'static str) -> Result<String> {
        if !io::stdin().is_terminal() {
            return Err(Error::NoTerminal { what, instead });
        }
        Ok(rpassword::prompt_password(question)?)
    }

    /// The headline of an error, then its hint after a blank line. Nobody is left to tell when stderr is closed.
    pub(crate) fn error(self, error: &Error) {
        let mark = paint(self.colour_stderr, Style::Red, "!");
        let headline = error.to_string().trim_end().replace('\n', &format!("\n {mark}    "));
        let hint = error
            .hint()
            .map_or_else(String::new, |hint| format!("\nhint: {hint}\n"));
        _ = self.talk(&format!(" {mark}    {headline}\n{hint}"));
    }

    #[expect(
        clippy::unused_self,
        reason = "printing goes through a value, so that no code prints by the way"
    )]
    fn talk(self, text: &str) -> Result<()> {
        let mut stderr = io::stderr().lock();
        stderr.write_all(text.as_bytes())?;
        Ok(stderr.flush()?)
    }
}

fn paint(is_wanted: bool, style: Style, text: &str) -> String {
    if !is_wanted {
        return text.to_owned();
    }
    let code = match style {
        Style::Bold => 1,
        Style::Red => 31,
        Style::Green => 32,
        Style::Yellow => 33,
        Style::Blue => 34,
        Style::Magenta => 35,
        Style::Cyan => 36,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

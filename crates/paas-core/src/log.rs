//! A line of an app's log, in Logplex's words.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

/// Who wrote a line: the app itself, or the platform about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LogSource {
    /// The output of a dyno (`app[web.1]`) and what people did to the app (`app[api]`).
    App,
    /// The router (`heroku[router]`) and dyno states (`heroku[web.1]`).
    Heroku,
}

/// One line, at most 10,000 bytes of message, without a line feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub at: DateTime<Utc>,
    pub source: LogSource,
    /// `web.1`, `router`, `api`, `release.1234`.
    pub process: String,
    pub message: String,
}

impl LogSource {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Heroku => "heroku",
        }
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for LogLine {
    /// `2026-01-02T03:04:05.000000+00:00 app[web.1]: message`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.to_rfc3339_opts(SecondsFormat::Micros, false);
        write!(f, "{at} {}[{}]: {}", self.source, self.process, self.message)
    }
}

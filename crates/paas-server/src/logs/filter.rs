//! Which lines of a log somebody wants to see.

use paas_core::{LogLine, LogSource};

/// Selects lines; the default selects all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    pub(crate) source: Option<LogSource>,
    /// A dyno (`web.1`) or a process type (`web`): Heroku's clients send both in one field.
    pub(crate) dyno: Option<String>,
}

impl Filter {
    pub(crate) fn accepts(&self, line: &LogLine) -> bool {
        self.source.is_none_or(|source| source == line.source)
            && self.dyno.as_ref().is_none_or(|dyno| is_of_dyno(&line.process, dyno))
    }
}

fn is_of_dyno(process: &str, dyno: &str) -> bool {
    match process.strip_prefix(dyno) {
        Some("") => true,
        // `web` means `web.1`, but neither `web.1` means `web.12` nor `web` means `webhook.1`.
        Some(rest) => rest.starts_with('.') && !dyno.contains('.'),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn line(source: LogSource, process: &str) -> LogLine {
        LogLine {
            at: DateTime::UNIX_EPOCH,
            source,
            process: process.to_owned(),
            message: String::new(),
        }
    }

    #[test]
    fn a_dyno_is_named_exactly_or_by_its_process_type() {
        let accepts = |dyno: &str, process: &str| {
            let filter = Filter {
                dyno: Some(dyno.to_owned()),
                ..Filter::default()
            };
            filter.accepts(&line(LogSource::App, process))
        };
        assert!(accepts("web", "web.1"));
        assert!(accepts("web.1", "web.1"));
        assert!(accepts("router", "router"));
        assert!(!accepts("web.1", "web.12"));
        assert!(!accepts("web", "webhook.1"));
        assert!(!accepts("web.1", "web"));
    }

    #[test]
    fn a_source_keeps_the_other_one_out() {
        let filter = Filter {
            source: Some(LogSource::Heroku),
            dyno: None,
        };
        assert!(filter.accepts(&line(LogSource::Heroku, "router")));
        assert!(!filter.accepts(&line(LogSource::App, "web.1")));
        assert!(Filter::default().accepts(&line(LogSource::App, "web.1")));
    }
}

//! Logs: the last lines, and what follows.
//!
//! An event stream gives each line an id. When the connection is lost, the next one goes on behind the last id, so
//! that no line is missed and none comes twice (HTML Living Standard, §9.2 *Server-sent events*).

use std::{
    io::{self, BufRead},
    mem, thread,
    time::Duration,
};

use clap::Args;
use paas_api::{LogSession, NewLogSession};

use crate::{
    app_context::{AppArgs, Context},
    client::{Stream, segment},
    error::{Error, Result},
    output::{Output, Style},
};

const RECONNECT_AFTER: Duration = Duration::from_millis(250);
const RECONNECT_CEILING: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    #[command(flatten)]
    app: AppArgs,
    /// How many of the last lines
    #[arg(short, long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=1500))]
    num: u32,
    /// Go on with new lines until Ctrl-C
    #[arg(short, long)]
    tail: bool,
    /// Only lines of the app, or only lines of the platform
    #[arg(short, long, value_name = "app|heroku")]
    source: Option<String>,
    /// Only lines of one dyno, such as web.1
    #[arg(short, long = "dyno-name", alias = "dyno", value_name = "DYNO")]
    dyno: Option<String>,
    /// Only lines of one process type, such as web
    #[arg(short, long, alias = "ps", value_name = "TYPE", conflicts_with = "dyno")]
    process_type: Option<String>,
}

/// `logs`
pub(crate) fn show(args: &LogArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let wanted = NewLogSession {
        dyno: args.dyno.clone().or_else(|| args.process_type.clone()),
        lines: Some(args.num),
        source: args.source.clone(),
        tail: Some(args.tail),
        ..NewLogSession::default()
    };
    print_all(&app, &wanted, context)
}

/// Everything that a dyno says, until Ctrl-C.
pub(crate) fn tail_dyno(app: &str, dyno: &str, context: &Context) -> Result<()> {
    let wanted = NewLogSession {
        dyno: Some(dyno.to_owned()),
        tail: Some(true),
        ..NewLogSession::default()
    };
    print_all(app, &wanted, context)
}

fn print_all(app: &str, wanted: &NewLogSession, context: &Context) -> Result<()> {
    let path = format!("/apps/{}/log-sessions", segment(app));
    let start = || {
        context
            .client
            .post::<LogSession>(&path, wanted)
            .map(|session| session.logplex_url)
    };
    let mut events = Events::default();
    let mut url = start()?;
    let stream = context.client.event_stream(&url, None)?;
    let mut ended = events.copy(stream, context.output);
    if wanted.tail != Some(true) {
        return ended;
    }
    let (mut wait, mut is_told, mut is_fresh) = (RECONNECT_AFTER, false, false);
    loop {
        if let Err(error) = ended
            && !is_passing(&error)
        {
            return Err(error);
        }
        thread::sleep(wait);
        wait = (wait * 2).min(RECONNECT_CEILING);
        ended = match context.client.event_stream(&url, events.last_id()) {
            Ok(stream) => {
                (wait, is_told, is_fresh) = (RECONNECT_AFTER, false, false);
                events.copy(stream, context.output)
            }
            // Sessions end with the server that gave them; ids of lines do not.
            Err(error) if is_gone(&error) && !is_fresh => start().map(|fresh| {
                url = fresh;
                (wait, is_fresh) = (RECONNECT_AFTER, true);
            }),
            Err(error) if is_gone(&error) => Err(Error::LogStreamEnded),
            Err(error) => Err(error),
        };
        if ended.as_ref().is_err_and(is_passing) && !mem::replace(&mut is_told, true) {
            context.output.note("The log stream was interrupted. Reconnecting...")?;
        }
    }
}

/// Whether the same request may succeed a little later. A stream that broke off is one, a reader of ours that went
/// away is not.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Unreachable { .. } | Error::Timeout { .. } | Error::Api { status: 500.., .. } => true,
        Error::Io(_) => !error.is_broken_pipe(),
        _ => false,
    }
}

const fn is_gone(error: &Error) -> bool {
    matches!(
        error,
        Error::Api {
            status: 403 | 404 | 410,
            ..
        }
    )
}

/// The state of an event stream, which outlives its connections.
#[derive(Debug, Default)]
struct Events {
    last_id: String,
}

impl Events {
    fn last_id(&self) -> Option<&str> {
        Some(self.last_id.as_str()).filter(|id| !id.is_empty())
    }

    /// Prints a stream to its end.
    fn copy(&mut self, mut stream: Stream, output: Output) -> Result<()> {
        if stream.is_event_stream {
            return self.read(&mut stream.reader, |data| print(data, output));
        }
        while let Some(line) = next_line(&mut stream.reader)? {
            print(&line, output)?;
        }
        Ok(())
    }

    /// Gives each event's data to `act`. An event that is cut off by the end of the stream does not count.
    fn read(&mut self, reader: &mut impl BufRead, mut act: impl FnMut(&str) -> Result<()>) -> Result<()> {
        let mut data: Option<String> = None;
        let mut id: Option<String> = None;
        while let Some(line) = next_line(reader)? {
            if line.is_empty() {
                if let Some(data) = data.take() {
                    act(&data)?;
                }
                if let Some(id) = id.take() {
                    self.last_id = id;
                }
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => match &mut data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                    None => data = Some(value.to_owned()),
                },
                "id" if !value.contains('\0') => id = Some(value.to_owned()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// A line without its end; `None` at the end of the stream. Apps write what they like, so it need not be UTF-8.
fn next_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// Prints lines with the time and source of each in the colour of its source: `… app[web.1]:`.
fn print(lines: &str, output: Output) -> Result<()> {
    const STYLES: [Style; 5] = [Style::Cyan, Style::Yellow, Style::Green, Style::Magenta, Style::Blue];
    for line in lines.split('\n') {
        match line.split_once("]: ") {
            Some((head, message)) => {
                let source = head.rsplit(' ').next().unwrap_or_default();
                let style = STYLES[source.bytes().map(usize::from).sum::<usize>() % STYLES.len()];
                output.line(format!("{} {message}", output.paint(style, &format!("{head}]:"))))?;
            }
            None => output.line(line)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<String>, String) {
        let mut events = Events::default();
        let mut seen = Vec::new();
        let read = events.read(&mut text.as_bytes(), |data| {
            seen.push(data.to_owned());
            Ok(())
        });
        read.unwrap();
        (seen, events.last_id)
    }

    #[test]
    fn events_are_data_with_an_id() {
        let (seen, last) = read(": hb\n\nid: 1\ndata: one\n\nid:2\r\ndata:two\r\ndata: more\r\n\r\nevent: x\ndata\n\n");
        assert_eq!(seen, ["one", "two\nmore", ""]);
        assert_eq!(last, "2");
    }

    #[test]
    fn an_event_that_is_cut_off_does_not_count() {
        let (seen, last) = read("id: 1\ndata: one\n\nid: 2\ndata: tw");
        assert_eq!(seen, ["one"]);
        assert_eq!(last, "1");
    }
}

//! What an add-on's provider writes into the log of an app: RFC 5424 lines, each with its length in front, as Logplex takes them
//! (Dev Center, *Writing to Application Logs as an Add-on Partner*).

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

/// A line that says another time than one of this last hour comes from a clock that is wrong.
const OLDEST: TimeDelta = TimeDelta::hours(1);

/// What counts of a line. Who has written it is known from elsewhere: what it says about that may be anybody's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputLine {
    pub at: DateTime<Utc>,
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LogInputError {
    #[error("frame {0} does not begin with its length and a space, as in \"89 <190>1 2013-03-27T20:02:24+00:00 …\"")]
    Length(usize),
    #[error("frame {0} is cut off: its length is counted in bytes")]
    CutOff(usize),
    #[error("frame {0} is no line of RFC 5424: <190>1 TIME HOST app PROCESS - - MESSAGE")]
    Line(usize),
}

/// The lines of a request; `now` stands where a line has no time that can be true. A message of several lines becomes as many, so that
/// none of them looks like another one's.
pub fn log_input(body: &[u8], now: DateTime<Utc>) -> Result<Vec<InputLine>, LogInputError> {
    let mut lines = Vec::new();
    let mut rest = body.trim_ascii_start();
    for number in 1.. {
        if rest.is_empty() {
            break;
        }
        let (frame, after) = frame(rest, number)?;
        let frame = String::from_utf8_lossy(frame);
        let (at, message) = line(&frame).ok_or(LogInputError::Line(number))?;
        let at = at.filter(|at| *at <= now && *at >= now - OLDEST).unwrap_or(now);
        lines.extend(message.trim_end().split('\n').map(|message| InputLine {
            at,
            message: message.trim_end_matches('\r').to_owned(),
        }));
        rest = after.trim_ascii_start();
    }
    Ok(lines)
}

fn frame(rest: &[u8], number: usize) -> Result<(&[u8], &[u8]), LogInputError> {
    let space = rest.iter().position(|byte| *byte == b' ');
    let length = space.and_then(|space| Some((str::from_utf8(&rest[..space]).ok()?.parse::<usize>().ok()?, space)));
    let (length, space) = length.ok_or(LogInputError::Length(number))?;
    rest[space + 1..]
        .split_at_checked(length)
        .ok_or(LogInputError::CutOff(number))
}

fn line(frame: &str) -> Option<(Option<DateTime<Utc>>, &str)> {
    let (priority, rest) = frame.split_once(' ')?;
    let priority = priority.strip_prefix('<')?.strip_suffix(">1")?;
    priority.parse::<u8>().ok()?;
    // Time, host, app, process, message id.
    let mut words = rest.splitn(6, ' ');
    let at = words.next()?;
    let rest = words.nth(4)?;
    let at = DateTime::parse_from_rfc3339(at).ok().map(|at| at.with_timezone(&Utc));
    Some((at, after_structured_data(rest)))
}

/// Logplex's own lines have none, not even the dash that RFC 5424 wants in its place.
fn after_structured_data(rest: &str) -> &str {
    if rest == "-" {
        return "";
    }
    if let Some(message) = rest.strip_prefix("- ") {
        return message;
    }
    let mut end = 0;
    while rest[end..].starts_with('[') {
        let Some(length) = element(&rest[end..]) else {
            return rest;
        };
        end += length;
    }
    // What only looks like it is a message.
    match &rest[end..] {
        "" => "",
        after if end > 0 => after.strip_prefix(' ').unwrap_or(rest),
        _ => rest,
    }
}

/// How long `[id name="value"]` is; `None` where it does not end, or has no parameter.
fn element(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut has_parameter) = (false, false, false);
    for (index, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => {
                is_quoted = !is_quoted;
                has_parameter = true;
            }
            ']' if !is_quoted => return has_parameter.then_some(index + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2013-03-27T20:02:30Z";

    fn read(body: &str) -> Result<Vec<InputLine>, LogInputError> {
        log_input(body.as_bytes(), NOW.parse().unwrap())
    }

    fn framed(line: &str) -> String {
        format!("{} {line}", line.len())
    }

    fn message(rest: &str) -> String {
        let line = format!("<190>1 2013-03-27T20:02:24+00:00 host app procid {rest}");
        read(&framed(&line)).unwrap().remove(0).message
    }

    #[test]
    fn frames_are_taken_apart() {
        let lines = ["foo", "bär", "two\r\nlines\n"].map(|text| {
            framed(&format!(
                "<190>1 2013-03-27T20:02:24+00:00 01234567-89ab-cdef-0123-456789abcdef app procid - - {text}"
            ))
        });
        let read = read(&format!("{}{}\n{}\n", lines[0], lines[1], lines[2])).unwrap();
        let messages: Vec<_> = read.iter().map(|line| line.message.as_str()).collect();
        assert_eq!(messages, ["foo", "bär", "two", "lines"]);
        assert_eq!(read[0].at, "2013-03-27T20:02:24Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn structured_data_is_left_out_where_there_is_any() {
        for (rest, expected) in [
            ("- - foo", "foo"),
            ("- foo", "foo"),
            ("- -", ""),
            ("- [a@1 b=\"c ] \\\" d\"][e@1 f=\"\"] foo", "foo"),
            ("- [a@1 b=\"c\"]", ""),
            ("- [info] foo", "[info] foo"),
            ("- [broken foo=\"", "[broken foo=\""),
        ] {
            assert_eq!(message(rest), expected, "{rest}");
        }
    }

    #[test]
    fn a_time_that_cannot_be_true_is_the_time_of_arrival() {
        for wrong in ["-", "2013-03-27T20:05:00Z", "1970-01-01T00:00:00Z", "yesterday"] {
            let lines = read(&framed(&format!("<190>1 {wrong} host app procid - - foo"))).unwrap();
            assert_eq!(lines[0].at, NOW.parse::<DateTime<Utc>>().unwrap(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_frame_is_refused_and_says_which() {
        let good = framed("<190>1 - host app procid - - foo");
        for (bad, error) in [
            ("<190>1 - host app procid - - foo".to_owned(), LogInputError::Length(2)),
            (
                "99 <190>1 - host app procid - - foo".to_owned(),
                LogInputError::CutOff(2),
            ),
            ("18446744073709551615 x".to_owned(), LogInputError::CutOff(2)),
            (framed("foo"), LogInputError::Line(2)),
            (framed("<190>2 - host app procid - - foo"), LogInputError::Line(2)),
            (framed("<190>1 - host app procid"), LogInputError::Line(2)),
        ] {
            assert_eq!(read(&format!("{good}{bad}")), Err(error), "{bad}");
        }
        assert_eq!(read(" \n"), Ok(Vec::new()));
    }
}

//! Log drains: where else the lines of an app's log go, and in which bytes.
//!
//! The bytes are Logplex's (Dev Center, *Log Drains*): RFC 5424 lines, each with its length in front (RFC 6587 §3.4.1). Over
//! TCP the token of the drain stands in the place of the host. Over HTTPS that place says `host`, and there is no
//! STRUCTURED-DATA, not even a dash: receivers that know Heroku expect it so.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use chrono::{DateTime, SecondsFormat, Utc};

use crate::{Hostname, LogLine, LogSource, NameError};

/// The URL of a drain. `Debug` and [`DrainUrl::place`] leave out what may be secret: user, password, path and query.
#[derive(Clone, PartialEq, Eq)]
pub struct DrainUrl {
    text: String,
    pub scheme: DrainScheme,
    pub host: DrainHost,
    pub port: u16,
    /// `user:password` as it was typed, percent-encoded.
    user_info: Option<String>,
    /// Path and query, for HTTP.
    target: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrainScheme {
    Syslog,
    SyslogTls,
    Http,
    Https,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainHost {
    Name(Hostname),
    Address(IpAddr),
}

/// Why no drain may lead to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClosedAddress {
    #[error("is this machine itself: its operator can allow that with --local-drains")]
    Local,
    #[error("is not an address that anything may be sent to")]
    Never,
}

const MAXIMUM_URL_BYTES: usize = 2048;
const KIND: &str = "Url";

impl DrainScheme {
    const ALL: [Self; 4] = [Self::Syslog, Self::SyslogTls, Self::Http, Self::Https];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Syslog => "syslog",
            Self::SyslogTls => "syslog+tls",
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Https)
    }

    pub const fn is_encrypted(self) -> bool {
        matches!(self, Self::SyslogTls | Self::Https)
    }

    /// IANA's, and for syslog over TCP, which has none, the one of UDP.
    const fn usual_port(self) -> u16 {
        match self {
            Self::Syslog => 514,
            Self::SyslogTls => 6514,
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl DrainUrl {
    /// The URL as it was typed, secrets and all.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// `user:password`, percent-encoded, when it has one.
    pub fn user_info(&self) -> Option<&str> {
        self.user_info.as_deref()
    }

    /// Path and query of an HTTP request.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// `HOST:PORT`, and `HOST` where the port is the usual one: a `Host` header.
    pub fn authority(&self) -> String {
        if self.port == self.scheme.usual_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where it leads, without anything secret: `https://logs.example.com:443`.
    pub fn place(&self) -> String {
        format!("{}://{}:{}", self.scheme.as_str(), self.host, self.port)
    }
}

impl FromStr for DrainUrl {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = |rule| NameError::new(KIND, rule);
        if text.len() > MAXIMUM_URL_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(error(
                "is invalid: it must have at most 2048 characters, without spaces",
            ));
        }
        let scheme = text.split_once("://").and_then(|(scheme, rest)| {
            let known = DrainScheme::ALL
                .into_iter()
                .find(|known| known.as_str().eq_ignore_ascii_case(scheme));
            Some((known?, rest))
        });
        let (scheme, rest) = scheme.ok_or(error(
            "scheme must be one of syslog://, syslog+tls://, https:// and http://",
        ))?;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let (user_info, place) = match authority.rsplit_once('@') {
            Some((user_info, place)) => (Some(user_info.to_owned()), place),
            None => (None, authority),
        };
        let (host, port) = split_port(place).ok_or(error("host is invalid"))?;
        let host: DrainHost = host.parse().map_err(|()| error("host is invalid"))?;
        let port = match port {
            None => scheme.usual_port(),
            Some(port) => port
                .parse()
                .ok()
                .filter(|port| *port > 0)
                .ok_or(error("port is invalid"))?,
        };
        if !scheme.is_http() && (user_info.is_some() || !matches!(target, "" | "/")) {
            return Err(error("is invalid: for syslog it is no more than a host and a port"));
        }
        // A fragment is not sent (RFC 9110 §7.1).
        let target = target.split('#').next().unwrap_or_default();
        let target = match target.strip_prefix('/') {
            Some(_) => target.to_owned(),
            None => format!("/{target}"),
        };
        // RFC 3986 §2: what else somebody means is percent-encoded.
        let is_sent = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        if !target.bytes().all(is_sent) {
            return Err(error(
                "path is invalid: some of its characters have to be percent-encoded",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            scheme,
            host,
            port,
            user_info,
            target,
        })
    }
}

/// `example.com:514`, `[::1]:514`.
fn split_port(place: &str) -> Option<(&str, Option<&str>)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.find(':').map_or((place, ""), |colon| place.split_at(colon)),
    };
    match rest {
        "" => Some((host, None)),
        _ => Some((host, Some(rest.strip_prefix(':')?))),
    }
}

impl FromStr for DrainHost {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        // `127.1` and `2130706433` are addresses to some resolvers: a name has a letter in its last label.
        let last = text.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(());
        }
        text.parse().map(Self::Name).map_err(|_| ())
    }
}

impl fmt::Display for DrainHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl fmt::Debug for DrainUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DrainUrl").field(&self.place()).finish()
    }
}

/// Whether a drain may lead to an address. An app's owner chooses it, and the platform connects from inside of its own
/// network: what only the machine itself is trusted with (its loopback services, the cloud's instance metadata) is closed.
/// Private networks are open, because that is where logs are often collected.
pub fn check_drain_address(address: IpAddr, is_local_allowed: bool) -> Result<(), ClosedAddress> {
    let address = address.to_canonical();
    let is_closed_for_ever = match address {
        IpAddr::V4(address) => {
            address.is_link_local()
                || address.is_broadcast()
                || address.is_multicast()
                || address.octets()[0] == 0
                || address == ALIBABA_METADATA
        }
        IpAddr::V6(address) => {
            address.is_unicast_link_local()
                || address.is_multicast()
                || address.is_unspecified()
                || is_metadata(address)
        }
    };
    if is_closed_for_ever {
        Err(ClosedAddress::Never)
    } else if address.is_loopback() && !is_local_allowed {
        Err(ClosedAddress::Local)
    } else {
        Ok(())
    }
}

/// Alibaba Cloud's instance metadata; that of others is link-local.
const ALIBABA_METADATA: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);

/// Amazon's instance metadata over IPv6.
fn is_metadata(address: Ipv6Addr) -> bool {
    address == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)
}

/// The line as a frame for syslog over TCP; the drain's token is the host.
pub fn syslog_frame(line: &LogLine, token: &str) -> String {
    // MSGID and STRUCTURED-DATA are nil.
    frame(line, token, "- -")
}

/// The line as a frame of an HTTPS request.
pub fn logplex_frame(line: &LogLine) -> String {
    frame(line, "host", "-")
}

fn frame(line: &LogLine, host: &str, fields: &str) -> String {
    let LogLine {
        at,
        source,
        process,
        message,
    } = line;
    let at = at.to_rfc3339_opts(SecondsFormat::Micros, false);
    let text = format!(
        "<{}>1 {at} {host} {source} {process} {fields} {message}\n",
        priority(*source, process)
    );
    format!("{} {text}", text.len())
}

/// Facility times eight plus severity (RFC 5424 §6.2.1), as Logplex has them.
fn priority(source: LogSource, process: &str) -> u8 {
    match (source, process) {
        // local7.info
        (LogSource::App, _) => 190,
        // local3.info
        (LogSource::Heroku, "router") => 158,
        // local5.warning
        (LogSource::Heroku, "logplex") => 172,
        // syslog.notice
        (LogSource::Heroku, _) => 45,
    }
}

/// What a drain says in the place of lines that it could not take (Dev Center, *Error Codes*, L10).
pub fn overflow_line(dropped: u64, since: DateTime<Utc>, now: DateTime<Utc>) -> LogLine {
    let since = since.to_rfc3339_opts(SecondsFormat::Secs, false);
    LogLine {
        at: now,
        source: LogSource::Heroku,
        process: "logplex".to_owned(),
        message: format!("Error L10 (output buffer overflow): {dropped} messages dropped since {since}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(source: LogSource, process: &str, message: &str) -> LogLine {
        LogLine {
            at: DateTime::from_timestamp_micros(1_354_258_529_000_000).unwrap(),
            source,
            process: process.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn frames_are_logplexs_byte_for_byte() {
        // The Dev Center's own example, but for the microseconds that Heroku sends today, and the priority.
        let state = line(LogSource::Heroku, "web.3", "State changed from starting to up");
        assert_eq!(
            logplex_frame(&state),
            "93 <45>1 2012-11-30T06:55:29.000000+00:00 host heroku web.3 - State changed from starting to up\n"
        );
        assert_eq!(
            syslog_frame(&line(LogSource::App, "web.1", "hé"), "d.73ea"),
            "65 <190>1 2012-11-30T06:55:29.000000+00:00 d.73ea app web.1 - - hé\n"
        );
        let request = line(LogSource::Heroku, "router", "at=info");
        assert!(logplex_frame(&request).starts_with("69 <158>1 2012-"));
        let overflow = overflow_line(7, state.at, state.at);
        assert_eq!(
            logplex_frame(&overflow),
            "150 <172>1 2012-11-30T06:55:29.000000+00:00 host heroku logplex - Error L10 (output buffer overflow): 7 messages \
             dropped since 2012-11-30T06:55:29+00:00.\n"
        );
    }

    #[test]
    fn the_length_of_a_frame_is_that_of_its_bytes() {
        for message in ["", "x", "ünï", "a\tb", &"y".repeat(10_000)] {
            for frame in [
                logplex_frame(&line(LogSource::App, "web.1", message)),
                syslog_frame(&line(LogSource::App, "web.1", message), "d.1"),
            ] {
                let (length, rest) = frame.split_once(' ').unwrap();
                assert_eq!(length.parse::<usize>().unwrap(), rest.len());
            }
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let url: DrainUrl = "https://ann:p%40ss@Logs.Example.com/in/v1?key=s3cret#top"
            .parse()
            .unwrap();
        assert_eq!(url.scheme, DrainScheme::Https);
        assert_eq!((url.host.to_string().as_str(), url.port), ("logs.example.com", 443));
        assert_eq!(url.user_info(), Some("ann:p%40ss"));
        assert_eq!(url.target(), "/in/v1?key=s3cret");
        assert_eq!(url.authority(), "logs.example.com");
        assert_eq!(format!("{url:?}"), r#"DrainUrl("https://logs.example.com:443")"#);

        let url: DrainUrl = "syslog+tls://[2001:db8::1]:1234".parse().unwrap();
        assert_eq!(url.place(), "syslog+tls://[2001:db8::1]:1234");
        let url: DrainUrl = "syslog://logs.example.com/".parse().unwrap();
        assert_eq!(url.port, 514);
        let url: DrainUrl = "http://logs.example.com:8080?a=b".parse().unwrap();
        assert_eq!(
            (url.target(), url.authority().as_str()),
            ("/?a=b", "logs.example.com:8080")
        );
    }

    #[test]
    fn what_is_no_url_of_a_drain_is_refused() {
        for bad in [
            "",
            "logs.example.com",
            "ftp://logs.example.com",
            "https://",
            "https:///path",
            "https://exa mple.com",
            "https://example.com:0",
            "https://example.com:99999",
            "https://example.com:1:2",
            "https://[::1",
            "https://[::1]x",
            "https://under_score.example.com",
            "https://127.1",
            "https://2130706433",
            "syslog://ann@logs.example.com",
            "syslog://logs.example.com/path",
            "https://example.com/\u{e9}",
            "https://example.com/in?a=<b>",
            &format!("https://example.com/{}", "a".repeat(MAXIMUM_URL_BYTES)),
        ] {
            assert!(bad.parse::<DrainUrl>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn the_machine_itself_and_its_metadata_are_closed() {
        let check = |address: &str, local| check_drain_address(address.parse().unwrap(), local);
        for open in ["203.0.113.7", "10.0.0.5", "192.168.1.1", "2001:db8::1", "fd12::1"] {
            assert_eq!(check(open, false), Ok(()), "{open}");
        }
        for local in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(check(local, false), Err(ClosedAddress::Local), "{local}");
            assert_eq!(check(local, true), Ok(()), "{local}");
        }
        for never in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fd00:ec2::254",
            "100.100.100.200",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert_eq!(check(never, true), Err(ClosedAddress::Never), "{never}");
        }
    }
}

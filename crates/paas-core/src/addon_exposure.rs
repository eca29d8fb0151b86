//! Add-ons that addresses outside the platform may come to: which addresses, by which port, and until when.
//!
//! An exposure is never for everybody and never for ever. Its port is the platform's, and who holds it open is the router.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    str::FromStr,
};

use chrono::{DateTime, TimeDelta, Utc};
use thiserror::Error;

use crate::{Addon, Id, Network};

/// One add-on, exposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddonExposure {
    pub id: Id<AddonExposure>,
    pub addon: Id<Addon>,
    pub port: u16,
    pub allowed: AllowList,
    pub expires_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// Who may come: some networks, none of which is half of the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowList(Vec<Network>);

/// Where exposed add-ons are: `0.0.0.0:20000-20099`, or `20000-20099` on every address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    address: IpAddr,
    first: u16,
    last: u16,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum AllowListError {
    #[error(
        "nobody would be allowed: name the addresses that may come, such as --allow 203.0.113.7/32 --allow 198.51.100.0/24"
    )]
    Empty,
    #[error("{0} is no address and no network: write it like 203.0.113.7, 198.51.100.0/24 or 2001:db8::/48")]
    NoNetwork(String),
    #[error(
        "{0} is too much of the internet: an add-on is exposed to networks that are yours, of /{narrowest} at the widest. \
         Name the addresses that need it",
        narrowest = widest(.0)
    )]
    TooWide(Network),
    #[error("that are more than {MOST_NETWORKS} networks: put neighbours together, such as 198.51.100.0/24")]
    TooMany,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub enum TermError {
    #[error("{0:?} is no time: write it like '30 days', '12 hours' or 2027-01-31T12:00:00Z")]
    NoTime(String),
    #[error("an exposure ends in the future: write it like '30 days'")]
    Past,
    #[error("an exposure lasts for {LONGEST_DAYS} days at most. Expose it again before it ends")]
    TooLong,
}

#[derive(Debug, Error, PartialEq, Eq)]
#[error("`{0}` is no range of ports: write it like 20000-20099 or 203.0.113.1:20000-20099, above 1023")]
pub struct PortRangeError(String);

const MOST_NETWORKS: usize = 32;
/// The largest networks that were ever given to one organisation. Two of /1 would be everybody, and so would 256 of /8 be.
const WIDEST_IPV4: u8 = 8;
const WIDEST_IPV6: u8 = 19;
const USUAL_DAYS: i64 = 7;
const LONGEST_DAYS: i64 = 90;

impl AddonExposure {
    /// Whether connections are taken, and those that are there stay.
    pub fn is_open(&self, now: DateTime<Utc>) -> bool {
        now < self.expires_at
    }
}

impl AllowList {
    pub fn parse<T: AsRef<str>>(written: impl IntoIterator<Item = T>) -> Result<Self, AllowListError> {
        let mut networks: Vec<Network> = Vec::new();
        for text in written {
            let text = text.as_ref().trim();
            let network: Network = text.parse().map_err(|_| AllowListError::NoNetwork(text.to_owned()))?;
            let network = network.canonical();
            if network.bits() < widest(&network) {
                return Err(AllowListError::TooWide(network));
            }
            if !networks.contains(&network) {
                networks.push(network);
            }
        }
        match networks.len() {
            0 => Err(AllowListError::Empty),
            1..=MOST_NETWORKS => Ok(Self(networks)),
            _ => Err(AllowListError::TooMany),
        }
    }

    pub fn networks(&self) -> impl Iterator<Item = &Network> {
        self.0.iter()
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

const fn widest(network: &Network) -> u8 {
    if network.is_ipv4() { WIDEST_IPV4 } else { WIDEST_IPV6 }
}

/// When an exposure ends: after `30 days` or `12 hours`, at a point in time, or after a week where nobody says.
pub fn end_of_exposure(text: Option<&str>, now: DateTime<Utc>) -> Result<DateTime<Utc>, TermError> {
    let end = match text.map(str::trim).filter(|text| !text.is_empty()) {
        None => now + TimeDelta::days(USUAL_DAYS),
        Some(text) => match DateTime::parse_from_rfc3339(text) {
            Ok(at) => at.to_utc(),
            Err(_) => now + term(text).ok_or_else(|| TermError::NoTime(text.to_owned()))?,
        },
    };
    if end <= now {
        return Err(TermError::Past);
    }
    if end > now + TimeDelta::days(LONGEST_DAYS) {
        return Err(TermError::TooLong);
    }
    Ok(end)
}

fn term(text: &str) -> Option<TimeDelta> {
    let at = text.find(|character: char| !character.is_ascii_digit())?;
    let (number, unit) = text.split_at(at);
    // More than this is too long in any unit, and overflows none.
    let number = i64::from(number.parse::<u32>().ok()?.min(1_000_000));
    match unit.trim() {
        "m" | "min" | "minute" | "minutes" => Some(TimeDelta::minutes(number)),
        "h" | "hour" | "hours" => Some(TimeDelta::hours(number)),
        "d" | "day" | "days" => Some(TimeDelta::days(number)),
        "w" | "week" | "weeks" => Some(TimeDelta::weeks(number)),
        _ => None,
    }
}

impl PortRange {
    pub const fn ports(&self) -> RangeInclusive<u16> {
        self.first..=self.last
    }

    /// Where an exposure with this port is; `None` when it is none of these.
    pub fn address(&self, port: u16) -> Option<SocketAddr> {
        self.ports()
            .contains(&port)
            .then(|| SocketAddr::new(self.address, port))
    }
}

impl FromStr for PortRange {
    type Err = PortRangeError;

    fn from_str(text: &str) -> Result<Self, PortRangeError> {
        let error = || PortRangeError(text.to_owned());
        let (address, ports) = match text.rsplit_once(':') {
            Some((address, ports)) => {
                let address = address.trim_start_matches('[').trim_end_matches(']');
                (address.parse().map_err(|_| error())?, ports)
            }
            None => (IpAddr::V4(Ipv4Addr::UNSPECIFIED), text),
        };
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let (first, last): (u16, u16) = first.parse().ok().zip(last.parse().ok()).ok_or_else(error)?;
        if first < 1024 || first > last {
            return Err(error());
        }
        Ok(Self { address, first, last })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}-{}", self.address, self.first, self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        "2026-11-22T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_add_on_is_exposed_to_somebody_and_never_to_everybody() {
        let allowed = AllowList::parse(["203.0.113.7/32", " 198.51.100.9/24", "2001:db8::/48", "203.0.113.7"]).unwrap();
        let shown: Vec<_> = allowed.networks().map(Network::to_string).collect();
        assert_eq!(shown, ["203.0.113.7/32", "198.51.100.0/24", "2001:db8::/48"]);
        for (address, is_allowed) in [
            ("203.0.113.7", true),
            ("::ffff:203.0.113.7", true),
            ("203.0.113.8", false),
            ("198.51.100.200", true),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
            ("::1", false),
        ] {
            assert_eq!(allowed.contains(address.parse().unwrap()), is_allowed, "{address}");
        }
        for everybody in [
            "0.0.0.0/0",
            "::/0",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "::ffff:0:0/96",
            "2000::/3",
            "10.0.0.0/7",
        ] {
            let refused = AllowList::parse([everybody]);
            assert!(matches!(refused, Err(AllowListError::TooWide(_))), "{everybody}");
        }
        assert_eq!(AllowList::parse([""; 0]), Err(AllowListError::Empty));
        assert!(matches!(AllowList::parse(["here"]), Err(AllowListError::NoNetwork(_))));
        let many = (0..40).map(|number| format!("203.0.113.{number}"));
        assert_eq!(AllowList::parse(many), Err(AllowListError::TooMany));
    }

    #[test]
    fn an_exposure_ends_within_ninety_days() {
        let end = |text: &str| end_of_exposure(Some(text), now()).map(|end| end - now());
        assert_eq!(end_of_exposure(None, now()), Ok(now() + TimeDelta::days(7)));
        for (text, term) in [
            ("30 days", TimeDelta::days(30)),
            ("90d", TimeDelta::days(90)),
            ("1 hour", TimeDelta::hours(1)),
            ("15 minutes", TimeDelta::minutes(15)),
            ("2w", TimeDelta::weeks(2)),
            ("2026-11-22T13:00:00+00:00", TimeDelta::hours(1)),
        ] {
            assert_eq!(end(text), Ok(term), "{text}");
        }
        for text in ["0 days", "2020-01-01T00:00:00Z"] {
            assert_eq!(end(text), Err(TermError::Past), "{text}");
        }
        for text in ["91 days", "4294967295 weeks", "2099-01-01T00:00:00Z"] {
            assert_eq!(end(text), Err(TermError::TooLong), "{text}");
        }
        for text in ["soon", "30", "-3 days", "3 moons"] {
            assert!(matches!(end(text), Err(TermError::NoTime(_))), "{text}");
        }
    }

    #[test]
    fn an_exposure_is_open_until_its_end() {
        let exposure = AddonExposure {
            id: Id::from_uuid(uuid::Uuid::nil()),
            addon: Id::from_uuid(uuid::Uuid::nil()),
            port: 20_000,
            allowed: AllowList::parse(["203.0.113.7"]).unwrap(),
            expires_at: now(),
            created_at: now(),
            updated_at: now(),
        };
        assert!(exposure.is_open(now() - TimeDelta::milliseconds(1)));
        assert!(!exposure.is_open(now()));
    }

    #[test]
    fn ports_are_of_the_range_that_was_set() {
        let range: PortRange = "20000-20001".parse().unwrap();
        assert_eq!(range.to_string(), "0.0.0.0:20000-20001");
        assert_eq!(range.address(20_001), Some("0.0.0.0:20001".parse().unwrap()));
        assert_eq!(range.address(20_002), None);
        let range: PortRange = "[::1]:20000-20099".parse().unwrap();
        assert_eq!(range.address(20_000), Some("[::1]:20000".parse().unwrap()));
        let one: PortRange = "127.0.0.1:20000".parse().unwrap();
        assert_eq!(one.ports().count(), 1);
        for wrong in [
            "",
            "20000-",
            "20001-20000",
            "80-90",
            "0-65535",
            "host:1-2",
            "70000-70001",
        ] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }
}

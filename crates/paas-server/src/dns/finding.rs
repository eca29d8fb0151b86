//! What a check of a name found, in words that say what to do.

use std::{
    fmt::{self, Display},
    net::IpAddr,
};

use paas_core::Hostname;

/// Whether a name is ready for a certificate that is validated by reaching this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// An order may be placed: the CA will find us under this name.
    PointsHere,
    /// An order would fail now; never empty. Somebody has to change a record, or a change has to spread.
    Wait(Vec<Finding>),
    /// The DNS could not be asked, in words: neither good nor bad.
    Unknown(String),
}

/// One reason why an order for a name would fail. Its text is one or two sentences, the last of which says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The name has no address at all.
    NoRecord { name: Hostname, ours: Vec<IpAddr> },
    /// The name is an alias (CNAME) of another one, which has no address.
    DanglingAlias { name: Hostname, target: String },
    /// Every address of the name is somebody else's.
    Elsewhere {
        name: Hostname,
        found: Vec<IpAddr>,
        ours: Vec<IpAddr>,
    },
    /// Some addresses are ours and some are not: visitors and CAs reach either.
    PartlyElsewhere { name: Hostname, found: Vec<IpAddr> },
    /// IPv4 is right and IPv6 is not: CAs and most visitors try IPv6 first.
    StaleAaaa {
        name: Hostname,
        found: Vec<IpAddr>,
        ours: Vec<IpAddr>,
    },
    /// Cloudflare's proxy stands before the name ("orange cloud").
    OrangeCloud { name: Hostname, found: Vec<IpAddr> },
    /// Addresses that no CA can reach: private, loopback, link-local.
    Private {
        name: Hostname,
        found: Vec<IpAddr>,
        ours: Vec<IpAddr>,
    },
    /// CAA records (RFC 8659) at `holder` allow none of the CAs that we use.
    CaaForbids {
        name: Hostname,
        holder: String,
        records: Vec<String>,
        /// The record that would allow us.
        needed: String,
    },
    /// The alias leads back to itself, or through too many others.
    CnameLoop { name: Hostname, chain: Vec<String> },
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRecord { name, ours } => {
                write!(f, "{name} has no address. Create {}.", Records { name, ours })
            }
            Self::DanglingAlias { name, target } => write!(
                f,
                "{name} is an alias (CNAME) of {target}, which has no address. Point the alias to a name that has one."
            ),
            Self::Elsewhere { name, found, ours } => write!(
                f,
                "{name} points to {}, which is not this platform. Replace that by {}.",
                List(found),
                Records { name, ours }
            ),
            Self::PartlyElsewhere { name, found } => write!(
                f,
                "{name} points here, and to {} too. Remove {} from {name}.",
                List(found),
                Stale(found)
            ),
            Self::StaleAaaa { name, found, ours } => {
                write!(
                    f,
                    "{name} points here by IPv4, but not by IPv6, which is tried first. Remove {} of {name}",
                    Stale(found)
                )?;
                match ours.iter().find(|address| address.is_ipv6()) {
                    Some(address) => write!(f, ", or point it to {address}."),
                    None => f.write_str("."),
                }
            }
            Self::OrangeCloud { name, found } => write!(
                f,
                "{name} points to Cloudflare's proxy ({}), which hides this platform. \
                 Set the record to \"DNS only\" (grey cloud) in Cloudflare's dashboard; or keep the proxy, and give the app \
                 a certificate that Cloudflare issues for origins: paas certs:add.",
                List(found)
            ),
            Self::Private { name, found, ours } => write!(
                f,
                "{name} points to {}, which cannot be reached from the internet. Replace that by {}.",
                List(found),
                Records { name, ours }
            ),
            Self::CaaForbids {
                name,
                holder,
                records,
                needed,
            } => write!(
                f,
                "CAA records of {holder} forbid a certificate for {name}: {}. Add the record `{holder} CAA {needed}`.",
                records.join(", ")
            ),
            Self::CnameLoop { name, chain } => write!(
                f,
                "{name} is an alias (CNAME) that leads nowhere: {}. Point it to a name that has an address.",
                chain.join(" → ")
            ),
        }
    }
}

/// The records that would lead here.
struct Records<'a> {
    name: &'a Hostname,
    ours: &'a [IpAddr],
}

impl Display for Records<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ours.is_empty() {
            return write!(f, "an A record of {} with this platform's public address", self.name);
        }
        for (index, address) in self.ours.iter().enumerate() {
            if index > 0 {
                f.write_str(" and ")?;
            }
            let kind = if address.is_ipv6() { "AAAA" } else { "A" };
            write!(f, "the record `{} {kind} {address}`", self.name)?;
        }
        Ok(())
    }
}

/// Records that somebody forgot.
struct Stale<'a>(&'a [IpAddr]);

impl Display for Stale<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match (self.0.iter().any(IpAddr::is_ipv4), self.0.iter().any(IpAddr::is_ipv6)) {
            (true, true) => "A and AAAA",
            (true, false) => "A",
            _ => "AAAA",
        };
        let plural = if self.0.len() == 1 { "" } else { "s" };
        write!(f, "the {kind} record{plural} {}", List(self.0))
    }
}

struct List<'a>(&'a [IpAddr]);

impl Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, address) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{address}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> Hostname {
        "www.example.com".parse().unwrap()
    }

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn findings_say_what_to_do() {
        let ours = addresses(&["203.0.113.7", "2001:db8::7"]);
        for (finding, words) in [
            (
                Finding::NoRecord {
                    name: name(),
                    ours: ours.clone(),
                },
                "www.example.com has no address. Create the record `www.example.com A 203.0.113.7` and \
                 the record `www.example.com AAAA 2001:db8::7`.",
            ),
            (
                Finding::Elsewhere {
                    name: name(),
                    found: addresses(&["198.51.100.1"]),
                    ours: addresses(&["203.0.113.7"]),
                },
                "www.example.com points to 198.51.100.1, which is not this platform. \
                 Replace that by the record `www.example.com A 203.0.113.7`.",
            ),
            (
                Finding::StaleAaaa {
                    name: name(),
                    found: addresses(&["2001:db8::1"]),
                    ours,
                },
                "www.example.com points here by IPv4, but not by IPv6, which is tried first. \
                 Remove the AAAA record 2001:db8::1 of www.example.com, or point it to 2001:db8::7.",
            ),
            (
                Finding::StaleAaaa {
                    name: name(),
                    found: addresses(&["2001:db8::1", "2001:db8::2"]),
                    ours: addresses(&["203.0.113.7"]),
                },
                "www.example.com points here by IPv4, but not by IPv6, which is tried first. \
                 Remove the AAAA records 2001:db8::1, 2001:db8::2 of www.example.com.",
            ),
            (
                Finding::PartlyElsewhere {
                    name: name(),
                    found: addresses(&["198.51.100.1"]),
                },
                "www.example.com points here, and to 198.51.100.1 too. \
                 Remove the A record 198.51.100.1 from www.example.com.",
            ),
            (
                Finding::CaaForbids {
                    name: name(),
                    holder: "example.com".to_owned(),
                    records: vec!["0 issue \"digicert.com\"".to_owned()],
                    needed: "0 issue \"letsencrypt.org\"".to_owned(),
                },
                "CAA records of example.com forbid a certificate for www.example.com: 0 issue \"digicert.com\". \
                 Add the record `example.com CAA 0 issue \"letsencrypt.org\"`.",
            ),
        ] {
            assert_eq!(finding.to_string(), words);
        }
    }
}

//! Networks: one bridge for each app, with a subnet of our own choice.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use paas_core::{App, Id};
use thiserror::Error;

/// A network as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    pub name: String,
    pub app: Option<Id<App>>,
    pub subnet: Subnet,
    /// The name of the bridge on the host, at most 15 characters; starts with `ps-` so that firewall rules match it.
    pub bridge: String,
    /// Without a way out.
    pub is_internal: bool,
}

/// A network that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub app: Option<Id<App>>,
    pub subnet: Option<Subnet>,
    pub bridge: Option<String>,
}

/// A range of IPv4 addresses, such as `10.210.0.64/26`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    base: Ipv4Addr,
    prefix: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SubnetError {
    #[error("{text:?} is no IPv4 subnet such as 10.210.0.0/15")]
    Syntax { text: String },
    #[error("{base}/{prefix} has address bits set behind its prefix")]
    HostBits { base: Ipv4Addr, prefix: u8 },
}

impl Subnet {
    pub fn new(base: Ipv4Addr, prefix: u8) -> Result<Self, SubnetError> {
        if prefix > 32 {
            let text = format!("{base}/{prefix}");
            return Err(SubnetError::Syntax { text });
        }
        let host_bits = u32::MAX.checked_shr(u32::from(prefix)).unwrap_or(0);
        if base.to_bits() & host_bits != 0 {
            return Err(SubnetError::HostBits { base, prefix });
        }
        Ok(Self { base, prefix })
    }

    pub const fn base(self) -> Ipv4Addr {
        self.base
    }

    pub const fn prefix(self) -> u8 {
        self.prefix
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        let shift = 32 - u32::from(self.prefix);
        let network = |address: Ipv4Addr| address.to_bits().checked_shr(shift).unwrap_or(0);
        network(address) == network(self.base)
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let syntax = || SubnetError::Syntax { text: text.to_owned() };
        let (base, prefix) = text.split_once('/').ok_or_else(syntax)?;
        let base = base.parse().map_err(|_| syntax())?;
        Self::new(base, prefix.parse().map_err(|_| syntax())?)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_says_what_is_inside() {
        let subnet: Subnet = "10.210.0.64/26".parse().unwrap();
        assert_eq!(subnet.to_string(), "10.210.0.64/26");
        assert!(subnet.contains("10.210.0.64".parse().unwrap()) && subnet.contains("10.210.0.127".parse().unwrap()));
        assert!(!subnet.contains("10.210.0.63".parse().unwrap()) && !subnet.contains("10.210.0.128".parse().unwrap()));
        assert!("0.0.0.0/0".parse::<Subnet>().unwrap().contains(Ipv4Addr::BROADCAST));
    }

    #[test]
    fn a_malformed_subnet_is_refused() {
        for bad in [
            "10.210.0.0",
            "10.210.0.0/33",
            "10.210.0.1/26",
            "10.210.0/24",
            "::/0",
            "10.0.0.0/-1",
        ] {
            assert!(bad.parse::<Subnet>().is_err(), "{bad:?} was accepted");
        }
    }
}

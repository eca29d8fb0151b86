//! By which ports add-ons may be exposed.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use paas_core::PortRange;

/// An empty one takes back what the file says. None of the platform's `own` ports is among them: the router could not have it for an
/// add-on, or the platform not for itself.
pub(super) fn addon_ports(
    given: Option<&str>,
    own: impl IntoIterator<Item = (&'static str, SocketAddr)>,
) -> Result<Option<PortRange>> {
    let Some(given) = given.filter(|ports| !ports.is_empty()) else {
        return Ok(None);
    };
    let ports: PortRange = given.parse().context("--addon-ports")?;
    for (flag, own) in own {
        let exposed = ports.address(own.port()).map(|address| address.ip());
        if exposed.is_some_and(|ip| ip == own.ip() || ip.is_unspecified() || own.ip().is_unspecified()) {
            bail!(
                "--addon-ports {given} has the port of --{flag} {own} in it\n\
                 hint: choose ports that nothing else listens on, such as 20000-20099"
            );
        }
    }
    Ok(Some(ports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_of_the_platform_is_an_add_ons() {
        let own = [
            ("http", "0.0.0.0:8080".parse().unwrap()),
            ("api", "127.0.0.1:5050".parse().unwrap()),
        ];
        for (given, flag) in [
            ("8000-8099", "--http"),
            ("203.0.113.1:8080", "--http"),
            ("5000-5099", "--api"),
            ("127.0.0.1:5050-5051", "--api"),
        ] {
            let refused = addon_ports(Some(given), own).unwrap_err().to_string();
            assert!(refused.contains(flag), "{given}: {refused}");
        }
        for given in ["20000-20099", "203.0.113.1:5000-5099"] {
            assert!(addon_ports(Some(given), own).unwrap().is_some(), "{given}");
        }
        for none in [None, Some("")] {
            assert_eq!(addon_ports(none, own).unwrap(), None);
        }
        assert!(addon_ports(Some("80"), own).is_err());
    }
}

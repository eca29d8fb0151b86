//! How the DNS is asked, and how records are made in it.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};

use super::{ANY_ZONE, DnsRecords, aws};
use crate::dns::Route53Settings;

pub(super) fn dns_records(hook: Option<PathBuf>, zone: Option<String>) -> Result<Option<DnsRecords>> {
    match (hook, zone) {
        (None, None) => Ok(None),
        (Some(hook), None) => Ok(Some(DnsRecords::Hook(
            std::path::absolute(&hook).with_context(|| format!("resolving --dns-hook {}", hook.display()))?,
        ))),
        (None, Some(zone)) => {
            if !zone.bytes().all(|byte| byte.is_ascii_alphanumeric()) || zone.is_empty() {
                bail!("--dns-route53={zone}: the id of a hosted zone has letters and digits, such as Z0123456789ABC");
            }
            Ok(Some(DnsRecords::Route53(Route53Settings {
                zone_id: (zone != ANY_ZONE).then_some(zone),
                ..route53_from_variables()
            })))
        }
        (Some(_), Some(_)) => bail!("dns-hook and dns-route53 exclude each other: keep one of them"),
    }
}

/// Keys and endpoint from the environment, by the names that every AWS tool reads.
fn route53_from_variables() -> Route53Settings {
    Route53Settings {
        zone_id: None,
        credentials: aws::credentials("AWS").ok().flatten(),
        endpoint: aws::variable("AWS_ENDPOINT_URL_ROUTE_53"),
    }
}

/// An address, with or without a port.
pub(super) fn parse_dns_server(text: &str) -> Result<SocketAddr> {
    text.parse::<SocketAddr>()
        .or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)))
        .with_context(|| format!("--dns-server {text}: give an address such as 192.0.2.53 or 192.0.2.53:5353"))
}

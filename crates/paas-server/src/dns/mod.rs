//! The domain name system: whether a name points here, whether a CA may issue for it, and records that prove a domain ours.
//!
//! Nothing here decides when to ask or to order. Nothing is cached beyond one check but our own addresses.

use std::{error::Error, iter};

mod address;
mod caa;
mod check;
mod cloudflare;
mod fetch;
mod finding;
mod hook;
mod metadata;
mod publisher;
mod resolver;
mod route53;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use address::{AddressFinder, AddressSource, PublicAddresses, is_public};
pub(crate) use finding::{Finding, Verdict};
pub(crate) use metadata::{Metadata, MetadataError};
pub(crate) use publisher::{DnsPublisher, challenge_name};
pub(crate) use resolver::Resolver;
pub(crate) use route53::Route53Settings;

/// An error with all its causes, for people.
pub(crate) fn words(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

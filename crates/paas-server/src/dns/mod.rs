//! The domain name system: whether a name points here, whether a CA may issue for it, and records that prove a domain ours.
//!
//! Nothing here decides when to ask or to order. Nothing is cached beyond one check but our own addresses.

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

pub(crate) use address::{AddressFinder, AddressSource, PublicAddresses};
pub(crate) use finding::{Finding, Verdict};
pub(crate) use metadata::Metadata;
pub(crate) use publisher::{DnsPublisher, challenge_name};
pub(crate) use resolver::Resolver;
pub(crate) use route53::{Credentials, Route53Settings};

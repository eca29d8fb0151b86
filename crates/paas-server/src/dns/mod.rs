//! The domain name system: does a name point here, and may a CA issue for it.
//!
//! Nothing here decides when to ask or to order. Nothing is cached beyond one check but our own addresses.

mod address;
mod caa;
mod check;
mod cloudflare;
mod fetch;
mod finding;
mod metadata;
mod resolver;
mod wire;

pub(crate) use address::{AddressFinder, AddressSource, PublicAddresses};
pub(crate) use finding::{Finding, Verdict};
pub(crate) use metadata::Metadata;
pub(crate) use resolver::Resolver;

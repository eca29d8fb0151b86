//! What add-ons there are: the catalogue, which is data, and the credentials of each.
//!
//! One file describes one kind of server (`crates/paas-server/addons/`; an operator's own are in the data directory): what it
//! is made of, the scripts that run it, and the services and plans under which people know it.
//!
//! Credentials are ours, sealed in the row. They reach a container only through the standard input of a program inside it,
//! which writes them to a file in memory (`/run/addon/credentials`); the server waits for it. So they are in no argv, no
//! label, no image, and not in the environment either, which `docker inspect` shows to everybody who may ask Docker, and
//! which each process hands on to its children.

mod archive;
mod bucket;
mod catalogue;
mod credentials;
mod file;
mod fill;
mod provider;
mod setting;
mod vault;

pub(crate) use archive::Archive;
pub(crate) use bucket::{Bucket, BucketError};
pub(crate) use catalogue::{Catalogue, Plan, Service};
pub(crate) use credentials::{Credentials, host};
pub(crate) use file::{Archiving, ExposedAs, Image, Kind, Logged, TlsBy, Upgrading};
pub(crate) use fill::fill_in_words;
pub(crate) use provider::{CLIENT_SECRET, PASSWORD, Provider, Providers, ReadManifest, SSO_SALT};
pub(crate) use setting::Setting;
pub(crate) use vault::{DRAFT, Vault, VaultReader, VaultWriter, is_found_out};

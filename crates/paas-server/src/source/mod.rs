//! Sources that do not come by git: an archive that a client has uploaded, or that we fetch from where it says.
//!
//! Whoever makes an archive chose every byte of it. So it is taken apart here and written anew, by the rules that a push
//! keeps to ([`crate::git::source::rules`]); what cannot be said in a plain tar of files, directories and links is refused.

mod archive;
mod fetch;
mod manifest;
mod repository;
mod slug;

pub(crate) use archive::{ArchiveError, digest, unpack};
pub(crate) use fetch::{Address, FetchError, fetch};
pub(crate) use manifest::{AddonOrder, Manifest, Variable, find as find_manifest};
pub(crate) use repository::{RepositoryError, fetch_commit, is_commit, resolve};
pub(crate) use slug::unpack_slug;

/// The largest archive, packed.
pub(crate) const MAXIMUM_ARCHIVE_BYTES: u64 = 512 * 1024 * 1024;

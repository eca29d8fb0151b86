//! The registry door: images that people push, until they are released (OCI Distribution Specification 1.1).
//!
//! ```text
//! docker push registry.HOST/app/web ─▶ http ─▶ store: <app id>/{blobs,manifests}/<sha256>, tags/<type>/<tag>
//! container:release ─▶ PATCH formation ─▶ control/container ─▶ archive ─▶ the engine ─▶ a release
//! ```
//!
//! * Whoever may fetch and push an app's code may fetch and push its images: the same question, answered in the same place.
//! * Each app has files of its own: what another app has is not here, whatever its digest.
//! * A blob or a manifest is there only after its bytes were read again and are what its digest says.
//! * No name that somebody chose is part of a path before it was parsed: apps are ids, digests hexadecimal, types and tags words.
//! * What no tag leads to goes after an hour (`sweep`): a push stores layers first and says last what they are for.

use std::{path::Path, sync::Arc};

use paas_core::{App, Id};

use crate::{control::GitBackend, platform::Platform};

mod archive;
mod error;
mod http;
mod manifest;
mod name;
mod store;
mod sweep;
mod upload;

pub(crate) use archive::archive;
pub(crate) use error::RegistryError;
pub(crate) use name::Digest;
pub(crate) use store::Store;

pub(crate) use self::http::router;

/// What the handlers share.
struct Door {
    platform: Arc<Platform>,
    /// Who may do what.
    backend: GitBackend,
    uploads: upload::Uploads,
}

impl Door {
    fn store(&self, app: Id<App>) -> Store {
        Store::of(&self.platform.settings.registry(), app)
    }
}

/// Removes all that was pushed for an app.
pub(crate) async fn remove(root: &Path, app: Id<App>) -> std::io::Result<()> {
    Store::of(root, app).remove().await
}

pub(crate) use sweep::sweep;

#[cfg(test)]
mod tests;

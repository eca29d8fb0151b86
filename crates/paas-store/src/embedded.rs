//! Postgres as a child: the database of a platform that was given no other.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::DatabaseAddress;

/// A running server whose files are below `<data dir>/postgres/`. It listens on a unix socket only, and lets in only the
/// operating-system user that started it. It outlives us when we are killed; the next start adopts it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    address: DatabaseAddress,
}

/// How to run the server. `Default` is for a platform.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedOptions {
    /// Where `postgres` and `initdb` are; else the newest of `/usr/lib/postgresql/*/bin`.
    pub binaries: Option<PathBuf>,
    /// Settings that differ from ours: `("fsync", "off")`.
    pub settings: Vec<(String, String)>,
}

/// Why there is no server, and what to do.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    #[error("find the PostgreSQL programs: install them with `apt-get install postgresql`, or give `--database-url`")]
    NoBinaries,
}

impl EmbeddedPostgres {
    /// Makes the database when there is none, then adopts its server or starts it, and waits until it answers.
    pub async fn start(_data_dir: &Path, _options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        unimplemented!()
    }

    pub fn address(&self) -> &DatabaseAddress {
        &self.address
    }

    /// Starts the server again whenever it ends, until `stop`; then stops it (see [`Self::stop`]).
    pub async fn run(self, _stop: CancellationToken) -> Result<(), EmbeddedError> {
        unimplemented!()
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        unimplemented!()
    }
}

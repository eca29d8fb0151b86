//! Secrets at rest: sealed with a key that is not in the database.

use std::path::Path;

use thiserror::Error;
use uuid::Uuid;

/// Seals and opens secrets (XChaCha20-Poly1305). The key is a file of the data dir; a sealed value names its key, and is
/// bound to its noun and row, so that a value moved to another row does not open.
#[derive(Clone)]
pub struct Sealer;

/// A secret as the database holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub(crate) Vec<u8>);

/// Why a secret was not sealed or opened. No variant carries any of it.
#[derive(Debug, Error)]
pub enum SealError {
    #[error("sealed value does not open")]
    Open,
}

impl Sealer {
    /// The sealer of the key file at `path`, which is made (0600) when there is none.
    pub fn load_or_create(_path: &Path) -> Result<Self, SealError> {
        unimplemented!("sealing")
    }

    /// A sealer with a new key that is stored nowhere.
    pub fn ephemeral() -> Self {
        Self
    }

    pub fn seal(&self, _noun: &'static str, _row: &Uuid, _secret: &[u8]) -> Sealed {
        unimplemented!("sealing")
    }

    pub fn open(&self, _noun: &'static str, _row: &Uuid, _sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        unimplemented!("sealing")
    }
}

//! A place to put a source before it is built.

use serde::{Deserialize, Serialize};

/// `POST /sources`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub source_blob: SourceUrls,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceUrls {
    /// What a new build names as its source.
    pub get_url: String,
    /// Where the tar.gz is put, without credentials: the URL itself is the permission.
    pub put_url: String,
}

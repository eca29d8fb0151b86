//! Named volumes: what outlives a container, such as a build cache.

use paas_core::{App, Id};

/// A named volume that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    pub app: Option<Id<App>>,
}

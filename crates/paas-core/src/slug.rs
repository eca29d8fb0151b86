//! A slug: what a build makes and a release runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{App, Id, ImageRef, ProcessType};

/// An image with the commands that its process types run. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug {
    pub id: Id<Slug>,
    pub app: Id<App>,
    pub image: ImageRef,
    /// Process type to shell command, from the Procfile or the buildpack's defaults.
    pub process_types: BTreeMap<ProcessType, String>,
    pub commit: Option<String>,
    /// What `bin/detect` called the app: `Python`, `Node.js`.
    pub buildpack_provided_description: Option<String>,
    pub size_bytes: u64,
    pub created_at: DateTime<Utc>,
}

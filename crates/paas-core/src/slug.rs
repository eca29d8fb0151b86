//! A slug: what a build makes and a release runs.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{App, Id, ImageRef, ProcessType};

/// An image with the commands that its process types run. Never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slug {
    pub id: Id<Slug>,
    pub app: Id<App>,
    /// What a process starts from, unless its type has an image of its own.
    pub image: ImageRef,
    /// The images of process types. A slug that is made of images names one for each of its types.
    pub images: BTreeMap<ProcessType, ImageRef>,
    /// Process type to shell command, from the Procfile or the buildpack's defaults.
    pub process_types: BTreeMap<ProcessType, String>,
    pub commit: Option<String>,
    /// What `bin/detect` called the app: `Python`, `Node.js`.
    pub buildpack_provided_description: Option<String>,
    pub size_bytes: u64,
    pub created_at: DateTime<Utc>,
}

impl Slug {
    /// What processes of this type start from.
    pub fn image_of(&self, process_type: &ProcessType) -> &ImageRef {
        self.images.get(process_type).unwrap_or(&self.image)
    }

    /// Whether it was put together from images, type by type, and can be changed in the same way.
    pub fn is_of_images(&self) -> bool {
        !self.images.is_empty()
    }
}

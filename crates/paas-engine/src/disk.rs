//! What takes room on an engine's disk.

use paas_core::{App, Id, ImageRef};

use crate::ContainerId;

/// What an engine keeps, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EngineDisk {
    /// All layers of all images of the engine, each counted once: others' images, too.
    pub layers_bytes: u64,
    /// The images of this platform.
    pub images: Vec<ImageBytes>,
    /// The named volumes of this platform.
    pub volumes: Vec<VolumeBytes>,
    /// The containers of this platform.
    pub containers: Vec<ContainerBytes>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageBytes {
    pub id: ImageRef,
    pub tags: Vec<ImageRef>,
    pub app: Option<Id<App>>,
    /// What it adds to the image that it stands on. Where the engine does not say which that is: what no other image has.
    pub own_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeBytes {
    pub name: String,
    pub app: Option<Id<App>>,
    pub bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerBytes {
    pub id: ContainerId,
    pub app: Option<Id<App>>,
    /// What it has written on top of its image.
    pub bytes: u64,
}

//! What takes room on the disks of a platform. Heroku has no such resource: its disks are its own.

use serde::{Deserialize, Serialize};

use crate::{AppRef, Time};

/// `GET /disk`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The largest first.
    pub accounts: Vec<DiskAccount>,
    /// The largest first.
    pub apps: Vec<AppDisk>,
    pub file_systems: Vec<FileSystem>,
    /// Builds start below this.
    pub limit_percent: u64,
    /// Asking is dear, so that an answer may be a minute old.
    pub measured_at: Time,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    pub free_bytes: u64,
    /// `engine`: images, containers and volumes. `data`: everything else.
    pub holds: Vec<String>,
    /// A place on it.
    pub path: String,
    pub size_bytes: u64,
    pub used_bytes: u64,
    pub used_percent: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskAccount {
    pub bytes: u64,
    pub name: String,
    /// How much of it a prune would remove.
    pub prunable_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppDisk {
    pub app: AppRef,
    pub build_output_bytes: u64,
    pub cache_bytes: u64,
    pub container_bytes: u64,
    pub image_bytes: u64,
    pub image_copy_bytes: u64,
    pub log_bytes: u64,
    pub repository_bytes: u64,
    pub total_bytes: u64,
}

/// `POST /disk/actions/prune`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewDiskPrune {
    /// Say what would go, and remove nothing.
    #[serde(default)]
    pub dry_run: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskPrune {
    pub dry_run: bool,
    pub items: Vec<PrunedItem>,
    pub pruned_bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedItem {
    /// The app's, where it is still there.
    pub app: Option<AppRef>,
    pub bytes: u64,
    /// `release`, `image`, `build cache`, …
    pub kind: String,
    pub name: String,
}

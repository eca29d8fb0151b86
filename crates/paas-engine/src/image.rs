//! Images: what containers start from.

use std::{collections::BTreeMap, fmt};

use chrono::{DateTime, Utc};
use paas_core::{App, Id, ImageRef};

use crate::{Environment, Limits};

/// An image that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The content's own name (`sha256:…`): never means anything else later, unlike a tag.
    pub id: ImageRef,
    pub tags: Vec<ImageRef>,
    /// The app whose slug it is, if any.
    pub app: Option<Id<App>>,
    /// All layers together.
    pub size_bytes: u64,
    pub created_at: Option<DateTime<Utc>>,
    /// All labels, with the platform's own.
    pub labels: BTreeMap<String, String>,
    pub entrypoint: Vec<String>,
    pub command: Vec<String>,
    pub working_dir: String,
    pub user: String,
}

/// What the configuration of an image says: all that others need to build on it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageConfig {
    pub architecture: String,
    pub os: String,
    /// The contents of its layers (`sha256:…`, uncompressed), the lowest first.
    pub layers: Vec<String>,
    /// `NAME=value`.
    pub environment: Vec<String>,
}

/// One layer on a base image, and the configuration of the image that they make. The base's entrypoint and command are
/// dropped: whoever starts a container says what it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    pub base: ImageRef,
    pub tag: ImageRef,
    pub app: Option<Id<App>>,
    pub labels: BTreeMap<String, String>,
    /// Added to the base's. Never config vars: an image holds no secret.
    pub environment: Environment,
    pub working_dir: String,
    /// Such as `10001:10001`.
    pub user: String,
}

/// How an image that somebody else has made is kept: with our labels, on top of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdoptedImage {
    pub tag: ImageRef,
    pub app: Id<App>,
    pub labels: BTreeMap<String, String>,
    /// Of the step that puts the labels on.
    pub limits: Limits,
}

/// What a registry wants to see. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryCredentials {
    pub user: String,
    pub password: String,
}

/// The label of an adopted image that says what it was, by content where that is known.
pub const SOURCE_LABEL: &str = "paas.source";

impl fmt::Debug for RegistryCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryCredentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// A Dockerfile to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfileBuild {
    /// Its path within the context.
    pub dockerfile: String,
    pub tag: ImageRef,
    pub app: Option<Id<App>>,
    pub labels: BTreeMap<String, String>,
    /// Build arguments (`--build-arg`).
    pub arguments: Environment,
    pub limits: Limits,
    /// The network that its `RUN` steps are on. `None`: no network at all.
    pub network: Option<String>,
    /// The stage to build, when not the last.
    pub target: Option<String>,
}

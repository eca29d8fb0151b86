//! Manifests: what an image is made of, as far as the door has to know (Docker *Image Manifest V2 Schema 2*, OCI *Image
//! Manifest* and *Image Index*).

use serde::Deserialize;

use super::{error::RegistryError, name::Digest};

pub(super) const MAXIMUM_BYTES: usize = 4 * 1024 * 1024;
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An image has at most 125 layers, an index rarely ten entries; beyond this somebody plays.
const MOST_PARTS: usize = 1000;

/// A manifest that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manifest {
    Image(Pushed),
    /// One image for several kinds of machines.
    Index {
        media_type: &'static str,
        images: Vec<Entry>,
    },
}

/// One image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pushed {
    media_type: &'static str,
    pub(crate) config: Part,
    pub(crate) layers: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) digest: Digest,
    pub(crate) bytes: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    architecture: String,
    os: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    size: u64,
    platform: Option<Platform>,
}

#[derive(Deserialize)]
struct Platform {
    architecture: String,
    os: String,
}

impl Manifest {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, RegistryError> {
        let bad = |why: &str| RegistryError::BadManifest(why.to_owned());
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|error| RegistryError::BadManifest(format!("the manifest cannot be read: {error}")))?;
        if document.schema_version != 2 {
            return Err(bad("manifests of schema 1 are not taken: push with a newer Docker"));
        }
        let media_type = document.media_type.as_deref();
        match (document.config, document.layers, document.manifests) {
            (Some(config), Some(layers), None) => {
                let media_type = match media_type {
                    Some(DOCKER) => DOCKER,
                    Some(OCI) | None => OCI,
                    Some(_) => return Err(bad("this kind of manifest is none of an image")),
                };
                if layers.len() > MOST_PARTS {
                    return Err(bad("the image has too many layers"));
                }
                let layers = layers.iter().map(layer).collect::<Result<_, _>>()?;
                // The engine holds it in memory; a real one is some kilobytes.
                if config.size > MAXIMUM_BYTES as u64 {
                    return Err(RegistryError::TooLarge {
                        what: "an image's configuration",
                        maximum_mib: MAXIMUM_BYTES as u64 / (1024 * 1024),
                    });
                }
                let config = part(&config)?;
                Ok(Self::Image(Pushed {
                    media_type,
                    config,
                    layers,
                }))
            }
            (None, None, Some(manifests)) => {
                let media_type = match media_type {
                    Some(DOCKER_LIST) => DOCKER_LIST,
                    Some(OCI_INDEX) | None => OCI_INDEX,
                    Some(_) => return Err(bad("this kind of manifest is none of images")),
                };
                if manifests.len() > MOST_PARTS {
                    return Err(bad("the index names too many images"));
                }
                let images = manifests.into_iter().map(entry).collect::<Result<_, _>>()?;
                Ok(Self::Index { media_type, images })
            }
            _ => Err(bad("a manifest has either config and layers, or manifests")),
        }
    }

    pub(super) fn media_type(&self) -> &'static str {
        match self {
            Self::Image(image) => image.media_type,
            Self::Index { media_type, .. } => media_type,
        }
    }

    /// The entry of an index that runs on this machine.
    pub(super) fn for_this_machine(images: &[Entry]) -> Result<&Entry, RegistryError> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let is_ours = |entry: &&Entry| entry.os == "linux" && entry.architecture == architecture;
        images.iter().find(is_ours).ok_or_else(|| {
            RegistryError::BadManifest(format!(
                "the index has no image for linux/{architecture}: build one with --platform linux/{architecture}"
            ))
        })
    }
}

fn layer(descriptor: &Descriptor) -> Result<Part, RegistryError> {
    if descriptor.media_type.contains("foreign") || descriptor.media_type.contains("nondistributable") {
        let why = "the image has layers that are elsewhere: only those that are pushed can be run";
        return Err(RegistryError::BadManifest(why.to_owned()));
    }
    part(descriptor)
}

fn part(descriptor: &Descriptor) -> Result<Part, RegistryError> {
    Ok(Part {
        digest: descriptor.digest.parse()?,
        bytes: descriptor.size,
    })
}

fn entry(descriptor: Descriptor) -> Result<Entry, RegistryError> {
    let (architecture, os) = descriptor
        .platform
        .map_or_else(Default::default, |platform| (platform.architecture, platform.os));
    Ok(Entry {
        digest: descriptor.digest.parse()?,
        architecture,
        os,
    })
}

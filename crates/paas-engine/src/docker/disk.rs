//! The engine's own account of its disk.
//!
//! Asked by hand: the library reads only what the newest engines answer, and leaves out each image's and volume's size.

use std::collections::HashMap;

use bollard::errors::Error;
use paas_core::ImageRef;
use serde::Deserialize;
use tokio::time::timeout;

use super::{DockerEngine, PATIENCE, error::Explain as _, labels};
use crate::{ContainerBytes, ContainerId, EngineDisk, ImageBytes, Result, VolumeBytes};

const MEASURING: &str = "measuring its disk";
/// The newest version of the API that answers in the words below. Docker 29 still speaks it.
const NEWEST: (usize, usize) = (1, 44);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    layers_size: i64,
    images: Option<Vec<SeenImage>>,
    containers: Option<Vec<SeenContainer>>,
    volumes: Option<Vec<SeenVolume>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SeenImage {
    id: String,
    parent_id: String,
    repo_tags: Option<Vec<String>>,
    labels: Option<HashMap<String, String>>,
    size: i64,
    shared_size: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SeenContainer {
    id: String,
    labels: Option<HashMap<String, String>>,
    size_rw: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SeenVolume {
    name: String,
    labels: Option<HashMap<String, String>>,
    usage_data: Option<SeenUsage>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct SeenUsage {
    size: i64,
}

impl DockerEngine {
    pub(super) async fn measure_disk(&self) -> Result<EngineDisk> {
        let version = self.docker.client_version();
        let (major, minor) = (version.major_version, version.minor_version).min(NEWEST);
        let asked = timeout(PATIENCE, self.ask(&format!("/v{major}.{minor}/system/df"))).await;
        let answer = asked.unwrap_or(Err(Error::RequestTimeoutError));
        let answer = answer.and_then(|bytes| Ok(serde_json::from_slice::<Answer>(&bytes)?));
        Ok(self.read_disk(answer.explain(self, MEASURING)?))
    }

    fn read_disk(&self, answer: Answer) -> EngineDisk {
        let images = answer.images.unwrap_or_default();
        let sizes: HashMap<_, _> = images.iter().map(|image| (image.id.clone(), image.size)).collect();
        let ours =
            |seen: &Option<HashMap<String, String>>| seen.as_ref().is_some_and(|seen| self.labels.are_ours(seen));
        let app = |seen: Option<HashMap<String, String>>| labels::app(&seen.unwrap_or_default());
        EngineDisk {
            layers_bytes: bytes(answer.layers_size),
            images: images
                .into_iter()
                .filter(|image| ours(&image.labels))
                .map(|image| ImageBytes {
                    own_bytes: bytes(image.size - sizes.get(&image.parent_id).unwrap_or(&image.shared_size)),
                    id: ImageRef::new(image.id),
                    tags: image
                        .repo_tags
                        .unwrap_or_default()
                        .into_iter()
                        .filter(|tag| tag != "<none>:<none>")
                        .map(ImageRef::new)
                        .collect(),
                    app: app(image.labels),
                })
                .collect(),
            containers: answer
                .containers
                .unwrap_or_default()
                .into_iter()
                .filter(|container| {
                    container
                        .labels
                        .as_ref()
                        .is_some_and(|seen| self.labels.are_our_containers(seen))
                })
                .map(|container| ContainerBytes {
                    id: ContainerId::new(container.id),
                    app: app(container.labels),
                    bytes: bytes(container.size_rw),
                })
                .collect(),
            volumes: answer
                .volumes
                .unwrap_or_default()
                .into_iter()
                .filter(|volume| ours(&volume.labels))
                .map(|volume| VolumeBytes {
                    name: volume.name,
                    app: app(volume.labels),
                    bytes: volume.usage_data.map_or(0, |usage| bytes(usage.size)),
                })
                .collect(),
        }
    }
}

/// The engine says -1 for what it does not know.
fn bytes(size: i64) -> u64 {
    size.try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_engines_account_is_read_and_what_is_not_there_is_nothing() {
        let text = r#"{
            "LayersSize": 300,
            "Images": [
                { "Id": "sha256:a", "ParentId": "", "Size": 200, "SharedSize": 150, "Labels": null },
                { "Id": "sha256:b", "ParentId": "sha256:a", "Size": 260, "SharedSize": -1, "RepoTags": null }
            ],
            "Containers": null,
            "Volumes": [{ "Name": "v", "UsageData": { "Size": -1, "RefCount": -1 } }],
            "BuildCache": []
        }"#;
        let answer: Answer = serde_json::from_str(text).unwrap();
        assert_eq!(answer.images.unwrap()[1].size, 260);
        assert_eq!(bytes(answer.volumes.unwrap()[0].usage_data.as_ref().unwrap().size), 0);
    }
}

//! OCI image layouts: the run image as the lifecycle is shown it, and the app's image as it comes back.
//!
//! The run image goes in *sparse*: its configuration without its layers, which the lifecycle only counts. So no layer of it
//! moves, and its digests may be those of the uncompressed layers, which are all that an engine knows. What comes out of a
//! build is read as anybody's: names are digests, sizes are bounded, and nothing is unpacked here.

use futures_util::TryStreamExt as _;
use paas_engine::{ContainerId, Engine, ImageConfig};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::{
    BuildError, CnbError,
    archive::{self, MemoryTar},
    stack::hash,
};

/// Manifests and configurations are some kilobytes; labels with bills of materials some hundred.
const MAXIMUM_BYTES: u64 = 4 * 1024 * 1024;

/// The app's image, as the lifecycle has exported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exported {
    /// The blobs of its own layers in the layout, the lowest first: hexadecimal digests.
    pub(super) layers: Vec<String>,
    pub(super) config: ConfigFile,
}

/// The parts of an image's configuration that count here (OCI Image Specification, *Image Configuration*).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct ConfigFile {
    #[serde(default)]
    pub(super) config: Config,
    rootfs: RootFs,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Config {
    pub(super) env: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) working_dir: String,
    pub(super) labels: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct RootFs {
    diff_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

/// Writes the layout of an image without its layers below `folder`.
pub(super) fn sparse(
    tar: &mut MemoryTar,
    folder: &str,
    image: &ImageConfig,
    labels: &std::collections::BTreeMap<String, String>,
) {
    let config = json!({
        "architecture": image.architecture,
        "os": image.os,
        "created": "1970-01-01T00:00:00Z",
        "config": { "Env": image.environment, "Labels": labels },
        "rootfs": { "type": "layers", "diff_ids": image.layers },
        "history": image.layers.iter().map(|_| json!({ "created": "1970-01-01T00:00:00Z" })).collect::<Vec<_>>(),
    })
    .to_string();
    let describe = |kind: &str, content: &str| {
        json!({
            "mediaType": format!("application/vnd.oci.image.{kind}.v1+json"),
            "digest": format!("sha256:{}", hash(content.as_bytes())),
            "size": content.len(),
        })
    };
    let layers = image
        .layers
        .iter()
        .map(|layer| json!({ "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": layer, "size": 1 }));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": describe("config", &config),
        "layers": layers.collect::<Vec<_>>(),
    })
    .to_string();
    let index = json!({ "schemaVersion": 2, "manifests": [describe("manifest", &manifest)] }).to_string();
    let mut file = |name: &str, content: &str| tar.file(&format!("{folder}/{name}"), 0o644, content.as_bytes());
    file("oci-layout", r#"{"imageLayoutVersion":"1.0.0"}"#);
    file("index.json", &index);
    for blob in [&config, &manifest] {
        file(&format!("blobs/sha256/{}", hash(blob.as_bytes())), blob);
    }
}

impl Exported {
    /// Reads what the lifecycle has left in a container, on top of this run image.
    pub(super) async fn read(
        engine: &dyn Engine,
        container: &ContainerId,
        folder: &str,
        run: &ImageConfig,
    ) -> Result<Self, BuildError> {
        let index: Index = file(engine, container, &format!("{folder}/index.json")).await?;
        let [manifest] = index.manifests.as_slice() else {
            return Err(broken("its index does not name one image"));
        };
        let manifest: Manifest = file(engine, container, &blob(folder, &manifest.hex()?)).await?;
        let config: ConfigFile = file(engine, container, &blob(folder, &manifest.config.hex()?)).await?;
        Self::new(&manifest, config, run)
    }

    fn new(manifest: &Manifest, config: ConfigFile, run: &ImageConfig) -> Result<Self, BuildError> {
        if manifest.layers.len() != config.rootfs.diff_ids.len() {
            return Err(broken("its layers are not those of its configuration"));
        }
        if !config.rootfs.diff_ids.starts_with(&run.layers) {
            return Err(broken("it does not stand on the run image"));
        }
        let own = manifest.layers.iter().skip(run.layers.len());
        let layers = own.map(Descriptor::hex).collect::<Result<_, _>>()?;
        Ok(Self { layers, config })
    }
}

impl Descriptor {
    /// The name of its blob: nothing else may become part of a path.
    fn hex(&self) -> Result<String, BuildError> {
        let hex = self.digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(hex.to_owned());
        }
        Err(broken("it names a blob by no digest"))
    }
}

/// Where a blob of a layout is.
pub(super) fn blob(folder: &str, hex: &str) -> String {
    format!("{folder}/blobs/sha256/{hex}")
}

async fn file<T: DeserializeOwned>(engine: &dyn Engine, container: &ContainerId, path: &str) -> Result<T, BuildError> {
    let missing = || broken("a part of it is missing");
    let mut tar = engine.archive(container, path).await?.ok_or_else(missing)?;
    let mut bytes = Vec::new();
    while let Some(chunk) = tar.try_next().await.map_err(|_| broken("it was lost on its way"))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAXIMUM_BYTES {
            return Err(broken("a part of it is too large"));
        }
    }
    let files = archive::read_files(&bytes, MAXIMUM_BYTES).map_err(|error| broken(&error.to_string()))?;
    let content = files.into_values().next().ok_or_else(missing)?;
    serde_json::from_slice(&content).map_err(|error| broken(&error.to_string()))
}

fn broken(problem: &str) -> BuildError {
    CnbError::BadExport {
        problem: problem.to_owned(),
    }
    .into()
}

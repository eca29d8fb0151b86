//! The engine that is Docker, over its local socket.
//!
//! Works with every API from 1.41 (Debian 12's engine) on: the version is negotiated, never pinned, because Docker 29
//! refuses what is older than 1.44.
//!
//! One connection for each request, none kept: a restart of dockerd breaks what was in flight and nothing else.

mod adopt;
mod container;
mod copy;
mod disk;
mod error;
mod events;
mod exec;
mod hijack;
mod image;
mod input;
mod labels;
mod layer;
mod log;
mod network;
mod oom;
mod run;
mod start;
mod usage;
mod volume;

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bollard::{Docker, models::SystemInfoCgroupDriverEnum};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use paas_core::{App, Id, ImageRef};
use tokio::{
    net::UnixStream,
    sync::{Mutex, OnceCell, mpsc},
};
use tokio_util::sync::CancellationToken;

use self::{adopt::Adoptions, error::Explain as _, labels::Labels, oom::Verdicts};
use crate::{
    AdoptedImage, ByteStream, Container, ContainerId, ContainerSpec, DockerfileBuild, Engine, EngineDisk, EngineError,
    EngineVersion, ExecSpec, Exit, Image, ImageConfig, Input, LayerSpec, LogChunk, LogPosition, Network, NetworkSpec,
    Output, RegistryCredentials, Result, Usage, Volume,
};

/// Docker, as one platform sees it.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    docker: Docker,
    /// The same, for what takes long before it says anything: committing, importing, building.
    patient: Docker,
    labels: Labels,
    verdicts: Verdicts,
    /// Whose turn it is to fetch an image by a name.
    adoptions: Arc<Adoptions>,
    address: String,
    /// How many files a container may open.
    open_files: i64,
    /// Asked once: dockerd starts other programs to tell about itself.
    place: Arc<OnceCell<Place>>,
    /// One network is made at a time: while Docker makes one it already counts its addresses as taken, and does not list it yet.
    network: Arc<Mutex<()>>,
}

/// What an engine does not change while it runs.
#[derive(Debug)]
struct Place {
    data_dir: String,
    /// The control group of dynos, where the engine makes groups.
    dynos: Option<&'static str>,
}

/// A busy disk makes a create or start last seconds; beyond this dockerd hangs.
const TIMEOUT: Duration = Duration::from_mins(2);
/// Extracting or committing gigabytes on a slow disk.
const PATIENCE: Duration = Duration::from_hours(1);
/// Heroku's limit (Dev Center, *Limits*: file descriptors).
const OPEN_FILES: i64 = 10_000;
/// The oldest API that all of this was seen to work with.
const OLDEST_API: (usize, usize) = (1, 41);

impl DockerEngine {
    /// Connects to the socket at `socket` (`/var/run/docker.sock`). `platform` marks all that is made.
    pub async fn connect(socket: &Path, platform: &str) -> Result<Self> {
        let address = socket.display().to_string();
        let unavailable = |source| EngineError::Unavailable {
            address: address.clone(),
            source,
        };
        let docker = Docker::connect_with_unix(&address, TIMEOUT.as_secs(), bollard::API_DEFAULT_VERSION)
            .map_err(|error| unavailable(error.into()))?
            .negotiate_version()
            .await
            .map_err(|error| unavailable(error.into()))?;
        let version = docker.client_version();
        if (version.major_version, version.minor_version) < OLDEST_API {
            let (major, minor) = OLDEST_API;
            let reason = format!("Docker's API {version} is too old, {major}.{minor} is needed: upgrade Docker");
            return Err(EngineError::Unsupported { reason });
        }
        Ok(Self {
            patient: docker.clone().with_timeout(PATIENCE),
            docker,
            labels: Labels::new(platform),
            verdicts: Verdicts::default(),
            adoptions: Arc::default(),
            open_files: open_files(socket).await,
            place: Arc::default(),
            network: Arc::default(),
            address,
        })
    }
}

impl DockerEngine {
    async fn place(&self) -> Result<&Place> {
        const DOING: &str = "asking where things are";
        let asked = self.place.get_or_try_init(async || {
            let info = self.docker.info().await.explain(self, DOING)?;
            Ok(Place {
                data_dir: info.docker_root_dir.unwrap_or_default(),
                dynos: match info.cgroup_driver {
                    Some(SystemInfoCgroupDriverEnum::CGROUPFS) => Some("/paas"),
                    Some(SystemInfoCgroupDriverEnum::SYSTEMD) => Some("paas.slice"),
                    _ => None,
                },
            })
        });
        asked.await
    }
}

/// Ten thousand, or as many as dockerd itself may open: asking for more makes every start fail.
async fn open_files(socket: &Path) -> i64 {
    let read = async {
        let peer = UnixStream::connect(socket).await.ok()?.peer_cred().ok()?.pid()?;
        let limits = fs::read_to_string(format!("/proc/{peer}/limits")).ok()?;
        hard_limit(&limits)
    };
    read.await.map_or(OPEN_FILES, |limit: i64| limit.min(OPEN_FILES))
}

/// The hard limit of open files in the text of `/proc/<pid>/limits`.
fn hard_limit(limits: &str) -> Option<i64> {
    let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

#[async_trait]
impl Engine for DockerEngine {
    async fn list(&self) -> Result<Vec<Container>> {
        self.list_containers().await
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Container>> {
        self.inspect_container(id.as_str()).await
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<Container> {
        self.start_container(spec).await
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<Option<Exit>> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        self.remove_container(id).await
    }

    fn hints(&self) -> BoxStream<'static, ()> {
        events::hints(self.clone())
    }

    fn logs(&self, id: &ContainerId, after: Option<LogPosition>) -> BoxStream<'static, Result<LogChunk>> {
        log::follow(self.clone(), id.clone(), after)
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>> {
        self.measure(id).await
    }

    async fn run(
        &self,
        spec: &ContainerSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Exit> {
        self.run_container(spec, stdin, output, cancel).await
    }

    async fn exec(
        &self,
        id: &ContainerId,
        exec: &ExecSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Option<i32>> {
        self.exec_program(id, exec, stdin, output, cancel).await
    }

    async fn hang_up(&self, id: &ContainerId) -> Result<()> {
        self.hang_up_container(id).await
    }

    async fn archive(&self, id: &ContainerId, path: &str) -> Result<Option<ByteStream>> {
        self.archive_path(id, path).await
    }

    async fn commit_layer(&self, layer: &LayerSpec, tar: ByteStream) -> Result<Image> {
        self.commit(layer, tar).await
    }

    async fn build_image(
        &self,
        build: &DockerfileBuild,
        context: ByteStream,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Image> {
        self.build_dockerfile(build, context, output, cancel).await
    }

    async fn import_image(
        &self,
        tag: &ImageRef,
        labels: &BTreeMap<String, String>,
        rootfs: ByteStream,
    ) -> Result<Image> {
        self.import_rootfs(tag, labels, rootfs).await
    }

    async fn image(&self, image: &ImageRef) -> Result<Option<Image>> {
        self.inspect_image(image).await
    }

    async fn image_config(&self, image: &ImageRef) -> Result<Option<ImageConfig>> {
        self.inspect_config(image).await
    }

    async fn images(&self) -> Result<Vec<Image>> {
        self.list_images(None).await
    }

    async fn images_of(&self, app: Id<App>) -> Result<Vec<Image>> {
        self.list_images(Some(app)).await
    }

    async fn remove_image(&self, image: &ImageRef) -> Result<()> {
        self.delete_image(image).await
    }

    async fn pull(&self, image: &ImageRef) -> Result<Image> {
        self.pull_image(image, None).await
    }

    async fn adopt_archive(&self, image: &AdoptedImage, within: &ImageRef, archive: ByteStream) -> Result<Image> {
        self.load_adopted(image, within, archive).await
    }

    async fn adopt_image(
        &self,
        image: &AdoptedImage,
        source: &ImageRef,
        credentials: Option<&RegistryCredentials>,
        cancel: CancellationToken,
    ) -> Result<Image> {
        self.adopt(image, source, credentials, cancel).await
    }

    async fn remove_loaded(&self, repository: &str, horizon: DateTime<Utc>) -> Result<()> {
        self.remove_loaded(repository, horizon).await
    }

    async fn save_image(&self, image: &ImageRef) -> Result<Option<ByteStream>> {
        self.export(image).await
    }

    async fn load_image(&self, archive: ByteStream) -> Result<()> {
        self.load(archive).await
    }

    async fn disk(&self) -> Result<EngineDisk> {
        self.measure_disk().await
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<()> {
        self.ensure_bridge(network).await
    }

    async fn networks(&self) -> Result<Vec<Network>> {
        self.list_networks(HashMap::new()).await
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        self.delete_network(name).await
    }

    async fn join_network(&self, id: &ContainerId, network: &str, alias: &str) -> Result<()> {
        self.join(id, network, alias).await
    }

    async fn leave_network(&self, id: &ContainerId, network: &str) -> Result<()> {
        self.leave(id, network).await
    }

    async fn volumes(&self) -> Result<Vec<Volume>> {
        self.list_volumes().await
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        self.delete_volume(name).await
    }

    async fn version(&self) -> Result<EngineVersion> {
        const DOING: &str = "asking for its version";
        let info = self.docker.info().await.explain(self, DOING)?;
        Ok(EngineVersion {
            name: "Docker",
            version: info.server_version.unwrap_or_default(),
            api_version: self.docker.client_version().to_string(),
            kernel: info.kernel_version.unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            cgroup_version: info
                .cgroup_version
                .map(|version| version.to_string())
                .unwrap_or_default(),
            data_dir: info.docker_root_dir.unwrap_or_default(),
            cpus: info.ncpu.and_then(|cpus| cpus.try_into().ok()).unwrap_or_default(),
            memory_bytes: info
                .mem_total
                .and_then(|bytes| bytes.try_into().ok())
                .unwrap_or_default(),
            has_live_restore: info.live_restore_enabled.unwrap_or_default(),
            warnings: info.warnings.unwrap_or_default(),
        })
    }

    async fn data_dir(&self) -> Result<String> {
        self.place().await.map(|place| place.data_dir.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerds_own_limit_of_open_files_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            1024                 20000                files     \n";
        assert_eq!(hard_limit(limits), Some(20_000));
        assert_eq!(
            hard_limit("Max open files            1024       unlimited       files"),
            None
        );
    }
}

//! The seam between the platform and what runs its containers.

use std::{collections::BTreeMap, io, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use paas_core::{App, Id, ImageRef};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    AdoptedImage, Container, ContainerId, ContainerSpec, DockerfileBuild, EngineDisk, ExecSpec, Exit, Image,
    ImageConfig, LayerSpec, LogChunk, LogPosition, Network, NetworkSpec, Output, RegistryCredentials, Result,
    TerminalSize, Usage, Volume,
};

/// Bytes on their way in or out: a tar, mostly.
pub type ByteStream = BoxStream<'static, io::Result<Bytes>>;

/// Runs containers. Every method may be called again after a failure or a crash: doing what is already done is no error.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// All containers of this platform, of every role.
    async fn list(&self) -> Result<Vec<Container>>;

    /// One container, or `None` when it is gone (or is not this platform's).
    async fn inspect(&self, id: &ContainerId) -> Result<Option<Container>>;

    /// Creates the container called `spec.name` unless there is one, and starts it unless it was started before.
    ///
    /// A container that already exited is returned as it is: a new attempt has a new name. A command that the image does
    /// not have is no error: the container ends with 126 or 127, as a shell would.
    async fn start(&self, spec: &ContainerSpec) -> Result<Container>;

    /// SIGTERM to every process of the container, SIGKILL after `grace`; returns when it has ended.
    ///
    /// `None` when there was no such container any more. The container stays, for its logs: see [`Engine::remove`].
    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<Option<Exit>>;

    /// Kills and removes the container; its named volumes stay.
    async fn remove(&self, id: &ContainerId) -> Result<()>;

    /// Yields whenever something may have changed. A hint carries no fact: it says *look again*.
    ///
    /// Never ends; reconnects by itself, with a hint after each reconnect because events were missed. The first hint
    /// comes once the subscription stands.
    fn hints(&self) -> BoxStream<'static, ()>;

    /// The output of a container that was started, from the beginning or from behind `after`, then live.
    ///
    /// Nothing comes twice across any number of resumptions, and nothing is lost that the engine still keeps (30 MB of a
    /// container's output). What a container of [`Engine::run`] said is not kept. Ends when the container has ended and
    /// all was said, or when it is gone; an error ends it too, and then it can be resumed.
    fn logs(&self, id: &ContainerId, after: Option<LogPosition>) -> BoxStream<'static, Result<LogChunk>>;

    /// What a running container uses of the machine; `None` when it does not run.
    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>>;

    /// Runs a container to its end with its streams attached before it starts, so that no byte is missed.
    ///
    /// When `stdin` ends the container reads end of file. Output is handed on as it comes, and a slow receiver slows the
    /// container down; a receiver that went away does not. `cancel` stops the container (SIGTERM, then SIGKILL after ten
    /// seconds) and its exit is returned all the same. The container is left for [`Engine::archive`]: remove it.
    async fn run(
        &self,
        spec: &ContainerSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Exit>;

    /// Runs a program in a running container to its end, with its streams attached, and says how it ended; `None` when no
    /// such container runs.
    ///
    /// `cancel` means that whoever wanted it went away: the program, and all that it started, gets SIGHUP, and nobody waits
    /// for it any longer; it ends with 129. The program sees what the container sees: its files, network and environment.
    async fn exec(
        &self,
        id: &ContainerId,
        exec: &ExecSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Option<i32>>;

    /// SIGHUP to every process of a container: its terminal is gone. No error when it has ended.
    async fn hang_up(&self, id: &ContainerId) -> Result<()>;

    /// A tar of `path` (a file or a directory) out of a container, which may have ended.
    ///
    /// Entries start with the last part of `path`, as in `docker cp`. `None` when there is no such path or container.
    async fn archive(&self, id: &ContainerId, path: &str) -> Result<Option<ByteStream>>;

    /// One layer with the files of `tar` (paths relative to `/`) on top of a base image.
    ///
    /// The base must be a stack image, never a previous release: an image has at most 125 layers.
    async fn commit_layer(&self, layer: &LayerSpec, tar: ByteStream) -> Result<Image>;

    /// Builds a Dockerfile. `output` gets the builder's words as they come; `cancel` ends the build.
    ///
    /// [`EngineError::Build`](crate::EngineError::Build) carries the message of the step that failed.
    async fn build_image(
        &self,
        build: &DockerfileBuild,
        context: ByteStream,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Image>;

    /// Makes a base image of a root file system.
    async fn import_image(
        &self,
        tag: &ImageRef,
        labels: &BTreeMap<String, String>,
        rootfs: ByteStream,
    ) -> Result<Image>;

    /// What is known about an image, whoever made it; `None` when it is not here.
    async fn image(&self, image: &ImageRef) -> Result<Option<Image>>;

    /// How an image is configured; `None` when it is not here.
    async fn image_config(&self, image: &ImageRef) -> Result<Option<ImageConfig>>;

    /// The images that this platform made.
    async fn images(&self) -> Result<Vec<Image>>;

    /// Those of an app among them.
    async fn images_of(&self, app: Id<App>) -> Result<Vec<Image>> {
        let mut images = self.images().await?;
        images.retain(|image| image.app == Some(app));
        Ok(images)
    }

    /// Removes a tag and what only it held; no error when it is gone already.
    ///
    /// [`EngineError::InUse`](crate::EngineError::InUse) while a container still needs it.
    async fn remove_image(&self, image: &ImageRef) -> Result<()>;

    /// Fetches an image from a registry. Fails within seconds where no registry answers.
    async fn pull(&self, image: &ImageRef) -> Result<Image>;

    /// An archive of an image with all its layers, for [`Engine::load_image`]. `None` when it is not here.
    ///
    /// The same image may give other bytes another time; what it is made of is in files of the same content.
    async fn save_image(&self, image: &ImageRef) -> Result<Option<ByteStream>>;

    /// Makes the images of an archive: the same ids as before, and the tags under which they were saved.
    async fn load_image(&self, archive: ByteStream) -> Result<()>;

    /// What takes room on the engine's disk. Slow: the engine walks through all files of its volumes and containers.
    async fn disk(&self) -> Result<EngineDisk>;

    /// Keeps the image that an archive (`docker save`) holds under the tag `within`.
    async fn adopt_archive(&self, image: &AdoptedImage, within: &ImageRef, archive: ByteStream) -> Result<Image>;

    /// Keeps an image that has a name of its own: a registry's, or that of an image which the app has made itself.
    ///
    /// All but the app's own is fetched, also what is here already, so that nobody gets by name what somebody else was
    /// allowed to fetch, or has made; what was fetched does not stay under its own name. Images of other apps are none.
    /// `cancel` ends the fetching: a caller that goes away instead may leave an image behind that nobody would find.
    async fn adopt_image(
        &self,
        image: &AdoptedImage,
        source: &ImageRef,
        credentials: Option<&RegistryCredentials>,
        cancel: CancellationToken,
    ) -> Result<Image>;

    /// Removes what [`Engine::adopt_archive`] has left behind below the name `repository` when its process died, and that is
    /// older than `horizon`.
    async fn remove_loaded(&self, repository: &str, horizon: DateTime<Utc>) -> Result<()>;

    /// Creates the network unless it exists.
    async fn ensure_network(&self, network: &NetworkSpec) -> Result<()>;

    /// The networks of this platform.
    async fn networks(&self) -> Result<Vec<Network>>;

    /// Removes a network; no error when it is gone, [`EngineError::InUse`](crate::EngineError::InUse) while a container
    /// is on it.
    async fn remove_network(&self, name: &str) -> Result<()>;

    /// Puts a container on one more network, where it is called `alias`; no error when it is on it.
    async fn join_network(&self, id: &ContainerId, network: &str, alias: &str) -> Result<()>;

    /// Takes a container off a network; no error when it is not on it, or gone.
    async fn leave_network(&self, id: &ContainerId, network: &str) -> Result<()>;

    /// The named volumes of this platform.
    async fn volumes(&self) -> Result<Vec<Volume>>;

    /// Removes a named volume with all it holds; no error when it is gone.
    async fn remove_volume(&self, name: &str) -> Result<()>;

    /// Which engine answers, for `paasd doctor`.
    async fn version(&self) -> Result<EngineVersion>;

    /// [`EngineVersion::data_dir`], which each build asks for: an engine need not be asked twice.
    async fn data_dir(&self) -> Result<String> {
        Ok(self.version().await?.data_dir)
    }
}

/// What goes to a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    Bytes(Bytes),
    /// The person's terminal changed its size. Means nothing without [`ContainerSpec::terminal`].
    Resize(TerminalSize),
}

/// The engine and its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineVersion {
    pub name: &'static str,
    pub version: String,
    pub api_version: String,
    pub kernel: String,
    pub storage_driver: String,
    pub cgroup_version: String,
    /// Where images and containers are kept: the disk to watch.
    pub data_dir: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Whether containers outlive a restart of the engine.
    pub has_live_restore: bool,
    pub warnings: Vec<String>,
}

impl From<Bytes> for Input {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

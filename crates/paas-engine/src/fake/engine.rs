//! The fake, as everybody sees it.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{
    FutureExt as _, StreamExt as _,
    stream::{self, BoxStream},
};
use paas_core::ImageRef;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Behaviour, FakeEngine, behaviour::Life, next_address, refused, unavailable};
use crate::{
    AdoptedImage, ByteStream, Container, ContainerId, ContainerSpec, ContainerState, DockerfileBuild, Engine,
    EngineDisk, EngineError, EngineVersion, ExecSpec, Exit, Image, ImageConfig, Input, LayerSpec, LogChunk,
    LogPosition, Network, NetworkSpec, Output, OutputStream, RegistryCredentials, Result, Usage, Volume,
};

/// As in Docker's `run`.
const GRACE: Duration = Duration::from_secs(10);
/// What every container of the fake uses while it runs.
const USAGE: Usage = Usage {
    rss_bytes: 20 * 1024 * 1024,
    cache_bytes: 1024 * 1024,
    swap_bytes: 0,
    pages_in: 0,
    pages_out: 0,
    cpu: Duration::from_millis(10),
};

#[async_trait]
impl Engine for FakeEngine {
    async fn list(&self) -> Result<Vec<Container>> {
        let state = self.answer()?;
        Ok(state.containers.iter().map(|fake| fake.container.clone()).collect())
    }

    async fn inspect(&self, id: &ContainerId) -> Result<Option<Container>> {
        Ok(self.answer()?.find(id).map(|fake| fake.container.clone()))
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<Container> {
        let (id, is_new) = {
            let now = self.now();
            let mut state = self.answer()?;
            match state.find_named(&spec.name).map(|fake| fake.container.clone()) {
                Some(container) => (container.id, container.state == ContainerState::Created),
                None => (state.create(spec, now)?, true),
            }
        };
        if is_new {
            self.bring_to_life(&id)?;
            self.touch();
        }
        let container = self.inspect(&id).await?;
        container.ok_or_else(|| refused("starting a container", "it vanished"))
    }

    async fn stop(&self, id: &ContainerId, grace: Duration) -> Result<Option<Exit>> {
        let (life, state) = match self.answer()?.find(id) {
            Some(fake) => (fake.behaviour.life, fake.container.state.clone()),
            None => return Ok(None),
        };
        if let ContainerState::Exited(exit) = state {
            return Ok(Some(exit));
        }
        let code = match life {
            Life::EndsWell => 0,
            Life::Stubborn => {
                tokio::time::sleep(grace).await;
                137
            }
            _ => 143,
        };
        Ok(self.end(id, code))
    }

    async fn remove(&self, id: &ContainerId) -> Result<()> {
        drop(self.answer()?);
        self.vanish(id);
        Ok(())
    }

    fn hints(&self) -> BoxStream<'static, ()> {
        let mut changes = self.changes.subscribe();
        // The first one says that the subscription stands.
        changes.mark_changed();
        stream::unfold(changes, |mut changes| async move {
            changes.changed().await.ok()?;
            Some(((), changes))
        })
        .boxed()
    }

    fn logs(&self, id: &ContainerId, after: Option<LogPosition>) -> BoxStream<'static, Result<LogChunk>> {
        let (engine, id) = (self.clone(), id.clone());
        let changes = self.changes.subscribe();
        stream::unfold((after, changes, false), move |(after, mut changes, has_failed)| {
            let (engine, id) = (engine.clone(), id.clone());
            async move {
                if has_failed {
                    return None;
                }
                loop {
                    changes.mark_unchanged();
                    let (next, is_running) = match engine.answer() {
                        Err(error) => return Some((Err(error), (after, changes, true))),
                        Ok(mut state) => {
                            let fake = state.find(&id)?;
                            let next = fake.said.iter().find(|chunk| Some(chunk.position) > after).cloned();
                            (next, fake.container.is_running())
                        }
                    };
                    if let Some(chunk) = next {
                        let after = Some(chunk.position);
                        return Some((Ok(chunk), (after, changes, false)));
                    }
                    if !is_running {
                        return None;
                    }
                    changes.changed().await.ok()?;
                }
            }
        })
        .boxed()
    }

    async fn usage(&self, id: &ContainerId) -> Result<Option<Usage>> {
        let mut state = self.answer()?;
        let is_running = state.find(id).is_some_and(|fake| fake.container.is_running());
        Ok(is_running.then_some(USAGE))
    }

    async fn run(
        &self,
        spec: &ContainerSpec,
        mut stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Exit> {
        let now = self.now();
        let id = {
            let mut state = self.answer()?;
            if state.find_named(&spec.name).is_some() {
                return Err(EngineError::InUse {
                    what: format!("the container name {}", spec.name),
                });
            }
            state.create(spec, now)?
        };
        self.bring_to_life(&id)?;
        self.touch();
        let (behaviour, life) = match self.state().find(&id) {
            Some(fake) => (fake.behaviour.clone(), fake.life.clone()),
            None => return Err(refused("running a container", "it vanished")),
        };
        if let Some(Some(first)) = stdin.next().now_or_never() {
            if let Input::Bytes(bytes) = &first {
                self.state().heard.push((spec.clone(), bytes.clone()));
            }
            stdin = stream::once(std::future::ready(first)).chain(stdin).boxed();
        }
        say(&behaviour, &output).await;
        let code = tokio::select! {
            biased;
            () = life.cancelled() => 0,
            code = hear(&behaviour, &mut stdin, &output) => code,
            () = cancel.cancelled() => {
                let stopped = self.stop(&id, GRACE).await?;
                stopped.map_or(137, |exit| exit.code)
            }
        };
        self.end(&id, code)
            .ok_or_else(|| refused("running a container", "it vanished"))
    }

    async fn exec(
        &self,
        id: &ContainerId,
        exec: &ExecSpec,
        mut stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Option<i32>> {
        let (behaviour, life) = {
            let mut state = self.answer()?;
            let Some(fake) = state.find(id).filter(|fake| fake.container.is_running()) else {
                return Ok(None);
            };
            let life = fake.life.clone();
            let mut spec = fake.spec.clone();
            spec.command.clone_from(&exec.command);
            spec.terminal = exec.terminal;
            (state.taught(&spec).unwrap_or_else(|| Behaviour::exits(0)), life)
        };
        let live = async {
            say(&behaviour, &output).await;
            hear(&behaviour, &mut stdin, &output).await
        };
        let code = tokio::select! {
            biased;
            () = life.cancelled() => 137,
            code = live => code,
            () = cancel.cancelled() => 129,
        };
        Ok(Some(code))
    }

    async fn hang_up(&self, id: &ContainerId) -> Result<()> {
        let life = self.answer()?.find(id).map(|fake| fake.behaviour.life);
        if life.is_some_and(|life| life != Life::Stubborn) {
            self.end(id, 129);
        }
        Ok(())
    }

    async fn archive(&self, id: &ContainerId, path: &str) -> Result<Option<ByteStream>> {
        let mut state = self.answer()?;
        let tar = state.find(id).and_then(|fake| fake.behaviour.files.get(path).cloned());
        Ok(tar.map(|tar| stream::once(async { Ok(tar) }).boxed()))
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
        self.build(build, context, output, cancel).await
    }

    async fn import_image(
        &self,
        tag: &ImageRef,
        labels: &BTreeMap<String, String>,
        rootfs: ByteStream,
    ) -> Result<Image> {
        self.import(tag, labels, rootfs).await
    }

    async fn image(&self, image: &ImageRef) -> Result<Option<Image>> {
        Ok(self.answer()?.find_image(image).cloned())
    }

    async fn image_config(&self, image: &ImageRef) -> Result<Option<ImageConfig>> {
        let found = self.answer()?.find_image(image).cloned();
        Ok(found.map(|found| ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            // Its content is its only layer.
            layers: vec![found.id.to_string()],
            environment: Vec::new(),
        }))
    }

    async fn images(&self) -> Result<Vec<Image>> {
        Ok(self.answer()?.images.clone())
    }

    async fn remove_image(&self, image: &ImageRef) -> Result<()> {
        self.delete_image(image)
    }

    async fn pull(&self, image: &ImageRef) -> Result<Image> {
        let found = self.answer()?.find_image(image).cloned();
        found.ok_or_else(|| refused("pulling an image", &format!("the registry of {image} does not answer")))
    }

    async fn save_image(&self, image: &ImageRef) -> Result<Option<ByteStream>> {
        self.save(image)
    }

    async fn load_image(&self, archive: ByteStream) -> Result<()> {
        self.load(archive).await
    }

    async fn disk(&self) -> Result<EngineDisk> {
        self.measure_disk()
    }

    async fn adopt_archive(&self, image: &AdoptedImage, within: &ImageRef, archive: ByteStream) -> Result<Image> {
        self.load_adopted(image, within, archive).await
    }

    async fn adopt_image(
        &self,
        image: &AdoptedImage,
        source: &ImageRef,
        _: Option<&RegistryCredentials>,
        _: CancellationToken,
    ) -> Result<Image> {
        self.adopt(image, source)
    }

    async fn remove_loaded(&self, _: &str, _: DateTime<Utc>) -> Result<()> {
        // An archive of the fake never has a name.
        self.answer().map(drop)
    }

    async fn ensure_network(&self, network: &NetworkSpec) -> Result<()> {
        let mut state = self.answer()?;
        if state.networks.contains_key(&network.name) {
            return Ok(());
        }
        let overlaps = |other: &NetworkSpec| {
            other.subnet.contains(network.subnet.base()) || network.subnet.contains(other.subnet.base())
        };
        if state.networks.values().any(overlaps) {
            let subnet = network.subnet.to_string();
            return Err(EngineError::SubnetTaken { subnet });
        }
        state.networks.insert(network.name.clone(), network.clone());
        Ok(())
    }

    async fn networks(&self) -> Result<Vec<Network>> {
        let state = self.answer()?;
        let networks = state.networks.values().map(|spec| Network {
            id: spec.name.clone(),
            name: spec.name.clone(),
            app: spec.app,
            subnet: Some(spec.subnet),
            bridge: Some(spec.bridge.clone()),
        });
        Ok(networks.collect())
    }

    async fn remove_network(&self, name: &str) -> Result<()> {
        let mut state = self.answer()?;
        let is_on_it = |container: &Container| container.is_running() && container.networks.iter().any(|on| on == name);
        let mut containers = state.containers.iter();
        if containers.any(|fake| is_on_it(&fake.container)) {
            let what = format!("network {name}");
            return Err(EngineError::InUse { what });
        }
        state.networks.remove(name);
        Ok(())
    }

    async fn join_network(&self, id: &ContainerId, network: &str, _alias: &str) -> Result<()> {
        let mut state = self.answer()?;
        if !state.networks.contains_key(network) {
            return Err(refused(
                "putting a container on a network",
                &format!("network {network} not found"),
            ));
        }
        let Some(fake) = state.find(id) else {
            return Err(refused("putting a container on a network", "no such container"));
        };
        let is_running = fake.container.is_running();
        let networks = &mut fake.container.networks;
        if !networks.iter().any(|on| on == network) {
            networks.push(network.to_owned());
            networks.sort();
            if is_running {
                fake.container.addresses.insert(network.to_owned(), next_address());
            }
        }
        drop(state);
        self.touch();
        Ok(())
    }

    async fn leave_network(&self, id: &ContainerId, network: &str) -> Result<()> {
        let mut state = self.answer()?;
        if let Some(fake) = state.find(id) {
            fake.container.networks.retain(|on| on != network);
            fake.container.addresses.remove(network);
        }
        drop(state);
        self.touch();
        Ok(())
    }

    async fn volumes(&self) -> Result<Vec<Volume>> {
        Ok(self.answer()?.volumes.values().cloned().collect())
    }

    async fn remove_volume(&self, name: &str) -> Result<()> {
        let mut state = self.answer()?;
        let mut mounts = state.containers.iter().flat_map(|fake| &fake.spec.volumes);
        if mounts.any(|mount| mount.volume == name) {
            let what = format!("volume {name}");
            return Err(EngineError::InUse { what });
        }
        state.volumes.remove(name);
        Ok(())
    }

    async fn version(&self) -> Result<EngineVersion> {
        let data_dir = {
            let state = self.state();
            if state.is_down {
                return Err(unavailable());
            }
            state.data_dir.clone()
        };
        Ok(EngineVersion {
            name: "fake",
            version: env!("CARGO_PKG_VERSION").to_owned(),
            api_version: String::new(),
            kernel: String::new(),
            storage_driver: "memory".to_owned(),
            cgroup_version: String::new(),
            data_dir: data_dir.unwrap_or_else(|| "/".to_owned()),
            cpus: 2,
            memory_bytes: 4 * 1024 * 1024 * 1024,
            has_live_restore: true,
            warnings: Vec::new(),
        })
    }
}

async fn say(behaviour: &Behaviour, output: &mpsc::Sender<Output>) {
    for (stream, bytes) in behaviour.says.clone() {
        // Who does not listen any more misses it.
        let _ = output.send(Output { stream, bytes }).await;
    }
}

/// Hears what comes, and ends as was taught, or never.
async fn hear(behaviour: &Behaviour, stdin: &mut BoxStream<'static, Input>, output: &mpsc::Sender<Output>) -> i32 {
    match behaviour.life {
        Life::Exits { code, .. } => return code,
        Life::Deaf => return std::future::pending().await,
        _ => {}
    }
    while let Some(input) = stdin.next().await {
        if let (Input::Bytes(bytes), Life::Copies) = (input, behaviour.life) {
            let stream = OutputStream::Stdout;
            let _ = output.send(Output { stream, bytes }).await;
        }
    }
    match behaviour.life {
        Life::Copies => 0,
        _ => std::future::pending().await,
    }
}

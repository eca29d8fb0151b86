//! One engine with a platform, an image and a network of its own, and programs that mean the same to every engine.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    panic::{AssertUnwindSafe, resume_unwind},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use paas_core::{Id, ImageRef};
use paas_engine::{
    Behaviour, ByteStream, Container, ContainerId, ContainerSpec, DockerEngine, Engine, EngineError, FakeEngine,
    Limits, LogChunk, LogPosition, NetworkSpec, Role, Subnet,
};
use uuid::Uuid;

pub(crate) const SOCKET: &str = "/var/run/docker.sock";
/// No promise takes longer, however busy the machine is.
const PATIENCE: Duration = Duration::from_mins(1);
const MEBIBYTE: u64 = 1024 * 1024;

/// An engine under test.
pub(crate) struct World {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) platform: String,
    pub(crate) image: ImageRef,
    pub(crate) network: NetworkSpec,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Sleep,
    /// Says `ready`, and does not listen to SIGTERM.
    Stubborn,
    /// Says `one` to `five` and ends.
    Count,
    /// Says more than fits between it and whoever listens.
    Flood,
    Copy,
    Exit3,
    /// Is not there.
    Missing,
    Glutton,
}

impl Program {
    const ALL: [Self; 8] = [
        Self::Sleep,
        Self::Stubborn,
        Self::Count,
        Self::Flood,
        Self::Copy,
        Self::Exit3,
        Self::Missing,
        Self::Glutton,
    ];

    pub(crate) fn command(self) -> Vec<String> {
        let shell = |script| vec!["/bin/sh", "-c", script];
        let command = match self {
            Self::Sleep => vec!["/bin/sleep", "1000"],
            Self::Stubborn => shell("trap '' TERM; echo ready; while :; do sleep 1; done"),
            Self::Count => shell("for word in one two three four five; do echo $word; done"),
            Self::Flood => shell("head -c 8000000 /dev/zero"),
            Self::Copy => vec!["/bin/cat"],
            Self::Exit3 => shell("exit 3"),
            Self::Missing => vec!["/no/such/program"],
            Self::Glutton => shell("exec tail /dev/zero"),
        };
        command.into_iter().map(str::to_owned).collect()
    }

    fn behaviour(self) -> Behaviour {
        match self {
            Self::Sleep => Behaviour::runs(),
            Self::Stubborn => Behaviour::stubborn().saying("ready"),
            Self::Count => ["one", "two", "three", "four", "five"]
                .into_iter()
                .fold(Behaviour::exits(0), Behaviour::saying),
            Self::Flood => (0..100).fold(Behaviour::exits(0), |flood, _| flood.saying("water")),
            Self::Copy => Behaviour::copies(),
            Self::Exit3 => Behaviour::exits(3).leaving("/etc/hostname", "a tar"),
            Self::Missing => Behaviour::exits(127),
            Self::Glutton => Behaviour::runs_out_of_memory(),
        }
    }
}

impl World {
    pub(crate) fn fake() -> Self {
        let start = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let began = std::time::Instant::now();
        let engine = FakeEngine::new(move || start + TimeDelta::from_std(began.elapsed()).unwrap());
        for program in Program::ALL {
            engine.teach(move |spec| spec.command == program.command(), program.behaviour());
        }
        engine.add_image("test:image");
        Self {
            engine: Arc::new(engine),
            platform: "fake".to_owned(),
            image: ImageRef::new("test:image"),
            network: network("fake", 1),
        }
    }

    pub(crate) async fn docker() -> Self {
        let platform = Uuid::new_v4().simple().to_string();
        let engine = DockerEngine::connect(Path::new(SOCKET), &platform).await.unwrap();
        let image = ImageRef::new(format!("paas-test-{platform}:image"));
        engine
            .import_image(&image, &BTreeMap::new(), bytes(&rootfs()))
            .await
            .unwrap();
        Self {
            engine: Arc::new(engine),
            image,
            network: network(&platform, u32::from_str_radix(&platform[..3], 16).unwrap()),
            platform,
        }
    }

    /// Asks for a promise, and leaves nothing behind whether it was kept or not.
    pub(crate) async fn keeps(self, promise: impl AsyncFnOnce(&Self)) {
        let kept = tokio::time::timeout(PATIENCE, AssertUnwindSafe(promise(&self)).catch_unwind()).await;
        self.clean_up().await;
        if let Err(panic) = kept.expect("the promise was kept in time") {
            resume_unwind(panic);
        }
    }

    async fn clean_up(&self) {
        let engine = &self.engine;
        for container in engine.list().await.unwrap() {
            engine.remove(&container.id).await.unwrap();
        }
        for network in engine.networks().await.unwrap() {
            engine.remove_network(&network.name).await.unwrap();
        }
        for volume in engine.volumes().await.unwrap() {
            engine.remove_volume(&volume.name).await.unwrap();
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let images = engine.images().await.unwrap();
            if images.is_empty() {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "{images:?} stay");
            for image in images {
                // A step of a build that was cancelled may still be ending, and a child goes before its parent.
                engine.remove_image(image.tags.first().unwrap_or(&image.id)).await.ok();
            }
        }
    }

    pub(crate) fn spec(&self, name: &str, program: Program) -> ContainerSpec {
        self.spec_of(name, program.command())
    }

    /// A dyno with little memory and no network.
    pub(crate) fn spec_of(&self, name: &str, command: Vec<String>) -> ContainerSpec {
        let role = Role::Dyno {
            app: Id::from_uuid(Uuid::from_u128(1)),
            dyno: Id::from_uuid(Uuid::from_u128(2)),
            attempt: 1,
            name: "web.1".parse().unwrap(),
            release: "v1".parse().unwrap(),
        };
        let limits = Limits {
            memory_bytes: 32 * MEBIBYTE,
            cpu_weight: 512,
            cpus: None,
            io_weight: Some(100),
            pids: 64,
        };
        let mut spec = ContainerSpec::new(
            format!("paas-test-{}-{name}", self.platform),
            role,
            self.image.clone(),
            command,
            limits,
        );
        "/".clone_into(&mut spec.working_dir);
        spec
    }

    /// Makes the world's network; its addresses may be taken by another test.
    pub(crate) async fn make_network(&self) -> NetworkSpec {
        for number in 0..64 {
            let mut network = network(&self.platform, number * 61 + 7);
            if number == 0 {
                network = self.network.clone();
            }
            match self.engine.ensure_network(&network).await {
                Ok(()) => return network,
                Err(EngineError::SubnetTaken { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("every subnet is taken");
    }

    /// Waits until the container shows what is asked for.
    pub(crate) async fn until(&self, id: &ContainerId, holds: impl Fn(&Container) -> bool) -> Container {
        let mut hints = self.engine.hints();
        while hints.next().await.is_some() {
            let container = self.engine.inspect(id).await.unwrap().unwrap();
            if holds(&container) {
                return container;
            }
        }
        panic!("hints ended");
    }

    /// The output from a position to the end.
    pub(crate) async fn read(&self, id: &ContainerId, after: Option<LogPosition>) -> Vec<LogChunk> {
        let chunks = self.engine.logs(id, after).map(Result::unwrap);
        chunks.collect().await
    }
}

/// A stream of these bytes, in more than one piece.
pub(crate) fn bytes(whole: &[u8]) -> ByteStream {
    let parts: Vec<_> = whole.chunks(64 * 1024).map(Bytes::copy_from_slice).map(Ok).collect();
    stream::iter(parts).boxed()
}

/// A tar with these files.
pub(crate) fn tar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_uid(10_001);
        header.set_gid(10_001);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap()
}

/// One of 1,024 small networks that no other platform uses by default.
fn network(platform: &str, number: u32) -> NetworkSpec {
    let base = Ipv4Addr::new(10, 222, 0, 0).to_bits() + (number % 1024) * 64;
    NetworkSpec {
        name: format!("paas-test-{platform}"),
        app: Some(Id::from_uuid(Uuid::from_u128(1))),
        subnet: Subnet::new(base.into(), 26).unwrap(),
        bridge: format!("ps-{}", &platform[..platform.len().min(10)]),
        is_internal: false,
    }
}

/// A root file system that is one static program, as Debian's `busybox-static` has it.
fn rootfs() -> Vec<u8> {
    const APPLETS: [&str; 20] = [
        "sh", "cat", "sleep", "tail", "echo", "id", "grep", "wget", "nc", "nslookup", "ls", "true", "kill", "dd",
        "head", "seq", "touch", "ulimit", "ip", "printf",
    ];
    let busybox = std::fs::read("/bin/busybox").expect("busybox-static is installed");
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o755);
    header.set_size(busybox.len() as u64);
    tar.append_data(&mut header, "bin/busybox", &busybox[..]).unwrap();
    for applet in APPLETS {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, format!("bin/{applet}"), "busybox")
            .unwrap();
    }
    for (directory, owner) in [("app/", 10_001), ("cache/", 10_001), ("tmp/", 10_001), ("etc/", 0)] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_mode(0o755);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(0);
        tar.append_data(&mut header, directory, std::io::empty()).unwrap();
    }
    tar.into_inner().unwrap()
}

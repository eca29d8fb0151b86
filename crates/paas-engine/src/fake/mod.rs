//! An engine that runs nothing, for the tests of everything above.
//!
//! Everything is in memory and happens at once; time is the clock's that it is given. What it promises is what the contract
//! suite (`tests/contract.rs`) asks of every engine, so that it cannot lie.

mod behaviour;
mod engine;
mod image;
mod server;
mod state;

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use paas_core::ImageRef;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub use self::behaviour::Behaviour;
use self::{
    behaviour::Life,
    state::{FakeContainer, State},
};
use crate::{ContainerId, ContainerSpec, ContainerState, EngineError, Exit, OutputStream, Result};

/// An engine in memory. Clones are the same engine.
#[derive(Clone)]
pub struct FakeEngine {
    state: Arc<Mutex<State>>,
    /// Counts what has happened: hints and followed logs wait for it.
    changes: watch::Sender<u64>,
    clock: Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>,
    tracker: TaskTracker,
}

impl FakeEngine {
    /// An empty engine. Unless [`FakeEngine::teach`] says otherwise, dynos of a formation answer on their port and
    /// everything else ends well at once.
    pub fn new(clock: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self {
            state: Arc::default(),
            changes: watch::Sender::new(0),
            clock: Arc::new(clock),
            tracker: TaskTracker::new(),
        }
    }

    /// Makes containers that are made from now on behave so; what was taught last counts.
    pub fn teach(&self, applies: impl Fn(&ContainerSpec) -> bool + Send + Sync + 'static, behaviour: Behaviour) {
        self.state().rules.push((Arc::new(applies), behaviour));
    }

    /// Makes containers whose argv contains `text` behave so.
    pub fn teach_command(&self, text: &str, behaviour: Behaviour) {
        let text = text.to_owned();
        self.teach(
            move |spec| spec.command.iter().any(|word| word.contains(&text)),
            behaviour,
        );
    }

    /// Has this image from now on.
    pub fn add_image(&self, tag: &str) {
        let tag = ImageRef::new(tag);
        let image = self.blank_image();
        self.state().keep_image(&tag, image);
    }

    /// Lets the next Dockerfile build fail with this message.
    pub fn fail_build(&self, message: &str) {
        self.state().build_failure = Some(message.to_owned());
    }

    /// From now on, this cannot be done: `disk` cannot be measured, an image of this name not removed.
    pub fn refuse(&self, what: &str) {
        self.state().refused.insert(what.to_owned());
    }

    /// Says that it keeps its files there, and not in `/`.
    pub fn set_data_dir(&self, path: &str) {
        self.state().data_dir = Some(path.to_owned());
    }

    /// Ends a running container as if by itself.
    pub fn crash(&self, id: &ContainerId, code: i32) {
        let now = self.now();
        if let Some(fake) = self.state().find(id) {
            fake.end(code, false, now);
        }
        self.touch();
    }

    /// Lets a container say a line.
    pub fn say(&self, id: &ContainerId, stream: OutputStream, line: &str) {
        let now = self.now();
        if let Some(fake) = self.state().find(id) {
            fake.say(stream, Bytes::copy_from_slice(line.as_bytes()), now);
        }
        self.touch();
    }

    /// Takes a container away without a trace, as `docker rm -f` by hand would.
    pub fn vanish(&self, id: &ContainerId) {
        let now = self.now();
        let mut state = self.state();
        if let Some(fake) = state.find(id) {
            fake.end(137, false, now);
        }
        state.containers.retain(|fake| fake.container.id != *id);
        drop(state);
        self.touch();
    }

    /// From now on nobody answers; containers go on. A restart of the engine, to those who ask.
    pub fn go_down(&self) {
        self.state().is_down = true;
        self.touch();
    }

    pub fn come_back(&self) {
        self.state().is_down = false;
        self.touch();
    }

    /// The first piece of input of each such container that was run, in order, if it was there at the start.
    pub fn heard(&self, applies: impl Fn(&ContainerSpec) -> bool) -> Vec<Bytes> {
        let state = self.state();
        let heard = state.heard.iter().filter(|(spec, _)| applies(spec));
        heard.map(|(_, first)| first.clone()).collect()
    }

    /// What a container was asked for with, environment and all.
    pub fn spec(&self, id: &ContainerId) -> Option<ContainerSpec> {
        self.state().find(id).map(|fake| fake.spec.clone())
    }

    fn now(&self) -> DateTime<Utc> {
        (self.clock)()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, if anybody answers.
    fn answer(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.is_down {
            return Err(unavailable());
        }
        Ok(state)
    }

    /// Lets everybody look again.
    fn touch(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Starts a container that was made, and lets it live as it was taught.
    fn bring_to_life(&self, id: &ContainerId) -> Result<()> {
        let now = self.now();
        let mut state = self.state();
        let networks: Vec<_> = state.networks.keys().cloned().collect();
        let Some(fake) = state.find(id) else {
            return Err(refused("starting a container", "no such container"));
        };
        if let Some(network) = fake.spec.network.as_ref().filter(|name| !networks.contains(name)) {
            return Err(refused("starting a container", &format!("network {network} not found")));
        }
        let address = match fake.spec.network {
            Some(_) => Some(self.settle(fake)?),
            None => None,
        };
        fake.container.state = ContainerState::Running { address };
        for network in fake.container.networks.clone() {
            let is_first = fake.spec.network.as_ref() == Some(&network);
            let address = address.filter(|_| is_first).unwrap_or_else(next_address);
            fake.container.addresses.insert(network, address);
        }
        for (stream, line) in fake.behaviour.says.clone() {
            let words = line.strip_suffix(b"\n").unwrap_or(&line);
            fake.say(stream, line.slice_ref(words), now);
        }
        match fake.behaviour.life {
            Life::Exits { code, out_of_memory } => {
                fake.end(code, out_of_memory, now);
            }
            Life::Answers | Life::Runs | Life::EndsWell | Life::Stubborn | Life::Copies | Life::Deaf => {}
        }
        Ok(())
    }

    /// Finds an address, and listens there if the container is one that answers.
    fn settle(&self, fake: &FakeContainer) -> Result<IpAddr> {
        for _ in 0..u8::MAX {
            let address = next_address();
            if fake.behaviour.life != Life::Answers {
                return Ok(address);
            }
            let body = format!("{}\n", fake.container.name);
            // Another process of the same tests may be there already.
            if server::listen(&self.tracker, address, body, fake.life.clone()).is_some() {
                return Ok(address);
            }
        }
        Err(refused("starting a container", "every address is in use"))
    }

    fn end(&self, id: &ContainerId, code: i32) -> Option<Exit> {
        let now = self.now();
        let exit = self.state().find(id).map(|fake| fake.end(code, false, now));
        self.touch();
        exit
    }
}

/// A loopback address that no other container of this process has, and most likely none of another's.
fn next_address() -> IpAddr {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let number = GIVEN.fetch_add(1, Ordering::Relaxed);
    // Blocks of 254: a process begins with that of its id, and goes on in those after it.
    let [_, _, high, low] = std::process::id().wrapping_add(number / 254).to_be_bytes();
    let [_, _, _, last] = (number % 254 + 1).to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(127, 64 | (high & 0x3f), low, last))
}

fn unavailable() -> EngineError {
    EngineError::Unavailable {
        address: "memory".to_owned(),
        source: "it was told to be down".into(),
    }
}

fn refused(doing: &'static str, message: &str) -> EngineError {
    EngineError::Refused {
        doing,
        message: message.to_owned(),
    }
}

//! A container engine that lives in memory: it hands a freed address out again at once, as Docker does.

use std::net::SocketAddr;

use chrono::{DateTime, Utc};

use crate::{Dyno, DynoName, Id, SeenContainer, SeenState};

/// What the code of a release does once it runs; times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Behaviour {
    Boots { after: i64 },
    ExitsAtBoot { after: i64 },
    NeverBinds,
    ExitsLater { boots_after: i64, exits_after: i64 },
}

impl Behaviour {
    pub(super) const fn exits_later(self) -> bool {
        matches!(self, Self::ExitsLater { .. })
    }

    pub(super) const fn boots_in_time(self) -> bool {
        matches!(self, Self::Boots { after } if after < 60_000)
    }
}

#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) dyno: Id<Dyno>,
    pub(super) attempt: u32,
    pub(super) name: DynoName,
    behaviour: Behaviour,
    pub(super) life: Life,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Created,
    Running {
        address: u8,
        binds_at: Option<i64>,
        exits_at: Option<i64>,
    },
    Exited {
        at: DateTime<Utc>,
        code: i32,
    },
}

#[derive(Default)]
pub(super) struct Engine {
    pub(super) containers: Vec<Container>,
    /// Addresses of containers that are none of ours.
    foreign: Vec<u8>,
    made: u32,
}

impl Engine {
    pub(super) fn list(&self) -> Vec<SeenContainer> {
        let seen = self.containers.iter().map(|container| SeenContainer {
            id: container.id.clone(),
            dyno: container.dyno,
            attempt: container.attempt,
            state: match container.life {
                Life::Created => SeenState::Created,
                Life::Running { address, .. } => SeenState::Running {
                    address: socket(address),
                },
                Life::Exited { at, code } => SeenState::Exited {
                    at,
                    code,
                    out_of_memory: code == 137,
                },
            },
        });
        seen.collect()
    }

    pub(super) fn create(&mut self, dyno: Id<Dyno>, attempt: u32, name: &DynoName, behaviour: Behaviour) {
        if self.find(dyno, attempt).is_none() {
            self.made += 1;
            self.containers.push(Container {
                id: format!("container-{}", self.made),
                dyno,
                attempt,
                name: name.clone(),
                behaviour,
                life: Life::Created,
            });
        }
    }

    pub(super) fn start(&mut self, dyno: Id<Dyno>, attempt: u32, now: i64) {
        let address = self.free_address();
        let Some(started) = self.find(dyno, attempt) else {
            return;
        };
        if started.life != Life::Created {
            return;
        }
        started.life = started.birth(address, now);
        let (id, name) = (started.id.clone(), started.name.clone());
        let twin = self.containers.iter().find(|container| {
            container.id != id && container.name == name && matches!(container.life, Life::Running { .. })
        });
        assert!(
            name.process_type.is_web() || twin.is_none(),
            "{name} runs twice: {id} beside {twin:?}"
        );
    }

    /// Lets everything exit whose time has come.
    pub(super) fn advance(&mut self, now: i64, wall: DateTime<Utc>) {
        for container in &mut self.containers {
            if matches!(container.life, Life::Running { exits_at: Some(at), .. } if at <= now) {
                container.life = Life::Exited { at: wall, code: 1 };
            }
        }
    }

    /// The next moment at which a container does something by itself.
    pub(super) fn next_event(&self, now: i64) -> Option<i64> {
        let moments = self.containers.iter().filter_map(|container| match container.life {
            Life::Running { binds_at, exits_at, .. } => Some([binds_at, exits_at]),
            _ => None,
        });
        moments.flatten().flatten().filter(|at| *at > now).min()
    }

    pub(super) fn kill(&mut self, id: &str, code: i32, wall: DateTime<Utc>) {
        if let Some(container) = self.containers.iter_mut().find(|container| container.id == id)
            && matches!(container.life, Life::Running { .. })
        {
            container.life = Life::Exited { at: wall, code };
        }
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.containers.retain(|container| container.id != id);
    }

    /// A reboot: everything of ours has exited, and others come back first.
    pub(super) fn reboot(&mut self, wall: DateTime<Utc>, foreign: u8) {
        for container in &mut self.containers {
            if matches!(container.life, Life::Running { .. }) {
                container.life = Life::Exited { at: wall, code: 255 };
            }
        }
        self.foreign = (1..=foreign).collect();
    }

    /// Somebody restarts a container by hand: the same container at another address.
    pub(super) fn restart_by_hand(&mut self, index: usize, now: i64) {
        let address = self.free_address();
        let container = &mut self.containers[index];
        if matches!(container.life, Life::Running { .. }) {
            container.life = container.birth(address, now);
        }
    }

    /// A foreign container takes the first free address, or leaves its own.
    pub(super) fn stir(&mut self, arrive: bool) {
        if arrive {
            self.foreign.push(self.free_address());
        } else {
            self.foreign.pop();
        }
    }

    /// Whether this container, at this address, accepts connections.
    pub(super) fn answers(&self, id: &str, at: SocketAddr, now: i64) -> bool {
        self.containers.iter().any(|container| {
            matches!(container.life, Life::Running { address, binds_at: Some(binds_at), .. }
                if container.id == id && socket(address) == at && binds_at <= now)
        })
    }

    fn find(&mut self, dyno: Id<Dyno>, attempt: u32) -> Option<&mut Container> {
        let is_it = |container: &&mut Container| container.dyno == dyno && container.attempt == attempt;
        self.containers.iter_mut().find(is_it)
    }

    fn free_address(&self) -> u8 {
        let is_taken = |wanted: u8| {
            let ours =
                |container: &Container| matches!(container.life, Life::Running { address, .. } if address == wanted);
            self.foreign.contains(&wanted) || self.containers.iter().any(ours)
        };
        (1..u8::MAX).find(|address| !is_taken(*address)).unwrap()
    }
}

impl Container {
    fn birth(&self, address: u8, now: i64) -> Life {
        let is_web = self.name.process_type.is_web();
        let (binds_after, exits_after) = match self.behaviour {
            Behaviour::Boots { after } => (Some(after), None),
            Behaviour::ExitsAtBoot { after } => (None, is_web.then_some(after)),
            Behaviour::NeverBinds => (None, None),
            Behaviour::ExitsLater {
                boots_after,
                exits_after,
            } => (Some(boots_after), Some(exits_after)),
        };
        Life::Running {
            address,
            binds_at: binds_after.filter(|_| is_web).map(|after| now + after),
            exits_at: exits_after.map(|after| now + after),
        }
    }
}

fn socket(address: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, address], 5000))
}

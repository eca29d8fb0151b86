//! Ports and addresses that no other test on this machine uses.

use std::{
    env,
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Below the ports that the kernel gives out by itself.
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 3;
const SLOTS: u16 = 64;

/// One of [`SLOTS`] sets of ports and addresses; held as long as this lives, by a lock that ends with the process.
pub(crate) struct Slot {
    number: u16,
    _lock: File,
}

impl Slot {
    pub(crate) fn take() -> Self {
        let folder = env::temp_dir().join("paas-story-slots");
        fs::create_dir_all(&folder).expect("the folder of temporary files can be written");
        (0..SLOTS)
            .find_map(|number| {
                let lock = File::create(folder.join(number.to_string())).expect("a lock file can be made");
                lock.try_lock().ok()?;
                let slot = Self { number, _lock: lock };
                slot.is_free().then_some(slot)
            })
            .expect("one of the slots is free")
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.address(0)
    }

    pub(crate) fn https(&self) -> SocketAddr {
        self.address(1)
    }

    pub(crate) fn api(&self) -> SocketAddr {
        self.address(2)
    }

    /// A /20 out of 10.224.0.0/14, which is far from the default pool of a platform.
    pub(crate) fn network_pool(&self) -> String {
        format!("10.{}.{}.0/20", 224 + self.number / 16, self.number % 16 * 16)
    }

    fn address(&self, index: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST_PORT + self.number * PORTS + index))
    }

    /// Somebody who knows nothing of our locks may listen there.
    fn is_free(&self) -> bool {
        let mut addresses = [self.http(), self.https(), self.api()].into_iter();
        addresses.all(|address| TcpListener::bind(address).is_ok())
    }
}

//! Ports and addresses that no other test on this machine uses.

use std::{
    env,
    fs::{self, File, OpenOptions},
    io::{Read as _, Seek as _, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

use crate::abandoned;

/// Below the ports that the kernel gives out by itself.
const FIRST_PORT: u16 = 21_000;
const PORTS: u16 = 5;
const SLOTS: u16 = 64;

/// One of [`SLOTS`] sets of ports and addresses; held as long as this lives, by a lock that ends with the process.
pub(crate) struct Slot {
    number: u16,
    /// Holds the data directory of whoever uses the slot, or nothing.
    lock: File,
}

impl Slot {
    /// Takes a slot for this data directory, and clears up after a story that was killed while it had the same one.
    pub(crate) fn take(data_dir: &Path) -> Self {
        let folder = env::temp_dir().join("paas-story-slots");
        fs::create_dir_all(&folder).expect("the folder of temporary files can be written");
        let slot = (0..SLOTS).find_map(|number| Self::lock(number, &folder));
        let mut slot = slot.expect("one of the slots is free");
        let name = data_dir.as_os_str().as_bytes();
        slot.lock.write_all(name).expect("a lock file can be written");
        slot
    }

    fn lock(number: u16, folder: &Path) -> Option<Self> {
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(folder.join(number.to_string()))
            .expect("a lock file can be made");
        lock.try_lock().ok()?;
        let mut before = String::new();
        lock.read_to_string(&mut before).expect("a lock file can be read");
        if !before.is_empty() {
            abandoned::sweep(Path::new(&before));
        }
        lock.set_len(0)
            .and_then(|()| lock.rewind())
            .expect("a lock file can be written");
        let slot = Self { number, lock };
        slot.is_free().then_some(slot)
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

    /// Where add-ons may be exposed.
    pub(crate) fn addon_ports(&self) -> String {
        let [first, last] = [3, 4].map(|index| self.address(index));
        format!("{first}-{}", last.port())
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

impl Drop for Slot {
    fn drop(&mut self) {
        // Who comes next looks at what is left either way.
        let _ = self.lock.set_len(0);
    }
}

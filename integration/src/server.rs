//! The process `paasd serve` of a platform, and how it is made to end.

use std::{
    fs::OpenOptions,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::within;

/// `paasd` waits 40 s for its own tasks at most; the router drains for 30 s.
const STOP_LIMIT: Duration = Duration::from_secs(90);

/// At most one `paasd serve` at a time.
#[derive(Default)]
pub(crate) struct Server(Mutex<Option<Child>>);

impl Server {
    /// Starts the command; what it says goes to the end of `log`.
    #[track_caller]
    pub(crate) fn start(&self, command: &mut Command, log: &Path) {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .expect("the log of paasd can be written");
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let before = self.with(|slot| slot.replace(child));
        assert!(before.is_none(), "paasd serve was started twice");
    }

    pub(crate) fn id(&self) -> Option<u32> {
        self.with(|child| child.as_ref().map(Child::id))
    }

    /// How it ended, if it did by itself.
    pub(crate) fn exit(&self) -> Option<ExitStatus> {
        self.with(|slot| {
            let status = slot.as_mut()?.try_wait().expect("a child can be waited for")?;
            *slot = None;
            Some(status)
        })
    }

    pub(crate) fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        within(limit, || self.exit())
    }

    /// Asks it to stop and waits for that.
    pub(crate) fn terminate(&self) -> Option<ExitStatus> {
        send(self.id()?, Signal::TERM);
        self.wait(STOP_LIMIT)
    }

    /// Ends it on the spot.
    pub(crate) fn kill(&self) {
        if let Some(mut child) = self.with(Option::take) {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Child>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Sends a signal to a process that may be gone already.
pub(crate) fn send(process: u32, signal: Signal) {
    let id = i32::try_from(process).ok().and_then(Pid::from_raw);
    let _ = kill_process(id.expect("the kernel's process ids are positive"), signal);
}

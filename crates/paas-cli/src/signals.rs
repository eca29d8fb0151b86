//! Signals that ask to stop, as events instead of a sudden end.

use std::{io, thread};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::{Handle, Signals as Iterator},
};

use crate::error::Result;

/// As long as this lives, SIGINT, SIGTERM and SIGHUP do not end this command. Children that are started meanwhile have them
/// as ever: handlers do not survive an `exec`.
#[derive(Debug)]
pub(crate) struct Signals(Iterator);

impl Signals {
    pub(crate) fn listen() -> Result<Self> {
        Ok(Self(Iterator::new([SIGINT, SIGTERM, SIGHUP])?))
    }

    /// Tells each signal to `tell`, until it returns false or the handle is closed.
    pub(crate) fn tell(mut self, mut tell: impl FnMut(i32) -> bool + Send + 'static) -> io::Result<Handle> {
        let handle = self.0.handle();
        thread::Builder::new().spawn(move || {
            for signal in self.0.forever() {
                if !tell(signal) {
                    break;
                }
            }
        })?;
        Ok(handle)
    }
}

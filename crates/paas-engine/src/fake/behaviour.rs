//! What a container of the fake does with itself.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::OutputStream;

/// What a container of the fake says and how it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    pub(super) says: Vec<(OutputStream, Bytes)>,
    pub(super) life: Life,
    pub(super) files: BTreeMap<String, Bytes>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    Answers,
    Runs,
    EndsWell,
    Stubborn,
    Copies,
    Deaf,
    Exits { code: i32, out_of_memory: bool },
}

impl Behaviour {
    /// Listens on its port, answers every request with its own name, and ends with 143 at SIGTERM.
    pub const fn answers() -> Self {
        Self::new(Life::Answers)
    }

    /// Runs, listens nowhere, and ends with 143 at SIGTERM.
    pub const fn runs() -> Self {
        Self::new(Life::Runs)
    }

    /// Runs, listens nowhere, and ends with 0 when it is asked to, as databases do.
    pub const fn ends_well() -> Self {
        Self::new(Life::EndsWell)
    }

    /// Does not listen to SIGTERM: ends with 137 when its grace is over.
    pub const fn stubborn() -> Self {
        Self::new(Life::Stubborn)
    }

    /// Says what it hears, and ends with 0 when its input ends.
    pub const fn copies() -> Self {
        Self::new(Life::Copies)
    }

    /// Runs, and reads nothing of what it is told.
    pub const fn deaf() -> Self {
        Self::new(Life::Deaf)
    }

    /// Ends as soon as it started.
    pub const fn exits(code: i32) -> Self {
        Self::new(Life::Exits {
            code,
            out_of_memory: false,
        })
    }

    /// Is killed by its memory limit as soon as it started.
    pub const fn runs_out_of_memory() -> Self {
        Self::new(Life::Exits {
            code: 137,
            out_of_memory: true,
        })
    }

    /// Says a line on standard output first.
    #[must_use]
    pub fn saying(mut self, line: &str) -> Self {
        self.says.push((OutputStream::Stdout, format!("{line}\n").into()));
        self
    }

    /// Says a line on standard error first.
    #[must_use]
    pub fn complaining(mut self, line: &str) -> Self {
        self.says.push((OutputStream::Stderr, format!("{line}\n").into()));
        self
    }

    /// Sends these bytes on standard output first.
    #[must_use]
    pub fn sending(mut self, bytes: impl Into<Bytes>) -> Self {
        self.says.push((OutputStream::Stdout, bytes.into()));
        self
    }

    /// Has this tar to give for a path.
    #[must_use]
    pub fn leaving(mut self, path: &str, tar: impl Into<Bytes>) -> Self {
        self.files.insert(path.to_owned(), tar.into());
        self
    }

    const fn new(life: Life) -> Self {
        Self {
            says: Vec::new(),
            life,
            files: BTreeMap::new(),
        }
    }
}

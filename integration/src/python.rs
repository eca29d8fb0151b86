//! Programs from Python's package index.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Output, tools};

/// Debian's own: what the tools need of it is installed with it.
const PYTHON: &str = "/usr/bin/python3";

/// A virtual environment with some packages.
pub struct Python {
    folder: PathBuf,
}

impl Python {
    /// Made once; `steps` are the arguments of one `pip install` each.
    pub fn with(name: &str, steps: &[&[&str]]) -> Self {
        let folder = tools::once(name, &format!("{steps:?}"), |folder| {
            let environment = folder.join("venv");
            let mut make = Command::new(PYTHON);
            make.args(["-m", "venv", "--clear"]).arg(&environment);
            Output::of(&mut make, "").expect_success();
            for step in steps {
                let mut install = Command::new(environment.join("bin/pip"));
                install
                    .args(["install", "--quiet", "--disable-pip-version-check"])
                    .args(*step);
                Output::of(&mut install, "").expect_success();
            }
        });
        Self { folder }
    }

    /// Its interpreter.
    pub fn program(&self) -> PathBuf {
        self.folder.join("venv/bin/python")
    }

    pub fn command(&self) -> Command {
        Command::new(self.program())
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

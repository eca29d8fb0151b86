//! Tools from Python's package index, each in a folder of its own below `target/tools`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use paas_integration::Output;

/// Debian's own: what the tools need of it is installed with it.
const PYTHON: &str = "/usr/bin/python3";

/// A virtual environment with these packages; made once, whoever comes first.
pub(crate) struct Python {
    folder: PathBuf,
}

impl Python {
    /// `steps` are the arguments of one `pip install` each.
    pub(crate) fn with(name: &str, steps: &[&[&str]]) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("this crate is in the workspace")
            .join("target/tools")
            .join(name);
        fs::create_dir_all(&folder).expect("a folder for the tools");
        let python = Self { folder };
        let lock = File::create(python.folder.join("lock")).expect("a lock");
        lock.lock().expect("the lock");
        let wanted = format!("{steps:?}");
        let done = python.folder.join("done");
        if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return python;
        }
        let environment = python.folder.join("venv");
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
        fs::write(done, wanted).expect("a note that it is done");
        python
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(self.folder.join("venv/bin/python"))
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

//! Names that a program can look up, and nobody else on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A file such as `/etc/hosts`.
#[derive(Debug, Clone)]
pub struct Hosts(PathBuf);

impl Hosts {
    /// Finds these names at 127.0.0.1.
    #[track_caller]
    pub fn write(file: PathBuf, names: &[&str]) -> Self {
        let line = format!("127.0.0.1 localhost {}\n", names.join(" "));
        fs::write(&file, line).expect("the file can be written");
        Self(file)
    }

    /// A program that finds them: the file stands in a mount namespace of its own.
    pub fn command(&self, program: &Path) -> Command {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--mount", "sh", "-c", "mount --bind \"$0\" /etc/hosts && exec \"$@\""])
            .arg(&self.0)
            .arg(program);
        unshare
    }
}

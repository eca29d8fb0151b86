//! Whether there is room for a build: asked before it begins, so that it does not take the last bytes of running apps.

use std::path::{Path, PathBuf};

use paas_engine::EngineError;
use rustix::fs::statvfs;
use thiserror::Error;

use crate::platform::Platform;

/// There is too little room. What it says is for whoever pushed, and for whoever runs the platform.
#[derive(Debug, Error)]
#[error("the disk at {path} is {used_percent} % full; builds start below {limit_percent} %", path = path.display())]
pub(super) struct DiskNearlyFull {
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
            "What could go, for the platform's operator:".to_owned(),
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

/// `None` while there is room where images and where our own files are.
pub(super) async fn check(platform: &Platform) -> Result<Option<DiskNearlyFull>, EngineError> {
    let settings = &platform.settings;
    let places = [
        PathBuf::from(platform.engine.version().await?.data_dir),
        settings.data_dir.clone(),
    ];
    let limit_percent = u64::from(settings.build_disk_limit_percent);
    let full = places.into_iter().find_map(|path| {
        let used_percent = used_percent(&path)?;
        (used_percent >= limit_percent).then_some((path, used_percent))
    });
    let Some((path, used_percent)) = full else {
        return Ok(None);
    };
    let folders = [
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

/// As `df` counts it: what only root may use is not there. `None` for a path that is not on this machine.
fn used_percent(path: &Path) -> Option<u64> {
    let disk = statvfs(path).ok()?;
    let used = disk.f_blocks.checked_sub(disk.f_bfree)?;
    let usable = used + disk.f_bavail;
    (usable > 0).then(|| (used * 100).div_ceil(usable))
}

fn bytes_in(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().filter_map(|entry| {
        let metadata = entry.metadata().ok()?;
        Some(if metadata.is_dir() {
            bytes_in(&entry.path())
        } else {
            metadata.len()
        })
    });
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_measured_and_a_missing_one_is_no_reason_to_stop() {
        assert!(used_percent(Path::new("/")).is_some_and(|percent| percent <= 100));
        assert_eq!(used_percent(Path::new("/there/is/no/such/place")), None);
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
        What could go, for the platform's operator:
          build caches of 12 apps: paas builds:cache:purge -a APP
          apps that nobody needs, with their images: paas apps:destroy -a APP
          300 MB of logs in the data directory
        or raise the limit: PAAS_BUILD_DISK_LIMIT. Push again when there is space.
        ");
    }
}

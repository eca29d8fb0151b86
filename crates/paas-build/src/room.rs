//! Room on the disk while a build runs: it may take so much of it, and never the last.
//!
//! Docker bounds what a container writes on XFS with project quotas alone, and bounds no volume anywhere. So the file systems
//! themselves are watched: a look costs one system call. What else is written meanwhile counts as the build's, which is why
//! its share is generous.

use std::{path::PathBuf, time::Duration};

use paas_engine::Engine;
use rustix::fs::statvfs;

use crate::BuildError;

/// A disk takes some hundred megabytes in this time, and there is more than that behind the last percent that counts.
const LOOK: Duration = Duration::from_millis(500);

/// What a build may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Where our own files are. Where the engine keeps its own, the engine says.
    pub folder: PathBuf,
    /// By how much the disk may become fuller while a build runs.
    pub build_bytes: u64,
    /// How full it may become, whoever fills it.
    pub full_percent: u64,
}

/// How a file system is filled, as `df` counts it: what only root may use is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fill {
    used_bytes: u64,
    usable_bytes: u64,
}

impl Room {
    /// Waits until a build has to end because of it, and says why.
    pub(crate) async fn is_exhausted(&self, engine: &dyn Engine) -> BuildError {
        let mut folders = vec![self.folder.clone()];
        match engine.data_dir().await {
            Ok(folder) => folders.push(folder.into()),
            Err(error) => tracing::warn!(%error, "the engine's disk is not watched during a build"),
        }
        // A path that is not on this machine has no file system to watch.
        let places: Vec<_> = folders
            .into_iter()
            .filter_map(|folder| Some((Fill::of(&folder)?, folder)))
            .collect();
        loop {
            tokio::time::sleep(LOOK).await;
            for (before, folder) in &places {
                if let Some(error) = Fill::of(folder).and_then(|now| self.judge(*before, now)) {
                    return error;
                }
            }
        }
    }

    fn judge(&self, before: Fill, now: Fill) -> Option<BuildError> {
        if now.used_bytes.saturating_sub(before.used_bytes) > self.build_bytes {
            return Some(BuildError::WroteTooMuch {
                limit_bytes: self.build_bytes,
            });
        }
        let is_full = now.used_bytes.saturating_mul(100) >= now.usable_bytes.saturating_mul(self.full_percent);
        is_full.then_some(BuildError::DiskFull)
    }
}

impl Fill {
    fn of(folder: &std::path::Path) -> Option<Self> {
        let disk = statvfs(folder).ok()?;
        let used = disk.f_blocks.checked_sub(disk.f_bfree)?;
        Some(Self {
            used_bytes: used * disk.f_frsize,
            usable_bytes: (used + disk.f_bavail) * disk.f_frsize,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(used_bytes: u64) -> Fill {
        Fill {
            used_bytes,
            usable_bytes: 1000,
        }
    }

    #[test]
    fn a_build_ends_by_what_it_takes_itself_or_by_what_is_left_for_all() {
        let room = Room {
            folder: PathBuf::from("/"),
            build_bytes: 100,
            full_percent: 95,
        };
        assert!(room.judge(fill(500), fill(600)).is_none());
        let wrote = room.judge(fill(500), fill(601));
        assert!(matches!(wrote, Some(BuildError::WroteTooMuch { limit_bytes: 100 })));
        // Others make room meanwhile.
        assert!(room.judge(fill(500), fill(200)).is_none());
        assert!(matches!(room.judge(fill(900), fill(950)), Some(BuildError::DiskFull)));
        assert!(room.judge(fill(900), fill(949)).is_none());
    }

    #[test]
    fn a_file_system_is_measured_and_a_missing_one_is_none() {
        assert!(Fill::of("/".as_ref()).is_some_and(|fill| fill.used_bytes <= fill.usable_bytes));
        assert_eq!(Fill::of("/there/is/no/such/place".as_ref()), None);
    }
}

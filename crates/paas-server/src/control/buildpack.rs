//! The buildpacks of one build: ours are part of this program, others are fetched before the build has its turn.
//!
//! What came of a repository is kept under the hash of its address and commit, so that an unchanged buildpack is only asked
//! for what its branch or tag is now, and a pinned one not even that. A build gets a name of its own for the file: clearing
//! the cache takes nothing away from it. Where an archive is, nothing tells whether it has changed: it is fetched each time.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use anyhow::anyhow;
use paas_build::{BuildError, Choice, Pack, RemoteBuildpack, RemoteKind};
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    outbound::{Connector, Policy},
    output::OutputWriter,
    platform::Platform,
    source::{self, Address, ArchiveError, FetchError, RepositoryError},
};

/// What is kept of other people's buildpacks, at most.
const MAXIMUM_CACHE_BYTES: u64 = 512 * 1024 * 1024;
/// Longer than anything in the cache's folder takes to become complete.
const LEFTOVER_AGE: Duration = Duration::from_hours(1);
/// As much as there is to read of a hash.
const SHORT: usize = 12;

/// Why a buildpack is not here, in words for the person whose build it was.
#[derive(Debug, Error)]
pub(super) enum BuildpackError {
    #[error("The buildpack {name} could not be fetched: {source}")]
    Repository {
        name: String,
        #[source]
        source: RepositoryError,
    },
    #[error("The buildpack {name} could not be fetched: {source}")]
    Fetch {
        name: String,
        #[source]
        source: FetchError,
    },
    #[error("The buildpack {name} cannot be used: {source}")]
    Archive {
        name: String,
        #[source]
        source: ArchiveError,
    },
}

/// What a build is given.
#[derive(Debug, Default)]
pub(super) struct Buildpacks {
    pub(super) packs: Vec<Pack>,
    /// The commit, or the hash of the archive, of each; nothing for ours, which come with the platform.
    pub(super) versions: Vec<String>,
    lent: Vec<PathBuf>,
}

impl Drop for Buildpacks {
    fn drop(&mut self) {
        for path in &self.lent {
            // What stays behind is swept with the sources.
            let _ = fs::remove_file(path);
        }
    }
}

/// Fetches what is not here, and says so to whoever waits for the build.
pub(super) async fn bring(
    platform: &Platform,
    choices: &[Choice],
    output: &mut OutputWriter,
    cancel: &CancellationToken,
) -> Result<Buildpacks, super::deploy::DeployError> {
    let mut buildpacks = Buildpacks::default();
    for choice in choices {
        let remote = match choice {
            Choice::Ours(ours) => {
                buildpacks.packs.push(Pack::Ours(*ours));
                buildpacks.versions.push(String::new());
                continue;
            }
            Choice::Elsewhere(remote) => remote,
        };
        let name = remote.name().to_owned();
        output.line(&format!("-----> Fetching the buildpack {name}")).await?;
        let fetch = async {
            match remote.kind {
                RemoteKind::Git => of_repository(platform, remote).await,
                RemoteKind::Archive => of_archive(platform, remote).await,
            }
        };
        let (tar, version) = tokio::select! {
            fetched = fetch => fetched?,
            () = cancel.cancelled() => return Err(BuildError::Cancelled.into()),
        };
        buildpacks.lent.push(tar.clone());
        output.line(&format!("       {}", note(remote, &version))).await?;
        buildpacks.packs.push(Pack::Fetched { name, tar });
        buildpacks.versions.push(version);
    }
    Ok(buildpacks)
}

/// What was used, and how to go on using the very same.
fn note(remote: &RemoteBuildpack, version: &str) -> String {
    let short = version.get(..SHORT).unwrap_or(version);
    match remote.kind {
        RemoteKind::Archive => format!("SHA-256 {short}"),
        RemoteKind::Git if remote.reference() == Some(version) => format!("Commit {short}"),
        RemoteKind::Git => format!("Commit {short}; to keep to it, use {}", remote.pinned(version)),
    }
}

async fn of_repository(
    platform: &Platform,
    remote: &RemoteBuildpack,
) -> Result<(PathBuf, String), super::deploy::DeployError> {
    let settings = &platform.settings;
    let cache = settings.buildpacks();
    tokio::fs::create_dir_all(&cache).await?;
    tokio::fs::create_dir_all(settings.sources()).await?;
    if let Some(commit) = remote.reference().filter(|reference| source::is_commit(reference)) {
        let commit = commit.to_ascii_lowercase();
        if let Some(tar) = lend(platform, &cache.join(key(remote, &commit))).await? {
            return Ok((tar, commit));
        }
    }
    let wrong = |source| BuildpackError::Repository {
        name: remote.name().to_owned(),
        source,
    };
    let allows_private = settings.allows_private_sources;
    let scratch = cache.join(format!("{}.refs", Uuid::new_v4()));
    let commit = source::resolve(remote.url(), remote.reference(), allows_private, &scratch);
    let commit = commit.await.map_err(wrong)?;
    let kept = cache.join(key(remote, &commit.id));
    if let Some(tar) = lend(platform, &kept).await? {
        return Ok((tar, commit.id));
    }
    let partial = cache.join(format!("{}.partial", Uuid::new_v4()));
    let fetched = source::fetch_commit(&commit, allows_private, &cache, &partial);
    fetched.await.map_err(wrong)?;
    tokio::fs::rename(&partial, &kept).await?;
    let tar = lend(platform, &kept).await?;
    let trimmed = tokio::task::spawn_blocking(move || trim(&cache, MAXIMUM_CACHE_BYTES, SystemTime::now())).await;
    // The next fetch tries again: no reason to fail a build that has what it needs.
    if let Err(error) = trimmed.map_err(io::Error::other).flatten() {
        tracing::warn!(%error, "the cache of buildpacks could not be trimmed");
    }
    let tar = tar.ok_or_else(|| anyhow!("a buildpack that was just fetched is gone"))?;
    Ok((tar, commit.id))
}

async fn of_archive(
    platform: &Platform,
    remote: &RemoteBuildpack,
) -> Result<(PathBuf, String), super::deploy::DeployError> {
    let settings = &platform.settings;
    let name = || remote.name().to_owned();
    let path = |kind: &str| settings.sources().join(format!("{}.{kind}", Uuid::new_v4()));
    let (archive, scratch, tar) = (path("partial"), path("scratch.partial"), path("tar"));
    tokio::fs::create_dir_all(settings.sources()).await?;
    let address = Address::parse(remote.url(), settings.allows_private_sources);
    let wrong = |source| BuildpackError::Fetch { name: name(), source };
    let address = address.map_err(wrong)?;
    let connector = Connector::new(Policy::of_sources(settings), &settings.extra_ca).map_err(io::Error::other)?;
    let fetched = source::fetch(&connector, &address, &archive);
    fetched.await.map_err(wrong)?;
    let target = tar.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        let unpacked = source::digest(&archive)
            .map_err(ArchiveError::Disk)
            .and_then(|hash| source::unpack(&archive, None, &scratch, &target).map(|()| hash));
        let _ = fs::remove_file(&archive);
        unpacked
    });
    let unpacked = unpacked.await.map_err(io::Error::other)?;
    let hash = unpacked.map_err(|source| BuildpackError::Archive { name: name(), source })?;
    Ok((tar, hash))
}

/// A second name for a file of the cache, which a build keeps for as long as it needs it; `None` without the file.
async fn lend(platform: &Platform, kept: &Path) -> io::Result<Option<PathBuf>> {
    let name = platform.settings.sources().join(format!("{}.tar", Uuid::new_v4()));
    match tokio::fs::hard_link(kept, &name).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    // What was used last goes last.
    let used = name.clone();
    let touched = tokio::task::spawn_blocking(move || fs::File::open(used)?.set_modified(SystemTime::now()));
    touched.await.map_err(io::Error::other)??;
    Ok(Some(name))
}

/// Removes what was used longest ago, and what a crash has left. Other builds fetch and trim at the same time: what is
/// gone meanwhile is gone.
fn trim(cache: &Path, maximum_bytes: u64, now: SystemTime) -> io::Result<()> {
    let mut kept = Vec::new();
    for entry in fs::read_dir(cache)? {
        let entry = entry?;
        let path = entry.path();
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if path.extension().is_some_and(|extension| extension == "tar") {
            kept.push((metadata.modified()?, metadata.len(), path));
        } else if now.duration_since(metadata.modified()?).unwrap_or_default() > LEFTOVER_AGE {
            let removed = if metadata.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
            unless_gone(removed)?;
        }
    }
    kept.sort_unstable_by(|one, other| other.cmp(one));
    let mut bytes = 0;
    for (_, length, path) in kept {
        bytes += length;
        if bytes > maximum_bytes {
            unless_gone(fs::remove_file(path))?;
        }
    }
    Ok(())
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// One name for one content from one place: who may read one address need not be able to read another.
fn key(remote: &RemoteBuildpack, commit: &str) -> String {
    let hash = Sha256::digest(format!("{}\n{commit}", remote.url()));
    let name = hash.iter().fold(String::new(), |mut text, byte| {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    });
    format!("{name}.tar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(folder: &Path, name: &str, bytes: usize, age: Duration, now: SystemTime) -> PathBuf {
        let path = folder.join(name);
        fs::write(&path, vec![0; bytes]).unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(now - age).unwrap();
        path
    }

    #[test]
    fn what_was_used_longest_ago_makes_room() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let minutes = |minutes| Duration::from_mins(minutes);
        let old = file(folder.path(), "old.tar", 60, minutes(9), now);
        let new = file(folder.path(), "new.tar", 60, minutes(1), now);
        let newest = file(folder.path(), "newest.tar", 30, minutes(0), now);
        let under_way = file(folder.path(), "x.partial", 500, minutes(1), now);
        let left = file(folder.path(), "y.partial", 1, minutes(61), now);
        trim(folder.path(), 100, now).unwrap();
        assert!(!old.exists() && !left.exists());
        assert!(new.exists() && newest.exists() && under_way.exists());
    }

    #[test]
    fn builds_that_trim_at_the_same_time_do_not_fail_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for round in 0..20 {
            for number in 0..50 {
                file(folder.path(), &format!("{round}-{number}.tar"), 10, Duration::ZERO, now);
                file(
                    folder.path(),
                    &format!("{round}-{number}.refs"),
                    1,
                    LEFTOVER_AGE * 2,
                    now,
                );
            }
            std::thread::scope(|scope| {
                let trims: Vec<_> = (0..4).map(|_| scope.spawn(|| trim(folder.path(), 100, now))).collect();
                for done in trims {
                    done.join().unwrap().unwrap();
                }
            });
        }
    }

    #[test]
    fn a_branch_is_told_how_to_be_pinned() {
        let remote = |text: &str| match text.parse() {
            Ok(Choice::Elsewhere(remote)) => remote,
            other => panic!("{other:?}"),
        };
        let commit = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(
            note(&remote("https://example.com/x#main"), commit),
            format!("Commit 0123456789ab; to keep to it, use https://example.com/x#{commit}")
        );
        let pinned = remote(&format!("https://example.com/x#{commit}"));
        assert_eq!(note(&pinned, commit), "Commit 0123456789ab");
        assert_ne!(key(&pinned, commit), key(&remote("https://example.com/y"), commit));
    }
}

//! One commit of somebody's git repository, read over `https` and made a tar of.
//!
//! Who may be asked is decided as for every other source ([`super::fetch`]): we follow redirections ourselves, look the name
//! up ourselves, and the `git` that is spawned goes to that very address, follows nothing and knows no other protocol. It
//! gets an environment of its own, and nothing that somebody typed is read by a shell or taken for an option.

use std::{
    fs::File,
    io::{self, BufWriter},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use git2::{Oid, Repository};
use rustix::process::{Pid, Signal, kill_process_group};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::{Child, Command},
    sync::OnceCell,
    time::{sleep, timeout},
};

use super::fetch::{Address, FetchError, bare, fetch, look_up};
use crate::{
    git::source::{Source, SourceError},
    outbound::{Connector, Policy},
};

/// Many times what any buildpack has.
const MAXIMUM_PACK_BYTES: u64 = 256 * 1024 * 1024;
/// Repositories with a thousand pull requests announce less than one.
const MAXIMUM_REFS_BYTES: u64 = 32 * 1024 * 1024;
const LIMIT: Duration = Duration::from_mins(5);
/// How often the growing pack is looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
const LAST_WORDS_BYTES: usize = 2048;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const COMMIT_DIGITS: usize = 40;

/// Why there is no tar, in words for whoever named the repository.
#[derive(Debug, Error)]
pub(crate) enum RepositoryError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("{host} has no git repository there")]
    NotGit { host: String },
    #[error("it has no branch or tag {reference:?}; a commit is named by all of its 40 digits")]
    NoReference { reference: String },
    #[error("git could not fetch it: {words}")]
    Git { words: String },
    #[error("it is too large (maximum is 256 MiB)")]
    TooLarge,
    #[error("it did not arrive within {} minutes", LIMIT.as_secs() / 60)]
    Slow,
    #[error(transparent)]
    Rule(#[from] SourceError),
    #[error("a repository cannot be written")]
    Disk(#[source] io::Error),
}

/// A commit, and where to fetch it.
#[derive(Debug, Clone)]
pub(crate) struct RemoteCommit {
    pub(crate) id: String,
    /// Behind all redirections.
    place: Address,
}

/// Asks the repository at `url` which commit `reference` is now; its `HEAD` without one. `scratch` must not exist.
pub(crate) async fn resolve(
    url: &str,
    reference: Option<&str>,
    allows_private: bool,
    scratch: &Path,
) -> Result<RemoteCommit, RepositoryError> {
    let asked = format!("{}/info/refs?service=git-upload-pack", url.trim_end_matches('/'));
    let asked = Address::parse(&asked, allows_private)?;
    let not_git = || RepositoryError::NotGit {
        host: asked.host().to_owned(),
    };
    let policy = if allows_private {
        Policy::Anywhere
    } else {
        Policy::Public
    };
    // The programs of git, which do the rest, trust what this machine trusts, and so does this.
    let connector =
        Connector::new(policy, Path::new("")).map_err(|error| RepositoryError::Disk(io::Error::other(error)))?;
    let found = fetch(&connector, &asked, scratch).await?;
    let announced = read_limited(scratch).await;
    let _ = tokio::fs::remove_file(scratch).await;
    let refs = parse_refs(&announced?).ok_or_else(not_git)?;
    let found = found.to_string();
    let place = found.strip_suffix("/info/refs").ok_or_else(not_git)?;
    let id = choose(&refs, reference).ok_or_else(|| RepositoryError::NoReference {
        reference: reference.unwrap_or("HEAD").to_owned(),
    })?;
    Ok(RemoteCommit {
        id,
        place: Address::parse(place, allows_private)?,
    })
}

/// Whether a reference can mean one commit only.
pub(crate) fn is_commit(reference: &str) -> bool {
    reference.len() == COMMIT_DIGITS && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Writes the tree of the commit as the tar `target`, which must not exist. `work` is where there is room for a while.
pub(crate) async fn fetch_commit(
    commit: &RemoteCommit,
    allows_private: bool,
    work: &Path,
    target: &Path,
) -> Result<(), RepositoryError> {
    let folder = tempfile::Builder::new().prefix("fetch-").tempdir_in(work);
    let folder = folder.map_err(RepositoryError::Disk)?;
    let repository = folder.path().to_owned();
    let made = tokio::task::spawn_blocking({
        let repository = repository.clone();
        move || {
            let mut options = git2::RepositoryInitOptions::new();
            options.bare(true).external_template(false);
            Repository::init_opts(repository, &options).map(drop)
        }
    });
    made.await
        .map_err(|error| RepositoryError::Disk(io::Error::other(error)))?
        .map_err(|error| RepositoryError::Disk(io::Error::other(error)))?;
    let places = look_up(&commit.place, allows_private).await?;
    check_git().await?;
    run(git(&commit.place, &places, &repository, &commit.id), &repository).await?;

    let (id, target) = (commit.id.clone(), target.to_owned());
    let written = tokio::task::spawn_blocking(move || {
        let written = write_tar(&repository, &id, &target);
        if written.is_err() {
            let _ = std::fs::remove_file(&target);
        }
        // It may hold thousands of files: not on a thread that others wait for.
        let _ = folder.close();
        written
    });
    written
        .await
        .map_err(|error| RepositoryError::Disk(io::Error::other(error)))?
}

fn write_tar(repository: &Path, id: &str, target: &Path) -> Result<(), RepositoryError> {
    let repository = Repository::open_bare(repository).map_err(SourceError::from)?;
    let id = Oid::from_str(id).map_err(SourceError::from)?;
    let source = Source::check(&repository, id)?;
    let file = File::create_new(target).map_err(RepositoryError::Disk)?;
    source
        .write_tar(&repository, BufWriter::new(file))
        .map_err(RepositoryError::Disk)
}

/// Refuses a git that would look the name up again, and go where that leads: `http.curloptResolve` came with 2.37.
async fn check_git() -> Result<(), RepositoryError> {
    static IS_NEW: OnceCell<bool> = OnceCell::const_new();
    let is_new = IS_NEW.get_or_try_init(async || {
        let asked = Command::new("git")
            .arg("version")
            .env_clear()
            .env("PATH", PATH)
            .output();
        let said = String::from_utf8_lossy(&asked.await?.stdout).into_owned();
        Ok::<_, io::Error>(is_new_git(&said))
    });
    if *is_new.await.map_err(RepositoryError::Disk)? {
        return Ok(());
    }
    let words = "the platform's git is too old for that: it needs 2.37 or newer".to_owned();
    Err(RepositoryError::Git { words })
}

/// `git version 2.47.3`
fn is_new_git(said: &str) -> bool {
    let version = said.split_whitespace().nth(2).unwrap_or_default();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(2), Some(37))
}

/// `git fetch` of one commit, without its history.
fn git(place: &Address, places: &[SocketAddr], repository: &Path, commit: &str) -> Command {
    let mut settings = vec![
        ("core.hooksPath", "/dev/null".to_owned()),
        ("credential.helper", String::new()),
        ("fetch.fsckObjects", "true".to_owned()),
        ("fetch.unpackLimit", "1".to_owned()),
        ("gc.auto", "0".to_owned()),
        ("http.followRedirects", "false".to_owned()),
        ("http.lowSpeedLimit", "1000".to_owned()),
        ("http.lowSpeedTime", "30".to_owned()),
        ("maintenance.auto", "false".to_owned()),
        ("protocol.allow", "never".to_owned()),
        ("protocol.http.allow", "always".to_owned()),
        ("protocol.https.allow", "always".to_owned()),
        ("protocol.version", "2".to_owned()),
    ];
    let host = bare(place.host());
    if host.parse::<std::net::IpAddr>().is_err() {
        let addresses: Vec<_> = places.iter().map(|place| place.ip().to_string()).collect();
        let resolve = format!("{host}:{}:{}", place.port(), addresses.join(","));
        settings.push(("http.curloptResolve", resolve));
    }
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("HOME", repository)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (number, (key, value)) in settings.iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{number}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{number}"), value);
    }
    command.arg("--git-dir").arg(repository);
    command.args([
        "fetch",
        "--quiet",
        "--depth=1",
        "--no-tags",
        "--no-recurse-submodules",
        "--",
    ]);
    command.arg(place.to_string()).arg(commit);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Its helpers would go on downloading without it.
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// Runs git to its end, unless it takes too much of anything.
async fn run(mut command: Command, repository: &Path) -> Result<(), RepositoryError> {
    let mut child = command.spawn().map_err(RepositoryError::Disk)?;
    let mut group = Group::of(&child);
    let words = child.stderr.take();
    let ended = async {
        let (status, words) = tokio::join!(child.wait(), last_words(words));
        (status, words)
    };
    let grows = async {
        while bytes_in(repository).await <= MAXIMUM_PACK_BYTES {
            sleep(LOOK_AGAIN).await;
        }
    };
    let (status, words) = tokio::select! {
        ended = timeout(LIMIT, ended) => ended.map_err(|_| RepositoryError::Slow)?,
        () = grows => return Err(RepositoryError::TooLarge),
    };
    group.has_ended();
    let status: ExitStatus = status.map_err(RepositoryError::Disk)?;
    if status.success() {
        return Ok(());
    }
    Err(RepositoryError::Git { words })
}

/// The processes of a git, which end with this.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    fn has_ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // Those that ended by themselves are no trouble.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}

/// One line of what git said last.
async fn last_words(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut words = Vec::new();
    if let Some(mut stream) = stream {
        let mut chunk = [0; 512];
        while let Ok(bytes @ 1..) = stream.read(&mut chunk).await {
            words.extend_from_slice(&chunk[..bytes]);
            let surplus = words.len().saturating_sub(LAST_WORDS_BYTES);
            words.drain(..surplus);
        }
    }
    let words = String::from_utf8_lossy(&words);
    let line = words.lines().map(str::trim).rfind(|line| !line.is_empty());
    let line = line.unwrap_or("it said nothing").trim_start_matches("fatal: ");
    line.chars()
        .filter(|character| !character.is_control())
        .take(200)
        .collect()
}

async fn bytes_in(folder: &Path) -> u64 {
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    let mut bytes = 0;
    while let Some(folder) = folders.pop() {
        let Ok(mut entries) = tokio::fs::read_dir(&folder).await else {
            continue;
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            match entry.metadata().await {
                Ok(metadata) if metadata.is_dir() => folders.push(entry.path()),
                Ok(metadata) => bytes += metadata.len(),
                Err(_) => {}
            }
        }
    }
    bytes
}

async fn read_limited(path: &Path) -> Result<Vec<u8>, RepositoryError> {
    let file = tokio::fs::File::open(path).await.map_err(RepositoryError::Disk)?;
    let mut bytes = Vec::new();
    let read = file.take(MAXIMUM_REFS_BYTES).read_to_end(&mut bytes).await;
    read.map_err(RepositoryError::Disk)?;
    Ok(bytes)
}

/// Names and commits as a repository announces them (git `http-protocol.txt`, *Smart Server Response*).
fn parse_refs(mut bytes: &[u8]) -> Option<Vec<(String, String)>> {
    let mut refs = Vec::new();
    let mut is_announced = false;
    while let Some((length, rest)) = bytes.split_at_checked(4) {
        let length = usize::from_str_radix(std::str::from_utf8(length).ok()?, 16).ok()?;
        if length < 4 {
            bytes = rest;
            continue;
        }
        let (line, rest) = rest.split_at_checked(length - 4)?;
        bytes = rest;
        if line.starts_with(b"# service=git-upload-pack") {
            is_announced = true;
            continue;
        }
        let line = line.split(|byte| *byte == 0).next()?;
        let line = String::from_utf8_lossy(line);
        if let Some((id, name)) = line.trim_end().split_once(' ')
            && is_commit(id)
        {
            refs.push((name.to_owned(), id.to_owned()));
        }
    }
    is_announced.then_some(refs)
}

/// A tag of its own stands before the commit that it is of, which is called `^{}`.
fn choose(refs: &[(String, String)], reference: Option<&str>) -> Option<String> {
    let find = |name: &str| refs.iter().find(|(known, _)| known == name).map(|(_, id)| id.clone());
    let Some(reference) = reference else {
        return find("HEAD");
    };
    find(&format!("refs/heads/{reference}"))
        .or_else(|| find(&format!("refs/tags/{reference}^{{}}")))
        .or_else(|| find(&format!("refs/tags/{reference}")))
        .or_else(|| find(reference))
        .or_else(|| is_commit(reference).then(|| reference.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;

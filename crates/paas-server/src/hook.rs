//! `paasd hook`: the `pre-receive` of every repository. A pipe between git and the server.
//!
//! Runs as a child of `git receive-pack`, whose quarantine it can see; what it writes to standard error reaches the
//! pusher as `remote: …`. Its exit status decides whether the refs move. It holds no secret and no connection but the one
//! to the server's socket, and does nothing but read, judge and send.

use std::{
    io::{self, BufWriter, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
};

use git2::{Oid, Repository};
use thiserror::Error;
use uuid::Uuid;

use crate::git::{
    HOOK_APP, HOOK_PUSH, HOOK_SOCKET,
    frame::{Frame, Hello, MAXIMUM_BYTES, SourceWriter},
    source::{Source, SourceError},
};

/// The branches that are built, as on Heroku.
const BUILT: [&str; 2] = ["refs/heads/main", "refs/heads/master"];

const MAXIMUM_SUBJECT_CHARS: usize = 200;

/// More updates than anybody pushes at once.
const MAXIMUM_INPUT_BYTES: u64 = 4 * 1024 * 1024;

/// One line of what git asks.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Update {
    /// `None` where the ref is new.
    old: Option<Oid>,
    /// `None` where the ref is to be deleted.
    new: Option<Oid>,
    reference: String,
}

/// Which push this is, and where the server is.
struct Introduction {
    socket: PathBuf,
    push: Uuid,
}

#[derive(Debug, Error)]
enum HookError {
    #[error("this repository only takes pushes over HTTP")]
    NotIntroduced,
    #[error("git asked something that is not understood")]
    Input,
    #[error("{0} cannot be deleted: it is what the app is built from")]
    Deletion(String),
    #[error("main and master point at different commits: push one of them")]
    TwoCommits,
    #[error("{0}")]
    Source(SourceError),
    #[error("the commit cannot be read: {0}")]
    Read(#[from] git2::Error),
    #[error("the platform does not answer: push again in a moment")]
    Connect(#[source] io::Error),
    #[error("the platform stopped before the deploy had ended: push again in a moment")]
    Broken(#[from] io::Error),
}

/// Judges the push that git asks about on standard input.
pub(crate) fn run() -> ExitCode {
    if accepts() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether the refs may move; why not has been said.
pub(crate) fn accepts() -> bool {
    let mut input = String::new();
    let read = io::stdin().lock().take(MAXIMUM_INPUT_BYTES).read_to_string(&mut input);
    let mut output = io::stderr().lock();
    let judged = match read {
        Ok(_) => judge(&input, &mut output),
        Err(_) => Err(HookError::Input),
    };
    // Nobody is left to tell when this cannot be written.
    let is_accepted = judged.unwrap_or_else(|error| {
        let _ = writeln!(output, " !     {error}");
        false
    });
    if !is_accepted {
        let app = variable(HOOK_APP).unwrap_or_else(|| "this app".to_owned());
        let _ = writeln!(output, "\n !     Push rejected to {app}.\n");
    }
    is_accepted
}

fn judge(input: &str, output: &mut impl Write) -> Result<bool, HookError> {
    let updates = parse(input).ok_or(HookError::Input)?;
    let (built, others): (Vec<_>, Vec<_>) = updates
        .into_iter()
        .partition(|update| BUILT.contains(&update.reference.as_str()));
    for update in &others {
        explain(update, output);
    }
    let Some(first) = built.first() else { return Ok(true) };
    if let Some(deletion) = built.iter().find(|update| update.new.is_none()) {
        return Err(HookError::Deletion(short(&deletion.reference).to_owned()));
    }
    if built.iter().any(|update| update.new != first.new) {
        return Err(HookError::TwoCommits);
    }
    deploy(first, output)
}

/// Says what becomes of a ref that is not built.
fn explain(update: &Update, output: &mut impl Write) {
    let name = short(&update.reference);
    let words = match (update.new, update.reference.strip_prefix("refs/heads/")) {
        (None, _) => return,
        (Some(_), Some(branch)) => format!(
            "-----> Stored {name} without a build: only main and master are built\n       \
             To deploy it: git push <remote> {branch}:main"
        ),
        (Some(_), None) => format!("-----> Stored {name} without a build: only main and master are built"),
    };
    let _ = writeln!(output, "{words}");
}

fn deploy(update: &Update, output: &mut impl Write) -> Result<bool, HookError> {
    let introduction = Introduction::from_environment().ok_or(HookError::NotIntroduced)?;
    let commit = update.new.ok_or(HookError::Input)?;
    let repository = open_quarantined()?;
    let _ = write!(output, "Compressing source files... ");
    let _ = output.flush();
    let source = Source::check(&repository, commit).map_err(HookError::Source);
    let _ = writeln!(output, "{}", if source.is_ok() { "done." } else { "failed." });
    let source = source?;
    for path in &source.submodules {
        let _ = writeln!(
            output,
            " !     Left out the submodule {path}: submodules are not fetched"
        );
    }
    let hello = Hello {
        push: introduction.push,
        reference: update.reference.clone(),
        old_commit: update.old.map(|id| id.to_string()),
        commit: commit.to_string(),
        subject: subject(&repository, commit)?,
    };
    let mut stream = UnixStream::connect(&introduction.socket).map_err(HookError::Connect)?;
    let hello = serde_json::to_vec(&hello).map_err(io::Error::other)?;
    Frame::Hello(hello).write_to(&mut stream)?;
    if watch(&mut stream, output)? == Frame::Rejected {
        return Ok(false);
    }
    let sent = send(&source, &repository, &mut stream);
    let _ = writeln!(output, "Building source:\n");
    // A server that stops reading (a full disk) has said why.
    let verdict = watch(&mut stream, output).map_err(|error| sent.err().unwrap_or(error))?;
    let is_accepted = verdict == Frame::Accepted;
    let word = if is_accepted { " done." } else { "" };
    let _ = writeln!(output, "\nVerifying deploy...{word}");
    Ok(is_accepted)
}

fn send(source: &Source, repository: &Repository, stream: &mut UnixStream) -> io::Result<()> {
    let writer = BufWriter::with_capacity(MAXIMUM_BYTES, SourceWriter(&mut *stream));
    source.write_tar(repository, writer)?;
    Frame::SourceEnd.write_to(stream)
}

/// Passes on what the server says until it decides. A pusher who is gone does not end the push.
fn watch(stream: &mut UnixStream, output: &mut impl Write) -> io::Result<Frame> {
    loop {
        match Frame::read_from(stream)? {
            Frame::Output(bytes) => {
                let _ = output.write_all(&bytes);
                let _ = output.flush();
            }
            decision @ (Frame::Ready | Frame::Accepted | Frame::Rejected) => return Ok(decision),
            Frame::Hello(_) | Frame::Source(_) | Frame::SourceEnd => {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "unexpected frame"));
            }
        }
    }
}

/// The repository that git runs this hook in, with the objects of this push.
fn open_quarantined() -> Result<Repository, git2::Error> {
    let repository = Repository::open_bare(".")?;
    if let Some(quarantine) = variable("GIT_QUARANTINE_PATH") {
        repository.odb()?.add_disk_alternate(&quarantine)?;
    }
    Ok(repository)
}

/// The first line of the commit's message, fit for a terminal.
fn subject(repository: &Repository, commit: Oid) -> Result<String, git2::Error> {
    let commit = repository.find_object(commit, None)?.peel_to_commit()?;
    let summary = String::from_utf8_lossy(commit.summary_bytes().unwrap_or_default()).into_owned();
    Ok(summary
        .chars()
        .filter(|c| !c.is_control())
        .take(MAXIMUM_SUBJECT_CHARS)
        .collect())
}

/// `old new ref` lines (githooks, "pre-receive").
fn parse(input: &str) -> Option<Vec<Update>> {
    let id = |text: &str| Oid::from_str(text).ok();
    let known = |id: Oid| (!id.is_zero()).then_some(id);
    input
        .lines()
        .map(|line| {
            let mut words = line.splitn(3, ' ');
            Some(Update {
                old: known(id(words.next()?)?),
                new: known(id(words.next()?)?),
                reference: words.next()?.to_owned(),
            })
        })
        .collect()
}

fn short(reference: &str) -> &str {
    reference
        .strip_prefix("refs/heads/")
        .or_else(|| reference.strip_prefix("refs/"))
        .unwrap_or(reference)
}

impl Introduction {
    fn from_environment() -> Option<Self> {
        Some(Self {
            socket: Path::new(&variable(HOOK_SOCKET)?).to_owned(),
            push: variable(HOOK_PUSH)?.parse().ok()?,
        })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this comes from the git that started us, not from the operator: config.rs has no part in it"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: &str = "0000000000000000000000000000000000000000";
    const ONE: &str = "1111111111111111111111111111111111111111";
    const TWO: &str = "2222222222222222222222222222222222222222";

    fn judged(input: &str) -> (Result<bool, String>, String) {
        let mut output = Vec::new();
        let judged = judge(input, &mut output).map_err(|error| error.to_string());
        (judged, String::from_utf8(output).unwrap())
    }

    #[test]
    fn a_ref_that_is_not_built_is_stored_with_a_word() {
        let (judged, output) = judged(&format!(
            "{ZERO} {ONE} refs/heads/feature\n{ZERO} {ONE} refs/tags/v1\n{ONE} {ZERO} refs/heads/old\n"
        ));
        assert_eq!(judged, Ok(true));
        assert!(output.contains("Stored feature without a build"), "{output}");
        assert!(output.contains("git push <remote> feature:main"), "{output}");
        assert!(output.contains("Stored tags/v1 without a build"), "{output}");
        assert!(!output.contains("old"), "{output}");
    }

    #[test]
    fn main_is_not_deleted_and_not_two_things_at_once() {
        let (deleted, _) = judged(&format!("{ONE} {ZERO} refs/heads/main\n"));
        assert!(deleted.unwrap_err().contains("main cannot be deleted"));
        let (two, _) = judged(&format!(
            "{ZERO} {ONE} refs/heads/main\n{ZERO} {TWO} refs/heads/master\n"
        ));
        assert!(two.unwrap_err().contains("push one of them"));
    }

    #[test]
    fn what_git_never_says_is_refused() {
        for input in ["x", "1 2\n", &format!("{ONE} refs/heads/main\n")] {
            assert!(judged(input).0.is_err(), "{input:?}");
        }
        assert_eq!(judged("").0, Ok(true));
    }
}

//! The words for people whose build went wrong: a headline, what was seen, what to do next.

use std::{fmt::Write as _, io, path::PathBuf, time::Duration};

use paas_core::{BuildFailure, ProcfileError};
use paas_engine::EngineError;
use thiserror::Error;

use crate::{Buildpack, CnbError, HerokuYmlError, Pack, output::human_bytes};

/// Why a build ended without an image.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("the source is empty")]
    EmptySource,
    #[error("the source archive is broken")]
    BrokenSource {
        #[source]
        source: io::Error,
    },
    /// Not the pusher's fault: the archive on our own disk cannot be read.
    #[error("the source archive cannot be read")]
    ReadSource {
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Procfile(#[from] ProcfileError),
    #[error(transparent)]
    HerokuYml(#[from] HerokuYmlError),
    /// On a stack where nothing else is built.
    #[error("the source has neither heroku.yml nor Dockerfile")]
    NoDockerfile,
    #[error("no buildpack recognises the app")]
    NothingDetected {
        /// The names at the root of the source.
        root: Vec<String>,
    },
    /// The app is not what the chosen buildpack builds.
    #[error("the app is no app for {}", buildpack.name())]
    WrongBuildpack { buildpack: Pack },
    /// What was fetched is none.
    #[error("{name} is no buildpack")]
    NoBuildpack { name: String },
    #[error("the buildpack failed")]
    CompileFailed,
    #[error(transparent)]
    Cnb(#[from] CnbError),
    #[error("nothing says how to test the app")]
    NoTests,
    #[error("the Dockerfile failed: {message}")]
    DockerfileFailed { message: String },
    #[error("the image has no shell")]
    NoShell,
    #[error("the build's process types are unusable: {reason}")]
    BadProcessTypes { reason: String },
    #[error("the build used more than {limit_bytes} bytes of memory")]
    OutOfMemory { limit_bytes: u64 },
    #[error("the build wanted more than {limit} processes")]
    TooManyProcesses { limit: u32 },
    #[error("the disk is full")]
    DiskFull,
    #[error("the build wrote more than {limit_bytes} bytes")]
    WroteTooMuch { limit_bytes: u64 },
    #[error("the build took longer than {limit:?}")]
    TimedOut { limit: Duration },
    #[error("the build was cancelled")]
    Cancelled,
    /// The container ended in a way that our own build program never ends.
    #[error("the build container ended with status {code}")]
    Broken { code: i32 },
    #[error("the images of the app's language could not be made")]
    Language(#[source] StackError),
    #[error("the container engine gave up")]
    Engine(#[source] EngineError),
}

/// Why the stack's images could not be made.
#[derive(Debug, Error)]
pub enum StackError {
    #[error("there is no debootstrap; install it with: apt-get install debootstrap")]
    NoDebootstrap,
    #[error("debootstrap ended with {status}; its last words: {last_words}")]
    Debootstrap { status: String, last_words: String },
    #[error("{doing} at {path}", path = path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the build that waits for the images was cancelled")]
    Cancelled,
    #[error("the {image} image could not be built")]
    Image {
        image: String,
        #[source]
        source: EngineError,
    },
    #[error("the container engine gave up")]
    Engine(#[from] EngineError),
}

impl From<EngineError> for BuildError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::DiskFull { .. } => Self::DiskFull,
            EngineError::Cancelled { .. } => Self::Cancelled,
            EngineError::Build { message } if is_disk_full(&message) => Self::DiskFull,
            EngineError::Build { message } => Self::DockerfileFailed { message },
            other => Self::Engine(other),
        }
    }
}

/// Whether a program's words say that the disk is full (`ENOSPC`, as the C library, uv and npm write it).
pub(crate) fn is_disk_full(words: &str) -> bool {
    [
        "No space left on device",
        "no space left on device",
        "ENOSPC",
        "Disk quota exceeded",
    ]
    .iter()
    .any(|sign| words.contains(sign))
}

/// Whether a program's words say that it could start no other (`EAGAIN` of `fork` and `clone`, as shells, Python, Go and the
/// JVM write it).
pub(crate) fn is_out_of_processes(words: &str) -> bool {
    [
        "fork: retry:",
        "fork: Resource temporarily unavailable",
        "Cannot fork",
        "can't start new thread",
        "may need to increase max user processes",
        "unable to create native thread",
    ]
    .iter()
    .any(|sign| words.contains(sign))
}

/// Whether the engine says of a step that it was killed: 128 + SIGKILL. Nothing in a build kills with that but the kernel,
/// for want of memory.
pub(crate) fn is_killed(message: &str) -> bool {
    message.ends_with("returned a non-zero code: 137") || message.ends_with("exit code: 137")
}

impl BuildError {
    /// How the build's row ends.
    pub const fn failure(&self) -> BuildFailure {
        match self {
            Self::Cancelled => BuildFailure::Cancelled,
            _ => BuildFailure::Rejected,
        }
    }

    /// Whether somebody who runs the platform should look: it was not the app.
    pub const fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::ReadSource { .. }
                | Self::DiskFull
                | Self::Broken { .. }
                | Self::Cnb(CnbError::BadBuilder { .. })
                | Self::Language(_)
                | Self::Engine(_)
        )
    }

    /// What to tell the person who pushed: a headline, what we saw, what to do next. Lines without any mark before them.
    ///
    /// A [`Builder`](crate::Builder) has already written this to the build's output when it returns the error.
    pub fn explanation(&self) -> String {
        match self {
            Self::EmptySource => "The source is empty.\n\n\
                There is no file in it, so there is nothing to build.\n\
                Commit your app's files (git add -A && git commit), then push again."
                .to_owned(),
            Self::BrokenSource { source } => format!(
                "The source archive cannot be read.\n\n\
                 It is no complete tar or tar.gz archive: {source}.\n\
                 Make it again, for example with git archive --format=tar.gz HEAD."
            ),
            Self::ReadSource { .. } => ours("The source archive got lost before it could be built."),
            Self::Procfile(ProcfileError { line, problem }) => format!(
                "The Procfile has a mistake in line {line}.\n\n\
                 {problem}.\n\
                 Each line is a process type, a colon and a command, such as: web: gunicorn app:app"
            ),
            Self::HerokuYml(error) => heroku_yml(error),
            Self::NoDockerfile => "There is no heroku.yml and no Dockerfile.\n\n\
                The app is on the container stack, where images are built from one of them at the root of the source.\n\
                Add one, commit, and push again; or build with buildpacks: paas stack:set paas-12"
                .to_owned(),
            Self::NothingDetected { root } => nothing_detected(root),
            Self::WrongBuildpack { buildpack } => match buildpack {
                Pack::Ours(buildpack) => format!(
                    "App not compatible with buildpack: {buildpack}\n\n\
                     The {buildpack} buildpack looks for {} at the root of the source.\n\
                     Add one of these, or let the platform choose the buildpack.",
                    buildpack.looks_for()
                ),
                Pack::Fetched { name, tar: _ } => format!(
                    "App not compatible with buildpack: {name}\n\n\
                     Its bin/detect says that this is no app for it.\n\
                     What it looks for is in its own documentation. Add that, or choose others: paas buildpacks:set"
                ),
            },
            Self::NoBuildpack { name } => format!(
                "There is no buildpack at {name}\n\n\
                 A buildpack has the programs bin/detect and bin/compile at the root of its repository or archive.\n\
                 Correct the address (a branch, tag or commit comes after #): paas buildpacks:set"
            ),
            Self::CompileFailed => "The build failed.\n\n\
                The lines above say which command failed, and why.\n\
                The release that ran before is untouched. Correct the app, commit, and push again."
                .to_owned(),
            Self::Cnb(error) => cnb(error),
            Self::NoTests => "There is nothing to test.\n\n\
                Neither the app's buildpack nor its app.json says how the app is tested.\n\
                Add the command to app.json: {\"environments\": {\"test\": {\"scripts\": {\"test\": \"make test\"}}}}"
                .to_owned(),
            Self::DockerfileFailed { message } => format!(
                "The build of the Dockerfile failed.\n\n\
                 {message}\n\
                 The release that ran before is untouched. Correct the Dockerfile, commit, and push again."
            ),
            Self::NoShell => "The image has no /bin/sh.\n\n\
                What a Procfile or heroku.yml says is run by a shell; only what an image runs by itself needs none.\n\
                Say what to run in the Dockerfile (CMD), or put a shell into the image, commit, and push again."
                .to_owned(),
            Self::BadProcessTypes { reason } => format!(
                "The app's process types cannot be read.\n\n\
                 {reason}\n\
                 Add a Procfile at the root of the source that says what to run, such as: web: ./server"
            ),
            Self::OutOfMemory { limit_bytes } => format!(
                "The build ran out of memory.\n\n\
                 A build may use {} of memory, so that it cannot hurt running apps, and this one wanted more.\n\
                 Let it do less at once (for Node.js, NODE_OPTIONS=--max-old-space-size=… as a config var), or have\n\
                 the platform's operator raise the limit: PAAS_BUILD_MEMORY=MB, or build-memory in paasd.toml.",
                human_bytes(*limit_bytes)
            ),
            Self::TooManyProcesses { limit } => format!(
                "The build started too many processes.\n\n\
                 A build may have {limit} of them at the same time, threads too, and this one wanted more.\n\
                 Let it do less at once (make -j4, MAKEFLAGS or GOMAXPROCS as a config var), and push again."
            ),
            Self::WroteTooMuch { limit_bytes } => format!(
                "The build wrote too much to the disk.\n\n\
                 While it ran the disk became fuller by more than {}, and it was stopped, so that running apps keep theirs.\n\
                 Let it write less, remove what it leaves behind, or have the platform's operator raise the limit:\n\
                 PAAS_BUILD_DISK=MB, or build-disk in paasd.toml.",
                human_bytes(*limit_bytes)
            ),
            Self::DiskFull => "The platform's disk is full.\n\n\
                There was no space left to write what the build makes. Running apps are not affected.\n\
                This is not your app's fault: tell the platform's operator, and push again when there is space."
                .to_owned(),
            Self::TimedOut { limit } => format!(
                "The build took too long.\n\n\
                 It was stopped after {} minutes.\n\
                 The last lines above say where the time went. What was installed before may be cached: push again\n\
                 if it was a slow download.",
                limit.as_secs().div_ceil(60)
            ),
            Self::Cancelled => "The build was cancelled.\n\nNothing was released.".to_owned(),
            Self::Language(_) => ours("The compilers and runtimes of the app's language could not be installed."),
            Self::Broken { .. } | Self::Engine(_) => ours("The build could not be run."),
        }
    }
}

fn heroku_yml(HerokuYmlError { line, problem }: &HerokuYmlError) -> String {
    let place = line.map_or_else(String::new, |line| format!(" in line {line}"));
    format!(
        "heroku.yml has a mistake{place}.\n\n\
         {problem}.\n\
         The smallest that works is three lines, each deeper than the one before:\n\
         build:\n\
         \u{20}\u{20}docker:\n\
         \u{20}\u{20}\u{20}\u{20}web: Dockerfile"
    )
}

fn cnb(error: &CnbError) -> String {
    match error {
        CnbError::NoBuilder => "This platform has no builder for Cloud Native Buildpacks.\n\n\
            The app is on the cnb stack, and its operator has named no builder image.\n\
            Have the operator set PAAS_CNB_BUILDER (such as heroku/builder:24), or build with classic buildpacks:\n\
            paas stack:set paas-12"
            .to_owned(),
        CnbError::BadBuilder { name, problem } => format!(
            "The builder {name} cannot be used.\n\n\
             {problem}.\n\
             This is not your app's fault: tell the platform's operator, who sets the builder by PAAS_CNB_BUILDER."
        ),
        CnbError::NoGroup { name } => format!(
            "No buildpacks of the builder recognise this app.\n\n\
             {name} has said above what its buildpacks look for.\n\
             Add what they need, or name the buildpacks in project.toml ([[io.buildpacks.group]]), and push again."
        ),
        CnbError::BadProject { problem } => format!(
            "project.toml has a mistake.\n\n\
             {problem}.\n\
             The smallest that names a buildpack of the builder is two lines:\n\
             [[io.buildpacks.group]]\n\
             id = \"heroku/python\""
        ),
        CnbError::LifecycleFailed => "The lifecycle of the builder failed.\n\n\
            The lines above say which of its programs, and why.\n\
            The release that ran before is untouched. If a cache is broken, empty it and push again:\n\
            paas builds:cache:purge"
            .to_owned(),
        CnbError::BadExport { problem } => format!(
            "The image that the lifecycle has exported cannot be used.\n\n\
             {problem}.\n\
             Empty the build cache (paas builds:cache:purge), and push again; if that does not help, the builder is to blame."
        ),
    }
}

fn ours(headline: &str) -> String {
    format!(
        "{headline}\n\n\
         This is not your app's fault. The release that ran before is untouched.\n\
         Push again; if that does not help, the platform's operator finds the reason in the log of paasd."
    )
}

fn nothing_detected(root: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut seen = root.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if root.len() > SHOWN {
        seen.push_str(", …");
    }
    let mut text = format!(
        "No default language could be detected for this app.\n\n\
         At the root of the source we saw: {seen}\n\
         What we look for there:\n"
    );
    for buildpack in Buildpack::ALL {
        let (name, signs) = (buildpack.as_str(), buildpack.looks_for());
        let _ = writeln!(text, "  {name:<8} {signs}");
    }
    text.push_str(
        "  docker   Dockerfile\n\
         Add one of these files, commit, and push again.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_language_is_told_what_we_look_for() {
        let root = ["main.cob", "Procfile"].map(str::to_owned).to_vec();
        insta::assert_snapshot!(BuildError::NothingDetected { root }.explanation());
    }

    #[test]
    fn a_bad_procfile_is_told_the_line() {
        let error = ProcfileError {
            line: 3,
            problem: "there is no colon".to_owned(),
        };
        insta::assert_snapshot!(BuildError::from(error).explanation());
    }

    #[test]
    fn every_error_has_a_headline_a_fact_and_a_next_step() {
        let errors = [
            BuildError::EmptySource,
            BuildError::BrokenSource {
                source: io::Error::other("unexpected end"),
            },
            BuildError::ReadSource {
                source: io::Error::other("gone"),
            },
            BuildError::WrongBuildpack {
                buildpack: Pack::Ours(Buildpack::Nodejs),
            },
            BuildError::WrongBuildpack {
                buildpack: Pack::Fetched {
                    name: "https://example.com/buildpack#main".to_owned(),
                    tar: PathBuf::new(),
                },
            },
            BuildError::NoBuildpack {
                name: "https://example.com/page".to_owned(),
            },
            BuildError::CompileFailed,
            BuildError::DockerfileFailed {
                message: "The command '/bin/sh -c make' returned a non-zero code: 2".to_owned(),
            },
            BuildError::NoShell,
            BuildError::NoDockerfile,
            BuildError::HerokuYml(HerokuYmlError {
                line: Some(4),
                problem: "unknown field `dokcer`".to_owned(),
            }),
            BuildError::BadProcessTypes {
                reason: "bin/release wrote no YAML".to_owned(),
            },
            BuildError::OutOfMemory {
                limit_bytes: 1024 * 1024 * 1024,
            },
            BuildError::TooManyProcesses { limit: 1024 },
            BuildError::WroteTooMuch {
                limit_bytes: 10 * 1024 * 1024 * 1024,
            },
            BuildError::DiskFull,
            BuildError::TimedOut {
                limit: Duration::from_mins(15),
            },
            BuildError::Cancelled,
            BuildError::Cnb(CnbError::NoBuilder),
            BuildError::Cnb(CnbError::BadBuilder {
                name: "heroku/builder:24".to_owned(),
                problem: "the registry of heroku/builder:24 does not answer".to_owned(),
            }),
            BuildError::Cnb(CnbError::NoGroup {
                name: "heroku/builder:24".to_owned(),
            }),
            BuildError::Cnb(CnbError::BadProject {
                problem: "the builder has no buildpack \"acme/cobol\": it has heroku/python".to_owned(),
            }),
            BuildError::Cnb(CnbError::LifecycleFailed),
            BuildError::Cnb(CnbError::BadExport {
                problem: "a part of it is missing".to_owned(),
            }),
            BuildError::Broken { code: 125 },
        ];
        let texts: Vec<_> = errors.iter().map(BuildError::explanation).collect();
        insta::assert_snapshot!(texts.join("\n\n----\n"));
    }

    #[test]
    fn what_a_shell_says_when_nothing_can_be_started_is_recognised() {
        assert!(is_out_of_processes(
            "./build: fork: retry: Resource temporarily unavailable"
        ));
        assert!(!is_out_of_processes("EAGAIN: resource temporarily unavailable, read"));
        assert!(is_killed("The command '/bin/sh -c make' returned a non-zero code: 137"));
    }

    #[test]
    fn a_full_disk_is_recognised_wherever_it_shows() {
        let engine = EngineError::DiskFull { doing: "a commit" };
        assert!(matches!(BuildError::from(engine), BuildError::DiskFull));
        let message = "write /app/x: no space left on device".to_owned();
        assert!(matches!(
            BuildError::from(EngineError::Build { message }),
            BuildError::DiskFull
        ));
    }
}

//! The git that is spawned: with an environment and a configuration of ours, and of nobody else's.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::{Git, push::PushGuard};

/// The largest pack that is taken in: what Heroku allows a checkout to be.
pub(super) const MAXIMUM_PACK_BYTES: u64 = 1024 * 1024 * 1024;

/// Where git is looked for. The server's own PATH is not asked.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the hook finds out which push it is. Only `git receive-pack` gets these.
pub(crate) const HOOK_SOCKET: &str = "PAAS_HOOK_SOCKET";
pub(crate) const HOOK_PUSH: &str = "PAAS_HOOK_PUSH";
/// The app's name, for words only.
pub(crate) const HOOK_APP: &str = "PAAS_HOOK_APP";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    UploadPack,
    ReceivePack,
}

impl Service {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "git-upload-pack" => Some(Self::UploadPack),
            "git-receive-pack" => Some(Self::ReceivePack),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    const fn subcommand(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

/// `git <service> --stateless-rpc <repository>` with all streams piped.
///
/// `protocol` is what the client asked for in `Git-Protocol`; only fetches have a version 2.
pub(super) fn command(git: &Git, service: Service, repository: &Path, protocol: Option<&str>) -> Command {
    let mut command = Command::new("git");
    command
        .env_clear()
        .env("PATH", PATH)
        .env("LC_ALL", "C.UTF-8")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_ATTR_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0");
    if service == Service::UploadPack && protocol == Some("version=2") {
        command.env("GIT_PROTOCOL", "version=2");
    }
    let hooks = git.paths.hooks.display();
    for setting in [
        format!("core.hooksPath={hooks}"),
        "transfer.fsckObjects=true".to_owned(),
        // Harmless mistakes of old tools in histories that nobody can rewrite; GitHub takes them too.
        "receive.fsck.badTimezone=ignore".to_owned(),
        "receive.fsck.missingSpaceBeforeDate=ignore".to_owned(),
        "receive.fsck.zeroPaddedFilemode=ignore".to_owned(),
        format!("receive.maxInputSize={MAXIMUM_PACK_BYTES}"),
        // An idle connection is closed by proxies on the way, ours after 55 seconds.
        "receive.keepAlive=5".to_owned(),
        // Housekeeping must not outlive its push: nobody would wait for it at shutdown.
        "gc.autoDetach=false".to_owned(),
        "maintenance.autoDetach=false".to_owned(),
    ] {
        command.arg("-c").arg(setting);
    }
    command
        .args([service.subcommand(), "--stateless-rpc"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // Nobody needs the rest of a fetch that nobody reads; a push goes on.
    command.kill_on_drop(service == Service::UploadPack).arg(repository);
    command
}

/// Tells the hook of a `git receive-pack` whom to speak to.
pub(super) fn introduce(command: &mut Command, git: &Git, push: &PushGuard) {
    command
        .env(HOOK_SOCKET, &git.paths.socket)
        .env(HOOK_PUSH, push.id.to_string())
        .env(HOOK_APP, &push.app_name);
}

/// Writes the `pre-receive` that git runs, which runs us.
pub(super) fn write_hook(directory: &Path, command: &[PathBuf]) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let words: Vec<_> = command.iter().map(|word| quoted(&word.to_string_lossy())).collect();
    let script = format!("#!/bin/sh\nexec {}\n", words.join(" "));
    // Renamed into place: a push that begins now finds the old hook or the new one, whole.
    let (new, path) = (directory.join("pre-receive.new"), directory.join("pre-receive"));
    fs::write(&new, script)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755))?;
    fs::rename(&new, &path)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hook_runs_a_program_whatever_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("it's a $(touch x) program");
        fs::write(&program, "#!/bin/sh\nprintf 'ran %s' \"$1\"\n").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let hooks = directory.path().join("hooks");
        write_hook(&hooks, &[program, PathBuf::from("hook")]).unwrap();
        let output = std::process::Command::new(hooks.join("pre-receive")).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ran hook");
        assert!(!hooks.join("pre-receive.new").exists());
    }
}

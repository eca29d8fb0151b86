//! Whom the server runs as, and who we are to it.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use super::EmbeddedError;

/// Made by Debian's package; PostgreSQL refuses to run as root.
const UNPRIVILEGED: &str = "postgres";

/// The user of the server. Our own, unless we are root.
#[derive(Debug, Clone)]
pub(super) struct Owner {
    pub(super) name: String,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Who we are: the only one whom the server lets in.
    pub(super) client: String,
    is_root: bool,
}

impl Owner {
    /// The owner of the cluster in `data` when there is one, else a user that PostgreSQL accepts.
    pub(super) async fn of(data: &Path) -> Result<Self, EmbeddedError> {
        let client = ask(&["-un"]).await?;
        let is_root = rustix::process::geteuid().is_root();
        let existing = fs::metadata(data).ok().map(|metadata| (metadata.uid(), metadata.gid()));
        let (uid, gid) = match existing {
            _ if !is_root => (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()),
            Some((uid, gid)) if uid != 0 => (uid, gid),
            _ => unprivileged()
                .await
                .ok_or(EmbeddedError::NoUser { name: UNPRIVILEGED })?,
        };
        let name = if is_root {
            ask(&["-un", "--", &uid.to_string()]).await?
        } else {
            client.clone()
        };
        Ok(Self {
            name,
            uid,
            gid,
            client,
            is_root,
        })
    }

    /// A program that runs as this user, with nothing of our environment.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/");
        if self.is_root {
            // Also drops root's supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or directory that we made to this user.
    pub(super) fn take(&self, path: &Path) -> Result<(), EmbeddedError> {
        if self.is_root {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid)).map_err(super::file("give away", path))?;
        }
        Ok(())
    }

    /// Whether this user can pass through every directory above `path`. The platform's own data dir is opened for passing
    /// (its files have modes of their own); those above it are not ours to change.
    pub(super) fn check_reach(&self, data_dir: &Path) -> Result<(), EmbeddedError> {
        if !self.is_root {
            return Ok(());
        }
        for directory in data_dir.ancestors() {
            let metadata = fs::metadata(directory).map_err(super::file("look at", directory))?;
            let bit = match (metadata.uid() == self.uid, metadata.gid() == self.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if metadata.mode() & bit != 0 {
                continue;
            }
            if directory != data_dir {
                return Err(EmbeddedError::Unreachable {
                    user: self.name.clone(),
                    directory: directory.to_owned(),
                });
            }
            let mut permissions = metadata.permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, metadata.mode() & 0o7777 | 0o011);
            fs::set_permissions(directory, permissions).map_err(super::file("open", directory))?;
        }
        Ok(())
    }
}

async fn unprivileged() -> Option<(u32, u32)> {
    let uid = ask(&["-u", "--", UNPRIVILEGED]).await.ok()?;
    let gid = ask(&["-g", "--", UNPRIVILEGED]).await.ok()?;
    Some((uid.parse().ok()?, gid.parse().ok()?))
}

/// Asks `id`, which knows every source of users that the machine has.
async fn ask(arguments: &[&str]) -> Result<String, EmbeddedError> {
    let program = PathBuf::from("id");
    let output = Command::new(&program).args(arguments).env("LC_ALL", "C").output().await;
    let output = output.map_err(|source| EmbeddedError::Run {
        program: program.clone(),
        source,
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(EmbeddedError::Failed {
            program,
            status: output.status,
            output: text(&output.stderr),
        });
    }
    Ok(text(&output.stdout))
}

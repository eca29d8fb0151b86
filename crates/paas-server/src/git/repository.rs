//! The bare repositories of the apps.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use git2::{Oid, Repository, RepositoryInitOptions};
use paas_core::{App, Id};

/// All repositories: `<app id>.git`, made on first use.
#[derive(Debug, Clone)]
pub(crate) struct Repositories {
    directory: PathBuf,
}

impl Repositories {
    /// The repositories as they are, for one who does not push.
    pub(crate) fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Clears away what a crash has left of pushes: only before the first one.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        for entry in fs::read_dir(&directory)? {
            clear_leftovers(&entry?.path())?;
        }
        Ok(Self { directory })
    }

    /// The path of an app's repository, which is made if there is none.
    pub(super) fn ensure(&self, app: Id<App>) -> Result<PathBuf, git2::Error> {
        let path = self.path(app);
        // HEAD is written last by `init`, so a repository with one is whole.
        if !path.join("HEAD").exists() {
            let mut options = RepositoryInitOptions::new();
            options
                .bare(true)
                .mkpath(true)
                .no_dotgit_dir(true)
                .external_template(false)
                .initial_head("main");
            Repository::init_opts(&path, &options)?;
        }
        Ok(path)
    }

    /// What a ref points at now.
    pub(super) fn target(&self, app: Id<App>, reference: &str) -> Result<Option<Oid>, git2::Error> {
        let repository = Repository::open_bare(self.path(app))?;
        match repository.refname_to_id(reference) {
            Ok(id) => Ok(Some(id)),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes the repository of a destroyed app; no error when there is none.
    pub(crate) fn remove(&self, app: Id<App>) -> io::Result<()> {
        match fs::remove_dir_all(self.path(app)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self, app: Id<App>) -> PathBuf {
        self.directory.join(format!("{app}.git"))
    }
}

/// Removes what a `git` that was killed has left: a quarantine, or a lock that would refuse every later push.
fn clear_leftovers(repository: &Path) -> io::Result<()> {
    for entry in read_dir(&repository.join("objects"))? {
        let name = entry.file_name();
        if name.to_string_lossy().starts_with("tmp_objdir-") {
            fs::remove_dir_all(entry.path())?;
        }
    }
    for entry in read_dir(repository)? {
        remove_lock(&entry.path())?;
    }
    clear_locks(&repository.join("refs"))
}

fn clear_locks(directory: &Path) -> io::Result<()> {
    for entry in read_dir(directory)? {
        if entry.file_type()?.is_dir() {
            clear_locks(&entry.path())?;
        } else {
            remove_lock(&entry.path())?;
        }
    }
    Ok(())
}

fn remove_lock(path: &Path) -> io::Result<()> {
    // No ref ends with `.lock` (git check-ref-format): nothing but locks can.
    if path.extension().is_some_and(|extension| extension == "lock") {
        fs::remove_file(path)?;
    }
    Ok(())
}

fn read_dir(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_bare_and_expects_main() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::open(directory.path().to_owned()).unwrap();
        let app = Id::from_uuid(uuid::Uuid::from_u128(1));
        let path = repositories.ensure(app).unwrap();
        assert_eq!(repositories.ensure(app).unwrap(), path);
        assert_eq!(fs::read_to_string(path.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
        assert!(Repository::open(&path).unwrap().is_bare());
        assert_eq!(repositories.target(app, "refs/heads/main").unwrap(), None);

        repositories.remove(app).unwrap();
        repositories.remove(app).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_start_removes_locks_and_quarantines_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let repositories = Repositories::open(directory.path().to_owned()).unwrap();
        let path = repositories.ensure(Id::from_uuid(uuid::Uuid::from_u128(1))).unwrap();
        let (lock, quarantine) = (
            path.join("refs/heads/main.lock"),
            path.join("objects/tmp_objdir-incoming-x"),
        );
        fs::write(&lock, "").unwrap();
        fs::create_dir_all(quarantine.join("pack")).unwrap();
        fs::write(path.join("refs/heads/lock"), "").unwrap();

        Repositories::open(directory.path().to_owned()).unwrap();
        assert!(!lock.exists());
        assert!(!quarantine.exists());
        assert!(path.join("refs/heads/lock").exists());
        assert!(path.join("HEAD").exists());
    }
}

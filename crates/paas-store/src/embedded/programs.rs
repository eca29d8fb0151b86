//! The programs of PostgreSQL on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{EmbeddedError, Owner};

/// Debian has one directory per version in here.
const DEBIAN: &str = "/usr/lib/postgresql";
/// The packages for Red Hat have `/usr/pgsql-15`.
const RED_HAT: (&str, &str) = ("/usr", "pgsql-");
/// Built from source, or packaged without a version in the path.
const UNVERSIONED: [&str; 3] = ["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"];

/// One installed PostgreSQL.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) directory: PathBuf,
    /// `15`.
    pub(super) major: String,
}

impl Programs {
    /// Those that made the cluster in `data`, or the newest when there is none yet.
    pub(super) async fn find(given: Option<&Path>, data: &Path, owner: &Owner) -> Result<Self, EmbeddedError> {
        let directories = given.map_or_else(usual_directories, |directory| vec![directory.to_owned()]);
        let mut installed = Vec::new();
        for directory in directories {
            installed.extend(Self::look_at(directory, owner).await);
        }
        // The newest last; of two alike, the one in the more usual place.
        installed.reverse();
        installed.sort_by_key(|programs| programs.major.parse::<u32>().unwrap_or(0));
        let version_file = data.join("PG_VERSION");
        let made_by = match fs::read_to_string(&version_file) {
            Ok(text) => text.trim().to_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return installed.pop().ok_or(EmbeddedError::NoPrograms);
            }
            Err(error) => return Err(super::file("read", &version_file)(error)),
        };
        let majors: Vec<_> = installed.iter().map(|programs| programs.major.clone()).collect();
        if majors.is_empty() {
            return Err(EmbeddedError::NoPrograms);
        }
        installed
            .into_iter()
            .rfind(|programs| programs.major == made_by)
            .ok_or_else(|| EmbeddedError::OtherMajor {
                directory: data.to_owned(),
                made_by,
                installed: majors.join(", "),
            })
    }

    pub(super) fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    pub(super) fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    async fn look_at(directory: PathBuf, owner: &Owner) -> Option<Self> {
        let mut programs = Self {
            directory,
            major: String::new(),
        };
        if !programs.postgres().is_file() || !programs.initdb().is_file() {
            return None;
        }
        let output = owner
            .command(programs.postgres())
            .arg("--version")
            .output()
            .await
            .ok()?;
        programs.major = major(&String::from_utf8_lossy(&output.stdout))?;
        Some(programs)
    }
}

fn usual_directories() -> Vec<PathBuf> {
    let entries = |directory| {
        fs::read_dir(directory)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    let is_red_hat = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(RED_HAT.1)
    };
    entries(DEBIAN)
        .chain(entries(RED_HAT.0).filter(is_red_hat))
        .map(|directory| directory.join("bin"))
        .chain(UNVERSIONED.map(PathBuf::from))
        .collect()
}

/// `postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)` → `15`.
fn major(version: &str) -> Option<String> {
    let number = version.split_once("(PostgreSQL)")?.1.trim_start();
    let major: String = number.chars().take_while(char::is_ascii_digit).collect();
    (!major.is_empty()).then_some(major)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        let debian = "postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n";
        assert_eq!(major(debian).as_deref(), Some("15"));
        assert_eq!(major("postgres (PostgreSQL) 18beta1").as_deref(), Some("18"));
        assert_eq!(major("mysqld 8"), None);
    }
}

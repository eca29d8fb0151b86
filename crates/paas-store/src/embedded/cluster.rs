//! The files of a cluster.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

use super::{EmbeddedError, EmbeddedOptions, Owner, Programs, ROLE, file};
use crate::seal::to_hex;

/// `struct sockaddr_un` holds 108 bytes with the final NUL (unix(7)); PostgreSQL names its socket so.
const LONGEST_SOCKET_PATH: usize = 107;
const SOCKET_NAME: &str = ".s.PGSQL.5432";
/// The log is looked at when something is wrong: a few starts' worth is plenty.
const LONGEST_LOG: u64 = 8 * 1024 * 1024;
const LONGEST_LOG_EXCERPT: u64 = 4 * 1024;

/// Small, because it holds one platform's state and shares a small machine with its apps.
const SETTINGS: [(&str, &str); 22] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("cluster_name", "paas"),
    ("max_connections", "40"),
    ("shared_buffers", "24MB"),
    ("max_worker_processes", "1"),
    ("max_parallel_workers", "0"),
    ("max_logical_replication_workers", "0"),
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    ("min_wal_size", "32MB"),
    ("max_wal_size", "256MB"),
    ("wal_buffers", "1MB"),
    ("huge_pages", "off"),
    ("jit", "off"),
    ("autovacuum_max_workers", "1"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] "),
    // Neither statements nor the rows of a violated constraint belong in a log.
    ("log_min_error_statement", "panic"),
    ("log_error_verbosity", "terse"),
    ("lc_messages", "C"),
];

/// A database directory, ready to be served.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) owner: Owner,
    pub(super) programs: Programs,
    pub(super) data: PathBuf,
    pub(super) socket_directory: PathBuf,
    pub(super) log: PathBuf,
    settings: Vec<(String, String)>,
}

impl Cluster {
    /// Finds everything, and makes the database when there is none.
    pub(super) async fn prepare(data_dir: &Path, options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let base = data_dir.join("postgres");
        let data = base.join("data");
        let owner = Owner::of(&data).await?;
        let programs = Programs::find(options.programs.as_deref(), &data, &owner).await?;
        owner.check_reach(data_dir)?;
        make_directory(&base, &owner)?;
        let cluster = Self {
            socket_directory: socket_directory(&base, &owner)?,
            log: base.join("postgres.log"),
            settings: options.settings,
            owner,
            programs,
            data,
        };
        if !cluster.data.exists() {
            cluster.initialise(&base).await?;
        }
        Ok(cluster)
    }

    /// Writes all configuration anew: it is ours, and may come from an older version of us.
    pub(super) fn configure(&self) -> Result<(), EmbeddedError> {
        let mut settings: Vec<(&str, &str)> = SETTINGS.to_vec();
        let directory = self.socket_directory.to_string_lossy();
        settings.push(("unix_socket_directories", &directory));
        // Of a setting that comes twice the last counts.
        settings.extend(
            self.settings
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let lines = settings
            .iter()
            .map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
        self.write("postgresql.conf", &lines.collect::<String>())?;
        self.write("pg_hba.conf", &format!("local all {ROLE} peer map=paas\n"))?;
        self.write("pg_ident.conf", &format!("paas \"{}\" {ROLE}\n", self.owner.client))
    }

    pub(super) fn remove_stale_pid_file(&self) -> Result<(), EmbeddedError> {
        let path = self.data.join("postmaster.pid");
        tracing::warn!(path = %path.display(), "removing the pid file of a PostgreSQL that is gone");
        fs::remove_file(&path).map_err(file("remove", &path))
    }

    /// The log, for appending; an overlong one makes room first.
    pub(super) fn open_log(&self) -> Result<File, EmbeddedError> {
        if self.log_length() > LONGEST_LOG {
            fs::rename(&self.log, self.log.with_extension("log.old")).map_err(file("rename", &self.log))?;
        }
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.log);
        let log = log.map_err(file("open", &self.log))?;
        self.owner.take(&self.log)?;
        Ok(log)
    }

    pub(super) fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// What the server has said since; the end of it when that is much.
    pub(super) fn log_since(&self, start: u64) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut log = File::open(&self.log)?;
            let length = log.metadata()?.len();
            let start = if start > length { 0 } else { start };
            log.seek(SeekFrom::Start(start.max(length.saturating_sub(LONGEST_LOG_EXCERPT))))?;
            let mut bytes = Vec::new();
            log.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).trim().to_owned()
    }

    /// Runs `initdb` beside the final place: a crash halfway leaves nothing that looks like a database.
    async fn initialise(&self, base: &Path) -> Result<(), EmbeddedError> {
        let draft = base.join("data.new");
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(file("remove", &draft))?;
        }
        let program = self.programs.initdb();
        let output = self
            .owner
            .command(&program)
            .args([
                "--username",
                ROLE,
                "--encoding",
                "UTF8",
                "--locale",
                "C",
                "--data-checksums",
            ])
            .args(["--auth-local", "peer", "--auth-host", "reject", "--pgdata"])
            .arg(&draft)
            .output()
            .await
            .map_err(|source| EmbeddedError::Run {
                program: program.clone(),
                source,
            })?;
        if !output.status.success() {
            let output_text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(EmbeddedError::Failed {
                program,
                status: output.status,
                output: output_text,
            });
        }
        fs::rename(&draft, &self.data).map_err(file("rename", &draft))?;
        let synced = File::open(base).and_then(|directory| directory.sync_all());
        synced.map_err(file("sync", base))
    }

    fn write(&self, name: &str, text: &str) -> Result<(), EmbeddedError> {
        let path = self.data.join(name);
        let draft = self.data.join(format!("{name}.new"));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&draft)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(file("write", &draft))?;
        self.owner.take(&draft)?;
        fs::rename(&draft, &path).map_err(file("replace", &path))
    }
}

/// A directory that only its owner can look into.
fn make_directory(path: &Path, owner: &Owner) -> Result<(), EmbeddedError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => owner.take(path),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(file("create", path)(error)),
    }
}

/// `run/`, unless the path of the socket would be too long for the kernel: then a short one that nobody else can have made.
fn socket_directory(base: &Path, owner: &Owner) -> Result<PathBuf, EmbeddedError> {
    let mut directory = base.join("run");
    if directory.join(SOCKET_NAME).as_os_str().len() > LONGEST_SOCKET_PATH {
        let digest = Sha256::digest(base.as_os_str().as_encoded_bytes());
        directory = PathBuf::from(format!("/tmp/paas-{}", to_hex(&digest[..12])));
    }
    make_directory(&directory, owner)?;
    // In `/tmp` anybody may have been here first, with a link or a directory of their own.
    let metadata = fs::symlink_metadata(&directory).map_err(file("look at", &directory))?;
    if metadata.is_dir() && metadata.uid() == owner.uid && metadata.mode() & 0o777 == 0o700 {
        Ok(directory)
    } else {
        Err(EmbeddedError::SocketDirectory { directory })
    }
}

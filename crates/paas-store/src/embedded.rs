//! Postgres as a child: the database of a platform that was given no other.
//!
//! ```text
//! <data dir>/postgres/data           the cluster, owned by the unprivileged user that the server runs as
//!                    /run            its unix socket: there is no other way in, and only our own user may use it
//!                    /postgres.log   what the server has to say
//! ```
//! The server is in a process group of its own and outlives us when we are killed; the next start adopts it. Nothing here
//! goes through a shell, and no password exists: the kernel tells the server who we are (PostgreSQL, *Peer Authentication*).

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use thiserror::Error;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::DatabaseAddress;

mod cluster;
mod owner;
mod postmaster;
mod programs;
mod server;

use cluster::Cluster;
use owner::Owner;
use postmaster::Postmaster;
use programs::Programs;
use server::Server;

/// Long enough for the recovery of all the log that `max_wal_size` lets pile up.
const START_DEADLINE: Duration = Duration::from_mins(1);
/// How long the remains of a dead server may keep the next one from starting: backends that have not noticed yet, and a
/// postmaster that nobody has reaped.
const REMAINS_DEADLINE: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// The role and the database of the platform.
const ROLE: &str = "paas";
const DATABASE: &str = "paas";

/// A running server whose files are below `<data dir>/postgres/`. It listens on a unix socket only, and lets in only the
/// operating-system user that started it. It outlives us when we are killed; the next start adopts it.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    cluster: Cluster,
    address: DatabaseAddress,
    server: Server,
}

/// How to run the server. `Default` is for a platform.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedOptions {
    /// Where `postgres` and `initdb` are; else the newest of the usual places.
    pub programs: Option<PathBuf>,
    /// Settings that differ from ours: `("fsync", "off")`.
    pub settings: Vec<(String, String)>,
}

/// Why there is no server, and what to do.
#[derive(Debug, Error)]
pub enum EmbeddedError {
    #[error("no PostgreSQL on this machine: install it (`apt-get install postgresql`), or give `--database-url`")]
    NoPrograms,
    #[error(
        "database in {directory} was made by PostgreSQL {made_by}, but only {installed} is installed: install PostgreSQL \
         {made_by} again, or move the database with `pg_upgrade` (or a dump made with the programs of {made_by})"
    )]
    OtherMajor {
        directory: PathBuf,
        made_by: String,
        installed: String,
    },
    #[error(
        "no user `{name}` to run PostgreSQL as, which refuses root: `useradd --system {name}`, or do not run as root"
    )]
    NoUser { name: &'static str },
    #[error(
        "user {user} cannot pass through {directory}, above the database: `chmod o+x {directory}`, or move the data dir"
    )]
    Unreachable { user: String, directory: PathBuf },
    #[error("socket directory {directory} belongs to somebody else, or lets others in: remove it")]
    SocketDirectory { directory: PathBuf },
    #[error("{doing} {path}")]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("run {program}")]
    Run {
        program: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{program} ended with {status}: {output}")]
    Failed {
        program: PathBuf,
        status: ExitStatus,
        output: String,
    },
    #[error("PostgreSQL ended when it was started: {output}")]
    Ended { output: String },
    #[error("PostgreSQL did not answer within {} s; see {log}", START_DEADLINE.as_secs())]
    NoAnswer {
        log: PathBuf,
        #[source]
        source: Option<sqlx::Error>,
    },
    #[error("create the database")]
    CreateDatabase(#[source] sqlx::Error),
    #[error("PostgreSQL (pid {pid}) did not stop; see {log}")]
    DoesNotStop { pid: u32, log: PathBuf },
}

impl EmbeddedPostgres {
    /// Makes the database when there is none, then adopts its server or starts it, and waits until it answers.
    pub async fn start(data_dir: &Path, options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        fs::create_dir_all(data_dir).map_err(file("create", data_dir))?;
        let data_dir = fs::canonicalize(data_dir).map_err(file("find", data_dir))?;
        let cluster = Cluster::prepare(&data_dir, options).await?;
        let address = DatabaseAddress::of_socket(&cluster.socket_directory, ROLE, DATABASE);
        let server = bring_up(&cluster, &address).await?;
        Ok(Self {
            cluster,
            address,
            server,
        })
    }

    pub fn address(&self) -> &DatabaseAddress {
        &self.address
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.server.pid
    }

    /// The directory of `pg_dump`, `pg_restore` and their kin, of the server's own version.
    pub fn programs(&self) -> &Path {
        &self.cluster.programs.directory
    }

    /// Starts the server again whenever it ends, until `stop`; then stops it (see [`Self::stop`]).
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), EmbeddedError> {
        loop {
            tokio::select! {
                () = stop.cancelled() => return self.stop().await,
                () = self.server.ended() => {}
            }
            tracing::error!(pid = self.server.pid, "PostgreSQL ended by itself, starting it again");
            let mut pause = FIRST_RETRY;
            loop {
                // Not raced against `stop`: a start that is dropped halfway would leave a server that nobody knows.
                match bring_up(&self.cluster, &self.address).await {
                    Ok(server) => {
                        tracing::info!(pid = server.pid, "PostgreSQL answers again");
                        self.server = server;
                        break;
                    }
                    Err(error) => {
                        let error: &dyn std::error::Error = &error;
                        tracing::error!(error, "cannot start PostgreSQL again, will retry");
                    }
                }
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = sleep(pause) => pause = (pause * 2).min(LAST_RETRY),
                }
            }
        }
    }

    /// Stops the server: open transactions are rolled back, everything committed is on disk.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        self.server.stop(&self.cluster).await
    }
}

/// Adopts the server of the cluster, or starts one; returns once it answers.
async fn bring_up(cluster: &Cluster, address: &DatabaseAddress) -> Result<Server, EmbeddedError> {
    let remains_deadline = Instant::now() + REMAINS_DEADLINE;
    loop {
        match Postmaster::of(&cluster.data) {
            Postmaster::Running(pid) => {
                if let Some(server) = until_ready(cluster, address, Server::adopt(pid, cluster)).await? {
                    tracing::info!(pid, "adopted the PostgreSQL that already runs");
                    return Ok(server);
                }
                continue;
            }
            Postmaster::Zombie if Instant::now() < remains_deadline => {
                sleep(LOOK_EVERY).await;
                continue;
            }
            Postmaster::Stale => cluster.remove_stale_pid_file()?,
            Postmaster::Zombie | Postmaster::None => {}
        }
        cluster.configure()?;
        let log_start = cluster.log_length();
        let server = Server::spawn(cluster)?;
        if let Some(server) = until_ready(cluster, address, server).await? {
            return Ok(server);
        }
        let output = cluster.log_since(log_start);
        let remains = output.contains("lock file") || output.contains("pre-existing shared memory");
        if !remains || Instant::now() > remains_deadline {
            return Err(EmbeddedError::Ended { output });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Waits until the server answers; `None` when it ends before it does.
async fn until_ready(
    cluster: &Cluster,
    address: &DatabaseAddress,
    mut server: Server,
) -> Result<Option<Server>, EmbeddedError> {
    let deadline = Instant::now() + START_DEADLINE;
    loop {
        let source = match timeout(CONNECT_TIMEOUT, PgConnection::connect_with(&address.0)).await {
            Ok(Ok(connection)) => {
                // The answer counts, not the goodbye.
                drop(connection.close().await);
                return Ok(Some(server));
            }
            Ok(Err(error)) if is_code(&error, "3D000") => {
                create_database(address).await?;
                continue;
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if server.has_ended() {
            return Ok(None);
        }
        if Instant::now() > deadline {
            return Err(EmbeddedError::NoAnswer {
                log: cluster.log.clone(),
                source,
            });
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn create_database(address: &DatabaseAddress) -> Result<(), EmbeddedError> {
    let create = async {
        let mut connection = PgConnection::connect_with(&address.with_database("postgres").0).await?;
        match sqlx::raw_sql("create database paas").execute(&mut connection).await {
            Err(error) if !is_code(&error, "42P04") => return Err(error),
            _ => {}
        }
        connection.close().await
    };
    create.await.map_err(EmbeddedError::CreateDatabase)
}

fn is_code(error: &sqlx::Error, code: &str) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|found| found == code)
}

/// Context for a failed file operation.
fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedError {
    let path = path.to_owned();
    move |source| EmbeddedError::File { doing, path, source }
}

#[cfg(test)]
mod tests;

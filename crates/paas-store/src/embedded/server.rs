//! The process of the server: our child, or one that we adopted.

use std::{path::PathBuf, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::Child,
    time::{sleep, timeout},
};

use super::{Cluster, EmbeddedError, postmaster::is_running};

/// How often an adopted server is looked at: the kernel tells only about children.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A fast stop rolls back and writes a checkpoint.
const FAST_STOP: Duration = Duration::from_secs(30);
const IMMEDIATE_STOP: Duration = Duration::from_secs(10);

/// A running postmaster. Dropping this leaves it running.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) pid: u32,
    child: Option<Child>,
    data: PathBuf,
}

impl Server {
    pub(super) fn spawn(cluster: &Cluster) -> Result<Self, EmbeddedError> {
        let program = cluster.programs.postgres();
        let log = cluster.open_log()?;
        let copy = log.try_clone().map_err(super::file("open", &cluster.log))?;
        let mut command = cluster.owner.command(&program);
        command
            .arg("-D")
            .arg(&cluster.data)
            .stdin(Stdio::null())
            .stdout(copy)
            .stderr(log)
            // Of its own, so that a Ctrl-C or a hang-up meant for us does not reach it.
            .process_group(0);
        let child = command
            .spawn()
            .map_err(|source| EmbeddedError::Run { program, source })?;
        let pid = child.id().unwrap_or_default();
        Ok(Self {
            pid,
            child: Some(child),
            data: cluster.data.clone(),
        })
    }

    pub(super) fn adopt(pid: u32, cluster: &Cluster) -> Self {
        Self {
            pid,
            child: None,
            data: cluster.data.clone(),
        }
    }

    /// Waits until the process has ended; reaps it when it is our child.
    pub(super) async fn ended(&mut self) {
        if let Some(child) = &mut self.child
            && child.wait().await.is_ok()
        {
            return;
        }
        while is_running(self.pid, &self.data) {
            sleep(LOOK_EVERY).await;
        }
    }

    /// Whether the process has ended by now; reaps it when it is our child.
    pub(super) fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().is_ok_and(|status| status.is_some()),
            None => !is_running(self.pid, &self.data),
        }
    }

    /// Fast, then immediate (PostgreSQL, *Shutting Down the Server*); never kills, which could leave shared memory behind.
    pub(super) async fn stop(&mut self, cluster: &Cluster) -> Result<(), EmbeddedError> {
        for (signal, patience) in [(Signal::INT, FAST_STOP), (Signal::QUIT, IMMEDIATE_STOP)] {
            if self.has_ended() {
                return Ok(());
            }
            let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
            // It may have ended since we looked; then the wait below ends too.
            let sent = pid.map(|pid| kill_process(pid, signal));
            tracing::debug!(pid = self.pid, ?signal, ?sent, "stopping PostgreSQL");
            if timeout(patience, self.ended()).await.is_ok() {
                return Ok(());
            }
        }
        Err(EmbeddedError::DoesNotStop {
            pid: self.pid,
            log: cluster.log.clone(),
        })
    }
}

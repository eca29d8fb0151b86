//! Programs beside what a container runs already.

use std::{pin::pin, time::Duration};

use bollard::{
    errors::Error,
    exec::{StartExecOptions, StartExecResults},
    models::ExecConfig,
    query_parameters::ResizeExecOptionsBuilder,
};
use futures_util::{StreamExt as _, stream::BoxStream};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    DockerEngine,
    error::{self, Explain as _},
    hijack::Hijacked,
    run::{feed, forward},
};
use crate::{ContainerId, EngineError, ExecSpec, Input, Output, Result, TerminalSize};

const RUNNING: &str = "running a program in a container";
/// What a program ends with that was hung up on: 128 + SIGHUP.
const HUNG_UP: i32 = 129;
/// Docker knows how a program ended a moment after its output did.
const VERDICT_LIMIT: Duration = Duration::from_secs(10);
/// For programs that only send a signal.
const QUIET_LIMIT: Duration = Duration::from_secs(10);
/// Docker hands the streams over before it starts the program.
const START_LIMIT: Duration = Duration::from_secs(1);
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// In the environment of all that belongs to one program.
const MARK: &str = "PAAS_EXEC";

/// Finds all processes with a mark, and hangs up on them: Docker itself can signal a container, but no program in it.
const HANG_UP_ON: &str = r#"for process in /proc/[0-9]*; do
if grep -q "$0" "$process/environ" 2>/dev/null; then kill -HUP "${process#/proc/}" 2>/dev/null; fi
done"#;

impl DockerEngine {
    pub(super) async fn exec_program(
        &self,
        id: &ContainerId,
        exec: &ExecSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Option<i32>> {
        let running = self.inspect_container(id.as_str()).await?;
        if !running.is_some_and(|container| container.is_running()) {
            return Ok(None);
        }
        // Nothing else has it.
        let mark = format!("{MARK}={}", Uuid::new_v4());
        let has_terminal = exec.terminal.is_some();
        let mut environment = exec.environment.to_assignments();
        environment.push(mark.clone());
        let config = ExecConfig {
            cmd: Some(exec.command.clone()),
            env: Some(environment),
            tty: Some(has_terminal),
            console_size: exec.terminal.map(|size| vec![size.rows.into(), size.columns.into()]),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let created = match self.docker.create_exec(id.as_str(), config).await {
            Err(error) if is_gone(&error) => return Ok(None),
            created => created.explain(self, RUNNING)?.id,
        };
        let body = format!(r#"{{"Detach":false,"Tty":{has_terminal}}}"#);
        let Hijacked { input, output: said } = match self
            .hijack(&format!("/exec/{created}/start"), &body, has_terminal)
            .await
        {
            Err(error) if is_gone(&error) => return Ok(None),
            hijacked => hijacked.explain(self, RUNNING)?,
        };
        if let Some(size) = exec.terminal {
            self.resize_exec_terminal(&created, size).await;
        }

        let spoken = {
            // Its output says when it has ended; there is nothing else to wait for.
            let (_ended, has_ended) = watch::channel(false);
            let speak = pin!(forward(said.into_stream(), output, has_ended));
            let listen = pin!(feed(stdin, input, |size| self.resize_exec_terminal(&created, size)));
            tokio::select! {
                spoken = speak => Some(spoken),
                never = listen => match never {},
                () = cancel.cancelled() => None,
            }
        };
        // The connection is closed by now. While one is open that nobody reads, Docker sees no program of the container end
        // (moby#53614), and so not the one that hangs up either.
        if let Some(spoken) = spoken {
            spoken.explain(self, RUNNING)?;
            return self.verdict(&created, has_terminal).await.map(Some);
        }
        self.hang_up_on(id, &created, &mark).await?;
        Ok(Some(HUNG_UP))
    }

    async fn hang_up_on(&self, id: &ContainerId, exec: &str, mark: &str) -> Result<()> {
        // Before it is there nobody would find it.
        let has_started = async {
            while let Some(seen) = self.docker.inspect_exec(exec).await.explain_if_found(self, RUNNING)?
                && seen.pid.is_none_or(|pid| pid <= 0)
                && seen.exit_code.is_none()
            {
                sleep(LOOK_AGAIN).await;
            }
            Ok(())
        };
        timeout(START_LIMIT, has_started).await.unwrap_or(Ok(()))?;
        let hang_up = ["/bin/sh", "-c", HANG_UP_ON, mark].map(str::to_owned).to_vec();
        match self.exec_quietly(id, hang_up).await {
            // Its container has ended, and it with that.
            Err(error) if is_gone(&error) => Ok(()),
            hung_up => hung_up.explain(self, RUNNING).map(drop),
        }
    }

    pub(super) async fn hang_up_container(&self, id: &ContainerId) -> Result<()> {
        let command = ["/bin/sh", "-c", "kill -HUP -1"].map(str::to_owned).to_vec();
        if self.exec_quietly(id, command).await.is_ok_and(|code| code == Some(0)) {
            return Ok(());
        }
        // No shell in the image, or no process more: its first one at least.
        self.kill(id, "SIGHUP").await
    }

    /// Runs a program whose words count for nothing, and says how it ended; `None` when that does not show in time.
    pub(super) async fn exec_quietly(&self, id: &ContainerId, command: Vec<String>) -> Result<Option<i64>, Error> {
        let config = ExecConfig {
            cmd: Some(command),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(id.as_str(), config).await?;
        let started = self.docker.start_exec(&exec.id, None::<StartExecOptions>).await?;
        let ended = async {
            if let StartExecResults::Attached { output, .. } = started {
                output.for_each(async |_| {}).await;
            }
            self.exit_code(&exec.id).await
        };
        timeout(QUIET_LIMIT, ended).await.ok().transpose()
    }

    async fn verdict(&self, exec: &str, has_terminal: bool) -> Result<i32> {
        let Ok(ended) = timeout(VERDICT_LIMIT, self.exit_code(exec)).await else {
            // What has left its terminal and goes on is not waited for. Of a pipe, somebody counts on how it ended: what nobody
            // knows is no success.
            return if has_terminal {
                Ok(0)
            } else {
                Err(EngineError::Broken {
                    doing: RUNNING,
                    source: "Docker did not say how it ended".into(),
                })
            };
        };
        // With its container gone, nobody knows any more.
        let code = ended.explain_if_found(self, RUNNING)?;
        Ok(code.map_or(HUNG_UP, |code| i32::try_from(code).unwrap_or(-1)))
    }

    async fn exit_code(&self, exec: &str) -> Result<i64, Error> {
        loop {
            let seen = self.docker.inspect_exec(exec).await?;
            if let (Some(false), Some(code)) = (seen.running, seen.exit_code) {
                return Ok(code);
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    async fn resize_exec_terminal(&self, exec: &str, TerminalSize { columns, rows }: TerminalSize) {
        let options = ResizeExecOptionsBuilder::new().w(columns.into()).h(rows.into()).build();
        // It may have ended already, and a wrong size is no reason to stop.
        if let Err(error) = self.docker.resize_exec(exec, options).await {
            tracing::debug!(%exec, %error, "the terminal keeps its size");
        }
    }
}

/// 404: no container; 409: it does not run.
fn is_gone(error: &Error) -> bool {
    matches!(error::status(error), Some(404 | 409))
}

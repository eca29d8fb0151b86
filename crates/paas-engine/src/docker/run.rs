//! Running a container to its end, with its streams attached before it starts.

use std::{convert::Infallible, future::pending, pin::pin, time::Duration};

use bollard::{container::LogOutput, errors::Error, query_parameters::ResizeContainerTTYOptionsBuilder};
use bytes::Bytes;
use futures_util::{
    Stream, StreamExt as _,
    stream::{BoxStream, FusedStream as _},
};
use tokio::{
    io::AsyncWriteExt as _,
    net::unix::OwnedWriteHalf,
    sync::{mpsc, watch},
};
use tokio_util::sync::CancellationToken;

use super::{DockerEngine, error::Explain as _, hijack::Hijacked, start::Streams};
use crate::{
    ContainerId, ContainerSpec, ContainerState, EngineError, Exit, Input, Output, OutputStream, Result, TerminalSize,
};

const RUNNING: &str = "running a container";
/// How long a cancelled container has to end by itself.
const GRACE: Duration = Duration::from_secs(10);
/// Docker closes the output when a container has ended. Should it not, silence for this long is the end too.
const SILENCE: Duration = Duration::from_secs(5);

impl DockerEngine {
    pub(super) async fn run_container(
        &self,
        spec: &ContainerSpec,
        stdin: BoxStream<'static, Input>,
        output: mpsc::Sender<Output>,
        cancel: CancellationToken,
    ) -> Result<Exit> {
        let id = self.create_container(spec, Streams::Attached).await?;
        let path = format!("/containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1");
        let hijacked = self.hijack(&path, "", spec.terminal.is_some()).await;
        let Hijacked { input, output: said } = hijacked.explain(self, RUNNING)?;
        let said = said.into_stream();
        self.start_created(&id).await?;
        if let Some(size) = spec.terminal {
            self.resize(&id, size).await;
        }

        let (ended, has_ended) = watch::channel(false);
        let speak = pin!(forward(said, output, has_ended));
        let others = pin!(async {
            let wait = async {
                let waited = self.wait(&id).await;
                ended.send_replace(true);
                waited
            };
            let stop = async {
                cancel.cancelled().await;
                self.stop_container(&id, GRACE).await
            };
            let resize = |size| self.resize(&id, size);
            let listen = feed(stdin, input, resize);
            // Only the output says when all is over; an engine that is lost says it too.
            let lost = tokio::select! {
                Err(error) = wait => error,
                Err(error) = stop => error,
                never = listen => match never {},
                else => pending().await,
            };
            lost
        });
        tokio::select! {
            spoken = speak => spoken.explain(self, RUNNING)?,
            lost = others => return Err(lost),
        }
        self.wait(&id).await?;
        self.exit_of(&id).await
    }

    async fn resize(&self, id: &ContainerId, TerminalSize { columns, rows }: TerminalSize) {
        let options = ResizeContainerTTYOptionsBuilder::new()
            .w(columns.into())
            .h(rows.into())
            .build();
        // It may have ended already, and a wrong size is no reason to stop.
        if let Err(error) = self.docker.resize_container_tty(id.as_str(), options).await {
            tracing::debug!(container.id = %id, %error, "the terminal keeps its size");
        }
    }

    async fn exit_of(&self, id: &ContainerId) -> Result<Exit> {
        match self
            .inspect_container(id.as_str())
            .await?
            .map(|container| container.state)
        {
            Some(ContainerState::Exited(exit)) => Ok(exit),
            _ => Err(EngineError::Refused {
                doing: RUNNING,
                message: "the container vanished".to_owned(),
            }),
        }
    }
}

/// Hands on what comes in, then the end of it.
pub(super) async fn feed<R: Future<Output = ()>>(
    mut stdin: BoxStream<'static, Input>,
    mut input: OwnedWriteHalf,
    resize: impl Fn(TerminalSize) -> R,
) -> Infallible {
    while let Some(next) = stdin.next().await {
        match next {
            // A container that does not listen, or has ended, is nobody's fault.
            Input::Bytes(bytes) => {
                if input.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Input::Resize(size) => resize(size).await,
        }
    }
    if let Err(error) = input.shutdown().await {
        tracing::debug!(%error, "the input was closed from the other side");
    }
    // Dropping it would not matter, but the container may go on for long.
    pending().await
}

/// Hands on what the container says until it has ended and all was said.
pub(super) async fn forward(
    said: impl Stream<Item = Result<Output, Error>>,
    output: mpsc::Sender<Output>,
    mut has_ended: watch::Receiver<bool>,
) -> Result<(), Error> {
    let mut said = pin!(said.fuse());
    while !said.is_terminated() {
        let silence = async {
            // An error means that nobody waits any more, so that nobody will say when it ended.
            if has_ended.wait_for(|ended| *ended).await.is_err() {
                pending::<()>().await;
            }
            tokio::time::sleep(SILENCE).await;
        };
        let next = tokio::select! {
            next = said.next() => next,
            () = silence => return Ok(()),
        };
        if let Some(next) = next {
            // A receiver that went away does not stop the container.
            let _ = output.send(next?).await;
        }
    }
    Ok(())
}

/// The stream and the bytes of what was said.
pub(super) fn to_output(said: LogOutput) -> Output {
    let stream = match said {
        LogOutput::StdErr { .. } => OutputStream::Stderr,
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => OutputStream::Stdout,
    };
    let bytes: Bytes = said.into_bytes();
    Output { stream, bytes }
}

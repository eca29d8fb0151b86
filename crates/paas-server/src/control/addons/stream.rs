//! Bytes out of a program in the container of an add-on, and into one: dumps on their way.
//!
//! What is broken off never looks like an end: a program whose input fails is hung up on before it could take what came so far
//! for the whole, and so is one whose output nobody takes any more. Each program carries a mark in its environment, by which a
//! server that starts anew ends what a dead one left behind ([`hang_up`]).

mod through;

use std::{collections::VecDeque, io, sync::Arc};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use paas_engine::{ContainerId, Engine, Environment, ExecSpec, Input, OutputStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) use self::through::through;
use super::run::{COMPLAINT_BYTES, command};

/// What carries the mark of a transfer.
const MARK: &str = "PAAS_TRANSFER";
const PIECES: usize = 16;

/// Nobody waits for it as they wait for the server: among the processes of its container it comes last. An image without the
/// program does without.
const LAST: &str = "renice -n 19 -p $$ >/dev/null 2>&1 || true\n";

/// Finds all processes with a mark, and ends them.
const HANG_UP_ON: &str = r#"for process in /proc/[0-9]*; do
if grep -q "$0" "$process/environ" 2>/dev/null; then kill -TERM "${process#/proc/}" 2>/dev/null; fi
done; true"#;

/// A program in a container, and whose it is.
#[derive(Clone, Copy)]
pub(crate) struct Pipe<'a> {
    pub(crate) engine: &'a Arc<dyn Engine>,
    pub(crate) container: &'a ContainerId,
    pub(crate) script: &'a str,
    /// What it is marked with.
    pub(crate) transfer: Uuid,
    /// Ends it.
    pub(crate) cancel: &'a CancellationToken,
}

/// Runs a program that reads nothing, and hands on what it writes. It ends when nobody takes that any more.
pub(crate) async fn out_of(pipe: Pipe<'_>, sink: mpsc::Sender<Bytes>) -> Result<()> {
    pipe.run(stream::empty().boxed(), Some(sink), pipe.cancel.child_token())
        .await
}

/// Runs a program that reads these bytes to their end. Where they break off, so does the program.
pub(crate) async fn into(pipe: Pipe<'_>, source: BoxStream<'static, io::Result<Bytes>>) -> Result<()> {
    let broken = pipe.cancel.child_token();
    let (trouble, mut told) = mpsc::channel(1);
    let hang_up = broken.clone();
    let input = source.then(move |piece| {
        let (trouble, hang_up) = (trouble.clone(), hang_up.clone());
        async move {
            match piece {
                Ok(piece) => Input::Bytes(piece),
                Err(error) => {
                    let _ = trouble.try_send(error);
                    hang_up.cancel();
                    // No end of file: that would say that this was all.
                    std::future::pending().await
                }
            }
        }
    });
    let ran = pipe.run(input.boxed(), None, broken).await;
    match told.try_recv() {
        Ok(error) => Err(error).context("reading what it was to be given"),
        Err(_) => ran,
    }
}

/// Ends what a dead server began in a container.
pub(crate) async fn hang_up(engine: &Arc<dyn Engine>, container: &ContainerId, transfer: Uuid) -> Result<()> {
    let mark = format!("{MARK}={transfer}");
    let exec = ExecSpec {
        command: ["/bin/sh", "-c", HANG_UP_ON, &mark].map(str::to_owned).to_vec(),
        ..ExecSpec::default()
    };
    let (output, _) = mpsc::channel(1);
    engine
        .exec(
            container,
            &exec,
            stream::empty().boxed(),
            output,
            CancellationToken::new(),
        )
        .await
        .context("ending what a dead server began in an add-on")?;
    Ok(())
}

/// Ends what we began in a container ourselves. In one that does not run any more it has ended.
pub(crate) async fn leave(engine: &Arc<dyn Engine>, container: &ContainerId, transfer: Uuid) {
    if let Err(error) = hang_up(engine, container, transfer).await {
        tracing::debug!(
            error = format!("{error:#}"),
            "a program in an add-on was left to itself"
        );
    }
}

impl Pipe<'_> {
    async fn run(
        self,
        input: BoxStream<'static, Input>,
        sink: Option<mpsc::Sender<Bytes>>,
        cancel: CancellationToken,
    ) -> Result<()> {
        let exec = ExecSpec {
            command: command(&format!("{LAST}{}", self.script)),
            environment: Environment::default().with(MARK, self.transfer.to_string()),
            ..ExecSpec::default()
        };
        let (output, mut pieces) = mpsc::channel(PIECES);
        let run = self.engine.exec(self.container, &exec, input, output, cancel.clone());
        let listen = async {
            let mut complaint = VecDeque::new();
            let mut is_taken = true;
            while let Some(piece) = pieces.recv().await {
                match (piece.stream, &sink) {
                    (OutputStream::Stdout, Some(sink)) => {
                        if is_taken && sink.send(piece.bytes).await.is_err() {
                            is_taken = false;
                            cancel.cancel();
                        }
                    }
                    (OutputStream::Stdout, None) => {}
                    (OutputStream::Stderr, _) => {
                        complaint.extend(piece.bytes);
                        let surplus = complaint.len().saturating_sub(COMPLAINT_BYTES);
                        complaint.drain(..surplus);
                    }
                }
            }
            // Whoever reads learns of the end with how it ended, not before.
            (complaint, sink)
        };
        let (code, (complaint, _sink)) = tokio::join!(run, listen);
        match code? {
            Some(0) => Ok(()),
            Some(_) if cancel.is_cancelled() => bail!("it was broken off"),
            Some(code) => {
                let complaint: Vec<u8> = complaint.into();
                let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
                bail!("its program ended with {code}: {complaint}")
            }
            None => bail!("its container does not run any more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;
    use paas_core::{Id, ImageRef};
    use paas_engine::{Behaviour, ContainerSpec, FakeEngine, Limits, Role};
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    async fn container(engine: &FakeEngine) -> ContainerId {
        engine.add_image("server");
        let role = Role::Addon {
            addon: Id::from_uuid(Uuid::from_u128(1)),
            generation: 1,
        };
        let limits = Limits {
            memory_bytes: 1 << 20,
            cpu_weight: 1024,
            cpus: None,
            io_weight: None,
            pids: 10,
        };
        let spec = ContainerSpec::new("server", role, ImageRef::new("server"), Vec::new(), limits);
        engine.start(&spec).await.unwrap().id
    }

    async fn run<T>(behaviour: Behaviour, with: impl AsyncFnOnce(Pipe<'_>) -> T) -> T {
        let fake = FakeEngine::new(DateTime::default);
        let container = container(&fake).await;
        fake.teach_command("dump", behaviour);
        let engine: Arc<dyn Engine> = Arc::new(fake);
        let pipe = Pipe {
            engine: &engine,
            container: &container,
            script: "dump",
            transfer: Uuid::from_u128(2),
            cancel: &CancellationToken::new(),
        };
        timeout(LIMIT, with(pipe)).await.expect("it comes to an end")
    }

    #[tokio::test]
    async fn what_a_program_writes_comes_out_and_its_complaint_is_the_reason() {
        let (sink, mut taken) = mpsc::channel(4);
        let ended = run(Behaviour::exits(0).saying("one"), async |pipe| out_of(pipe, sink).await).await;
        assert!(ended.is_ok(), "{ended:?}");
        assert_eq!(taken.recv().await.unwrap(), "one\n");
        assert_eq!(taken.recv().await, None);
        let (sink, _taken) = mpsc::channel(4);
        let behaviour = Behaviour::exits(3).complaining("no such table");
        let ended = run(behaviour, async |pipe| out_of(pipe, sink).await).await;
        let error = format!("{:#}", ended.unwrap_err());
        assert!(error.contains("ended with 3: no such table"), "{error}");
    }

    #[tokio::test]
    async fn a_program_ends_when_nobody_takes_what_it_writes() {
        let (sink, taken) = mpsc::channel(1);
        drop(taken);
        let ended = run(Behaviour::runs().saying("one"), async |pipe| out_of(pipe, sink).await).await;
        assert!(ended.is_err());
    }

    #[tokio::test]
    async fn what_is_hung_up_on_may_be_gone_already() {
        let ended = run(Behaviour::exits(0), async |pipe| {
            hang_up(pipe.engine, pipe.container, pipe.transfer).await
        });
        assert!(ended.await.is_ok());
    }

    #[tokio::test]
    async fn what_breaks_off_is_no_end_of_file() {
        let pieces = |broken: bool| {
            let mut pieces = vec![Ok(Bytes::from("one"))];
            if broken {
                pieces.push(Err(io::Error::other("the file is damaged")));
            }
            stream::iter(pieces).boxed()
        };
        let ended = run(Behaviour::copies(), async |pipe| into(pipe, pieces(false)).await).await;
        assert!(ended.is_ok(), "{ended:?}");
        let ended = run(Behaviour::copies(), async |pipe| into(pipe, pieces(true)).await).await;
        let error = format!("{:#}", ended.unwrap_err());
        assert!(error.contains("the file is damaged"), "{error}");
    }
}

//! Programs in the container of an add-on, and what they read and write.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use paas_engine::{ContainerId, Engine, ExecSpec, Input, OutputStream};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;

/// What every script but the first begins with.
const WITH_CREDENTIALS: &str = "set -eu\n. /run/addon/credentials\n";
/// What the first begins with: credentials come after the start.
const UNTIL_CREDENTIALS: &str =
    "set -eu\nuntil [ -s /run/addon/credentials ]; do sleep 0.1; done\n. /run/addon/credentials\n";
/// In one go, so that nobody reads half of it. The folder is in memory, and its owner's alone.
const KEEP_CREDENTIALS: &str =
    "umask 077 && cat >/run/addon/credentials.new && mv /run/addon/credentials.new /run/addon/credentials";
/// Of what a script complains about, the end is kept.
pub(super) const COMPLAINT_BYTES: usize = 2000;

/// The argv of a server's first process.
pub(super) fn start_command(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", &format!("{UNTIL_CREDENTIALS}{script}")]
        .map(str::to_owned)
        .to_vec()
}

/// The argv of a client in its container, of another user of the server than its own where one is named. What people say is
/// beside the script, not in it.
pub(crate) fn client_command(script: &str, user: Option<&str>, arguments: Vec<String>) -> Vec<String> {
    let (becomes, name) = match user {
        Some(user) => ("USER=$0\n", user),
        None => ("", "client"),
    };
    let script = format!("{WITH_CREDENTIALS}{becomes}{script}");
    let shell = ["/bin/sh", "-c", &script, name].map(str::to_owned);
    shell.into_iter().chain(arguments).collect()
}

/// Writes credentials where the scripts read them.
pub(super) async fn give_credentials(engine: &Arc<dyn Engine>, id: &ContainerId, file: String) -> Result<()> {
    let input = stream::once(async move { Input::Bytes(Bytes::from(file)) }).boxed();
    let command = ["/bin/sh", "-c", KEEP_CREDENTIALS].map(str::to_owned).to_vec();
    succeed(engine, id, command, input, None)
        .await
        .context("giving it its credentials")
}

/// Runs a script to its end that knows these variables, too: they come through its standard input.
pub(super) async fn telling(
    engine: &Arc<dyn Engine>,
    id: &ContainerId,
    (script, variables): (&str, String),
    limit: Duration,
) -> Result<()> {
    let input = stream::once(async move { Input::Bytes(Bytes::from(variables)) }).boxed();
    let running = succeed(engine, id, command(&format!("eval \"$(cat)\"\n{script}")), input, None);
    match timeout(limit, running).await {
        Ok(ended) => ended,
        Err(_) => bail!("it took longer than {} s", limit.as_secs()),
    }
}

/// Runs a script to its end; an error says what it complained about.
pub(super) async fn script(engine: &Arc<dyn Engine>, id: &ContainerId, script: &str, limit: Duration) -> Result<()> {
    let running = succeed(engine, id, command(script), stream::empty().boxed(), None);
    match timeout(limit, running).await {
        Ok(ended) => ended,
        Err(_) => bail!("it took longer than {} s", limit.as_secs()),
    }
}

/// Runs a script to its end and gives what it said, which is little.
pub(super) async fn answer(
    engine: &Arc<dyn Engine>,
    id: &ContainerId,
    script: &str,
    limit: Duration,
) -> Result<String> {
    let (written, mut pieces) = mpsc::channel(16);
    let running = succeed(engine, id, command(script), stream::empty().boxed(), Some(written));
    let listen = async {
        let mut said = Vec::new();
        while let Some(piece) = pieces.recv().await {
            said.extend_from_slice(&piece);
        }
        said
    };
    let both = async { tokio::join!(running, listen) };
    let Ok((ended, said)) = timeout(limit, both).await else {
        bail!("it took longer than {} s", limit.as_secs());
    };
    ended?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// The argv of a script that has the credentials.
pub(super) fn command(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", &format!("{WITH_CREDENTIALS}{script}")]
        .map(str::to_owned)
        .to_vec()
}

/// Runs a program to its end. What it writes goes to `written`, if anybody wants it.
async fn succeed(
    engine: &Arc<dyn Engine>,
    id: &ContainerId,
    command: Vec<String>,
    input: BoxStream<'static, Input>,
    written: Option<mpsc::Sender<Bytes>>,
) -> Result<()> {
    let exec = ExecSpec {
        command,
        ..ExecSpec::default()
    };
    let cancel = CancellationToken::new();
    // However this ends, nobody waits for the program any longer.
    let _gone = cancel.clone().drop_guard();
    let (output, mut pieces) = mpsc::channel(16);
    let run = engine.exec(id, &exec, input, output, cancel);
    let listen = async {
        let mut complaint = VecDeque::new();
        while let Some(piece) = pieces.recv().await {
            match piece.stream {
                OutputStream::Stdout => {
                    if let Some(written) = &written
                        && written.send(piece.bytes).await.is_err()
                    {
                        break;
                    }
                }
                OutputStream::Stderr => {
                    complaint.extend(piece.bytes);
                    let surplus = complaint.len().saturating_sub(COMPLAINT_BYTES);
                    complaint.drain(..surplus);
                }
            }
        }
        complaint
    };
    let (code, complaint) = tokio::join!(run, listen);
    match code? {
        Some(0) => Ok(()),
        Some(code) => {
            let complaint: Vec<u8> = complaint.into();
            let complaint = String::from_utf8_lossy(&complaint).trim().to_owned();
            bail!("it ended with {code}: {complaint}")
        }
        None => bail!("its container does not run any more"),
    }
}

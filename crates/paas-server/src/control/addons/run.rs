//! Programs in the container of an add-on, and what they read and write.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

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
/// What is hung up on has so long to end.
const HANG_UP_LIMIT: Duration = Duration::from_secs(30);

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
    succeed(engine, id, command, input, (None, CancellationToken::new()))
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
    let script = command(&format!("eval \"$(cat)\"\n{script}"));
    let cancel = CancellationToken::new();
    let running = succeed(engine, id, script, input, (None, cancel.clone()));
    within(limit, &cancel, running).await?
}

/// Runs a script to its end; an error says what it complained about.
pub(super) async fn script(engine: &Arc<dyn Engine>, id: &ContainerId, script: &str, limit: Duration) -> Result<()> {
    let cancel = CancellationToken::new();
    let running = succeed(
        engine,
        id,
        command(script),
        stream::empty().boxed(),
        (None, cancel.clone()),
    );
    within(limit, &cancel, running).await?
}

/// Runs a script to its end and gives what it said, which is little.
pub(super) async fn answer(
    engine: &Arc<dyn Engine>,
    id: &ContainerId,
    script: &str,
    limit: Duration,
) -> Result<String> {
    let (written, mut pieces) = mpsc::channel(16);
    let cancel = CancellationToken::new();
    let running = succeed(
        engine,
        id,
        command(script),
        stream::empty().boxed(),
        (Some(written), cancel.clone()),
    );
    let listen = async {
        let mut said = Vec::new();
        while let Some(piece) = pieces.recv().await {
            said.extend_from_slice(&piece);
        }
        said
    };
    let both = async { tokio::join!(running, listen) };
    let (ended, said) = within(limit, &cancel, both).await?;
    ended?;
    Ok(String::from_utf8_lossy(&said).into_owned())
}

/// Waits so long for a program, and then hangs up on it: what is said to have failed must not come off later.
async fn within<T>(limit: Duration, cancel: &CancellationToken, running: impl Future<Output = T>) -> Result<T> {
    let mut running = pin!(running);
    if let Ok(ended) = timeout(limit, &mut running).await {
        return Ok(ended);
    }
    cancel.cancel();
    // An engine that does not answer even now ends nothing.
    let _ = timeout(HANG_UP_LIMIT, running).await;
    bail!("it took longer than {} s", limit.as_secs())
}

/// The argv of a script that has the credentials.
pub(super) fn command(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", &format!("{WITH_CREDENTIALS}{script}")]
        .map(str::to_owned)
        .to_vec()
}

/// Runs a program to its end, or until it is hung up on. What it writes goes to `written`, if anybody wants it.
async fn succeed(
    engine: &Arc<dyn Engine>,
    id: &ContainerId,
    command: Vec<String>,
    input: BoxStream<'static, Input>,
    (written, cancel): (Option<mpsc::Sender<Bytes>>, CancellationToken),
) -> Result<()> {
    let exec = ExecSpec {
        command,
        ..ExecSpec::default()
    };
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

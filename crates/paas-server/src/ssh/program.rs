//! One channel: a shell, a command, a copied file or a forwarded connection.

use std::{pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use paas_engine::{Environment, ExecSpec, Input, Output, OutputStream, TerminalSize};
use russh::{
    Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf,
    server::{Handle, Msg},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{Reservation, copy};
use crate::{
    control::{self, SHELL},
    platform::Platform,
    rendezvous::{Target, Visitor},
};

/// How many pieces wait on their way; what is beyond them waits where it comes from.
const PIECES: usize = 8;
/// Heroku's client begins to read its input when it gets the first output, says its end with a character, and dies of that when
/// the channel has ended before: a channel goes on for this long after its first output, or until something is said.
const HOLD: Duration = Duration::from_millis(500);
/// Extended data of this type is standard error (RFC 4254 §5.2).
const STDERR: u32 = 1;
/// What a terminal says at the end of its input.
const END_OF_TRANSMISSION: &[u8] = &[4];

/// Somebody who may run something.
pub(super) struct Admission {
    pub(super) platform: Arc<Platform>,
    pub(super) reservation: Arc<Reservation>,
    /// Given back at the end.
    pub(super) place: OwnedSemaphorePermit,
}

/// A program on its way, seen from the person's side.
pub(super) struct Running {
    pub(super) output: mpsc::Receiver<Output>,
    exit: oneshot::Receiver<i32>,
    gone: CancellationToken,
}

/// What bytes are joined with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program { has_terminal: bool },
    Connection,
}

impl Kind {
    const fn has_terminal(self) -> bool {
        matches!(self, Self::Program { has_terminal: true })
    }
}

/// What a client wants.
enum Asked {
    Program(ExecSpec),
    Copy,
}

/// Runs what the client asks for.
pub(super) async fn serve(admission: Admission, channel: Channel<Msg>, handle: Handle) {
    let (mut reader, writer) = channel.split();
    match asked(&mut reader, &writer, &handle).await {
        Some(Asked::Program(exec)) => {
            let kind = Kind::Program {
                has_terminal: exec.terminal.is_some(),
            };
            run(&admission, exec, (reader, writer), kind).await;
        }
        Some(Asked::Copy) => {
            copy::serve(&admission, reader, &writer).await;
            let _ = writer.close().await;
        }
        None => {
            let _ = writer.close().await;
        }
    }
    drop(admission.place);
}

/// Carries bytes to where the dyno can connect to, and back.
pub(super) async fn forward(admission: Admission, channel: Channel<Msg>, target: Target) {
    run(&admission, control::relay(&target), channel.split(), Kind::Connection).await;
    drop(admission.place);
}

impl Admission {
    /// Starts a program in the dyno.
    pub(super) fn start(&self, exec: ExecSpec, input: mpsc::Receiver<Input>) -> Running {
        let (output, said) = mpsc::channel(PIECES);
        let (exit, ended) = oneshot::channel();
        let gone = CancellationToken::new();
        let stdin = stream::unfold(input, |mut input| async { Some((input.recv().await?, input)) });
        let visitor = Visitor {
            stdin: stdin.boxed(),
            output,
            gone: gone.clone(),
            exit,
            target: None,
        };
        let (platform, reservation) = (Arc::clone(&self.platform), Arc::clone(&self.reservation));
        self.platform.tracker.spawn(async move {
            let Reservation { container, session, .. } = &*reservation;
            control::join(&platform, container, &exec, visitor, session).await;
        });
        Running {
            output: said,
            exit: ended,
            gone,
        }
    }
}

impl Running {
    /// How it ended; `None` when that is not known.
    pub(super) async fn ended(mut self) -> Option<i32> {
        (&mut self.exit).await.ok()
    }

    /// Ends it, and waits for that.
    pub(super) async fn hang_up(mut self) {
        self.gone.cancel();
        self.output.close();
        self.ended().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gone.cancel();
    }
}

/// Listens until the client says what it wants: a channel is good for one program (RFC 4254 §6.5).
async fn asked(reader: &mut ChannelReadHalf, writer: &ChannelWriteHalf<Msg>, handle: &Handle) -> Option<Asked> {
    let mut environment = Environment::new();
    let mut terminal = None;
    loop {
        let command = match reader.wait().await? {
            ChannelMsg::RequestPty {
                term,
                col_width,
                row_height,
                ..
            } => {
                let usual = TerminalSize::USUAL;
                terminal = Some(TerminalSize {
                    columns: side(col_width).unwrap_or(usual.columns),
                    rows: side(row_height).unwrap_or(usual.rows),
                });
                environment = environment.with("TERM", term);
                handle.channel_success(writer.id()).await.ok()?;
                continue;
            }
            ChannelMsg::WindowChange {
                col_width, row_height, ..
            } => {
                terminal = terminal.and(size(col_width, row_height)).or(terminal);
                continue;
            }
            // Nobody wants more than the terminal's name; OpenSSH offers its language, and hears no.
            ChannelMsg::SetEnv { .. } | ChannelMsg::AgentForward { .. } | ChannelMsg::RequestX11 { .. } => {
                handle.channel_failure(writer.id()).await.ok()?;
                continue;
            }
            ChannelMsg::RequestShell { .. } => SHELL.to_owned(),
            ChannelMsg::Exec { command, .. } => match String::from_utf8(command) {
                Ok(command) if !command.contains('\0') => command,
                _ => {
                    handle.channel_failure(writer.id()).await.ok()?;
                    return None;
                }
            },
            ChannelMsg::RequestSubsystem { name, .. } => {
                if name != "sftp" {
                    handle.channel_failure(writer.id()).await.ok()?;
                    return None;
                }
                handle.channel_success(writer.id()).await.ok()?;
                return Some(Asked::Copy);
            }
            ChannelMsg::Eof | ChannelMsg::Close => return None,
            _ => continue,
        };
        handle.channel_success(writer.id()).await.ok()?;
        return Some(Asked::Program(ExecSpec {
            command: control::launch_command(&command),
            environment,
            terminal,
        }));
    }
}

/// Joins a program and a channel until either has ended.
async fn run(
    admission: &Admission,
    exec: ExecSpec,
    (reader, writer): (ChannelReadHalf, ChannelWriteHalf<Msg>),
    kind: Kind,
) {
    let (input, heard) = mpsc::channel(PIECES);
    let mut running = admission.start(exec, heard);
    let is_heard = Notify::new();
    let mut listening = pin!(listen(reader, input, kind, &is_heard));
    let began = tokio::select! {
        began = speak(&mut running.output, &writer, kind) => began,
        // They have gone, and the program hears of it.
        () = &mut listening => return,
    };
    let Ok(began) = began else { return };
    if let Some(began) = began
        && kind.has_terminal()
    {
        tokio::select! {
            () = sleep_until(began + HOLD) => {}
            () = is_heard.notified() => {}
            () = &mut listening => return,
        }
    }
    if let Some(code) = running.ended().await
        && kind != Kind::Connection
    {
        let _ = writer.exit_status(code.cast_unsigned()).await;
    }
    let _ = writer.eof().await;
    let _ = writer.close().await;
}

/// Hands on what the person says. Ends when the channel does.
async fn listen(mut reader: ChannelReadHalf, input: mpsc::Sender<Input>, kind: Kind, is_heard: &Notify) {
    let mut input = Some(input);
    while let Some(message) = reader.wait().await {
        let heard = match message {
            ChannelMsg::Data { data } => {
                is_heard.notify_one();
                Input::Bytes(data)
            }
            ChannelMsg::WindowChange {
                col_width, row_height, ..
            } => match size(col_width, row_height) {
                Some(size) => Input::Resize(size),
                None => continue,
            },
            ChannelMsg::Eof if kind.has_terminal() => Input::Bytes(END_OF_TRANSMISSION.into()),
            ChannelMsg::Eof => {
                input = None;
                continue;
            }
            ChannelMsg::Close => return,
            _ => continue,
        };
        if let Some(sender) = &input
            && sender.send(heard).await.is_err()
        {
            // The program reads no more; what comes is thrown away.
            input = None;
        }
    }
}

/// Says what the program says, to its end. When that began; an error when nobody is there any more.
async fn speak(
    output: &mut mpsc::Receiver<Output>,
    writer: &ChannelWriteHalf<Msg>,
    kind: Kind,
) -> Result<Option<Instant>, russh::Error> {
    let mut began = None;
    while let Some(Output { stream, bytes }) = output.recv().await {
        match stream {
            OutputStream::Stdout => writer.data_bytes(bytes).await?,
            // A connection that could not be made just ends: it has no place for words.
            OutputStream::Stderr if kind == Kind::Connection => {}
            OutputStream::Stderr => writer.extended_data_bytes(STDERR, bytes).await?,
        }
        began = began.or_else(|| Some(Instant::now()));
    }
    Ok(began)
}

fn size(columns: u32, rows: u32) -> Option<TerminalSize> {
    Some(TerminalSize {
        columns: side(columns)?,
        rows: side(rows)?,
    })
}

/// `None` for a client that has not measured: zero counts as nothing said (RFC 4254 §6.2).
fn side(length: u32) -> Option<u16> {
    u16::try_from(length).ok().filter(|length| *length > 0)
}

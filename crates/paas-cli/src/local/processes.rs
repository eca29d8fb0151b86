//! The processes of `local`: started together, heard together, stopped together.
//!
//! Each is the head of a process group of its own, so that what its shell has started goes with it.

use std::{
    io::{BufRead as _, BufReader, Read},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
    time::{Duration, Instant},
};

use chrono::{DateTime, Local};
use rustix::process::{Pid, Signal, kill_process_group};

use super::env_file::Variables;
use crate::{
    error::Result,
    exit,
    output::{Output, Style},
    signals::Signals,
};

/// What is to be started.
#[derive(Debug)]
pub(super) struct Process {
    /// `web.1`
    pub(super) name: String,
    pub(super) command: String,
    pub(super) port: u16,
}

/// As long as a dyno has between SIGTERM and SIGKILL.
const GRACE: Duration = Duration::from_secs(30);
/// What the last words of a process may take to come through its pipe.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// A line that is longer is shown in pieces.
const LONGEST_LINE: u64 = 64 * 1024;
/// Lines that wait to be shown; whoever writes faster waits.
const QUEUE: usize = 256;

const STYLES: [Style; 6] = [
    Style::Magenta,
    Style::Blue,
    Style::Cyan,
    Style::Green,
    Style::Yellow,
    Style::Red,
];

enum Event {
    Line(usize, String),
    /// Both streams of a process are closed.
    Silent,
    Ended(usize, ExitStatus),
    Asked(i32),
}

/// Runs until all of them have ended. The one that ended first, by itself, decides about the exit code.
pub(super) fn run(processes: &[Process], variables: &Variables, output: Output) -> Result<()> {
    let (tell, events) = sync_channel(QUEUE);
    let asked = tell.clone();
    // Before the first process, or a Ctrl-C in between would leave it behind.
    let signals = Signals::listen()?.tell(move |signal| asked.send(Event::Asked(signal)).is_ok())?;
    let width = processes
        .iter()
        .map(|process| process.name.len())
        .max()
        .unwrap_or_default();
    let mut show = Show {
        processes,
        width,
        output,
    };
    let mut groups = Groups::default();
    let done = start(processes, variables, &tell, &mut groups).and_then(|()| follow(&events, &mut groups, &mut show));
    groups.signal(Signal::KILL);
    signals.close();
    done
}

fn start(processes: &[Process], variables: &Variables, tell: &SyncSender<Event>, groups: &mut Groups) -> Result<()> {
    for (index, process) in processes.iter().enumerate() {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", &process.command])
            .envs(variables)
            .env("PORT", process.port.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !variables.contains_key("FOREMAN_WORKER_NAME") {
            shell.env("FOREMAN_WORKER_NAME", &process.name);
        }
        let mut child = shell.spawn()?;
        groups.add(&child);
        let streams: [Option<Box<dyn Read + Send>>; 2] = [
            child.stdout.take().map(|stream| Box::new(stream) as _),
            child.stderr.take().map(|stream| Box::new(stream) as _),
        ];
        let readers: Vec<_> = streams
            .into_iter()
            .flatten()
            .map(|stream| {
                let tell = tell.clone();
                thread::spawn(move || read(stream, |line| tell.send(Event::Line(index, line)).is_ok()))
            })
            .collect();
        wait(index, child, tell.clone());
        let tell = tell.clone();
        thread::spawn(move || {
            for reader in readers {
                // A reader that panicked has said so.
                _ = reader.join();
            }
            // Nobody listens any more when everything is over.
            _ = tell.send(Event::Silent);
        });
    }
    Ok(())
}

fn wait(index: usize, mut child: Child, tell: SyncSender<Event>) {
    thread::spawn(move || {
        if let Ok(status) = child.wait() {
            _ = tell.send(Event::Ended(index, status));
        }
    });
}

/// Every line that is not blank, until the end or until nobody wants more.
fn read(stream: impl Read, mut tell: impl FnMut(String) -> bool) {
    let mut stream = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut stream).take(LONGEST_LINE).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.trim().is_empty() && !tell(text.to_owned()) {
            return;
        }
    }
}

fn follow(events: &Receiver<Event>, groups: &mut Groups, show: &mut Show<'_>) -> Result<()> {
    let count = show.processes.len();
    let (mut ended, mut silent) = (0, 0);
    let mut first: Option<ExitStatus> = None;
    let mut deadline: Option<Instant> = None;
    let mut was_asked = false;
    while ended < count || silent < count {
        let event = match deadline {
            None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => events.recv_timeout(deadline.saturating_duration_since(Instant::now())),
        };
        match event {
            Ok(Event::Line(index, line)) => show.line(index, &line)?,
            Ok(Event::Silent) => silent += 1,
            Ok(Event::Ended(index, status)) => {
                ended += 1;
                show.ended(index, status)?;
                if deadline.is_none() {
                    first = Some(status);
                    show.killing(Signal::INT)?;
                    groups.signal(Signal::INT);
                    deadline = Some(Instant::now() + GRACE);
                }
                if ended == count {
                    deadline = Some(Instant::now() + LAST_WORDS);
                }
            }
            Ok(Event::Asked(_)) if was_asked => groups.signal(Signal::KILL),
            Ok(Event::Asked(number)) => {
                was_asked = true;
                let signal = Signal::from_named_raw(number).unwrap_or(Signal::TERM);
                if signal == Signal::INT {
                    show.output.note("[WARN] Interrupted by User")?;
                }
                show.killing(signal)?;
                groups.signal(signal);
                deadline.get_or_insert_with(|| Instant::now() + GRACE);
            }
            // Who has not ended by now will not; and who holds a pipe of one that has, has had its time.
            Err(_) if ended == count => break,
            Err(_) => {
                groups.signal(Signal::KILL);
                deadline = Some(Instant::now() + GRACE);
            }
        }
    }
    first.map_or(Ok(()), exit::pass_on)
}

/// The process groups, for as long as somebody may be in them.
#[derive(Debug, Default)]
struct Groups(Vec<Pid>);

impl Groups {
    fn add(&mut self, child: &Child) {
        self.0.extend(i32::try_from(child.id()).ok().and_then(Pid::from_raw));
    }

    fn signal(&self, signal: Signal) {
        for group in &self.0 {
            // It may be empty already.
            _ = kill_process_group(*group, signal);
        }
    }
}

/// `12:34:56 PM web.1 |  the line`
struct Show<'a> {
    processes: &'a [Process],
    width: usize,
    output: Output,
}

impl Show<'_> {
    fn line(&self, index: usize, line: &str) -> Result<()> {
        let label = format!("{} | ", self.label(index));
        self.output
            .line(format!("{} {line}", self.output.paint(style(index), &label)))
    }

    fn ended(&self, index: usize, status: ExitStatus) -> Result<()> {
        let words = match (status.code(), status.signal()) {
            (Some(0), _) => "Exited Successfully".to_owned(),
            (Some(code), _) => format!("Exited with exit code {code}"),
            (None, Some(signal)) => format!("Exited with exit code {}", name(signal)),
            (None, None) => "Exited".to_owned(),
        };
        let label = self.output.paint(style(index), &self.label(index));
        self.output.line(format!("{label} {words}"))
    }

    fn killing(&self, signal: Signal) -> Result<()> {
        let name = name(signal.as_raw());
        self.output
            .line(format!("[DONE] Killing all processes with signal {name}"))
    }

    fn label(&self, index: usize) -> String {
        let now: DateTime<Local> = std::time::SystemTime::now().into();
        let width = self.width;
        format!("{} {:width$}", now.format("%-I:%M:%S %p"), self.processes[index].name)
    }
}

fn style(index: usize) -> Style {
    STYLES[index % STYLES.len()]
}

/// `SIGINT`
fn name(signal: i32) -> String {
    let name = signal_hook::low_level::signal_name(signal);
    name.map_or_else(|| format!("signal {signal}"), str::to_owned)
}

//! Streams to dynos: an upgraded connection to the API, and what goes over it (`paas_api::rendezvous`).
//!
//! One thread serves a stream, with `poll`: whatever is ready is moved on, and nothing is read that cannot be put anywhere.

mod link;

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
    os::{fd::AsFd as _, unix::net::UnixStream},
    time::{Duration, Instant},
};

use paas_api::rendezvous::Frame;
use rustix::event::{PollFd, PollFlags, poll};
use signal_hook::consts::{SIGHUP, SIGTERM, SIGWINCH};

pub(crate) use self::link::Link;
use crate::{
    error::{Error, Result},
    terminal,
};

const PIECE: usize = 16 * 1024;
/// As much as waits to be sent before no more is read.
const BACKLOG: usize = 256 * 1024;
const CTRL_C: u8 = 3;
/// So many Ctrl-C within a second mean that the other side does not listen.
const IMPATIENCE: usize = 4;

/// Joins this command's own streams with a program's, to its end. Says how it ended.
pub(crate) fn talk(link: Link) -> Result<i32> {
    let is_terminal = terminal::is_one();
    let raw = is_terminal.then(terminal::Raw::enter).transpose()?;
    let ended = Conversation::new(link, is_terminal)?.run();
    drop(raw);
    ended
}

/// Carries a local connection over a forwarded one.
pub(crate) fn carry(mut link: Link, mut local: &TcpStream) -> Result<()> {
    local.set_nonblocking(true)?;
    let mut to_local: Vec<u8> = Vec::new();
    let (mut is_heard, mut has_ended, mut is_open) = (true, false, true);
    loop {
        link.take(|frame| match frame {
            Frame::Output(bytes) => to_local.extend_from_slice(bytes),
            Frame::Exit(_) => has_ended = true,
            _ => {}
        })?;
        if (has_ended || !is_open) && to_local.is_empty() {
            return Ok(());
        }
        link.flush()?;
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, is_heard && link.backlog() < BACKLOG);
        wanted.set(PollFlags::OUT, !to_local.is_empty());
        let of_link = link.wanted(is_open && to_local.len() < BACKLOG);
        let mut looks = [
            PollFd::from_borrowed_fd(local.as_fd(), wanted),
            PollFd::from_borrowed_fd(link.as_fd(), of_link),
        ];
        poll(&mut looks, None).map_err(io::Error::from)?;
        let (on_local, on_link) = (looks[0].revents(), looks[1].revents());
        if on_local.contains(PollFlags::OUT) {
            let sent = local.write(&to_local)?;
            to_local.drain(..sent);
        }
        if is_heard && on_local.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) && link.backlog() < BACKLOG
        {
            let mut piece = [0; PIECE];
            match local.read(&mut piece) {
                Ok(0) => {
                    is_heard = false;
                    link.send(Frame::EndOfInput);
                }
                Ok(length) => link.send(Frame::Input(&piece[..length])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !on_link.is_empty() {
            // The frames that came before the end count.
            is_open = link.receive()?;
        }
    }
}

/// Hands all frames of a program without input on, and says how it ended.
pub(crate) fn watch(mut link: Link, mut act: impl FnMut(Frame<'_>)) -> Result<i32> {
    let (mut exit, mut is_open) = (None, true);
    loop {
        link.take(|frame| match frame {
            Frame::Exit(code) => exit = Some(code),
            frame => act(frame),
        })?;
        match exit {
            Some(code) => return Ok(code),
            None if !is_open => return Err(Error::BrokenOff),
            None => {}
        }
        link.flush()?;
        let mut looks = [PollFd::from_borrowed_fd(link.as_fd(), link.wanted(true))];
        poll(&mut looks, None).map_err(io::Error::from)?;
        is_open = link.receive()?;
    }
}

/// Hands a program what `source` says to its end, and says how it ended; `None` when that was no end (`is_whole`), and the
/// program was hung up on. What it says goes to `act`.
pub(crate) fn feed(
    mut link: Link,
    mut source: impl io::Read + std::os::fd::AsFd,
    mut is_whole: impl FnMut() -> bool,
    mut act: impl FnMut(Frame<'_>),
) -> Result<Option<i32>> {
    let (mut exit, mut is_open, mut is_heard) = (None, true, true);
    loop {
        link.take(|frame| match frame {
            Frame::Exit(code) => exit = Some(code),
            frame => act(frame),
        })?;
        match exit {
            Some(code) => return Ok(Some(code)),
            None if !is_open => return Err(Error::BrokenOff),
            None => {}
        }
        link.flush()?;
        let reads = is_heard && link.backlog() < BACKLOG;
        let of_source = if reads { PollFlags::IN } else { PollFlags::empty() };
        let mut looks = vec![PollFd::from_borrowed_fd(link.as_fd(), link.wanted(true))];
        if reads {
            looks.push(PollFd::from_borrowed_fd(source.as_fd(), of_source));
        }
        poll(&mut looks, None).map_err(io::Error::from)?;
        let on_link = looks[0].revents();
        let on_source = looks.get(1).is_some_and(|look| !look.revents().is_empty());
        if on_source {
            let mut piece = [0; PIECE];
            match source.read(&mut piece)? {
                0 if is_whole() => {
                    is_heard = false;
                    link.send(Frame::EndOfInput);
                }
                0 => return Ok(None),
                length => link.send(Frame::Input(&piece[..length])),
            }
        }
        if !on_link.is_empty() {
            is_open = link.receive()?;
        }
    }
}

struct Conversation {
    link: Link,
    is_terminal: bool,
    is_heard: bool,
    /// Readable when the window has another size, and when this command is to end.
    resized: UnixStream,
    ended: UnixStream,
    interrupts: Vec<Instant>,
}

impl Conversation {
    fn new(link: Link, is_terminal: bool) -> Result<Self> {
        let (resized, tell_resized) = UnixStream::pair()?;
        let (ended, tell_ended) = UnixStream::pair()?;
        resized.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(SIGWINCH, tell_resized)?;
        // A terminal must not stay raw.
        for signal in [SIGTERM, SIGHUP] {
            signal_hook::low_level::pipe::register(signal, tell_ended.try_clone()?)?;
        }
        Ok(Self {
            link,
            is_terminal,
            is_heard: true,
            resized,
            ended,
            interrupts: Vec::new(),
        })
    }

    fn run(mut self) -> Result<i32> {
        // What came together with the answer.
        if let Some(code) = self.print(true)? {
            return Ok(code);
        }
        loop {
            self.link.flush()?;
            let reads_input = self.is_heard && self.link.backlog() < BACKLOG;
            let stdin = io::stdin();
            let of_input = if reads_input { PollFlags::IN } else { PollFlags::empty() };
            let mut looks = vec![
                PollFd::from_borrowed_fd(self.link.as_fd(), self.link.wanted(true)),
                PollFd::new(&self.resized, PollFlags::IN),
                PollFd::new(&self.ended, PollFlags::IN),
            ];
            if reads_input {
                looks.push(PollFd::new(&stdin, of_input));
            }
            match poll(&mut looks, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(io::Error::from(error).into()),
            }
            let ready: Vec<bool> = looks.iter().map(|look| !look.revents().is_empty()).collect();
            drop(looks);
            if ready[2] {
                return Err(Error::Exit(128 + 15));
            }
            if ready[1] {
                self.resize();
            }
            if ready.get(3) == Some(&true) {
                self.hear()?;
            }
            if ready[0]
                && let Some(code) = self.speak()?
            {
                return Ok(code);
            }
        }
    }

    /// Sends what was typed, or was read of a pipe.
    fn hear(&mut self) -> Result<()> {
        let mut piece = [0; PIECE];
        let length = match rustix::io::read(io::stdin(), &mut piece) {
            Ok(length) => length,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(()),
            // A terminal that has gone.
            Err(rustix::io::Errno::IO) => 0,
            Err(error) => return Err(io::Error::from(error).into()),
        };
        if length == 0 {
            self.is_heard = false;
            self.link.send(Frame::EndOfInput);
            return Ok(());
        }
        self.link.send(Frame::Input(&piece[..length]));
        if self.is_terminal && piece[..length] == [CTRL_C] {
            let now = Instant::now();
            self.interrupts.retain(|at| now - *at < Duration::from_secs(1));
            self.interrupts.push(now);
            if self.interrupts.len() >= IMPATIENCE {
                return Err(Error::Disconnected);
            }
        }
        Ok(())
    }

    /// Prints what the program says; its exit code at the end.
    fn speak(&mut self) -> Result<Option<i32>> {
        let is_open = self.link.receive()?;
        self.print(is_open)
    }

    fn print(&mut self, is_open: bool) -> Result<Option<i32>> {
        let mut exit = None;
        let mut printed = Ok(());
        self.link.take(|frame| {
            let print = match frame {
                Frame::Output(bytes) => {
                    let mut stdout = io::stdout().lock();
                    stdout.write_all(bytes).and_then(|()| stdout.flush())
                }
                Frame::ErrorOutput(bytes) => io::stderr().lock().write_all(bytes),
                Frame::Exit(code) => {
                    exit = Some(code);
                    Ok(())
                }
                _ => Ok(()),
            };
            if printed.is_ok() {
                printed = print;
            }
        })?;
        printed?;
        match exit {
            Some(code) => Ok(Some(code)),
            None if is_open => Ok(None),
            None => Err(Error::BrokenOff),
        }
    }

    fn resize(&mut self) {
        let mut told = [0; 64];
        // Several changes at once are one.
        while matches!(self.resized.read(&mut told), Ok(1..)) {}
        if let Some((columns, rows)) = terminal::size().filter(|_| self.is_terminal) {
            self.link.send(Frame::Resize { columns, rows });
        }
    }
}

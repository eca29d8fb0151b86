//! A command in a terminal, and somebody who reads and types.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::fd::AsFd as _,
    process::{Child, Command},
    time::Duration,
};

use rustix::{
    process::Signal,
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use crate::{Output, background::Heard, eventually, server::send, within};

/// A running command whose streams are a terminal of its own. Dropping it kills it.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Heard,
    /// How much of the screen has been looked at.
    seen: usize,
}

impl Terminal {
    /// Starts a command. Its environment is what the command sets, and nothing else.
    #[track_caller]
    pub fn start(command: &Command, (columns, rows): (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master)
            .and_then(|()| unlockpt(&master))
            .expect("the terminal is ours");
        let name = ptsname(&master, Vec::new()).expect("the terminal has a name");
        let slave = OpenOptions::new()
            .read(true)
            .write(true)
            .open(name.to_str().expect("names of terminals are ASCII"))
            .expect("the terminal opens");
        let size = Winsize {
            ws_col: columns,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(slave.as_fd(), size).expect("a terminal has a size");
        let again = || slave.try_clone().expect("a file can be had twice");
        // It must be the controlling terminal of a session, or Ctrl-C reaches nobody.
        let mut session = Command::new("setsid");
        session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        for (variable, value) in command.get_envs() {
            if let Some(value) = value {
                session.env(variable, value);
            }
        }
        if let Some(folder) = command.get_current_dir() {
            session.current_dir(folder);
        }
        let child = session
            .env("TERM", "xterm")
            .stdin(again())
            .stdout(again())
            .stderr(again())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let keyboard = File::from(master);
        let screen = Heard::listen(keyboard.try_clone().expect("a file can be had twice"));
        Self {
            child,
            keyboard,
            screen,
            seen: 0,
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Types this: `\r` is the Enter key, `\x03` is Ctrl-C.
    #[track_caller]
    pub fn types(&mut self, keys: &str) -> &mut Self {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is there");
        self
    }

    /// Waits until this is on the screen, after whatever was waited for before.
    #[track_caller]
    pub fn sees(&mut self, text: &str, limit: Duration) -> &mut Self {
        let mut shown = String::new();
        let found = within(limit, || {
            shown = self.text();
            let from = shown.get(self.seen..)?;
            from.find(text).map(|at| self.seen + at + text.len())
        });
        let Some(end) = found else {
            panic!("not seen within {limit:?}: {text:?} in\n{shown}");
        };
        self.seen = end;
        self
    }

    /// Everything that was on the screen until now, without colours and movements of the cursor.
    pub fn text(&self) -> String {
        plain(&self.screen.text())
    }

    /// Waits for its end; what was on the screen is its standard output.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Output {
        let status = within(limit, || self.child.try_wait().expect("a child can be waited for"));
        let Some(status) = status else {
            panic!("still running after {limit:?}:\n{}", self.text());
        };
        eventually("the screen ends with the command", limit, || self.screen.has_ended());
        Output {
            code: status.code().unwrap_or(-1),
            stdout: self.text(),
            stderr: String::new(),
        }
    }

    /// Closes the window: the command is told, and has to end.
    #[track_caller]
    pub fn hang_up(self, limit: Duration) -> Output {
        send(self.id(), Signal::HUP);
        self.finish(limit)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Without escape sequences (ECMA-48): `ESC [ … letter`, `ESC ] … BEL`, `ESC` and one character.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        if character != '\u{1b}' {
            plain.push(character);
            continue;
        }
        match rest.next() {
            Some('[') => drop(rest.find(|end| ('@'..='~').contains(end))),
            Some(']') => drop(rest.find(|end| *end == '\u{7}')),
            _ => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn what_is_typed_is_read_and_the_window_has_its_size() {
        let mut shell = Command::new("sh");
        shell
            .env("PATH", "/usr/bin:/bin")
            .args(["-c", "stty size; read line; echo \"got $line\"; exit 7"]);
        let mut terminal = Terminal::start(&shell, (111, 33));
        terminal.sees("33 111", SOON).types("abc\r").sees("got abc", SOON);
        terminal.finish(SOON).expect_code(7);
    }

    #[test]
    fn the_interrupt_key_interrupts() {
        let mut shell = Command::new("sh");
        shell.env("PATH", "/usr/bin:/bin").args([
            "-c",
            "trap 'echo stopped; exit 3' INT; echo ready; while :; do read line; done",
        ]);
        let mut terminal = Terminal::start(&shell, (80, 24));
        terminal.sees("ready", SOON).types("\x03").sees("stopped", SOON);
        terminal.finish(SOON).expect_code(3);
    }

    #[test]
    fn colours_and_movements_are_no_text() {
        assert_eq!(
            plain("\u{1b}[31mred\u{1b}[0m \u{1b}]0;title\u{7}\u{1b}[2K\u{1b}Mend"),
            "red end"
        );
    }
}

//! What a command left behind.

use std::{
    fmt,
    io::Write as _,
    process::{Command, Stdio},
    thread,
};

use serde_json::Value;

/// The end of a command: exit code and both streams.
#[derive(Clone, PartialEq, Eq)]
pub struct Output {
    /// -1 when a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Runs a command to its end, with `input` as its standard input.
    #[track_caller]
    pub fn of(command: &mut Command, input: &str) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let mut stdin = child.stdin.take().expect("standard input was piped");
        let input = input.to_owned();
        // A command that does not read its input closes the pipe: no fault of anybody.
        let writer = thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
        let output = child.wait_with_output().expect("a child can be waited for");
        writer.join().expect("writing does not panic");
        output.into()
    }

    #[track_caller]
    pub fn expect_success(&self) -> &Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Ended with this code and not another one.
    #[track_caller]
    pub fn expect_code(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Both streams: git mixes them as it likes.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Said this, on either stream.
    #[track_caller]
    pub fn expect(&self, text: &str) -> &Self {
        assert!(self.text().contains(text), "no {text:?} in {self:?}");
        self
    }

    /// Did not say this, on neither stream.
    #[track_caller]
    pub fn expect_no(&self, text: &str) -> &Self {
        assert!(!self.text().contains(text), "{text:?} in {self:?}");
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// As a person saw it.
impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code {}", self.code)?;
        writeln!(f, "--- stdout\n{}", self.stdout)?;
        writeln!(f, "--- stderr\n{}", self.stderr)
    }
}

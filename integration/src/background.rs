//! A command that goes on while the story does something else: `logs --tail`, a push of somebody else's.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use crate::{Output, eventually, within};

/// A running command, whose words can be read as they come. Dropping it kills it.
pub struct Background {
    child: Child,
    stdout: Heard,
    stderr: Heard,
}

impl Background {
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Heard::listen(child.stdout.take().expect("standard output was piped"));
        let stderr = Heard::listen(child.stderr.take().expect("standard error was piped"));
        Self { child, stdout, stderr }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has closed both streams, as it does at its end.
    pub fn has_ended(&self) -> bool {
        self.stdout.has_ended() && self.stderr.has_ended()
    }

    /// What it has said until now, on both streams.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout.text(), self.stderr.text())
    }

    /// Waits until it has said this.
    #[track_caller]
    pub fn hears(&self, text: &str, limit: Duration) {
        let heard = within(limit, || self.text().contains(text).then_some(()));
        assert!(
            heard.is_some(),
            "not heard within {limit:?}: {text:?} in\n{}",
            self.text()
        );
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(mut self, limit: Duration) -> Output {
        let status = within(limit, || self.child.try_wait().expect("a child can be waited for"));
        let Some(status) = status else {
            panic!("still running after {limit:?}:\n{}", self.text());
        };
        eventually("both streams end with the command", limit, || self.has_ended());
        Output {
            code: status.code().unwrap_or(-1),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
        }
    }

    /// Ends it without a chance to say anything.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a stream has brought until now.
#[derive(Clone, Default)]
pub(crate) struct Heard(Arc<Mutex<(Vec<u8>, bool)>>);

impl Heard {
    pub(crate) fn listen(mut stream: impl Read + Send + 'static) -> Self {
        let heard = Self::default();
        let sink = heard.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                sink.with(|state| state.0.extend_from_slice(&piece[..length]));
            }
            sink.with(|state| state.1 = true);
        });
        heard
    }

    pub(crate) fn text(&self) -> String {
        self.with(|state| String::from_utf8_lossy(&state.0).into_owned())
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.with(|state| state.1)
    }

    fn with<T>(&self, look: impl FnOnce(&mut (Vec<u8>, bool)) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

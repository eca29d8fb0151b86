//! A platform that answers from a script, and the command in a home of its own.

use std::{
    collections::{HashMap, VecDeque},
    ffi::OsStr,
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use tempfile::TempDir;

/// The command `paas`, its home and directory, and the platform that it talks to.
pub(crate) struct Paas {
    pub(crate) home: TempDir,
    platform: Arc<Platform>,
    port: u16,
    variables: HashMap<&'static str, String>,
}

/// What to answer to one request.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

#[derive(Default)]
struct Platform {
    script: Mutex<HashMap<String, VecDeque<Answer>>>,
    requests: Mutex<Vec<String>>,
    /// The last body that is no text.
    upload: Mutex<Vec<u8>>,
}

/// The port that snapshots show in place of the one that the system gave us.
const SHOWN: &str = "127.0.0.1:5050";

impl Paas {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let platform = Arc::new(Platform::default());
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("work")).unwrap();
        let serving = Arc::clone(&platform);
        thread::spawn(move || {
            for connection in listener.incoming() {
                serving.serve(&connection.unwrap(), port);
            }
        });
        let variables = HashMap::from([
            ("PAAS_URL", format!("http://127.0.0.1:{port}")),
            ("PAAS_API_KEY", "the-token".to_owned()),
        ]);
        Self {
            home,
            platform,
            port,
            variables,
        }
    }

    /// The answer to `GET /path`. Several for one request are given in turn, the last one again and again.
    pub(crate) fn on(self, request: &str, answer: impl Into<Answer>) -> Self {
        let mut answer = answer.into();
        answer.body = answer.body.replace(SHOWN, &format!("127.0.0.1:{}", self.port));
        let mut script = self.platform.script.lock().unwrap();
        script.entry(request.to_owned()).or_default().push_back(answer);
        drop(script);
        self
    }

    pub(crate) fn set(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.insert(variable, value.to_owned());
        self
    }

    pub(crate) fn unset(mut self, variable: &'static str) -> Self {
        self.variables.remove(variable);
        self
    }

    /// The directory that commands run in.
    pub(crate) fn directory(&self) -> PathBuf {
        self.home.path().join("work")
    }

    pub(crate) fn netrc(&self) -> String {
        fs::read_to_string(self.home.path().join(".netrc")).unwrap()
    }

    /// Runs git in the directory and gives back what it prints.
    pub(crate) fn git(&self, arguments: &str) -> String {
        let finished = self.command("git").args(arguments.split(' ')).output().unwrap();
        assert!(finished.status.success(), "git {arguments}: {finished:?}");
        self.shown(&finished.stdout)
    }

    pub(crate) fn run(&self, arguments: &str) -> String {
        self.run_with(&arguments.split_whitespace().collect::<Vec<_>>(), "")
    }

    /// Runs `paas` and tells all that it did.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let mut command = self.command(env!("CARGO_BIN_EXE_paas"));
        command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that asks nothing may be gone already.
        _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let finished = child.wait_with_output().unwrap();
        let mut told = format!("exit: {}\n", finished.status.code().unwrap());
        for (title, bytes) in [("stdout", &finished.stdout), ("stderr", &finished.stderr)] {
            if !bytes.is_empty() {
                _ = write!(told, "--- {title}\n{}", self.shown(bytes));
            }
        }
        let requests = self.requests();
        if !requests.is_empty() {
            _ = write!(told, "--- requests\n{requests}");
        }
        told
    }

    /// The last body that was no text.
    pub(crate) fn upload(&self) -> Vec<u8> {
        self.platform.upload.lock().unwrap().clone()
    }

    /// Where the platform listens.
    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The requests since the last look.
    pub(crate) fn requests(&self) -> String {
        let requests = std::mem::take(&mut *self.platform.requests.lock().unwrap()).concat();
        requests.replace(&self.authority(), SHOWN)
    }

    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let path = std::env::var_os("PATH").unwrap();
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .envs(&self.variables);
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(self.directory());
        command
    }

    fn shown(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        text.replace(&format!("127.0.0.1:{}", self.port), SHOWN)
            .replace(&home_of(self.home.path()), "~")
    }
}

fn home_of(path: &Path) -> String {
    fs::canonicalize(path).unwrap().display().to_string()
}

impl Platform {
    fn serve(&self, connection: &TcpStream, port: u16) {
        let mut reader = BufReader::new(connection);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap() == 0 {
                return;
            }
            if line.trim_end().is_empty() {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let header = |name: &str| {
            head.iter().skip(1).find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let mut body = Vec::new();
        if let Some(length) = header("content-length") {
            body.resize(length.parse().unwrap(), 0);
            reader.read_exact(&mut body).unwrap();
        } else if header("transfer-encoding").is_some() {
            body = chunks(&mut reader);
        }
        let request = head[0].trim_end_matches(" HTTP/1.1").to_owned();
        let mut told = request.clone();
        for (label, name) in [("range", "range"), ("last-event-id", "last-event-id")] {
            if let Some(value) = header(name) {
                _ = write!(told, " | {label}={value}");
            }
        }
        match header("authorization").as_deref() {
            Some("Bearer the-token") => {}
            Some(other) => _ = write!(told, " | {other}"),
            None => told += " | no authorization",
        }
        match String::from_utf8(body) {
            Ok(text) if text.is_empty() => {}
            Ok(text) => _ = write!(told, " | {text}"),
            Err(error) => {
                told += " | (bytes)";
                *self.upload.lock().unwrap() = error.into_bytes();
            }
        }
        self.requests.lock().unwrap().push(told + "\n");
        self.answer(connection, &request, port);
    }

    fn answer(&self, mut connection: &TcpStream, request: &str, port: u16) {
        let mut script = self.script.lock().unwrap();
        let answer = match script.get_mut(request) {
            Some(answers) if answers.len() > 1 => answers.pop_front().unwrap(),
            Some(answers) => answers[0].clone(),
            None => Answer::error(404, "not_found", "The requested API endpoint was not found."),
        };
        drop(script);
        let mut head = format!("HTTP/1.1 {} Scripted\r\nconnection: close\r\n", answer.status);
        for (name, value) in &answer.headers {
            _ = write!(
                head,
                "{name}: {}\r\n",
                value.replace(SHOWN, &format!("127.0.0.1:{port}"))
            );
        }
        _ = write!(head, "content-length: {}\r\n\r\n{}", answer.body.len(), answer.body);
        // A client that was told to go elsewhere need not listen to the end.
        _ = connection.write_all(head.as_bytes());
    }
}

/// A body in chunks (RFC 9112 §7.1).
fn chunks(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut size = String::new();
        reader.read_line(&mut size).unwrap();
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).unwrap();
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

impl Answer {
    pub(crate) fn text(status: u16, content_type: &str, body: &str) -> Self {
        Self {
            status,
            headers: vec![("content-type", content_type.to_owned())],
            body: body.to_owned(),
        }
    }

    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", &body.to_string())
    }

    pub(crate) fn error(status: u16, id: &str, message: &str) -> Self {
        Self::json(status, &serde_json::json!({ "id": id, "message": message }))
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

impl From<Value> for Answer {
    fn from(body: Value) -> Self {
        Self::json(200, &body)
    }
}

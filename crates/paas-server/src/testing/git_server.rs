//! A repository of somebody else: git's own server program, behind a door that speaks HTTP.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{self, Stdio},
    sync::{Arc, Mutex},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// A repository with two commits, a branch and a tag, served over HTTP by `git http-backend`.
pub(crate) struct GitServer {
    pub(crate) port: u16,
    pub(crate) folder: TempDir,
    pub(crate) first: String,
    pub(crate) second: String,
    /// What it was asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
    _stop: DropGuard,
}

pub(crate) fn run_git(folder: &Path, arguments: &[&str]) -> String {
    let output = process::Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl GitServer {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("pack");
        std::fs::create_dir_all(work.join("bin")).unwrap();
        run_git(&work, &["init", "--quiet", "--initial-branch=main"]);
        let commit = |content: &str| {
            std::fs::write(work.join("bin/detect"), content).unwrap();
            run_git(&work, &["add", "-A"]);
            run_git(&work, &["commit", "--quiet", "-m", content]);
            run_git(&work, &["rev-parse", "HEAD"])
        };
        let first = commit("one");
        run_git(&work, &["tag", "-a", "v1", "-m", "one"]);
        run_git(&work, &["branch", "old"]);
        let second = commit("two");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = CancellationToken::new();
        let (root, stopped) = (folder.path().to_owned(), stop.clone());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let tracker = TaskTracker::new();
        tracker.clone().spawn(async move {
            while let Some(Ok((stream, _))) = stopped.run_until_cancelled(listener.accept()).await {
                tracker.spawn(answer(stream, root.clone(), Arc::clone(&heard)));
            }
        });
        Self {
            port,
            folder,
            first,
            second,
            asked,
            _stop: stop.drop_guard(),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }
}

/// One request, as a CGI server would do it. `/moved/…` is at another place; a `.tgz` is a file.
async fn answer(mut stream: TcpStream, root: PathBuf, asked: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let header = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| key.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    };
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap().to_owned(), words.next().unwrap().to_owned());
    asked.lock().unwrap().push(format!("{method} {target}"));
    if Path::new(&target)
        .extension()
        .is_some_and(|extension| extension == "tgz")
    {
        let body = std::fs::read(root.join(target.trim_start_matches('/'))).unwrap();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(&[head.as_bytes(), &body].concat()).await;
        return;
    }
    if let Some(rest) = target.strip_prefix("/moved/") {
        let _ = stream
            .write_all(format!("HTTP/1.1 301 Moved\r\nLocation: /{rest}\r\nContent-Length: 0\r\n\r\n").as_bytes())
            .await;
        return;
    }
    let mut body = Vec::new();
    assert!(
        header("Transfer-Encoding").is_none(),
        "small requests of git are not chunked"
    );
    let length: usize = header("Content-Length").map_or(0, |length| length.parse().unwrap());
    body.resize(length, 0);
    stream.read_exact(&mut body).await.unwrap();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut command = process::Command::new("git");
    command
        .args(["http-backend"])
        .env("GIT_PROJECT_ROOT", &root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", &method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("Content-Type").unwrap_or_default())
        .env("CONTENT_LENGTH", length.to_string())
        .env("HTTP_CONTENT_ENCODING", header("Content-Encoding").unwrap_or_default())
        .env("GIT_PROTOCOL", header("Git-Protocol").unwrap_or_default())
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&body).unwrap();
        child.wait_with_output().unwrap().stdout
    });
    let output = output.await.unwrap();
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8_lossy(&output[..end]).into_owned();
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: "));
    let status = status.unwrap_or("200 OK");
    let length = output.len() - end - 4;
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n\r\n");
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.write_all(&output[end + 4..]).await;
}

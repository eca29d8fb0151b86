//! A real git client against the handlers, the hook and the receiver, with a platform that only notes what it is given.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    sync::{
        Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::DateTime;
use futures_util::{FutureExt, StreamExt, stream};
use paas_core::Id;
use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    process::Command,
    sync::{Notify, watch},
};
use uuid::Uuid;

use super::*;

mod hostile;
mod push;

const TOKEN: &str = "a-token";
const DEADLINE: Duration = Duration::from_secs(30);

/// Not a test of its own: what git runs as its hook in all the others, because a test binary has no `paasd` beside it.
#[test]
fn hook_process() {
    if std::env::var_os(HOOK_PUSH).is_some() {
        let is_accepted = crate::hook::accepts();
        #[expect(
            clippy::exit,
            reason = "this process is the hook, and a hook answers with its exit status"
        )]
        std::process::exit(i32::from(!is_accepted));
    }
}

/// A server with one app, `hello`, and a directory for clients.
struct Fixture {
    directory: TempDir,
    address: SocketAddr,
    git: Arc<Git>,
    platform: Arc<TestPlatform>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// Notes what is deployed; accepts or rejects it as told.
struct TestPlatform {
    app: App,
    deploys: Mutex<Vec<Deployed>>,
    began: watch::Sender<usize>,
    verdict: OnceLock<bool>,
    cannot_build: AtomicBool,
    /// While there is one, a deploy waits for it.
    gate: Mutex<Option<Arc<Notify>>>,
}

#[derive(Debug, Clone)]
struct Deployed {
    commit: String,
    subject: String,
    email: String,
    files: BTreeMap<String, Vec<u8>>,
}

#[async_trait]
impl Backend for TestPlatform {
    async fn admit(&self, headers: &HeaderMap, name: Option<&str>, _: Service) -> Result<Admission, Refusal> {
        let given = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Basic "))
            .and_then(|value| String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok());
        let account = match given.as_deref().and_then(|pair| pair.split_once(':')) {
            Some((_, TOKEN)) => Account {
                id: Id::from_uuid(Uuid::from_u128(9)),
                email: "ada@example.com".to_owned(),
                name: None,
                allow_tracking: false,
                beta: false,
                two_factor: false,
                last_login_at: None,
                disabled_at: None,
                created_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
            },
            _ => return Err(Refusal::Unauthenticated),
        };
        match name {
            Some("hello") => Ok(Admission {
                app: self.app.clone(),
                account,
                session: None,
            }),
            _ => Err(Refusal::NotFound),
        }
    }

    async fn deploy(&self, source: NewSource) -> Result<Deploying, Refusal> {
        if self.cannot_build.load(Ordering::Relaxed) {
            return Err(Refusal::Unavailable);
        }
        let files = files_of(&source.tar);
        fs::remove_file(&source.tar).unwrap();
        self.deploys.lock().unwrap().push(Deployed {
            commit: source.commit,
            subject: source.subject,
            email: source.account.email,
            files,
        });
        self.began.send_modify(|began| *began += 1);
        let gate = self.gate.lock().unwrap().clone();
        let is_accepted = self.verdict.get().copied().unwrap_or(true);
        let (sender, accepted) = oneshot::channel();
        let first = stream::once(async { Ok(Bytes::from_static(b"-----> Python app detected\n")) });
        let rest = async move {
            if let Some(gate) = gate {
                gate.notified().await;
            }
            let _ = sender.send(is_accepted);
            Ok(Bytes::from_static(b"-----> Launching...\n"))
        };
        Ok(Deploying {
            output: first.chain(rest.into_stream()).boxed(),
            accepted,
        })
    }
}

fn files_of(tar: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = tar::Archive::new(fs::File::open(tar).unwrap());
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        match entry.link_name().unwrap() {
            Some(target) => content.extend_from_slice(format!("-> {}", target.display()).as_bytes()),
            None => {
                std::io::copy(&mut entry, &mut content).unwrap();
            }
        }
        files.insert(path, content);
    }
    files
}

impl Fixture {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let tracker = TaskTracker::new();
        let stop = CancellationToken::new();
        let platform = Arc::new(TestPlatform {
            app: App {
                id: Id::from_uuid(Uuid::from_u128(1)),
                name: "hello".parse().unwrap(),
                maintenance: false,
                created_at: DateTime::UNIX_EPOCH,
                updated_at: DateTime::UNIX_EPOCH,
            },
            deploys: Mutex::default(),
            began: watch::Sender::new(0),
            verdict: OnceLock::new(),
            cannot_build: AtomicBool::new(false),
            gate: Mutex::default(),
        });
        let hook_test = format!("{}::hook_process", module_path!().split_once("::").unwrap().1);
        let paths = GitPaths {
            repositories: data.join("repositories"),
            sources: data.join("sources"),
            socket: data.join("hook.sock"),
            hooks: data.join("hooks"),
            hook_command: [std::env::current_exe().unwrap()]
                .into_iter()
                .chain(["--exact", &hook_test, "--nocapture"].map(PathBuf::from))
                .collect(),
        };
        let git = Git::open(paths, platform.clone(), tracker.clone(), stop.clone()).unwrap();
        let receiver = Receiver::bind(Arc::clone(&git)).unwrap();
        tracker.spawn(receiver.run(stop.clone()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Arc::clone(&git));
        let closing = stop.clone();
        tracker.spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.unwrap(),
                () = closing.cancelled() => {}
            }
        });
        Self {
            directory,
            address,
            git,
            platform,
            tracker,
            stop,
        }
    }

    fn url(&self, app: &str) -> String {
        format!("http://anybody:{TOKEN}@{}/{app}.git", self.address)
    }

    /// A client's repository, with this server as its remote `paas`.
    async fn client(&self, name: &str) -> Client {
        let client = Client {
            path: self.directory.path().join(name),
            home: self.directory.path().to_owned(),
        };
        fs::create_dir_all(&client.path).unwrap();
        client.git(&["init", "--quiet", "--initial-branch=main"]).await.unwrap();
        client
            .git(&["remote", "add", "paas", &self.url("hello")])
            .await
            .unwrap();
        client
    }

    fn main(&self) -> Option<String> {
        let target = self.git.repositories.target(self.platform.app.id, "refs/heads/main");
        target.unwrap().map(|id| id.to_string())
    }

    fn deploys(&self) -> Vec<Deployed> {
        self.platform.deploys.lock().unwrap().clone()
    }

    /// Deploys wait from now on, until the gate that this returns is notified.
    fn shut_gate(&self) -> Arc<Notify> {
        let gate = Arc::new(Notify::new());
        *self.platform.gate.lock().unwrap() = Some(Arc::clone(&gate));
        gate
    }

    async fn wait_for_deploys(&self, count: usize) {
        let mut began = self.platform.began.subscribe();
        tokio::time::timeout(DEADLINE, began.wait_for(|began| *began >= count))
            .await
            .expect("the deploy began in time")
            .unwrap();
    }

    /// Nothing of a push that has ended is left behind.
    fn assert_clean(&self) {
        let sources: Vec<_> = fs::read_dir(&self.git.paths.sources).unwrap().collect();
        assert!(sources.is_empty(), "{sources:?}");
        let objects = self.git.repositories.path(self.platform.app.id).join("objects");
        let quarantines: Vec<_> = fs::read_dir(objects)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name())
            .filter(|name| name.to_string_lossy().starts_with("tmp_objdir"))
            .collect();
        assert!(quarantines.is_empty(), "{quarantines:?}");
    }

    async fn end(self) {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(DEADLINE, self.tracker.wait())
            .await
            .expect("all tasks end");
        self.assert_clean();
    }
}

/// Waits for something that nobody announces.
async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

struct Client {
    path: PathBuf,
    home: PathBuf,
}

impl Client {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.com"])
            .args(arguments)
            .current_dir(&self.path)
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .kill_on_drop(true);
        command
    }

    /// What git said, on standard error too; `Err` when it failed.
    async fn git(&self, arguments: &[&str]) -> Result<String, String> {
        let output = self.command(arguments).output();
        let Output { status, stdout, stderr } = tokio::time::timeout(DEADLINE, output).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        if status.success() { Ok(text) } else { Err(text) }
    }

    async fn commit(&self, files: &[(&str, &str)], subject: &str) -> String {
        for (path, content) in files {
            let path = self.path.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        self.git(&["add", "--all"]).await.unwrap();
        self.git(&["commit", "--quiet", "--message", subject]).await.unwrap();
        self.git(&["rev-parse", "HEAD"]).await.unwrap().trim().to_owned()
    }

    async fn push(&self, refs: &[&str]) -> Result<String, String> {
        self.git(&[&["push", "paas"], refs].concat()).await
    }
}

//! A platform of its own: data directory, ports, addresses, user.

use std::{
    env,
    fmt::Write as _,
    fs::{self, Permissions},
    io::{self, Write as _},
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Answer, App, Engine, NameServer, Output, Pebble, PebbleOptions, Process, Visitor, abandoned, binary, eventually,
    process, request,
    server::{self, Server},
    slot::Slot,
    within,
};

/// The only user of a platform.
pub(crate) const EMAIL: &str = "you@example.com";
pub(crate) const PASSWORD: &str = "correct horse battery staple";
/// From the start of the process to the first answer: the first one makes a database.
const START_LIMIT: Duration = Duration::from_mins(1);
/// How many lines of each log a failed story shows.
const SHOWN_LINES: usize = 80;

/// What a story may want otherwise.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where `paasd` keeps everything, instead of a directory that goes with the platform.
    pub data_dir: Option<PathBuf>,
    /// More flags for `paasd serve`, also after a restart.
    pub arguments: Vec<String>,
    /// More variables of `paasd`'s environment.
    pub environment: Vec<(String, String)>,
    /// A certificate authority of the platform's own, with a name server; it validates at this platform's ports unless it
    /// has others.
    pub authority: Option<PebbleOptions>,
    /// The engine's socket, instead of that of this machine's own.
    pub docker: Option<PathBuf>,
    /// Instead of `localhost`.
    pub domain: Option<String>,
}

/// A running `paasd serve` with everything below it, and a user who is logged in.
pub struct Platform {
    slot: Slot,
    folder: TempDir,
    data_dir: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    docker: Option<PathBuf>,
    domain: String,
    server: Server,
    authority: Option<(NameServer, Pebble)>,
}

impl Platform {
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    #[track_caller]
    pub fn with(options: Options) -> Self {
        // Short, because the paths of unix sockets are; open to the database's own user, which has to come through.
        let folder = tempfile::Builder::new()
            .prefix("paas-")
            .permissions(Permissions::from_mode(0o711))
            .tempdir()
            .expect("the folder of temporary files can be written");
        let data_dir = options.data_dir.unwrap_or_else(|| folder.path().join("data"));
        let slot = Slot::take(&data_dir);
        let authority = options.authority.map(|mut options| {
            let names = NameServer::start();
            options.dns = names.address();
            for (port, own) in [
                (&mut options.http_port, slot.http()),
                (&mut options.tls_port, slot.https()),
            ] {
                if *port == 0 {
                    *port = own.port();
                }
            }
            (names, Pebble::start(options))
        });
        let platform = Self {
            slot,
            folder,
            data_dir,
            arguments: options.arguments,
            environment: options.environment,
            docker: options.docker,
            domain: options.domain.unwrap_or_else(|| "localhost".to_owned()),
            server: Server::default(),
            authority,
        };
        platform.make_home();
        platform.serve(&[]);
        platform.paasd(&["user", "create", EMAIL], PASSWORD).expect_success();
        platform
            .paas_reading(&["login", "--email", EMAIL, "--password-stdin"], PASSWORD)
            .expect_success();
        platform
    }

    /// Makes an app and a working tree with the tiny app for it; nothing is pushed yet.
    #[track_caller]
    pub fn app(&self, name: &str) -> App<'_> {
        App::create(self, name)
    }

    /// Where the router listens.
    pub fn http(&self) -> SocketAddr {
        self.slot.http()
    }

    /// Where API and git listen.
    pub fn api(&self) -> SocketAddr {
        self.slot.api()
    }

    /// Where the router speaks TLS.
    pub fn https(&self) -> SocketAddr {
        self.slot.https()
    }

    /// The certificate authority that the platform was started with.
    #[track_caller]
    pub fn pebble(&self) -> &Pebble {
        &self.authority.as_ref().expect("the platform has an authority").1
    }

    /// The name server that the platform and its authority ask.
    #[track_caller]
    pub fn names(&self) -> &NameServer {
        &self.authority.as_ref().expect("the platform has an authority").0
    }

    /// Somebody who trusts the authority of now.
    #[track_caller]
    pub fn visitor(&self) -> Visitor {
        Visitor::new(self.https(), &self.pebble().root())
    }

    /// What the names of apps end with.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// The user's home directory, with the netrc.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Where working trees are.
    pub fn work(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// The id on the label of everything that is this platform's.
    #[track_caller]
    pub fn id(&self) -> String {
        let path = self.data_dir.join("platform-id");
        fs::read_to_string(path)
            .expect("a platform that has started has an id")
            .trim()
            .to_owned()
    }

    #[track_caller]
    pub fn engine(&self) -> Engine {
        Engine::new(self.id(), self.docker.clone())
    }

    /// What `paasd serve` has written.
    pub fn log(&self) -> String {
        read(&self.log_path())
    }

    /// Runs the command `paas` as the user.
    #[track_caller]
    pub fn paas(&self, arguments: &[&str]) -> Output {
        self.paas_reading(arguments, "")
    }

    #[track_caller]
    pub fn paas_reading(&self, arguments: &[&str], input: &str) -> Output {
        Output::of(self.user_command(&binary("paas")).args(arguments), input)
    }

    /// Runs another command of `paasd` on this platform, such as `user create`.
    #[track_caller]
    pub fn paasd(&self, arguments: &[&str], input: &str) -> Output {
        Output::of(self.server_command().args(arguments), input)
    }

    /// A command with the user's home and nothing of the environment of the one who runs the tests.
    pub fn user_command(&self, program: &Path) -> Command {
        self.as_user(Command::new(program))
    }

    pub(crate) fn as_user(&self, mut command: Command) -> Command {
        command
            .current_dir(self.home())
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("LC_ALL", "C.UTF-8")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("PAAS_URL", format!("http://{}", self.api()));
        command
    }

    /// The token of the user.
    #[track_caller]
    pub fn token(&self) -> String {
        let output = self.paas(&["auth:token"]);
        output.expect_success().stdout.trim().to_owned()
    }

    /// A request to the API with the user's token.
    #[track_caller]
    pub fn call(&self, method: &str, path: &str, body: &str) -> Answer {
        let token = format!("Bearer {}", self.token());
        self.call_as(&token, method, path, body)
    }

    /// A request to the API with this `Authorization`.
    #[track_caller]
    pub fn call_as(&self, authorization: &str, method: &str, path: &str, body: &str) -> Answer {
        let headers = [
            ("Accept", "application/vnd.heroku+json; version=3"),
            ("Content-Type", "application/json"),
            ("Authorization", authorization),
        ];
        request(self.api(), method, path, &headers, body).expect("the API answers")
    }

    /// A request through the router; `None` when no answer came.
    #[track_caller]
    pub fn get(&self, host: &str, path: &str) -> Option<Answer> {
        request(self.http(), "GET", path, &[("Host", host)], "")
    }

    /// Starts `paasd serve` and waits until it answers.
    #[track_caller]
    pub fn serve(&self, arguments: &[&str]) {
        self.spawn(arguments);
        let answers = within(START_LIMIT, || {
            if let Some(status) = self.server.exit() {
                panic!("paasd serve ended with {status}:\n{}", self.log());
            }
            let answer = request(self.api(), "GET", "/account", &[], "")?;
            (answer.status == 401).then_some(())
        });
        assert!(answers.is_some(), "paasd serve does not answer:\n{}", self.log());
    }

    /// Starts `paasd serve` and does not wait for anything.
    #[track_caller]
    pub fn spawn(&self, arguments: &[&str]) {
        let mut command = self.server_command();
        command.args(&self.arguments).args(arguments).arg("serve");
        self.server.start(&mut command, &self.log_path());
    }

    /// The process id of `paasd serve` while it runs.
    pub fn server_id(&self) -> Option<u32> {
        self.server.id()
    }

    /// Asks `paasd serve` to stop, as a service manager does, and waits for that.
    #[track_caller]
    pub fn terminate(&self) -> ExitStatus {
        let status = self.server.terminate();
        status.unwrap_or_else(|| panic!("paasd serve does not stop:\n{}", self.log()))
    }

    /// Ends `paasd serve` on the spot, and nothing else.
    pub fn kill(&self) {
        self.server.kill();
    }

    /// Ends every process of the platform on the spot, as a power cut does; not what runs in the engine.
    pub fn cut_power(&self) {
        self.server.kill();
        for process in self.processes() {
            self.end(&process);
        }
        eventually("every process of the platform is gone", START_LIMIT, || {
            self.processes().is_empty()
        });
    }

    /// Waits until `paasd serve` ends by itself.
    #[track_caller]
    pub fn ends(&self, limit: Duration) -> ExitStatus {
        let status = self.server.wait(limit);
        status.unwrap_or_else(|| panic!("paasd serve did not end within {limit:?}:\n{}", self.log()))
    }

    /// The processes that work on this data directory: `paasd serve`, `paasd router`, `postgres`, hooks.
    pub fn processes(&self) -> Vec<Process> {
        process::of(&self.data_dir)
    }

    /// The process of the router.
    pub fn router(&self) -> Option<Process> {
        let is_router = |process: &Process| process.arguments.iter().any(|word| word == "router");
        self.processes().into_iter().find(is_router)
    }

    /// Ends a process of this platform on the spot.
    pub fn end(&self, process: &Process) {
        server::send(process.id, Signal::KILL);
    }

    /// The first process of the embedded database.
    pub fn postgres(&self) -> Option<Process> {
        let is_postgres = |process: &Process| process.arguments[0].ends_with("postgres");
        self.processes().into_iter().find(is_postgres)
    }

    fn server_command(&self) -> Command {
        let mut command = Command::new(binary("paasd"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("PAAS_") {
                command.env_remove(name);
            }
        }
        command.envs(self.environment.iter().cloned());
        command
            .current_dir("/")
            .arg("--settings")
            .arg(self.folder.path().join("paasd.toml"))
            .arg("--data-dir")
            .arg(&self.data_dir)
            .args(["--domain", &self.domain])
            .args(["--http", &self.http().to_string()])
            .args(["--https", &self.slot.https().to_string()])
            .args(["--api", &self.api().to_string()])
            .args(["--rendezvous", "127.0.0.1:0"])
            .args(["--addon-ports", &self.slot.addon_ports()])
            .args(["--network-pool", &self.slot.network_pool()]);
        if let Some(socket) = &self.docker {
            command.arg("--docker").arg(socket);
        }
        if let Some((names, pebble)) = &self.authority {
            command
                .args(["--acme-directory", &pebble.directory()])
                .arg("--acme-ca-file")
                .arg(pebble.ca_file())
                .args(["--dns-server", &names.address().to_string()])
                .args(["--public-address", "127.0.0.1"]);
        }
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("paasd.log")
    }

    fn make_home(&self) {
        let gitconfig = format!("[user]\nname = You\nemail = {EMAIL}\n[init]\ndefaultBranch = main\n");
        fs::create_dir(self.home())
            .and_then(|()| fs::create_dir(self.work()))
            .and_then(|()| fs::write(self.home().join(".gitconfig"), gitconfig))
            // The settings of a platform that runs on this machine are not ours.
            .and_then(|()| fs::write(self.folder.path().join("paasd.toml"), ""))
            .expect("the platform's folder can be written");
    }

    /// The last lines of the logs, for a story that failed.
    fn show_logs(&self) {
        let mut shown = String::new();
        for path in [self.log_path(), self.data_dir.join("router.log")] {
            let text = read(&path);
            let lines: Vec<_> = text.lines().collect();
            let from = lines.len().saturating_sub(SHOWN_LINES);
            let _ = writeln!(shown, "--- the end of {}", path.display());
            let _ = writeln!(shown, "{}", lines[from..].join("\n"));
        }
        // Nobody may be there to read it.
        let _ = io::stderr().write_all(shown.as_bytes());
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let failed = thread::panicking();
        if self.server.terminate().is_none() {
            self.server.kill();
        }
        abandoned::end_processes(&self.data_dir);
        if failed {
            self.show_logs();
        }
        // An engine of the story's own goes as a whole.
        if self.docker.is_none() && self.data_dir.join("platform-id").exists() {
            let left = self.engine().clear();
            assert!(failed || left.is_empty(), "the engine keeps {left:?}");
        }
        if !failed {
            eventually("no process of the platform is left", START_LIMIT, || {
                self.processes().is_empty()
            });
        }
    }
}

/// A file that may not be there yet.
fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

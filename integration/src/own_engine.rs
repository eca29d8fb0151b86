//! A Docker engine of a story's own, so that it can be killed without anybody else's containers noticing.
//!
//! It lives in a network namespace, and so does the story: bridges, addresses and firewall rules are nobody else's either.
//! The namespace has no name and goes with its last process.

use std::{
    fs::{self, File, OpenOptions},
    os::fd::AsFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::Duration,
};

use rustix::{
    process::Signal,
    thread::{LinkNameSpaceType, move_into_link_name_space},
};
use tempfile::TempDir;

use crate::{Hosts, Output, Process, eventually, processes, server::send};

const START_LIMIT: Duration = Duration::from_secs(30);
/// What dynos start from. It stands in for the image that builds run in as well: a Dockerfile needs no more.
const RUN_IMAGE: &str = "paas/stack-12:run";
const BUILD_IMAGE: &str = "paas/stack-12:build";

/// A running `dockerd` with `live-restore`, as a platform wants it.
pub struct OwnEngine {
    folder: TempDir,
    hosts: Option<Hosts>,
    daemon: Mutex<Option<Child>>,
}

impl OwnEngine {
    /// Starts an engine with the stack's image, and tells a story in its network.
    pub fn with(story: impl FnOnce(&Self) + Send) {
        Self::enter(&[], story);
    }

    /// The same, with an engine that finds these names at 127.0.0.1. It is not to be killed: where it mounts something, the next one
    /// would not see it.
    pub fn with_names(names: &[&str], story: impl FnOnce(&Self, &Hosts) + Send) {
        Self::enter(names, |engine| {
            story(engine, engine.hosts.as_ref().expect("it was started with names"));
        });
    }

    fn enter(names: &[&str], story: impl FnOnce(&Self) + Send) {
        // A thread of its own, because there is no way back out of a namespace that is good for all cases.
        let told = thread::scope(|scope| {
            let told = scope.spawn(|| {
                enter_network();
                let engine = Self::start(names);
                engine.take_stack();
                story(&engine);
            });
            told.join()
        });
        if let Err(panic) = told {
            std::panic::resume_unwind(panic);
        }
    }

    /// Its socket.
    pub fn socket(&self) -> PathBuf {
        self.path("docker.sock")
    }

    /// Runs Docker's command, such as `docker ps`.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.arg("--host").arg(format!("unix://{}", self.socket().display()));
        Output::of(docker.args(arguments), "")
    }

    /// Ends `dockerd` on the spot, and nothing else.
    pub fn kill(&self) {
        if let Some(mut daemon) = self.lock().take() {
            // It may have ended by itself.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }

    /// Starts `dockerd` and waits until it answers.
    #[track_caller]
    pub fn run(&self) {
        let log = OpenOptions::new().create(true).append(true).open(self.path("log"));
        let log = log.expect("the engine's log can be written");
        let program = Path::new("dockerd");
        let hosts = self.hosts.as_ref();
        let mut dockerd = hosts.map_or_else(|| Command::new(program), |hosts| hosts.command(program));
        for (flag, name) in [
            ("--data-root", "data"),
            ("--exec-root", "run"),
            ("--pidfile", "docker.pid"),
        ] {
            dockerd.arg(flag).arg(self.path(name));
        }
        let daemon = dockerd
            .arg("--live-restore")
            .arg("--host")
            .arg(format!("unix://{}", self.socket().display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("dockerd is installed");
        *self.lock() = Some(daemon);
        eventually("the engine answers", START_LIMIT, || {
            self.docker(&["version"]).code == 0
        });
    }

    /// Ends `dockerd`, `containerd` and every container on the spot, and takes away what no machine remembers after a power
    /// cut: pid files and sockets, mounts, network interfaces, firewall rules. What is on disk stays.
    pub fn cut_power(&self) {
        let running = self.docker(&["ps", "--quiet", "--no-trunc"]).stdout;
        let containers = running.split_whitespace().map(|id| {
            let inspected = self.docker(&["inspect", "--format", "{{.State.Pid}}", id]);
            inspected
                .stdout
                .trim()
                .parse()
                .expect("a running container has a process")
        });
        let containers: Vec<u32> = containers.collect();
        self.kill();
        for process in self.processes() {
            send(process.id, Signal::KILL);
        }
        for container in containers {
            send(container, Signal::KILL);
        }
        eventually("every process of the engine is gone", START_LIMIT, || {
            self.processes().is_empty()
        });
        self.forget();
    }

    fn start(names: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("paas-engine-").tempdir();
        let folder = folder.expect("the folder of temporary files can be written");
        let engine = Self {
            hosts: (!names.is_empty()).then(|| Hosts::write(folder.path().join("hosts"), names)),
            folder,
            daemon: Mutex::default(),
        };
        engine.run();
        engine
    }

    /// Copies the image that dynos start from out of the machine's own engine.
    #[track_caller]
    fn take_stack(&self) {
        let file = self.path("stack.tar");
        let file = file.to_str().expect("the path is text");
        let mut save = Command::new("docker");
        save.args(["save", "--output", file, RUN_IMAGE]);
        Output::of(&mut save, "").expect_success();
        self.docker(&["load", "--input", file]).expect_success();
        self.docker(&["tag", RUN_IMAGE, BUILD_IMAGE]).expect_success();
        fs::remove_file(file).expect("the file is there");
    }

    /// `dockerd`, `containerd`, and a `containerd-shim` for each container.
    fn processes(&self) -> Vec<Process> {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let is_ours = |process: &Process| process.arguments.iter().any(|word| word.starts_with(&folder));
        processes().into_iter().filter(is_ours).collect()
    }

    fn forget(&self) {
        let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is there");
        let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for target in targets.filter(|target| Path::new(target).starts_with(self.folder.path())) {
            Output::of(Command::new("umount").args(["--lazy", target]), "");
        }
        for name in ["run", "docker.sock", "docker.pid"] {
            let path = self.path(name);
            // There may be none.
            let _ = fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path));
        }
        let links = Output::of(Command::new("ip").args(["-oneline", "link"]), "").stdout;
        for link in links.lines().filter_map(|line| line.split([':', '@']).nth(1)) {
            // The other end of a pair may have gone with the first one; `lo` stays.
            Output::of(Command::new("ip").args(["link", "delete", link.trim()]), "");
        }
        let mut rules = Command::new("iptables-restore");
        Output::of(&mut rules, "*filter\nCOMMIT\n*nat\nCOMMIT\n").expect_success();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().rev().take(40).collect();
            let lines: Vec<_> = lines.into_iter().rev().collect();
            // Nobody may be there to read it.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("--- the end of dockerd's log\n{}\n", lines.join("\n")).as_bytes(),
            );
        }
        if self.docker(&["version"]).code != 0 {
            // Otherwise nobody knows which containers there are.
            self.kill();
            self.run();
        }
        self.cut_power();
    }
}

/// Moves this thread into a network without anybody else; what it starts is there too.
fn enter_network() {
    let name = format!("paas-story-{}", std::process::id());
    let ip = |arguments: &[&str]| {
        Output::of(Command::new("ip").args(arguments), "").expect_success();
    };
    ip(&["netns", "add", &name]);
    let network = File::open(Path::new("/run/netns").join(&name)).expect("ip has made it");
    move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).expect("root may enter it");
    ip(&["netns", "delete", &name]);
    ip(&["link", "set", "lo", "up"]);
}

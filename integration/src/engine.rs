//! What of one platform is in the Docker engine, seen from outside with Docker's own command.

use std::{path::PathBuf, process::Command, time::Duration};

use crate::{Output, within};

/// The engine, through the eyes of one platform.
#[derive(Debug, Clone)]
pub struct Engine {
    platform: String,
    /// `None`: the one of this machine.
    socket: Option<PathBuf>,
}

/// A container of the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    /// `dyno`, `build`, …
    pub role: String,
    /// `web.1`, for a dyno.
    pub dyno: String,
    /// `running`, `exited`, …
    pub state: String,
}

/// How long the engine may take to let go of what a platform had.
const CLEAR_LIMIT: Duration = Duration::from_secs(30);
const CONTAINER_FORMAT: &str = "{{.ID}}\t{{.Label \"paas.role\"}}\t{{.Label \"paas.dyno-name\"}}\t{{.State}}";

impl Engine {
    pub(crate) fn new(platform: String, socket: Option<PathBuf>) -> Self {
        Self { platform, socket }
    }

    pub fn containers(&self) -> Vec<Container> {
        let listed = self.list(&["ps", "--all", "--no-trunc", "--format", CONTAINER_FORMAT]);
        let container = |line: &String| {
            let mut words = line.split('\t').map(str::to_owned);
            Some(Container {
                id: words.next()?,
                role: words.next()?,
                dyno: words.next()?,
                state: words.next()?,
            })
        };
        listed.iter().filter_map(container).collect()
    }

    /// The container of a dyno such as `web.1` that runs.
    pub fn dyno(&self, name: &str) -> Option<Container> {
        self.containers()
            .into_iter()
            .find(|container| container.dyno == name && container.state == "running")
    }

    pub fn networks(&self) -> Vec<String> {
        self.list(&["network", "ls", "--format", "{{.Name}}"])
    }

    pub fn volumes(&self) -> Vec<String> {
        self.list(&["volume", "ls", "--format", "{{.Name}}"])
    }

    /// Names of images, or ids of those without a name. The images of the stack and of add-ons carry the label of whoever made
    /// them, and are everybody's.
    pub fn images(&self) -> Vec<String> {
        let listed = self.list(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}\t{{.ID}}"]);
        let image = |line: &String| {
            let (name, id) = line.split_once('\t')?;
            let name = if name.contains("<none>") { id } else { name };
            let is_shared = name.starts_with("paas/stack-") || name.starts_with("paas/addon-");
            (!is_shared).then(|| name.to_owned())
        };
        listed.iter().filter_map(image).collect()
    }

    /// Runs Docker's command, such as `docker kill ID`.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        if let Some(socket) = &self.socket {
            docker.arg("--host").arg(format!("unix://{}", socket.display()));
        }
        Output::of(docker.args(arguments), "")
    }

    /// Runs a command inside a dyno.
    #[track_caller]
    pub fn exec(&self, container: &Container, command: &[&str]) -> Output {
        self.docker(&[&["exec", container.id.as_str()], command].concat())
    }

    /// Takes away everything that has exactly this platform's label, and says what it could not.
    ///
    /// A request that the engine had in hand when its server died comes true after that: one look is not enough.
    pub(crate) fn clear(&self) -> Vec<String> {
        let mut left = Vec::new();
        // The last answer is what counts.
        let _ = within(CLEAR_LIMIT, || {
            left = self.clear_once();
            left.is_empty().then_some(())
        });
        left
    }

    fn clear_once(&self) -> Vec<String> {
        for container in self.containers() {
            self.docker(&["rm", "--force", "--volumes", &container.id]);
        }
        for image in self.images() {
            self.docker(&["image", "rm", "--force", &image]);
        }
        for volume in self.volumes() {
            self.docker(&["volume", "rm", "--force", &volume]);
        }
        for network in self.networks() {
            self.docker(&["network", "rm", &network]);
        }
        let containers = self.containers().into_iter().map(|container| container.id);
        containers.chain(self.volumes()).chain(self.networks()).collect()
    }

    #[track_caller]
    fn list(&self, arguments: &[&str]) -> Vec<String> {
        let filter = format!("label=paas.platform={}", self.platform);
        let listed = self.docker(&[arguments, &["--filter", &filter]].concat());
        listed.expect_success().stdout.lines().map(str::to_owned).collect()
    }
}

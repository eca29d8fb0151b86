//! Heroku's own client, unmodified, as somebody uses it whose platform this is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::Value;

use crate::{App, Background, Hosts, Node, Output, Platform, Terminal, alike::Both, binary, compatibility, eventually};

const PACKAGE: &str = "heroku@11.10.0";
/// The certificate authority of the platform is made while it starts.
const CA_LIMIT: Duration = Duration::from_secs(30);
/// For the window of a [`Terminal`].
const SIZE: (u16, u16) = (120, 40);

/// Somebody with a home directory of their own and the environment that the README tells.
///
/// No request may go to another host than this platform: each command fails the story when it tries.
pub struct Heroku<'platform> {
    platform: &'platform Platform,
    /// Scheme, host and port.
    api: String,
    node: Node,
    home: PathBuf,
    folder: PathBuf,
    hosts: Option<Hosts>,
    aliases: BTreeMap<String, String>,
    /// The commands that were run.
    commands: Mutex<BTreeSet<String>>,
}

impl<'platform> Heroku<'platform> {
    /// Who is not logged in.
    #[track_caller]
    pub fn stranger(platform: &'platform Platform) -> Self {
        static HOMES: AtomicU32 = AtomicU32::new(1);
        let home = platform
            .home()
            .with_file_name(format!("heroku-{}", HOMES.fetch_add(1, Ordering::Relaxed)));
        let cache = home.join(".cache/heroku");
        fs::create_dir_all(&cache).expect("the platform's folder can be written");
        // Everybody sees the news about Heroku's terms once, and never again.
        fs::write(cache.join("terms-of-service"), "").expect("the home can be written");
        fs::copy(platform.home().join(".gitconfig"), home.join(".gitconfig")).expect("the user has a .gitconfig");
        let browser = home.join("browser");
        let script = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$1\" >> '{}'\n",
            home.join("opened").display()
        );
        fs::write(&browser, script).expect("the home can be written");
        fs::set_permissions(&browser, fs::Permissions::from_mode(0o755)).expect("the home can be written");
        fs::write(home.join("guard.cjs"), include_str!("heroku/guard.cjs")).expect("the home can be written");
        let node = Node::with("heroku", &[PACKAGE]);
        let heroku = Self {
            platform,
            api: format!("http://{}", platform.api()),
            aliases: aliases(&node),
            node,
            folder: home.clone(),
            hosts: None,
            home,
            commands: Mutex::default(),
        };
        eventually("the platform has a certificate authority", CA_LIMIT, || {
            heroku.authority().exists()
        });
        heroku
    }

    /// The platform's user, logged in: the token is in the netrc, as `heroku login` leaves it there.
    #[track_caller]
    pub fn user(platform: &'platform Platform) -> Self {
        let heroku = Self::stranger(platform);
        heroku.log_in(crate::platform::EMAIL, &platform.token());
        heroku
    }

    /// Becomes whoever has this token.
    #[track_caller]
    pub fn log_in(&self, email: &str, token: &str) {
        let api = self.api.split_once("://").map_or("", |(_, host)| host);
        let hosts = [api.to_owned(), self.git_host()];
        let entries = hosts.map(|host| format!("machine {host}\n  login {email}\n  password {token}\n"));
        fs::write(self.home.join(".netrc"), entries.concat()).expect("the home can be written");
    }

    /// The same person, who comes by the router, over TLS.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.api = format!("https://localhost:{}", self.platform.https().port());
        self.log_in(crate::platform::EMAIL, &self.platform.token());
        self
    }

    /// The same person on a machine that finds these names.
    #[must_use]
    pub fn with_hosts(mut self, hosts: &Hosts) -> Self {
        self.hosts = Some(hosts.clone());
        self
    }

    /// The same person in another folder.
    #[must_use]
    pub fn in_folder(mut self, folder: &Path) -> Self {
        folder.clone_into(&mut self.folder);
        self
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_reading(arguments, "")
    }

    /// Runs a command for an app: `-a NAME` comes right after the verb.
    #[track_caller]
    pub fn run_for(&self, app: &App<'_>, arguments: &[&str]) -> Output {
        self.run(&app.named(arguments))
    }

    #[track_caller]
    pub fn run_reading(&self, arguments: &[&str], input: &str) -> Output {
        let output = Output::of(&mut self.command(arguments), input);
        let strays = self.strays();
        assert!(
            strays.is_empty(),
            "heroku {arguments:?} asked for {strays:?}: {output:?}"
        );
        output
    }

    /// Begins to run a command. Ask for the [`Self::strays`] at its end.
    #[track_caller]
    pub fn start(&self, arguments: &[&str]) -> Background {
        Background::start(&mut self.command(arguments))
    }

    /// Begins to run a command in a terminal. Ask for the [`Self::strays`] at its end.
    #[track_caller]
    pub fn terminal(&self, arguments: &[&str]) -> Terminal {
        Terminal::start(&self.command(arguments), SIZE)
    }

    /// Runs the same command of both clients, one after the other.
    #[track_caller]
    pub fn beside(&self, arguments: &[&str]) -> Both {
        Both {
            heroku: self.run(arguments),
            paas: self.paas(arguments),
        }
    }

    /// The same command of both clients, for one app each: what changes something is done to either of them.
    #[track_caller]
    pub fn beside_for(&self, [heroku, paas]: [&App<'_>; 2], arguments: &[&str]) -> Both {
        let both = Both {
            heroku: self.run_for(heroku, arguments),
            paas: self.paas(&paas.named(arguments)),
        };
        both.renaming(heroku.name(), paas.name())
    }

    /// The command `paas` in the same folder.
    #[track_caller]
    pub fn paas(&self, arguments: &[&str]) -> Output {
        let mut command = self.platform.user_command(&binary("paas"));
        Output::of(command.current_dir(&self.folder).args(arguments), "")
    }

    /// Runs git in the folder, as this person: the client answers when git asks for the password.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> Output {
        let output = Output::of(self.command_of(Path::new("git")).args(arguments), "");
        // It asks the client by itself.
        self.ran("git:credentials");
        output
    }

    /// Says that the story has looked at what these commands did. They have the names of the compatibility page, and must have
    /// been run.
    #[track_caller]
    pub fn covers(&self, commands: &[&str]) {
        let run = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        for command in commands {
            assert!(
                compatibility::commands().contains(command),
                "{command} is no command of the client"
            );
            assert!(run.contains(*command), "{command} is covered, and was not run: {run:?}");
        }
    }

    /// The client with these arguments, to be started in whatever way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let verb = arguments.first().copied().unwrap_or_default();
        self.ran(self.aliases.get(verb).map_or(verb, String::as_str));
        let mut command = self.command_of(&self.node.program("heroku"));
        command.args(arguments);
        command
    }

    /// Any program in the environment of this person.
    pub fn command_of(&self, program: &Path) -> Command {
        let command = match &self.hosts {
            Some(hosts) => hosts.command(program),
            None => Command::new(program),
        };
        let mut command = self.platform.as_user(command);
        let api = &self.api;
        let host = if api.starts_with("https") {
            "localhost"
        } else {
            "127.0.0.1"
        };
        command
            .current_dir(&self.folder)
            .env_remove("PAAS_URL")
            .env("PATH", self.node.path())
            .env("HOME", &self.home)
            .env(
                "NODE_OPTIONS",
                format!("--require {}", self.home.join("guard.cjs").display()),
            )
            .env("STORY_DOMAIN", self.platform.domain())
            .env("STORY_STRAYS", self.home.join("strays"))
            // What opens a page asks it (xdg-open(1)).
            .env("BROWSER", self.home.join("browser"))
            .env_remove("DISPLAY")
            .env("NODE_EXTRA_CA_CERTS", self.authority())
            .env("GIT_SSL_CAINFO", self.authority())
            .env("HEROKU_GIT_HOST", self.git_host())
            .env("HEROKU_DATA_HOST", host)
            .env(
                "HEROKU_EXEC_URL",
                format!("https://localhost:{}/", self.platform.https().port()),
            )
            .env("STORY_PORT_80", self.platform.http().port().to_string())
            .env("HEROKU_BUILDPACK_REGISTRY_URL", format!("{api}/buildpack-registry"))
            .env("HEROKU_NETRC_WRITE", "true")
            // Otherwise long words for people are broken into lines of 80 columns.
            .env("OCLIF_COLUMNS", "200")
            .env("HEROKU_SKIP_NEW_VERSION_CHECK", "true")
            // Else each home's first command leaves a process behind that looks for updates, minutes later.
            .env("HEROKU_DISABLE_AUTOUPDATE", "true")
            .env("DISABLE_TELEMETRY", "true");
        for name in ["HOST", "LOGIN_HOST", "PARTICLEBOARD_URL", "STATUS_HOST"] {
            command.env(format!("HEROKU_{name}"), api);
        }
        command
    }

    fn ran(&self, command: &str) {
        let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        commands.insert(command.to_owned());
    }

    /// The pages that commands have opened in a browser.
    pub fn opened(&self) -> Vec<String> {
        let text = fs::read_to_string(self.home.join("opened")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The hosts that commands wanted to reach outside of this machine; forgotten when they have been told.
    pub fn strays(&self) -> Vec<String> {
        let path = self.home.join("strays");
        let Ok(text) = fs::read_to_string(&path) else {
            return Vec::new();
        };
        fs::remove_file(&path).expect("a file that can be read can be removed");
        text.lines().map(str::to_owned).collect()
    }

    /// Where git goes: through the router, over TLS.
    pub fn git_host(&self) -> String {
        format!("git.localhost:{}", self.platform.https().port())
    }

    /// The certificate authority of the platform, which everything here trusts.
    pub fn authority(&self) -> PathBuf {
        self.platform.data_dir().join("local-ca/root.pem")
    }

    /// For a story that has no network when it needs the client.
    pub fn install() {
        Node::with("heroku", &[PACKAGE]);
    }

    /// What the installed client lists as its commands.
    pub fn manifest() -> Value {
        manifest(&Node::with("heroku", &[PACKAGE]))
    }
}

fn manifest(node: &Node) -> Value {
    let path = node.modules().join("heroku/oclif.manifest.json");
    let text = fs::read_to_string(path).expect("the client comes with a manifest");
    serde_json::from_str(&text).expect("the manifest is JSON")
}

/// The proper name of each command that has another one, such as `create`.
fn aliases(node: &Node) -> BTreeMap<String, String> {
    let manifest = manifest(node);
    let commands = manifest["commands"].as_object().expect("the manifest has commands");
    let others = commands.iter().flat_map(|(name, command)| {
        let lists = ["aliases", "hiddenAliases"].map(|key| command[key].as_array());
        let aliases = lists.into_iter().flatten().flatten();
        aliases.filter_map(move |alias| Some((alias.as_str()?.to_owned(), name.clone())))
    });
    others.collect()
}

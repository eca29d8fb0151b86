//! `container:*`: the client finds the registry beside the API, by a domain that it takes, and at the usual port.

use std::{env, fs, os::unix::fs::symlink, path::PathBuf, process::Command, time::Duration};

use paas_integration::{App, Heroku, Options, Output, OwnEngine, Platform, Terminal, binary};

const SOON: Duration = Duration::from_mins(1);
const DOMAIN: &str = "box.test";
const NAMES: [&str; 4] = [
    "api.box.test",
    "registry.box.test",
    "api.localhost.box.test",
    "registry.localhost.box.test",
];
/// A web server in two megabytes (Debian's busybox-static).
const DOCKERFILE: &str = "\
FROM scratch
COPY busybox /bin/busybox
RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]
ARG PAGE=one
RUN mkdir /www && printf \"hello $PAGE\" > /www/index.html
CMD [\"/bin/sh\", \"-c\", \"exec httpd -f -p $PORT -h /www\"]
";

/// What somebody has who deploys images: the client, Docker, and a folder with a `Dockerfile`.
struct Deployer<'platform> {
    heroku: Heroku<'platform>,
    engine: &'platform OwnEngine,
    token: String,
    /// The folder of `docker`.
    programs: PathBuf,
}

impl Deployer<'_> {
    /// The client with the environment that the documentation tells.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.heroku.command(arguments);
        command
            .env("HEROKU_HOST", format!("localhost.{DOMAIN}"))
            .env("HEROKU_API_KEY", &self.token)
            .env(
                "HEROKU_HEADERS",
                format!(r#"{{"authorization":"Bearer {}"}}"#, self.token),
            );
        self.with_docker(&mut command);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        self.output(self.command(arguments))
    }

    /// The client as `paas` starts it.
    #[track_caller]
    fn through_paas(&self, arguments: &[&str]) -> Output {
        let mut command = self.heroku.command_of(&binary("paas"));
        command
            .args(["heroku", "--"])
            .args(arguments)
            .env("PAAS_URL", format!("https://api.{DOMAIN}"))
            .env("PAAS_API_KEY", &self.token)
            // `paas` looks there for authorities, as programs with OpenSSL do.
            .env("SSL_CERT_FILE", self.heroku.authority())
            .env_remove("HEROKU_HOST");
        self.with_docker(&mut command);
        self.output(command)
    }

    #[track_caller]
    fn output(&self, mut command: Command) -> Output {
        let output = Output::of(&mut command, "");
        assert_eq!(self.heroku.strays(), [""; 0], "{output:?}");
        assert!(!output.text().contains(&self.token), "the token is in {output:?}");
        output
    }

    fn with_docker(&self, command: &mut Command) {
        let set = command.get_envs().find(|(name, _)| *name == "PATH");
        let path = set
            .and_then(|(_, path)| path)
            .expect("the client has a path")
            .to_owned();
        let path = [self.programs.clone()].into_iter().chain(env::split_paths(&path));
        let path = env::join_paths(path).expect("a path without colons");
        command
            .env("PATH", path)
            .env("DOCKER_HOST", format!("unix://{}", self.engine.socket().display()))
            // Not every Docker brings the other builder.
            .env("DOCKER_BUILDKIT", "0");
    }
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn images_are_pushed_and_released_as_on_heroku() {
    // There are no packages in the story's network.
    Heroku::install();
    OwnEngine::with_names(&NAMES, |engine, hosts| {
        let platform = Platform::with(Options {
            docker: Some(engine.socket()),
            domain: Some(DOMAIN.to_owned()),
            ..Options::default()
        });
        take_usual_port(&platform);
        let app = platform.app("hello");
        app.clear().write("Dockerfile", DOCKERFILE);
        fs::copy("/usr/bin/busybox", app.tree().join("busybox")).expect("busybox-static is installed");
        let deployer = Deployer {
            heroku: Heroku::stranger(&platform).in_folder(app.tree()).with_hosts(hosts),
            engine,
            token: platform.token(),
            programs: debians_docker(&platform),
        };
        refuses(&deployer, &app);
        deploys(&deployer, &app);
        runs_here(&deployer, &app);
        removes(&deployer, &app);
        deployer
            .run(&["container:logout"])
            .expect_success()
            .expect("Removing login credentials");
        deployer.heroku.covers(&[
            "container:login",
            "container:logout",
            "container:pull",
            "container:push",
            "container:release",
            "container:rm",
            "container:run",
        ]);
    });
}

fn refuses(deployer: &Deployer<'_>, app: &App<'_>) {
    let push = ["container:push", "web", "-a", "hello"];
    let refused = deployer.run(&push);
    assert_ne!(refused.code, 0, "{refused:?}");
    refused.expect("This command is for Docker apps only");
    app.paas(&["stack:set", "container"]).expect_success();
    // Nobody is logged in to the registry.
    let refused = deployer.run(&push);
    assert_ne!(refused.code, 0, "{refused:?}");
    refused.expect("docker push exited with Error: 1");
    // On this machine's own address there is no registry beside the API.
    let mut loopback = deployer.heroku.command_of(&binary("paas"));
    loopback
        .args(["heroku", "--", "container:login"])
        .env("PAAS_URL", format!("http://{}", app.platform().api()))
        .env("PAAS_API_KEY", &deployer.token);
    deployer.output(loopback).expect_code(1).expect("paas container:login");
}

fn deploys(deployer: &Deployer<'_>, app: &App<'_>) {
    deployer
        .run(&["container:login"])
        .expect_success()
        .expect("Login Succeeded");
    deployer
        .run(&["container:push", "web", "-a", "hello"])
        .expect_success()
        .expect("Your image has been successfully pushed");
    deployer
        .run(&["container:release", "web", "-a", "hello"])
        .expect_success()
        .expect("Releasing images web to hello... done");
    app.serves("hello one", SOON);
    let description = app.releases()[0]["description"].clone();
    let is_image = |text: &str| text.starts_with("Deployed web (");
    assert!(description.as_str().is_some_and(is_image), "{description}");

    let push = ["container:push", "web", "-a", "hello", "--arg", "PAGE=two"];
    deployer.through_paas(&push).expect_success();
    deployer
        .through_paas(&["container:release", "web", "-a", "hello"])
        .expect_success();
    app.serves("hello two", SOON);
}

fn removes(deployer: &Deployer<'_>, app: &App<'_>) {
    let worker = ["worker", "-a", "hello"];
    for verb in ["container:push", "container:release"] {
        deployer.run(&[&[verb], &worker[..]].concat()).expect_success();
    }
    app.paas(&["ps:scale", "worker=1"]).expect_success();
    app.runs(&["web.1", "worker.1"], SOON);
    deployer
        .run(&[&["container:rm"], &worker[..]].concat())
        .expect_success()
        .expect("Removing container worker for");
    app.runs(&["web.1"], SOON);
}

/// On the deployer's own machine.
fn runs_here(deployer: &Deployer<'_>, app: &App<'_>) {
    let image = format!("registry.localhost.{DOMAIN}/{}/web", app.name());
    deployer.engine.docker(&["image", "rm", &image]).expect_success();
    deployer
        .run(&["container:pull", "web", "-a", "hello"])
        .expect_success()
        .expect("Pulling web");
    let run = deployer.command(&["container:run", "web", "ls", "-a", "hello"]);
    let ran = Terminal::start(&run, (120, 40)).finish(SOON);
    ran.expect_success().expect("www");
}

/// The client asks newer ones for what only their plugins can do, and those may not be here.
fn debians_docker(platform: &Platform) -> PathBuf {
    let folder = platform.home().join("programs");
    fs::create_dir(&folder).expect("the home can be written");
    symlink("/usr/bin/docker", folder.join("docker")).expect("a link can be made");
    folder
}

/// The client knows no other one: what goes to it reaches the platform's router.
fn take_usual_port(platform: &Platform) {
    let port = platform.https().port().to_string();
    let mut rule = Command::new("iptables");
    rule.args([
        "-t",
        "nat",
        "-A",
        "OUTPUT",
        "-p",
        "tcp",
        "-d",
        "127.0.0.1",
        "--dport",
        "443",
    ])
    .args(["-j", "REDIRECT", "--to-ports", &port]);
    Output::of(&mut rule, "").expect_success();
}

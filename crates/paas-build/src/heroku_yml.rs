//! `heroku.yml`: which images an app is built as, and what runs in them (Dev Center, *Building Docker Images with heroku.yml*).
//!
//! Read only; nothing of it reaches a shell here. A mistake is told with its line.

use std::{collections::BTreeMap, fmt};

use paas_core::{ConfigKey, ProcessType};
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

/// A manifest whose parts fit together: every image that is named is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HerokuYml {
    /// Never empty.
    pub(crate) images: BTreeMap<ProcessType, ImageBuild>,
    /// `--build-arg`, for every image.
    pub(crate) arguments: BTreeMap<String, String>,
    pub(crate) run: BTreeMap<ProcessType, Process>,
    pub(crate) release: Option<Process>,
    /// Set with the first deploy, where nobody has set it yet.
    pub(crate) config: BTreeMap<ConfigKey, String>,
    /// The plans that it asks for.
    pub(crate) addons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageBuild {
    /// Where the context is, which is where its Dockerfile is: empty for the root.
    pub(crate) directory: String,
    /// The file in that directory.
    pub(crate) dockerfile: String,
    pub(crate) target: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Process {
    /// `None`: what its image runs by itself.
    pub(crate) command: Option<String>,
    /// `None`: its own, or the one that there is.
    pub(crate) image: Option<ProcessType>,
}

/// What is wrong, and where if a line says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("heroku.yml: {problem}")]
pub struct HerokuYmlError {
    pub line: Option<usize>,
    pub problem: String,
}

impl HerokuYml {
    pub(crate) fn parse(text: &str) -> Result<Self, HerokuYmlError> {
        let document: Document = serde_yaml_ng::from_str(text).map_err(|error| {
            let line = error.location().map(|location| location.line());
            let problem = error.to_string();
            // The place is told beside it.
            let problem = problem
                .rsplit_once(" at line ")
                .map_or(&*problem, |(problem, _)| problem);
            HerokuYmlError {
                line,
                problem: problem.to_owned(),
            }
        })?;
        document.check()
    }

    /// The image that stands in for whatever names none.
    pub(crate) fn default_image(&self) -> &ProcessType {
        let web = self.images.keys().find(|name| name.is_web());
        web.or_else(|| self.images.keys().next())
            .expect("it was checked that there is one")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "the keys setup, build, release and run")]
struct Document {
    setup: Option<Setup>,
    build: Option<Build>,
    release: Option<Within>,
    run: Option<BTreeMap<Name, Run>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Setup {
    addons: Option<Vec<Addon>>,
    config: Option<BTreeMap<Key, Scalar>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "an add-on is its plan, or has the keys plan and as")]
enum Addon {
    Plan(String),
    Named {
        plan: String,
        #[serde(rename = "as")]
        _name: Option<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    docker: Option<BTreeMap<Name, Image>>,
    config: Option<BTreeMap<String, Scalar>>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "an image is the path of its Dockerfile, or has the keys dockerfile and target; the path must stay within the source"
)]
enum Image {
    Dockerfile(DockerfilePath),
    Stage(Stage),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stage {
    dockerfile: DockerfilePath,
    target: Option<String>,
}

/// A process that says where it runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Within {
    command: Option<Command>,
    image: Option<Name>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "a process is its command, or has the keys command and image")]
enum Run {
    Command(Command),
    Within(Within),
}

/// One shell command, or several that are run one after the other for as long as they succeed.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a command is a text, or a list of texts")]
enum Command {
    One(String),
    Several(Vec<String>),
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name(ProcessType);

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key(ConfigKey);

struct DockerfilePath(String);

/// Whatever YAML makes of a plain word.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a value must be a text, a number, true or false")]
enum Scalar {
    Text(String),
    Truth(bool),
    Number(serde_yaml_ng::Number),
}

impl Document {
    fn check(self) -> Result<HerokuYml, HerokuYmlError> {
        let build = self.build.ok_or_else(no_images)?;
        let images: BTreeMap<_, _> = build.docker.unwrap_or_default().into_iter().map(image).collect();
        if images.is_empty() {
            return Err(no_images());
        }
        let arguments = build.config.unwrap_or_default().into_iter();
        let run = self.run.unwrap_or_default().into_iter();
        let (addons, config) = self.setup.map_or((None, None), |setup| (setup.addons, setup.config));
        let manifest = HerokuYml {
            images,
            arguments: arguments.map(|(name, value)| (name, value.to_string())).collect(),
            run: run.map(|(name, run)| (name.0, run.into())).collect(),
            release: self.release.map(Process::from),
            config: config
                .unwrap_or_default()
                .into_iter()
                .map(|(key, value)| (key.0, value.to_string()))
                .collect(),
            addons: addons
                .unwrap_or_default()
                .into_iter()
                .map(|addon| match addon {
                    Addon::Plan(plan) | Addon::Named { plan, .. } => plan,
                })
                .collect(),
        };
        manifest.check_references()
    }
}

impl HerokuYml {
    fn check_references(self) -> Result<Self, HerokuYmlError> {
        if self.run.keys().any(ProcessType::is_release) {
            let problem = "run has a process called release: what runs before a release goes under release";
            return Err(whole(problem));
        }
        let release = self.release.iter().map(|process| ("release".to_owned(), process));
        let run = self.run.iter().map(|(name, process)| (format!("run.{name}"), process));
        for (place, process) in release.chain(run) {
            if let Some(image) = &process.image
                && !self.images.contains_key(image)
            {
                let known: Vec<_> = self.images.keys().map(ProcessType::as_str).collect();
                return Err(whole(&format!(
                    "{place} uses the image {image}, and build.docker has only {}",
                    known.join(", ")
                )));
            }
        }
        Ok(self)
    }
}

fn image((name, image): (Name, Image)) -> (ProcessType, ImageBuild) {
    let (path, target) = match image {
        Image::Dockerfile(path) => (path, None),
        Image::Stage(Stage { dockerfile, target }) => (dockerfile, target),
    };
    let (directory, dockerfile) = path.0.rsplit_once('/').unwrap_or(("", &path.0));
    let build = ImageBuild {
        directory: directory.to_owned(),
        dockerfile: dockerfile.to_owned(),
        target,
    };
    (name.0, build)
}

fn no_images() -> HerokuYmlError {
    whole("build.docker names no image; it needs a line such as web: Dockerfile")
}

fn whole(problem: &str) -> HerokuYmlError {
    HerokuYmlError {
        line: None,
        problem: problem.to_owned(),
    }
}

impl Command {
    fn shell(self) -> String {
        match self {
            Self::One(command) => command,
            Self::Several(commands) => commands.join(" && "),
        }
    }
}

impl From<Run> for Process {
    fn from(run: Run) -> Self {
        match run {
            Run::Command(command) => Self {
                command: Some(command.shell()),
                image: None,
            },
            Run::Within(within) => within.into(),
        }
    }
}

impl From<Within> for Process {
    fn from(Within { command, image }: Within) -> Self {
        Self {
            command: command.map(Command::shell),
            image: image.map(|name| name.0),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Truth(truth) => truth.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map(Self)
            .map_err(|error| de::Error::custom(format!("{text:?}: {error}")))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for DockerfilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let path = text.trim_start_matches("./");
        let stays = |part: &str| !matches!(part, "" | "." | "..");
        if path.split('/').all(stays) {
            Ok(Self(path.to_owned()))
        } else {
            Err(de::Error::custom(format!(
                "{text:?} is no path of a file within the source"
            )))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> ProcessType {
        text.parse().unwrap()
    }

    #[test]
    fn everything_that_heroku_documents_is_read() {
        let manifest = HerokuYml::parse(
            "setup:
  addons:
    - plan: heroku-postgresql
      as: DATABASE
    - heroku-redis
  config:
    S3_BUCKET: my-example-bucket
    WORKERS: 2
build:
  docker:
    web: Dockerfile
    worker:
      dockerfile: ./worker/Dockerfile
      target: builder
  config:
    RAILS_ENV: development
    DEBUG: true
release:
  command:
    - ./deployment-tasks.sh
    - ./more.sh
  image: worker
run:
  web: bundle exec puma -C config/puma.rb
  worker:
    command:
      - python myworker.py
  asset-syncer:
    command: python asset-syncer.py
    image: web
",
        )
        .unwrap();
        let image = |directory: &str, target: Option<&str>| ImageBuild {
            directory: directory.to_owned(),
            dockerfile: "Dockerfile".to_owned(),
            target: target.map(str::to_owned),
        };
        assert_eq!(manifest.images[&name("web")], image("", None));
        assert_eq!(manifest.images[&name("worker")], image("worker", Some("builder")));
        assert_eq!(manifest.arguments["DEBUG"], "true");
        assert_eq!(manifest.addons, ["heroku-postgresql", "heroku-redis"]);
        let config: Vec<_> = manifest.config.values().map(String::as_str).collect();
        assert_eq!(config, ["my-example-bucket", "2"]);
        let release = manifest.release.clone().unwrap();
        assert_eq!(release.command.as_deref(), Some("./deployment-tasks.sh && ./more.sh"));
        assert_eq!(release.image, Some(name("worker")));
        let process = |name: &str| manifest.run[&name.parse::<ProcessType>().unwrap()].clone();
        assert_eq!(process("worker").command.as_deref(), Some("python myworker.py"));
        assert_eq!(process("asset-syncer").image, Some(name("web")));
        assert_eq!(manifest.default_image(), &name("web"));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let told = |text: &str| {
            let error = HerokuYml::parse(text).unwrap_err();
            format!("{:?} {}", error.line, error.problem)
        };
        let texts = [
            "build:\n  docker:\n    web: Dockerfile\n  dokcer: 1\n",
            "build:\n  docker:\n\tweb: Dockerfile\n",
            "build:\n  docker:\n    web one: Dockerfile\n",
            "build:\n  docker:\n    web: ../Dockerfile\n",
            "build:\n  docker:\n    web: [1]\n",
            "run:\n  web: x\n",
            "build:\n  docker: {}\n",
            "build:\n  docker:\n    web: Dockerfile\nrun:\n  worker:\n    image: api\n",
            "- a\n",
            "",
        ];
        insta::assert_snapshot!(texts.map(told).join("\n"));
    }
}

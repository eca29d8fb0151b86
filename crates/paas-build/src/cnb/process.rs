//! The processes of an app's image, and how a dyno starts them: by the lifecycle's launcher, never by a shell of ours.

use std::collections::BTreeMap;

use paas_core::ProcessType;
use paas_engine::Image;
use serde::Deserialize;

use crate::dockerfile::quote;

/// Where the lifecycle describes the app's processes (Platform Interface Specification, *Labels*).
pub(super) const BUILD_METADATA: &str = "io.buildpacks.build.metadata";
/// On images that we have made of what a lifecycle exported: the process types that its launcher knows.
pub(super) const PROCESSES: &str = "paas.cnb-processes";
const LAUNCHER: &str = "/cnb/lifecycle/launcher";

/// The label `io.buildpacks.build.metadata`.
#[derive(Debug, Clone, PartialEq, Deserialize, Default)]
#[serde(default)]
pub(super) struct BuildMetadata {
    processes: Option<Vec<Process>>,
    buildpacks: Option<Vec<Buildpack>>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Process {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    command: Option<Command>,
    #[serde(default)]
    args: Option<Vec<String>>,
    #[serde(default)]
    direct: bool,
}

/// One word before Platform API 0.10, several since.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Command {
    One(String),
    Several(Vec<String>),
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Buildpack {
    id: String,
}

impl BuildMetadata {
    /// What runs as each process type, for people to read. Types that are none here are left out.
    pub(super) fn process_types(&self) -> BTreeMap<ProcessType, String> {
        let processes = self.processes.iter().flatten();
        processes
            .filter_map(|process| Some((process.kind.parse().ok()?, process.text())))
            .collect()
    }

    /// `heroku/python, heroku/procfile`.
    pub(super) fn description(&self) -> Option<String> {
        let ids: Vec<_> = self.buildpacks.iter().flatten().map(|one| one.id.as_str()).collect();
        Some(ids.join(", ")).filter(|text| !text.is_empty())
    }
}

impl Process {
    fn text(&self) -> String {
        let command = match &self.command {
            None => [].as_slice(),
            Some(Command::One(word)) => std::slice::from_ref(word),
            Some(Command::Several(words)) => words,
        };
        let words: Vec<_> = command
            .iter()
            .chain(self.args.iter().flatten())
            .map(String::as_str)
            .collect();
        match words.as_slice() {
            // A line of a Procfile, as Heroku's buildpack for those hands it on.
            ["bash" | "/bin/bash", "-c", script] => (*script).to_owned(),
            [script] if !self.direct => (*script).to_owned(),
            words => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
        }
    }
}

/// How a dyno of such an image starts a command: `None` when the image is none that a lifecycle has made.
///
/// `declared` is the process type that is meant, with what the release says of it. The launcher sets up what the buildpacks
/// want to be in the environment, and runs one of its own processes by name, or any command in a shell.
pub fn launch(image: &Image, declared: Option<(&ProcessType, &str)>, command: &str) -> Option<Vec<String>> {
    let known: Vec<_> = image.labels.get(PROCESSES)?.split(' ').collect();
    let in_shell = |script: String| vec![LAUNCHER.to_owned(), script];
    if let Some((process_type, text)) = declared
        && known.contains(&process_type.as_str())
        && let Some(rest) = command.strip_prefix(text)
    {
        let program = format!("/cnb/process/{process_type}");
        return Some(match rest {
            "" => vec![program],
            rest => in_shell(program + rest),
        });
    }
    // Heroku's client writes it before the command that was typed.
    let command = command.strip_prefix("launcher ").unwrap_or(command);
    Some(in_shell(command.to_owned()))
}

#[cfg(test)]
mod tests {
    use paas_core::ImageRef;

    use super::*;

    fn image(processes: Option<&str>) -> Image {
        Image {
            id: ImageRef::new("sha256:0"),
            tags: Vec::new(),
            app: None,
            size_bytes: 0,
            created_at: None,
            labels: processes
                .map(|types| (PROCESSES.to_owned(), types.to_owned()))
                .into_iter()
                .collect(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            working_dir: "/workspace".to_owned(),
            user: String::new(),
        }
    }

    #[test]
    fn processes_are_read_from_old_and_new_lifecycles() {
        let metadata: BuildMetadata = serde_json::from_str(
            r#"{ "bom": null, "buildpacks": [{ "id": "a/b", "version": "1" }, { "id": "c/d" }], "processes": [
                { "type": "web", "command": ["bash", "-c"], "args": ["gunicorn app:app --bind :$PORT"], "direct": true },
                { "type": "worker", "command": ["bin/work"], "args": ["--queue", "two words"], "direct": true },
                { "type": "old", "command": "./serve $PORT", "args": null, "direct": false },
                { "type": "a.dot", "command": ["x"] }, { "type": "nothing" } ] }"#,
        )
        .unwrap();
        let types = metadata.process_types();
        let types: Vec<_> = types
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        assert_eq!(
            types,
            [
                ("nothing", ""),
                ("old", "./serve $PORT"),
                ("web", "gunicorn app:app --bind :$PORT"),
                ("worker", "bin/work --queue 'two words'"),
            ]
        );
        assert_eq!(metadata.description().unwrap(), "a/b, c/d");
        assert_eq!(BuildMetadata::default().description(), None);
    }

    #[test]
    fn a_dyno_starts_what_the_launcher_knows_by_name_and_all_else_in_its_shell() {
        let web = "web".parse().unwrap();
        let (made, text) = (image(Some("web worker")), "serve it");
        let argv = |declared, command| launch(&made, declared, command).unwrap().join("|");
        assert_eq!(argv(Some((&web, text)), "serve it"), "/cnb/process/web");
        assert_eq!(
            argv(Some((&web, text)), "serve it --port 1; echo"),
            "/cnb/lifecycle/launcher|/cnb/process/web --port 1; echo"
        );
        let clock = "clock".parse().unwrap();
        assert_eq!(argv(Some((&clock, "tick")), "tick"), "/cnb/lifecycle/launcher|tick");
        assert_eq!(argv(None, "launcher bash"), "/cnb/lifecycle/launcher|bash");
        assert_eq!(launch(&image(None), None, "bash"), None);
    }
}

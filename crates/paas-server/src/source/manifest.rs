//! `app.json`: what an app that is made of a source needs (Dev Center, *app.json Schema*).
//!
//! What this platform cannot give (other stacks) is told; what it need not know is ignored.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use paas_build::Choice;
use paas_core::{AttachmentName, ConfigKey, DynoSize, ProcessType, QuantityChange};
use serde_json::{Map, Value};
use tar::Archive;

/// No sensible one comes near it.
const MAXIMUM_BYTES: u64 = 1024 * 1024;

/// What of an `app.json` counts here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) env: BTreeMap<ConfigKey, Variable>,
    pub(crate) buildpacks: Vec<Choice>,
    pub(crate) formation: BTreeMap<ProcessType, Dynos>,
    pub(crate) postdeploy: Option<String>,
    pub(crate) success_url: Option<String>,
    pub(crate) addons: Vec<AddonOrder>,
    /// `environments.test`
    pub(crate) tests: TestEnvironment,
    /// What it asks for and does not get.
    pub(crate) notes: Vec<String>,
}

/// What is different where the app is tested.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct TestEnvironment {
    pub(crate) env: BTreeMap<ConfigKey, Variable>,
    /// In place of the app's; none: the app's.
    pub(crate) buildpacks: Vec<Choice>,
    /// `scripts.test-setup`
    pub(crate) setup: Option<String>,
    /// `scripts.test`
    pub(crate) command: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) value: Option<String>,
    pub(crate) is_required: bool,
    /// `"generator": "secret"`
    pub(crate) is_secret: bool,
}

/// `"heroku-redis:mini"`, or `{"plan": "heroku-redis:mini", "as": "CACHE"}`
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AddonOrder {
    pub(crate) plan: String,
    pub(crate) attachment: Option<AttachmentName>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dynos {
    pub(crate) quantity: Option<u32>,
    pub(crate) size: Option<DynoSize>,
}

/// The text of the `app.json` at the root of a tar; `None` without one. Blocks.
pub(crate) fn find(tar: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut archive = Archive::new(File::open(tar)?);
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() && *entry.path_bytes() == *b"app.json" {
            let mut text = Vec::new();
            entry.take(MAXIMUM_BYTES).read_to_end(&mut text)?;
            return Ok(Some(text));
        }
    }
    Ok(None)
}

impl Manifest {
    /// Everything that is wrong with it at once, in words.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Vec<String>> {
        let value: Value = serde_json::from_slice(text).map_err(|error| {
            vec![format!(
                "app.json is not valid JSON: see line {}, column {}",
                error.line(),
                error.column()
            )]
        })?;
        let Value::Object(fields) = value else {
            return Err(vec!["app.json must be a JSON object".to_owned()]);
        };
        let mut reader = Reader {
            manifest: Self::default(),
            problems: Vec::new(),
        };
        for (key, value) in fields {
            reader.field(&key, value);
        }
        if reader.problems.is_empty() {
            Ok(reader.manifest)
        } else {
            Err(reader.problems)
        }
    }
}

struct Reader {
    manifest: Manifest,
    problems: Vec<String>,
}

impl Reader {
    fn field(&mut self, key: &str, value: Value) {
        match (key, value) {
            (_, Value::Null) => {}
            ("env", Value::Object(env)) => self.manifest.env = self.env(env),
            ("environments", Value::Object(environments)) => self.environments(environments),
            ("formation", Value::Object(formation)) => self.formation(formation),
            // The oldest form: a list of objects that name their process.
            ("formation", Value::Array(formation)) => self.old_formation(formation),
            ("buildpacks", Value::Array(buildpacks)) => self.manifest.buildpacks = self.buildpacks(buildpacks),
            ("scripts", Value::Object(scripts)) => self.manifest.postdeploy = self.script(&scripts, "postdeploy"),
            ("success_url", Value::String(url)) => self.manifest.success_url = Some(url),
            ("addons", Value::Array(addons)) => self.addons(addons),
            // What a Dockerfile is built by is found out.
            ("stack", Value::String(stack)) if stack == "container" => {}
            ("stack", Value::String(stack)) => {
                let note = format!("stack {stack} is left out: this platform has one of its own");
                self.manifest.notes.push(note);
            }
            (
                "environments" | "env" | "formation" | "buildpacks" | "scripts" | "success_url" | "addons" | "stack",
                _,
            ) => {
                self.problems.push(format!("{key} has the wrong type"));
            }
            _ => {}
        }
    }

    /// Review apps have one, too, and there are none here.
    fn environments(&mut self, mut environments: Map<String, Value>) {
        let Some(Value::Object(test)) = environments.remove("test") else {
            return;
        };
        for (key, value) in test {
            match (key.as_str(), value) {
                (_, Value::Null) => {}
                ("env", Value::Object(env)) => self.manifest.tests.env = self.env(env),
                ("buildpacks", Value::Array(buildpacks)) => {
                    self.manifest.tests.buildpacks = self.buildpacks(buildpacks);
                }
                ("scripts", Value::Object(scripts)) => {
                    self.manifest.tests.setup = self.script(&scripts, "test-setup");
                    self.manifest.tests.command = self.script(&scripts, "test");
                }
                ("env" | "buildpacks" | "scripts", _) => {
                    self.problems
                        .push(format!("environments.test: {key} has the wrong type"));
                }
                _ => {}
            }
        }
    }

    fn env(&mut self, env: Map<String, Value>) -> BTreeMap<ConfigKey, Variable> {
        let mut variables = BTreeMap::new();
        for (name, value) in env {
            let Ok(key) = name.parse::<ConfigKey>() else {
                self.problems
                    .push(format!("env: {name:?} cannot be the name of a config var"));
                continue;
            };
            let variable = match value {
                Value::String(value) => Variable {
                    value: Some(value),
                    ..Variable::default()
                },
                Value::Object(fields) => Variable {
                    // Heroku: whatever is named is needed, unless it says otherwise.
                    is_required: fields.get("required") != Some(&Value::Bool(false)),
                    is_secret: fields.get("generator").and_then(Value::as_str) == Some("secret"),
                    value: fields.get("value").and_then(text),
                },
                _ => {
                    self.problems.push(format!("env: {name} must be a text or an object"));
                    continue;
                }
            };
            variables.insert(key, variable);
        }
        variables
    }

    fn formation(&mut self, formation: Map<String, Value>) {
        for (name, value) in formation {
            self.dynos(&name, &value);
        }
    }

    fn old_formation(&mut self, formation: Vec<Value>) {
        for value in formation {
            match value.get("process").and_then(Value::as_str) {
                Some(name) => self.dynos(name, &value),
                None => self.problems.push("formation: an entry names no process".to_owned()),
            }
        }
    }

    fn dynos(&mut self, name: &str, value: &Value) {
        let Ok(process_type) = name.parse::<ProcessType>() else {
            self.problems
                .push(format!("formation: {name:?} cannot be a process type"));
            return;
        };
        let mut dynos = Dynos::default();
        match value.get("quantity") {
            None | Some(Value::Null) => {}
            Some(quantity) => {
                let quantity = quantity.as_u64().and_then(|quantity| u32::try_from(quantity).ok());
                match quantity.map(|quantity| QuantityChange::To(quantity).apply(0)) {
                    Some(Ok(quantity)) => dynos.quantity = Some(quantity),
                    _ => self
                        .problems
                        .push(format!("formation: {name}: quantity must be a number from 0 to 100")),
                }
            }
        }
        match value.get("size").and_then(Value::as_str).map(old_size) {
            None => {}
            Some(size) => match size.parse() {
                Ok(size) => dynos.size = Some(size),
                Err(error) => self.problems.push(format!("formation: {name}: {error}")),
            },
        }
        self.manifest.formation.insert(process_type, dynos);
    }

    fn buildpacks(&mut self, buildpacks: Vec<Value>) -> Vec<Choice> {
        let mut chosen = Vec::new();
        for value in buildpacks {
            let url = value.get("url").or(Some(&value)).and_then(Value::as_str);
            match url.map(str::parse::<Choice>) {
                Some(Ok(buildpack)) if chosen.contains(&buildpack) => {}
                Some(Ok(buildpack)) => chosen.push(buildpack),
                Some(Err(error)) => self.problems.push(format!("buildpacks: {error}")),
                None => self.problems.push("buildpacks: an entry has no url".to_owned()),
            }
        }
        chosen
    }

    fn script(&mut self, scripts: &Map<String, Value>, name: &str) -> Option<String> {
        let script = match scripts.get(name) {
            Some(Value::Object(script)) => script.get("command"),
            script => script,
        };
        match script {
            None | Some(Value::Null) => None,
            Some(Value::String(command)) if !command.contains('\0') => {
                Some(command.clone()).filter(|command| !command.trim().is_empty())
            }
            Some(_) => {
                self.problems.push(format!("scripts: {name} must be a command"));
                None
            }
        }
    }

    fn addons(&mut self, addons: Vec<Value>) {
        for value in addons {
            let Some(plan) = value.get("plan").or(Some(&value)).and_then(Value::as_str) else {
                self.problems.push("addons: each names a plan".to_owned());
                continue;
            };
            let attachment = value.get("as").and_then(Value::as_str).map(str::parse).transpose();
            let Ok(attachment) = attachment else {
                self.problems
                    .push(format!("addons: {plan} cannot be attached under that name"));
                continue;
            };
            self.manifest.addons.push(AddonOrder {
                plan: plan.to_owned(),
                attachment,
            });
        }
    }
}

/// Numbers and truths are texts in the environment.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Names of sizes that Heroku no longer sells and manifests still have.
fn old_size(name: &str) -> &str {
    match name.to_lowercase().as_str() {
        "free" | "hobby" => "Basic",
        "1x" => "Standard-1X",
        "2x" => "Standard-2X",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use paas_build::Buildpack;

    use super::*;

    fn parse(text: &str) -> Result<Manifest, Vec<String>> {
        Manifest::parse(text.as_bytes())
    }

    #[test]
    fn a_manifest_is_read_whole() {
        let manifest = parse(
            r#"{
                "name": "Hello", "description": "x", "keywords": ["a"], "logo": null, "success_url": "/welcome",
                "scripts": {"postdeploy": "./seed"}, "stack": "heroku-24",
                "env": {
                    "PLAIN": "1",
                    "SECRET": {"description": "x", "generator": "secret"},
                    "NEEDED": {"required": true},
                    "EXTRA": {"required": false, "value": 5}
                },
                "formation": {"web": {"quantity": 2, "size": "hobby"}, "worker": {"quantity": 0}},
                "addons": ["heroku-redis:mini", {"plan": "heroku-postgresql", "as": "main_db"}],
                "buildpacks": [
                    {"url": "heroku/nodejs"}, {"url": "https://example.com/x#v1"},
                    {"url": "https://github.com/heroku/heroku-buildpack-python"}
                ]
            }"#,
        )
        .unwrap();
        let buildpacks: Vec<_> = manifest.buildpacks.iter().map(Choice::to_string).collect();
        assert_eq!(
            buildpacks,
            ["heroku/nodejs", "https://example.com/x#v1", "heroku/python"]
        );
        assert_eq!(manifest.buildpacks[0], Choice::Ours(Buildpack::Nodejs));
        assert_eq!(manifest.postdeploy.as_deref(), Some("./seed"));
        assert_eq!(manifest.success_url.as_deref(), Some("/welcome"));
        let variable = |name: &str| &manifest.env[&name.parse::<ConfigKey>().unwrap()];
        assert_eq!(variable("PLAIN").value.as_deref(), Some("1"));
        assert!(!variable("PLAIN").is_required && variable("SECRET").is_secret && variable("NEEDED").is_required);
        assert_eq!(
            (variable("EXTRA").is_required, variable("EXTRA").value.as_deref()),
            (false, Some("5"))
        );
        let web = &manifest.formation[&ProcessType::web()];
        assert_eq!((web.quantity, web.size), (Some(2), Some(DynoSize::Basic)));
        assert_eq!(manifest.notes.len(), 1, "{:?}", manifest.notes);
        let addons = manifest.addons.iter();
        let addons: Vec<_> = addons
            .map(|order| {
                (
                    order.plan.as_str(),
                    order.attachment.as_ref().map(AttachmentName::as_str),
                )
            })
            .collect();
        assert_eq!(
            addons,
            [("heroku-redis:mini", None), ("heroku-postgresql", Some("MAIN_DB"))]
        );
        assert_eq!(parse("{}").unwrap(), Manifest::default());
    }

    #[test]
    fn what_is_different_for_tests_is_read() {
        let manifest = parse(
            r#"{"env": {"PLAIN": "1"}, "environments": {
                "review": {"env": {"PLAIN": "3"}},
                "test": {
                    "env": {"PLAIN": "2"}, "addons": ["heroku-postgresql:in-dyno"],
                    "scripts": {"test-setup": "./prepare", "test": "make test"}, "formation": null,
                    "buildpacks": [{"url": "heroku/go"}]
                }
            }}"#,
        )
        .unwrap();
        let tests = &manifest.tests;
        assert_eq!(
            tests.env[&"PLAIN".parse::<ConfigKey>().unwrap()].value.as_deref(),
            Some("2")
        );
        assert_eq!(tests.buildpacks, [Choice::Ours(Buildpack::Go)]);
        assert_eq!(
            (tests.setup.as_deref(), tests.command.as_deref()),
            (Some("./prepare"), Some("make test"))
        );
        let problems = parse(r#"{"environments": {"test": {"scripts": {"test": 5}, "env": []}}}"#).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once() {
        let problems = parse(
            r#"{
                "env": {"NOT OK": "1", "LIST": []},
                "formation": {"we b": {}, "web": {"quantity": -1, "size": "huge"}},
                "buildpacks": [{"url": "file:///etc/passwd"}, {}],
                "scripts": {"postdeploy": 3},
                "success_url": 5
            }"#,
        )
        .unwrap_err();
        assert_eq!(problems.len(), 9, "{problems:#?}");
        assert!(parse("{").unwrap_err()[0].contains("line 1"));
        assert!(parse("[]").is_err());
    }
}

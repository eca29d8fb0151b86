//! What `buildpacks/bin/build` leaves in `/tmp/result` for us. A build may write there too: nothing in it is believed
//! that could hurt anybody but the app itself.

use std::{collections::BTreeMap, path::Path};

use paas_core::{ConfigKey, ProcessType, Procfile};
use paas_engine::{ContainerId, Engine};
use serde::Deserialize;

use crate::{
    BuildError, Buildpack,
    delivery::{ResultFiles, read_result},
};

#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Report {
    /// What `bin/detect` printed.
    pub(crate) description: Option<String>,
    /// The Procfile that the build has left in the app, if any.
    pub(crate) procfile: Option<Procfile>,
    pub(crate) default_process_types: BTreeMap<ProcessType, String>,
    /// What the buildpack wants to be set when the app is first deployed.
    pub(crate) config_vars: BTreeMap<ConfigKey, String>,
    /// Add-ons that the buildpack wants the app to have.
    pub(crate) addons: Vec<String>,
    /// The buildpack that recognised the app, when none was chosen.
    pub(crate) detected: Option<Buildpack>,
    /// What `bin/report` told: for whoever runs the platform.
    pub(crate) told: Option<String>,
    /// Seconds by step, in the order of the build; a step that several buildpacks took counts once.
    pub(crate) times: Vec<(String, f64)>,
    /// Names the content of `/tmp/layer/app`: what seldom changes, and goes into a layer of its own.
    pub(crate) layer_key: Option<String>,
}

/// The YAML of `bin/release` (Dev Center, *Buildpack API*). Any of it may be there and empty.
#[derive(Deserialize, Default)]
struct Release {
    #[serde(default)]
    default_process_types: Option<BTreeMap<String, String>>,
    #[serde(default)]
    config_vars: Option<BTreeMap<String, serde_yaml_ng::Value>>,
    #[serde(default)]
    addons: Option<Vec<serde_yaml_ng::Value>>,
}

const MAXIMUM_DESCRIPTION_CHARACTERS: usize = 80;
const MAXIMUM_TOLD_CHARACTERS: usize = 2000;
/// More names than any sensible buildpack has, and few enough to be shown.
const MOST_NAMES: usize = 20;

impl Report {
    /// Of a build that hands nothing over.
    pub(crate) async fn read(engine: &dyn Engine, container: &ContainerId) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::BadProcessTypes { reason };
        let tar = engine.archive(container, "/tmp/result").await?;
        let tar = tar.ok_or_else(|| bad("The build left no result behind.".to_owned()))?;
        let files = read_result(tar).await;
        let files = files.map_err(|error| bad(format!("What the build left behind cannot be read: {error}.")))?;
        Self::parse(&files)
    }

    pub(crate) fn parse(files: &ResultFiles) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::BadProcessTypes { reason };
        let text = |name: &str| word(files, name).filter(|text| !text.is_empty());
        let release: Option<Release> = match text("release") {
            None => None,
            Some(yaml) => serde_yaml_ng::from_str(&yaml)
                .map_err(|error| bad(format!("The buildpack's bin/release wrote no sound YAML: {error}.")))?,
        };
        let named = |(name, command): (String, String)| match name.parse() {
            Ok(name) => Ok((name, command)),
            Err(error) => Err(bad(format!(
                "The buildpack's bin/release names a process {name:?}: {error}."
            ))),
        };
        let release = release.unwrap_or_default();
        let default_process_types = release
            .default_process_types
            .unwrap_or_default()
            .into_iter()
            .map(named)
            .collect::<Result<_, _>>()?;
        let config_vars = release.config_vars.unwrap_or_default().into_iter();
        let config_vars = config_vars.filter_map(|(key, value)| Some((key.parse().ok()?, plain(&value)?)));
        let addons = release.addons.unwrap_or_default();
        let addons = addons.iter().filter_map(plain).map(|name| printable(&name));
        Ok(Self {
            description: text("description").map(|text| printable(&text)),
            procfile: text("procfile").map(|text| text.parse()).transpose()?,
            default_process_types,
            config_vars: config_vars.take(MOST_NAMES).collect(),
            addons: addons.take(MOST_NAMES).collect(),
            detected: text("chosen").and_then(|name| name.parse().ok()),
            told: text("report").map(|text| text.chars().take(MAXIMUM_TOLD_CHARACTERS).collect()),
            times: text("times").map(|text| times(&text)).unwrap_or_default(),
            layer_key: text("layer").filter(|key| is_key(key)),
        })
    }
}

/// Which of several buildpacks the build had come to, counted from 0.
pub(crate) fn misfit(files: &ResultFiles) -> Option<usize> {
    word(files, "misfit")?.parse().ok()
}

/// The buildpack that recognised the app, before it was asked to build it.
pub(crate) fn chosen(files: &ResultFiles) -> Option<Buildpack> {
    word(files, "chosen")?.parse().ok()
}

/// How the app's tests ended.
pub(crate) fn tests(files: &ResultFiles) -> Option<i32> {
    word(files, "tests")?.parse().ok()
}

fn word(files: &ResultFiles, name: &str) -> Option<String> {
    let content = files.get(Path::new(name))?;
    Some(String::from_utf8_lossy(content).trim().to_owned())
}

/// The first line, without what a terminal would obey.
fn printable(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let visible = line.chars().filter(|character| !character.is_control());
    visible.take(MAXIMUM_DESCRIPTION_CHARACTERS).collect()
}

/// Numbers and truths are texts in the environment.
fn plain(value: &serde_yaml_ng::Value) -> Option<String> {
    match value {
        serde_yaml_ng::Value::String(text) => Some(text.clone()),
        serde_yaml_ng::Value::Number(number) => Some(number.to_string()),
        serde_yaml_ng::Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Lines such as `compile 3.1s`.
fn times(text: &str) -> Vec<(String, f64)> {
    let mut times: Vec<(String, f64)> = Vec::new();
    for line in text.lines() {
        let Some((step, seconds)) = line.split_once(' ') else {
            continue;
        };
        let Ok(seconds) = seconds.trim_end_matches('s').parse::<f64>() else {
            continue;
        };
        let is_word = step.len() <= 20 && step.bytes().all(|byte| byte.is_ascii_lowercase());
        if !is_word || !(0.0..1e6).contains(&seconds) {
            continue;
        }
        match times.iter().position(|(known, _)| known == step) {
            Some(place) => times[place].1 += seconds,
            None if times.len() < MOST_NAMES => times.push((step.to_owned(), seconds)),
            None => {}
        }
    }
    times
}

/// A key becomes part of an image tag.
fn is_key(text: &str) -> bool {
    (16..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(files: &[(&str, &str)]) -> Result<Report, BuildError> {
        let files = files
            .iter()
            .map(|(name, content)| (name.into(), content.as_bytes().to_vec()));
        Report::parse(&files.collect())
    }

    #[test]
    fn a_report_is_read_whole() {
        let report = parse(&[
            ("description", "Node.js\n"),
            ("release", "---\naddons: []\ndefault_process_types:\n  web: npm start\n"),
            ("layer", "0123456789abcdef0123456789abcdef\n"),
        ])
        .unwrap();
        assert_eq!(report.description.as_deref(), Some("Node.js"));
        assert_eq!(report.default_process_types[&ProcessType::web()], "npm start");
        assert_eq!(report.layer_key.as_deref(), Some("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn what_a_buildpack_wants_for_a_first_deploy_is_read() {
        let release = "addons:\n  - heroku-postgresql:mini\nconfig_vars:\n  LANG: en_US.UTF-8\n  WORKERS: 2\n  \"not ok\": x\n  LIST: [1]\n";
        let report = parse(&[("release", release), ("chosen", "python"), ("report", "version: 1\n")]).unwrap();
        let vars: Vec<_> = report
            .config_vars
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(vars, ["LANG=en_US.UTF-8", "WORKERS=2"]);
        assert_eq!(report.addons, ["heroku-postgresql:mini"]);
        assert_eq!(report.detected, Some(Buildpack::Python));
        assert_eq!(report.told.as_deref(), Some("version: 1"));
    }

    #[test]
    fn the_seconds_of_a_step_are_added_up() {
        let times = "source 0.1s\ncompile 1.5s\nrm -rf 3s\ncompile 2.5s\nnonsense\nbad -1s\n";
        let report = parse(&[("times", times)]).unwrap();
        assert_eq!(report.times, [("source".to_owned(), 0.1), ("compile".to_owned(), 4.0)]);
    }

    #[test]
    fn a_buildpack_may_have_no_default_process_types() {
        for yaml in [
            "",
            "---\n",
            "---\n{}\n",
            "addons: []\n",
            "default_process_types:\naddons:\n",
        ] {
            assert_eq!(parse(&[("release", yaml)]).unwrap(), Report::default(), "{yaml:?}");
        }
    }

    #[test]
    fn what_a_build_writes_is_not_believed_blindly() {
        assert!(parse(&[("release", "default_process_types: [web]")]).is_err());
        assert!(parse(&[("release", "default_process_types: {\"we b\": x}")]).is_err());
        for key in ["short", "../../etc/passwd-0123456789", "0123456789ABCDEF0123"] {
            assert_eq!(parse(&[("layer", key)]).unwrap().layer_key, None);
        }
        let report = parse(&[("description", "Py\u{1b}[31mthon\nsecond line")]).unwrap();
        assert_eq!(report.description.as_deref(), Some("Py[31mthon"));
    }
}

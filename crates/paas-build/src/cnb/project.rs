//! `project.toml`: which buildpacks of the builder build the app (Project Descriptor, `buildpacks/spec`).
//!
//! Versions 0.1 (`[[build.buildpacks]]`) and 0.2 (`[[io.buildpacks.group]]`) are read: buildpacks by id, and variables of the
//! build. Buildpacks from elsewhere (`uri`) would have to be part of the builder, which belongs to the platform's operator.

use std::{collections::BTreeMap, fmt::Write as _};

use paas_core::ConfigKey;
use serde::Deserialize;
use serde_json::json;

use super::metadata::BuilderMetadata;

/// What the app says about its build.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Project {
    /// The lifecycle's `order.toml`, when the app names its buildpacks.
    pub(super) order: Option<String>,
    /// For `/platform/env`, where no config var is of that name.
    pub(super) environment: BTreeMap<ConfigKey, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Descriptor {
    io: Option<Io>,
    build: Build,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Io {
    buildpacks: Buildpacks,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Buildpacks {
    group: Vec<Entry>,
    build: Build,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Build {
    /// Version 0.1 alone.
    buildpacks: Vec<Entry>,
    env: Vec<Variable>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    id: Option<String>,
    version: Option<String>,
    uri: Option<String>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
    value: String,
}

impl Project {
    /// Reads the descriptor as the builder understands it, or says what is wrong with it.
    pub(super) fn parse(text: &str, builder: &BuilderMetadata) -> Result<Self, String> {
        let descriptor: Descriptor = toml::from_str(text).map_err(|error| error.to_string())?;
        let Descriptor { io, build } = descriptor;
        let (entries, variables) = match io {
            Some(Io { buildpacks }) => (buildpacks.group, buildpacks.build.env),
            None => (build.buildpacks, build.env),
        };
        let mut environment = BTreeMap::new();
        for Variable { name, value } in variables {
            let key = name.parse().map_err(|error| format!("{name:?}: {error}"))?;
            environment.insert(key, value);
        }
        let order = match entries.as_slice() {
            [] => None,
            entries => Some(order(entries, builder)?),
        };
        Ok(Self { order, environment })
    }
}

fn order(entries: &[Entry], builder: &BuilderMetadata) -> Result<String, String> {
    let mut order = "[[order]]\n".to_owned();
    for entry in entries {
        let (id, wanted) = entry.wanted()?;
        let versions = builder.versions_of(id);
        let version = match (wanted, versions.as_slice()) {
            (_, []) => {
                return Err(format!(
                    "the builder has no buildpack {id:?}: it has {}",
                    builder.ids().join(", ")
                ));
            }
            (None, [version]) => version,
            (None, several) => {
                return Err(format!(
                    "the builder has {id} in several versions, and one must be said: {}",
                    several.join(", ")
                ));
            }
            (Some(wanted), versions) => versions
                .iter()
                .find(|version| **version == wanted)
                .ok_or_else(|| format!("the builder has no {id} {wanted}: it has {}", versions.join(", ")))?,
        };
        // A string of JSON is one of TOML.
        let (id, version) = (json!(id), json!(version));
        let _ = writeln!(order, "[[order.group]]\nid = {id}\nversion = {version}");
    }
    Ok(order)
}

impl Entry {
    /// An id, and a version if one is said.
    fn wanted(&self) -> Result<(&str, Option<&str>), String> {
        const OF_BUILDER: &str = "urn:cnb:builder:";
        let within = self.uri.as_deref().map(|uri| uri.strip_prefix(OF_BUILDER).ok_or(uri));
        match (&self.id, within) {
            (_, Some(Err(uri))) => Err(format!(
                "a buildpack at {uri:?} is not in the builder, and nothing else is run: name those that are by their id"
            )),
            (_, Some(Ok(name))) => Ok(name
                .split_once('@')
                .map_or((name, None), |(id, version)| (id, Some(version)))),
            (Some(id), None) => Ok((id, self.version.as_deref())),
            (None, None) => Err("a buildpack has neither id nor uri".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> BuilderMetadata {
        BuilderMetadata::parse(
            r#"{ "images": [{ "image": "run" }], "lifecycle": { "apis": { "platform": { "supported": ["0.13"] } } },
                "buildpacks": [{ "id": "heroku/python", "version": "2.0" }, { "id": "heroku/procfile", "version": "4.1" },
                               { "id": "heroku/procfile", "version": "4.2" }] }"#,
        )
        .unwrap()
    }

    #[test]
    fn buildpacks_are_named_by_id_and_get_the_version_that_the_builder_has() {
        let text = "[_]\nschema-version = \"0.2\"\n\
            [[io.buildpacks.group]]\nid = \"heroku/python\"\n\
            [[io.buildpacks.group]]\nuri = \"urn:cnb:builder:heroku/procfile@4.2\"\n\
            [[io.buildpacks.build.env]]\nname = \"BP_X\"\nvalue = \"1\"\n";
        let project = Project::parse(text, &builder()).unwrap();
        assert_eq!(
            project.order.unwrap(),
            "[[order]]\n[[order.group]]\nid = \"heroku/python\"\nversion = \"2.0\"\n\
             [[order.group]]\nid = \"heroku/procfile\"\nversion = \"4.2\"\n"
        );
        assert_eq!(
            project.environment,
            BTreeMap::from([("BP_X".parse().unwrap(), "1".to_owned())])
        );
        let old = "[project]\nid = \"x\"\n[[build.buildpacks]]\nid = \"heroku/python\"\nversion = \"2.0\"\n";
        assert!(Project::parse(old, &builder()).unwrap().order.is_some());
        assert_eq!(
            Project::parse("[project]\nid = \"x\"\n", &builder()),
            Ok(Project::default())
        );
    }

    #[test]
    fn what_the_builder_does_not_have_is_told() {
        let group =
            |lines: &str| Project::parse(&format!("[[io.buildpacks.group]]\n{lines}\n"), &builder()).unwrap_err();
        assert_eq!(
            group("id = \"acme/cobol\""),
            "the builder has no buildpack \"acme/cobol\": it has heroku/procfile, heroku/python"
        );
        assert!(group("id = \"heroku/procfile\"").contains("several versions, and one must be said: 4.1, 4.2"));
        assert!(group("id = \"heroku/python\"\nversion = \"9\"").contains("no heroku/python 9: it has 2.0"));
        assert!(group("uri = \"https://example.com/x.tgz\"").contains("is not in the builder"));
        assert!(group("version = \"1\"").contains("neither id nor uri"));
        assert!(group("id = ").contains("line 2") || group("id = ").contains("string"));
    }
}

//! What `buildpacks/bin/build` leaves in `/tmp/result` for us. A build may write there too: nothing in it is believed
//! that could hurt anybody but the app itself.

use std::{collections::BTreeMap, path::Path};

use futures_util::TryStreamExt as _;
use paas_core::ProcessType;
use paas_engine::{ContainerId, Engine};
use serde::Deserialize;

use crate::{BuildError, Buildpack, archive};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// What `bin/detect` printed.
    pub(crate) description: Option<String>,
    pub(crate) default_process_types: BTreeMap<ProcessType, String>,
    /// Names the content of `/tmp/layer/app`: what seldom changes, and goes into a layer of its own.
    pub(crate) layer_key: Option<String>,
}

/// What we read of the YAML of `bin/release` (Dev Center, *Buildpack API*); `addons` and `config_vars` mean nothing here.
#[derive(Deserialize, Default)]
struct Release {
    #[serde(default)]
    default_process_types: BTreeMap<String, String>,
}

const MAXIMUM_BYTES: u64 = 256 * 1024;
const MAXIMUM_DESCRIPTION_CHARACTERS: usize = 80;

impl Report {
    pub(crate) async fn read(engine: &dyn Engine, container: &ContainerId) -> Result<Self, BuildError> {
        let bad = |reason: &str| BuildError::BadProcessTypes {
            reason: reason.to_owned(),
        };
        let Some(mut tar) = engine.archive(container, "/tmp/result").await? else {
            return Err(bad("The build left no result behind."));
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = tar.try_next().await.map_err(|_| bad("The build's result was lost."))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() as u64 > MAXIMUM_BYTES {
                return Err(bad("The buildpack's bin/release wrote too much."));
            }
        }
        Self::parse(&bytes)
    }

    fn parse(tar: &[u8]) -> Result<Self, BuildError> {
        let bad = |reason: String| BuildError::BadProcessTypes { reason };
        let files = archive::read_files(tar, MAXIMUM_BYTES).map_err(|error| bad(error.to_string()))?;
        let text = |name: &str| {
            let content = files.get(&Path::new("result").join(name))?;
            Some(String::from_utf8_lossy(content).trim().to_owned()).filter(|text| !text.is_empty())
        };
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
            .into_iter()
            .map(named)
            .collect::<Result<_, _>>()?;
        let printable = |text: String| {
            let line = text.lines().next().unwrap_or_default();
            let visible = line.chars().filter(|character| !character.is_control());
            visible.take(MAXIMUM_DESCRIPTION_CHARACTERS).collect()
        };
        Ok(Self {
            description: text("description").map(printable),
            default_process_types,
            layer_key: text("layer").filter(|key| is_key(key)),
        })
    }
}

/// Which of several buildpacks said that the app is not its own.
pub(crate) async fn misfit(engine: &dyn Engine, container: &ContainerId) -> Option<Buildpack> {
    let mut tar = engine.archive(container, "/tmp/result/misfit").await.ok()??;
    let mut bytes = Vec::new();
    while let Some(chunk) = tar.try_next().await.ok()? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAXIMUM_BYTES {
            return None;
        }
    }
    let files = archive::read_files(&bytes, MAXIMUM_BYTES).ok()?;
    let name = files.get(Path::new("misfit"))?;
    String::from_utf8_lossy(name).trim().parse().ok()
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
    use crate::archive::MemoryTar;

    fn parse(files: &[(&str, &str)]) -> Result<Report, BuildError> {
        let mut tar = MemoryTar::new();
        for (name, content) in files {
            tar.file(&format!("result/{name}"), 0o644, content.as_bytes());
        }
        Report::parse(&tar.finish())
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
    fn a_buildpack_may_have_no_default_process_types() {
        for yaml in ["", "---\n", "---\n{}\n", "addons: []\n"] {
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

//! What a builder image says of itself, in the label `io.buildpacks.builder.metadata` (`pack builder create`).

use std::collections::BTreeSet;

use serde::Deserialize;

/// The versions of the Platform API that we speak, the best first: `-layout` came with 0.12.
const PLATFORM_APIS: [&str; 2] = ["0.13", "0.12"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BuilderMetadata {
    /// What its apps run on: the first that can be had.
    pub(super) run_images: Vec<String>,
    pub(super) platform_api: &'static str,
    /// Id and version.
    buildpacks: Vec<(String, String)>,
}

#[derive(Deserialize)]
struct Label {
    #[serde(default)]
    images: Vec<RunImage>,
    stack: Option<Stack>,
    #[serde(default)]
    buildpacks: Vec<Buildpack>,
    lifecycle: Lifecycle,
}

/// Where older builders name their run image.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stack {
    run_image: Option<RunImage>,
}

#[derive(Deserialize)]
struct RunImage {
    image: String,
    #[serde(default)]
    mirrors: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Buildpack {
    id: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Lifecycle {
    #[serde(default)]
    apis: Apis,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Apis {
    platform: Versions,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Versions {
    deprecated: Option<Vec<String>>,
    supported: Option<Vec<String>>,
}

impl BuilderMetadata {
    pub(super) const LABEL: &str = "io.buildpacks.builder.metadata";

    /// Reads the label, or says why no app can be built with its builder.
    pub(super) fn parse(label: &str) -> Result<Self, String> {
        let label: Label = serde_json::from_str(label).map_err(|error| format!("its label cannot be read: {error}"))?;
        let of_stack = label.stack.and_then(|stack| stack.run_image);
        let run_images: Vec<_> = label
            .images
            .into_iter()
            .chain(of_stack)
            .flat_map(|run| [run.image].into_iter().chain(run.mirrors.unwrap_or_default()))
            .filter(|name| !name.is_empty())
            .collect();
        if run_images.is_empty() {
            return Err("it names no run image".to_owned());
        }
        let Versions { deprecated, supported } = label.lifecycle.apis.platform;
        let spoken: Vec<_> = [supported, deprecated].into_iter().flatten().flatten().collect();
        let platform_api = PLATFORM_APIS
            .into_iter()
            .find(|api| spoken.iter().any(|one| one == api));
        let platform_api = platform_api.ok_or_else(|| {
            format!(
                "its lifecycle speaks Platform API {}, and this platform {}",
                if spoken.is_empty() {
                    "none".to_owned()
                } else {
                    spoken.join(", ")
                },
                PLATFORM_APIS.join(" or ")
            )
        })?;
        let buildpacks = label.buildpacks.into_iter();
        Ok(Self {
            run_images,
            platform_api,
            buildpacks: buildpacks.map(|one| (one.id, one.version)).collect(),
        })
    }

    pub(super) fn versions_of(&self, id: &str) -> Vec<&str> {
        let of_id = self.buildpacks.iter().filter(|(own, _)| own == id);
        of_id.map(|(_, version)| version.as_str()).collect()
    }

    pub(super) fn ids(&self) -> Vec<&str> {
        let ids: BTreeSet<_> = self.buildpacks.iter().map(|(id, _)| id.as_str()).collect();
        ids.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new_builders_name_their_run_image() {
        let parse = |images: &str, apis: &str| {
            let label = format!(
                r#"{{ "description": "x", {images}, "lifecycle": {{ "version": "0.20", "apis": {{ "platform": {apis} }} }} }}"#
            );
            BuilderMetadata::parse(&label)
        };
        let new = r#""images": [{ "image": "heroku/heroku:24", "mirrors": ["mirror/heroku:24"] }]"#;
        let old = r#""stack": { "runImage": { "image": "run:1", "mirrors": null } }, "buildpacks": []"#;
        let both = r#"{ "deprecated": ["0.3"], "supported": ["0.12", "0.13", "0.14"] }"#;
        let read = parse(new, both).unwrap();
        assert_eq!(
            (read.run_images, read.platform_api),
            (
                vec!["heroku/heroku:24".to_owned(), "mirror/heroku:24".to_owned()],
                "0.13"
            )
        );
        let read = parse(old, r#"{ "deprecated": null, "supported": ["0.12"] }"#).unwrap();
        assert_eq!((read.run_images, read.platform_api), (vec!["run:1".to_owned()], "0.12"));
        let error = parse(new, r#"{ "supported": ["0.11"] }"#).unwrap_err();
        assert_eq!(
            error,
            "its lifecycle speaks Platform API 0.11, and this platform 0.13 or 0.12"
        );
        assert_eq!(parse(r#""images": []"#, both).unwrap_err(), "it names no run image");
        assert!(BuilderMetadata::parse("{").unwrap_err().contains("cannot be read"));
    }
}

//! The buildpacks that an app is set to use.

use serde::{Deserialize, Serialize};

use crate::ResourceRef;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildpackInstallation {
    pub buildpack: Buildpack,
    pub ordinal: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buildpack {
    pub name: String,
    pub url: String,
}

/// `PUT /apps/{app}/buildpack-installations`: all of them, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildpackInstallations {
    pub updates: Vec<BuildpackChoice>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildpackChoice {
    /// A name or an address. Heroku's command leaves it out when the registry does not know what its user wants.
    #[serde(default)]
    pub buildpack: BuildpackRef,
}

/// `"heroku/python"`, `{"url"}` or `{"name"}`: clients send all of these.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct BuildpackRef(pub String);

impl<'de> Deserialize<'de> for BuildpackRef {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "the name or the URL of a buildpack, or an object with one of them"
        )]
        enum Form {
            Url { url: String },
            Other(ResourceRef),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Url { url } => Self(url),
            Form::Other(ResourceRef(name)) => Self(name),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buildpack_is_a_text_or_an_object() {
        for json in [
            r#""heroku/python""#,
            r#"{"url":"heroku/python"}"#,
            r#"{"name":"heroku/python"}"#,
            r#"{"url":"heroku/python","name":"other"}"#,
        ] {
            let buildpack: BuildpackRef = serde_json::from_str(json).unwrap();
            assert_eq!(buildpack.0, "heroku/python", "{json}");
        }
        assert!(serde_json::from_str::<BuildpackRef>("3").is_err());
    }
}

//! How one resource names another.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// `{"id"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRef {
    pub id: Uuid,
}

/// `{"id", "name"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedRef {
    pub id: Uuid,
    pub name: String,
}

/// An app, seen from one of its parts.
pub type AppRef = NamedRef;

/// `{"id", "email"}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    pub id: Uuid,
    pub email: String,
}

/// A reference in a request body: a name, email address or id as text, or an object with one of them. Clients send all of these.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct ResourceRef(pub String);

impl ResourceRef {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for ResourceRef {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ResourceRef {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for ResourceRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a name, an id, or an object with one of them")]
        enum Form {
            Text(String),
            Name { name: String },
            Email { email: String },
            Id { id: String },
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Text(text) | Form::Name { name: text } | Form::Email { email: text } | Form::Id { id: text } => {
                Self(text)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_text_or_an_object() {
        for json in [
            r#""web""#,
            r#"{"name":"web"}"#,
            r#"{"id":"web"}"#,
            r#"{"id":"other","name":"web"}"#,
        ] {
            let reference: ResourceRef = serde_json::from_str(json).unwrap();
            assert_eq!(reference.as_str(), "web", "{json}");
        }
        for json in ["3", "{}", "null", "[]"] {
            assert!(serde_json::from_str::<ResourceRef>(json).is_err(), "{json}");
        }
    }
}

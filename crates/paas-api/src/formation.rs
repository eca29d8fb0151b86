//! The formation: how many dynos of each process type, and how large.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::{AppRef, NamedRef, ResourceRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Formation {
    pub app: AppRef,
    pub command: String,
    pub created_at: Time,
    pub dyno_size: NamedRef,
    pub id: Uuid,
    pub quantity: u32,
    pub size: String,
    pub r#type: String,
    pub updated_at: Time,
}

/// `PATCH /apps/{app}/formation`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormationBatch {
    pub updates: Vec<FormationUpdate>,
}

/// One entry of a [`FormationBatch`], or (without `type`) `PATCH /apps/{app}/formation/{type}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FormationUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<Quantity>,
    /// What Heroku's CLI sends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<ResourceRef>,
    /// What the schema names, and other clients send.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dyno_size: Option<ResourceRef>,
    /// The digest of an image's configuration, to be run from now on; `null` takes the process type away. Heroku's
    /// `3.docker-releases`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub docker_image: Option<Option<String>>,
}

/// Tells `null` from nothing.
#[expect(
    clippy::option_option,
    reason = "the wire has three states, and each means something else"
)]
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// `2`, `"2"`, `"+1"` or `"-1"`: not yet understood, only carried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a quantity such as 2, \"+1\" or \"-1\"")]
        enum Form {
            Text(String),
            /// A float is carried too, so that its refusal can name it.
            Number(serde_json::Number),
        }
        Ok(Self(match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            // As a text it would mean one dyno less, as a number it can only be a mistake.
            Form::Number(number) if number.as_f64().is_some_and(|number| number < 0.0) => {
                let message = format!("a quantity cannot be negative ({number}); to take dynos away send \"{number}\"");
                return Err(de::Error::custom(message));
            }
            Form::Number(number) => number.to_string(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_come_as_texts_and_as_numbers() {
        let batch: FormationBatch = serde_json::from_str(
            r#"{"updates":[{"type":"web","quantity":"+1","size":"Basic"},{"type":"worker","quantity":2,"dyno_size":{"name":"Eco"}}]}"#,
        )
        .unwrap();
        assert_eq!(batch.updates[0].quantity, Some(Quantity("+1".to_owned())));
        assert_eq!(batch.updates[0].size, Some("Basic".into()));
        assert_eq!(batch.updates[1].quantity, Some(Quantity("2".to_owned())));
        assert_eq!(batch.updates[1].dyno_size, Some("Eco".into()));
    }

    #[test]
    fn no_image_is_not_the_same_as_nothing_about_images() {
        let read = |text: &str| serde_json::from_str::<FormationUpdate>(text).unwrap().docker_image;
        assert_eq!(read(r#"{"type":"web"}"#), None);
        assert_eq!(read(r#"{"docker_image":null}"#), Some(None));
        assert_eq!(
            read(r#"{"docker_image":"sha256:0"}"#),
            Some(Some("sha256:0".to_owned()))
        );
        let update = FormationUpdate {
            docker_image: Some(None),
            ..FormationUpdate::default()
        };
        assert_eq!(serde_json::to_string(&update).unwrap(), r#"{"docker_image":null}"#);
    }

    #[test]
    fn a_negative_number_is_no_change_by_that_much() {
        assert!(serde_json::from_str::<Quantity>("-1").is_err());
        assert_eq!(serde_json::from_str::<Quantity>("\"-1\"").unwrap().0, "-1");
    }
}

//! An authorization: a token, and what it is for.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{IdRef, Secret, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authorization {
    /// Whole in the answer that made the token and to the token itself; else masked, because the server keeps a hash.
    pub access_token: Option<AccessToken>,
    pub client: Option<ClientRef>,
    pub created_at: Time,
    pub description: String,
    pub grant: Option<IdRef>,
    pub id: Uuid,
    pub refresh_token: Option<AccessToken>,
    pub scope: Vec<String>,
    pub session: Option<IdRef>,
    pub updated_at: Time,
    pub user: AuthorizationUser,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessToken {
    /// Seconds from now; `null` for a token that does not expire.
    pub expires_in: Option<i64>,
    pub id: Uuid,
    pub token: Secret,
}

/// The program that a token was given to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRef {
    pub id: Uuid,
    pub name: String,
    pub redirect_uri: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthorizationUser {
    pub email: String,
    pub full_name: Option<String>,
    pub id: Uuid,
}

/// `POST /oauth/authorizations`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewAuthorization {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seconds; Heroku's command sends them as a text.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "seconds")]
    pub expires_in: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<Vec<String>>,
}

/// `PATCH /oauth/authorizations/{id}`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AuthorizationUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientCredentials>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What a program proves itself with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    pub id: Uuid,
    pub secret: Secret,
}

fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of seconds")]
    enum Form {
        Number(i64),
        Text(String),
    }
    Option::<Form>::deserialize(deserializer)?
        .map(|form| match form {
            Form::Number(number) => Ok(number),
            Form::Text(text) => text
                .parse()
                .map_err(|_| serde::de::Error::custom("expires_in is not a number of seconds")),
        })
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_is_a_number_or_a_text_of_one() {
        let life = |json: &str| serde_json::from_str::<NewAuthorization>(json).map(|new| new.expires_in);
        assert_eq!(life("{}").unwrap(), None);
        assert_eq!(life(r#"{"expires_in":null}"#).unwrap(), None);
        assert_eq!(life(r#"{"expires_in":60}"#).unwrap(), Some(60));
        assert_eq!(life(r#"{"expires_in":"60"}"#).unwrap(), Some(60));
        assert!(life(r#"{"expires_in":"soon"}"#).is_err());
    }
}

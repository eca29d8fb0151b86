//! Who we are to AWS: keys that were given, else the role of the instance.

use chrono::{DateTime, TimeDelta, Utc};
use paas_api::Secret;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::sign::Credentials;
use crate::{
    clock::Clock,
    dns::{Metadata, MetadataError, words},
};

/// AWS hands out new ones at least so long before the old ones end.
const SPARE: TimeDelta = TimeDelta::minutes(5);

const PATH: &str = "iam/security-credentials/";

#[derive(Debug, thiserror::Error)]
pub(crate) enum CredentialsError {
    #[error(
        "there are no AWS credentials: {reason}\n\
         hint: give the instance a role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    NoMetadata { reason: String },
    #[error("this instance has no role\nhint: give it one, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")]
    NoRole,
    #[error("the metadata service gives no credentials for the role {role}: {reason}")]
    Unusable { role: String, reason: String },
}

pub(crate) struct CredentialsSource {
    given: Option<Credentials>,
    metadata: Metadata,
    clock: Clock,
    of_role: Mutex<Option<(DateTime<Utc>, Credentials)>>,
}

/// What the metadata service says about a role.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleCredentials {
    access_key_id: String,
    secret_access_key: Secret,
    token: Secret,
    expiration: DateTime<Utc>,
}

impl From<MetadataError> for CredentialsError {
    fn from(error: MetadataError) -> Self {
        Self::NoMetadata { reason: words(&error) }
    }
}

impl CredentialsSource {
    pub(crate) fn new(given: Option<Credentials>, metadata: Metadata, clock: Clock) -> Self {
        Self {
            given,
            metadata,
            clock,
            of_role: Mutex::new(None),
        }
    }

    /// Credentials that are valid for some minutes more.
    pub(crate) async fn current(&self) -> Result<Credentials, CredentialsError> {
        if let Some(given) = &self.given {
            return Ok(given.clone());
        }
        // Held over the look-up: others who ask meanwhile wait for the same answer.
        let mut of_role = self.of_role.lock().await;
        if let Some((ends_at, credentials)) = &*of_role
            && self.clock.now() < *ends_at - SPARE
        {
            return Ok(credentials.clone());
        }
        match (self.ask().await, &*of_role) {
            (Ok((ends_at, credentials)), _) => {
                *of_role = Some((ends_at, credentials.clone()));
                Ok(credentials)
            }
            // Whoever gives them is away: those of before do until they end.
            (Err(_), Some((ends_at, credentials))) if self.clock.now() < *ends_at => Ok(credentials.clone()),
            (Err(error), _) => Err(error),
        }
    }

    async fn ask(&self) -> Result<(DateTime<Utc>, Credentials), CredentialsError> {
        let roles = self.metadata.get(PATH).await?.unwrap_or_default();
        let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
        let role = role.ok_or(CredentialsError::NoRole)?.to_owned();
        let text = self.metadata.get(&format!("{PATH}{role}")).await?.unwrap_or_default();
        let answer: RoleCredentials = serde_json::from_str(&text).map_err(|error| CredentialsError::Unusable {
            role,
            // Where, never what: the text holds the secret.
            reason: format!("the answer is not understood at line {}", error.line()),
        })?;
        let credentials = Credentials {
            access_key_id: answer.access_key_id,
            secret_access_key: answer.secret_access_key,
            session_token: Some(answer.token),
        };
        Ok((answer.expiration, credentials))
    }
}

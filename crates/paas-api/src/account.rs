//! Whose token this is.

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use crate::{NamedRef, Secret, Time};

#[expect(clippy::struct_excessive_bools, reason = "the shape is Heroku's")]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub acknowledged_msa: bool,
    pub acknowledged_msa_at: Option<Time>,
    pub allow_tracking: bool,
    pub beta: bool,
    pub country_of_residence: Option<String>,
    pub created_at: Time,
    pub default_organization: Option<NamedRef>,
    pub default_team: Option<NamedRef>,
    pub delinquent_at: Option<Time>,
    pub eco_dynos_enabled: bool,
    pub eco_dynos_shutdown_at: Option<Time>,
    pub email: String,
    pub federated: bool,
    pub id: Uuid,
    pub identity_provider: Option<NamedRef>,
    pub italian_customer_terms: Option<String>,
    pub italian_partner_terms: Option<String>,
    pub last_login: Option<Time>,
    pub mfa_enabled: bool,
    pub mfa_exemption: bool,
    pub mfa_exemption_reason: Option<String>,
    /// `vaas` or `legacy`.
    pub mfa_experience: String,
    pub name: Option<String>,
    pub pipeline_cost_consent_at: Option<Time>,
    pub sms_number: Option<String>,
    pub suspended_at: Option<Time>,
    pub two_factor_authentication: bool,
    pub updated_at: Time,
    pub verified: bool,
}

/// `PATCH /account`. An address, a password and the second factor need the password; a `name` that is empty is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountUpdate {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_tracking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_password: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// Only ever off: it is turned on by proving that an app has the secret.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "switch")]
    pub two_factor_authentication: Option<bool>,
}

/// Heroku's command sends `"false"`.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "true or false")]
    enum Form {
        Switch(bool),
        Text(String),
    }
    Option::<Form>::deserialize(deserializer)?
        .map(|form| match form {
            Form::Switch(is_on) => Ok(is_on),
            Form::Text(text) => text
                .parse()
                .map_err(|_| serde::de::Error::custom("two_factor_authentication is neither true nor false")),
        })
        .transpose()
}

//! A certificate that the router serves for an app.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, Secret, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SniEndpoint {
    pub app: AppRef,
    pub certificate_chain: String,
    pub created_at: Time,
    pub display_name: Option<String>,
    /// Ids of the domains that it is served for.
    pub domains: Vec<Uuid>,
    pub id: Uuid,
    pub name: String,
    pub ssl_cert: SslCert,
    pub updated_at: Time,
}

/// What the certificate says. Two names end in a question mark, as everywhere in Heroku's API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SslCert {
    /// It came by itself.
    pub acm: bool,
    /// An authority signed it, not its own key.
    #[serde(rename = "ca_signed?")]
    pub ca_signed: bool,
    pub cert_domains: Vec<String>,
    pub expires_at: Time,
    pub id: Uuid,
    pub issuer: String,
    #[serde(rename = "self_signed?")]
    pub self_signed: bool,
    pub starts_at: Time,
    pub subject: String,
}

/// `POST /apps/{app}/sni-endpoints` and `PATCH /apps/{app}/sni-endpoints/{endpoint}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSniEndpoint {
    pub certificate_chain: String,
    pub private_key: Secret,
}

//! Providers of add-ons that run elsewhere, and what they say to the platform (Dev Center, *Add-on Partner API Reference*,
//! *Platform API for Partners*).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Secret;

/// A provider, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonProvider {
    pub base_url: String,
    /// Only in the answer that makes or changes it: what it gets tokens with, for the code of each add-on.
    pub client_secret: Option<Secret>,
    pub config_vars: Vec<String>,
    pub human_name: String,
    pub id: Uuid,
    pub name: String,
    pub plans: Vec<String>,
    pub sso_url: Option<String>,
}

/// `POST /addon-providers`: a manifest, or where it is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAddonProvider {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Map<String, Value>>,
    /// Besides those of the manifest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// One config var, as providers write and read them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderConfigVar {
    pub name: String,
    pub value: Option<Secret>,
}

/// `PATCH /addons/{addon}/config`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderConfig {
    pub config: Vec<ProviderConfigVar>,
}

/// `GET /addons/{addon}/sso`: what a browser is to send, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddonSso {
    pub action: String,
    pub method: String,
    pub params: BTreeMap<String, String>,
}

impl std::fmt::Debug for NewAddonProvider {
    /// Without the manifest: its secrets are in it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAddonProvider")
            .field("url", &self.url)
            .finish_non_exhaustive()
    }
}

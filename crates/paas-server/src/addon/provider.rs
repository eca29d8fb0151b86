//! Providers: services that run elsewhere, as their manifests say (Dev Center, *Add-on Manifest*).

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use paas_core::{AddonName, AddonProvider, AttachmentName, ConfigKey, Id, WebhookUrl};
use paas_store::{addon::Values, addon_provider::ProviderRow};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use super::catalogue::id_of;

/// Their words in the sealed part of a row.
pub(crate) const PASSWORD: &str = "PASSWORD";
pub(crate) const SSO_SALT: &str = "SSO_SALT";
pub(crate) const CLIENT_SECRET: &str = "CLIENT_SECRET";

/// What every new add-on of Heroku's has, until its provider makes others.
const FIRST_PLAN: &str = "test";
/// What a manifest calls where add-ons are asked for, and what a request of version 3 does.
const REGION: &str = "us";
const REGION_OF_REQUESTS: &str = "amazon-web-services::us-east-1";
const MOST_PLANS: usize = 100;
const MOST_CONFIG_VARS: usize = 100;

/// A provider, as add-ons need it. No secret is in it.
#[derive(Debug, Clone)]
pub(crate) struct Provider {
    pub(crate) id: Id<AddonProvider>,
    /// Of the service.
    pub(crate) service_id: Uuid,
    /// The id of the manifest: `errorbucket`.
    pub(crate) name: String,
    pub(crate) human_name: String,
    /// What its config vars begin with, and what its attachments are called.
    pub(crate) prefix: AttachmentName,
    /// What its config vars end in.
    pub(crate) suffixes: Vec<String>,
    pub(crate) plans: Vec<String>,
    pub(crate) base_url: WebhookUrl,
    pub(crate) sso_url: Option<WebhookUrl>,
    /// It may write into the logs of the apps that it has add-ons of: `log_input`.
    pub(crate) writes_logs: bool,
    /// It may have their logs sent: `syslog_drain`.
    pub(crate) reads_logs: bool,
}

/// Those that there are, by name. The truth is in their rows; this is what was seen of them last.
#[derive(Debug, Default)]
pub(crate) struct Providers(RwLock<BTreeMap<String, Arc<Provider>>>);

/// A manifest, taken apart: what may be shown, and what may not.
pub(crate) struct ReadManifest {
    pub(crate) name: String,
    pub(crate) shown: Value,
    pub(crate) secrets: Values,
}

#[derive(Debug, Error)]
pub(crate) enum ManifestError {
    #[error("it is no add-on manifest: {0}")]
    Shape(String),
    #[error("`id` is written in small letters, digits and dashes, a letter first")]
    Id,
    #[error("`api.version` is {0:?}: this platform speaks version 3 of the Add-on Partner API")]
    Version(String),
    #[error("`api.config_vars_prefix` must begin with a letter and can only contain letters, numbers and underscores")]
    Prefix,
    #[error("config var {0} does not begin with {1}_, as all of this add-on have to")]
    ConfigVar(String, AttachmentName),
    #[error("it has too many {0}")]
    TooMany(&'static str),
    #[error("`{0}` must be a whole https:// address")]
    Url(&'static str),
    #[error("`{0}` is empty")]
    Empty(&'static str),
    #[error("`api.regions` has to have {REGION:?}: add-ons are asked for in {REGION_OF_REQUESTS}")]
    Regions,
    #[error("plan {0:?} is no name: letters, digits, dashes and underscores")]
    Plan(String),
}

/// What counts of a manifest here.
#[derive(Deserialize)]
struct Manifest {
    id: String,
    name: Option<String>,
    api: Api,
    /// Ours: Heroku keeps plans beside the manifest.
    #[serde(default)]
    plans: Vec<String>,
}

#[derive(Deserialize)]
struct Api {
    config_vars_prefix: Option<String>,
    config_vars: Vec<String>,
    production: Endpoints,
    #[serde(default)]
    requires: Vec<String>,
    /// A number, or a text.
    version: Option<Value>,
}

#[derive(Deserialize)]
struct Endpoints {
    base_url: String,
    #[serde(default)]
    sso_url: String,
}

impl ReadManifest {
    /// Takes the secrets out of a manifest that is whole; `local` lets it be on this machine, without TLS.
    pub(crate) fn of(mut manifest: Value, is_local: bool) -> Result<Self, ManifestError> {
        let mut secrets = Values::new();
        let api = manifest.get_mut("api").and_then(Value::as_object_mut);
        let api = api.ok_or_else(|| ManifestError::Shape("it has no `api`".to_owned()))?;
        secrets.insert(PASSWORD.to_owned(), take(api, "password").unwrap_or_default());
        secrets.insert(SSO_SALT.to_owned(), take(api, "sso_salt").unwrap_or_default());
        // Where developers try it out.
        api.remove("test");
        if secrets[PASSWORD].is_empty() {
            return Err(ManifestError::Empty("api.password"));
        }
        let provider = Provider::read(Id::from_uuid(Uuid::nil()), &manifest)?;
        let regions = manifest.pointer("/api/regions").and_then(Value::as_array);
        if !regions.is_some_and(|regions| regions.iter().any(|region| region == REGION)) {
            return Err(ManifestError::Regions);
        }
        for (name, url) in [
            ("api.production.base_url", Some(&provider.base_url)),
            ("api.production.sso_url", provider.sso_url.as_ref()),
        ] {
            if url.is_some_and(|url| !is_local && !url.parts().scheme.is_encrypted()) {
                return Err(ManifestError::Url(name));
            }
        }
        Ok(Self {
            name: provider.name,
            shown: manifest,
            secrets,
        })
    }
}

impl Provider {
    fn read(id: Id<AddonProvider>, manifest: &Value) -> Result<Self, ManifestError> {
        // The parser's words could quote what they stumble over; the secrets are gone by now.
        let Manifest {
            id: name,
            name: human_name,
            api,
            plans,
        } = Manifest::deserialize(manifest).map_err(|error| ManifestError::Shape(error.to_string()))?;
        let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.parse::<AddonName>().is_err() || !name.bytes().all(is_word) {
            return Err(ManifestError::Id);
        }
        let version = match &api.version {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        if version != "3" {
            return Err(ManifestError::Version(version));
        }
        let prefix = api.config_vars_prefix.filter(|prefix| !prefix.is_empty());
        let prefix: AttachmentName = prefix
            .unwrap_or_else(|| name.clone())
            .parse()
            .map_err(|_| ManifestError::Prefix)?;
        if api.config_vars.len() > MOST_CONFIG_VARS {
            return Err(ManifestError::TooMany("config vars"));
        }
        let suffix = |key: &String| {
            let suffix = key
                .strip_prefix(prefix.as_str())
                .and_then(|rest| rest.strip_prefix('_'));
            let is_key = key.parse::<ConfigKey>().is_ok();
            let suffix = suffix.filter(|suffix| is_key && !suffix.is_empty());
            suffix
                .map(str::to_owned)
                .ok_or_else(|| ManifestError::ConfigVar(key.clone(), prefix.clone()))
        };
        let suffixes = api.config_vars.iter().map(suffix).collect::<Result<Vec<_>, _>>()?;
        if suffixes.is_empty() {
            return Err(ManifestError::Empty("api.config_vars"));
        }
        let is_plan = |plan: &&String| {
            let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            !plan.is_empty() && plan.len() <= 64 && plan.bytes().all(is_word)
        };
        if plans.len() > MOST_PLANS {
            return Err(ManifestError::TooMany("plans"));
        }
        if let Some(wrong) = plans.iter().find(|plan| !is_plan(plan)) {
            return Err(ManifestError::Plan(wrong.clone()));
        }
        let requires = |word: &str| api.requires.iter().any(|required| required == word);
        let url = |name, text: &str| text.parse::<WebhookUrl>().map_err(|_| ManifestError::Url(name));
        Ok(Self {
            id,
            service_id: id_of(&format!("add-on service {name}")),
            human_name: human_name.unwrap_or_else(|| name.clone()),
            prefix,
            suffixes,
            plans: if plans.is_empty() {
                vec![FIRST_PLAN.to_owned()]
            } else {
                plans
            },
            base_url: url("api.production.base_url", &api.production.base_url)?,
            sso_url: match api.production.sso_url.as_str() {
                "" => None,
                text => Some(url("api.production.sso_url", text)?),
            },
            writes_logs: requires("log_input"),
            reads_logs: requires("syslog_drain"),
            name,
        })
    }

    /// `None` where a later version of the platform has written what this one cannot read.
    fn of_row(row: &ProviderRow) -> Option<Self> {
        match Self::read(row.id, &row.manifest) {
            Ok(provider) => Some(provider),
            Err(error) => {
                tracing::error!(provider = row.name, %error, "a provider of add-ons cannot be read");
                None
            }
        }
    }

    /// What add-ons are asked for by when nobody says.
    pub(crate) fn default_plan(&self) -> &str {
        self.plans.first().map_or(FIRST_PLAN, String::as_str)
    }

    pub(crate) fn plan_id(&self, plan: &str) -> Uuid {
        id_of(&format!("plan {}:{plan}", self.name))
    }

    pub(crate) const fn region() -> &'static str {
        REGION_OF_REQUESTS
    }

    /// What a config var of an add-on ends in. Only those that it was created with are its provider's to set: people may have set
    /// one of the same name by hand before the manifest had it.
    pub(crate) fn suffix<'a>(&self, key: &'a str, of_addon: &[String]) -> Result<&'a str, String> {
        let suffix = key
            .strip_prefix(self.prefix.as_str())
            .and_then(|rest| rest.strip_prefix('_'));
        match suffix {
            Some(suffix) if of_addon.iter().any(|known| known == suffix) => Ok(suffix),
            Some(suffix) if self.suffixes.iter().any(|known| known == suffix) => Err(format!(
                "{key} is in the manifest of {}, but this add-on was created before that config var: it comes with a new add-on",
                self.name
            )),
            _ => Err(format!("{key} is no config var of the manifest of {}", self.name)),
        }
    }

    /// The values that a provider gave for an add-on, by what they end in.
    pub(crate) fn config(&self, given: &BTreeMap<String, String>, of_addon: &[String]) -> Result<Values, String> {
        let known = given.iter().map(|(key, value)| {
            let suffix = self.suffix(key, of_addon)?;
            Ok((suffix.to_owned(), value.clone()))
        });
        known.collect()
    }
}

impl Providers {
    /// What the rows say now.
    pub(crate) fn replace(&self, rows: &[ProviderRow]) {
        let providers = rows.iter().filter_map(Provider::of_row);
        let providers = providers.map(|provider| (provider.name.clone(), Arc::new(provider)));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = providers.collect();
    }

    /// By name.
    pub(crate) fn all(&self) -> Vec<Arc<Provider>> {
        let providers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        providers.values().cloned().collect()
    }

    pub(crate) fn find(&self, name_or_id: &str) -> Option<Arc<Provider>> {
        let providers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let id = name_or_id.parse::<Uuid>().ok();
        let named = providers.get(name_or_id);
        let found = named.or_else(|| providers.values().find(|provider| Some(provider.service_id) == id));
        found.cloned()
    }
}

fn take(object: &mut Map<String, Value>, key: &str) -> Option<String> {
    match object.remove(key) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The example of *Add-on Manifest*.
    fn manifest() -> Value {
        json!({
            "id": "errorbucket",
            "name": "Errorbucket",
            "cli_plugin_name": "heroku-errorbucket",
            "api": {
                "config_vars_prefix": "ERRORBUCKET",
                "config_vars": ["ERRORBUCKET_URL"],
                "password": "a-secret",
                "sso_salt": "another-secret",
                "regions": ["us", "eu"],
                "requires": ["log_input"],
                "production": {
                    "base_url": "https://errorbucket.example.com/heroku/resources",
                    "sso_url": "https://errorbucket.example.com/sso/login"
                },
                "version": "3"
            }
        })
    }

    #[test]
    fn a_manifest_is_read_and_its_secrets_are_taken_out() {
        let read = ReadManifest::of(manifest(), false).unwrap();
        assert_eq!(
            (read.name.as_str(), read.secrets[PASSWORD].as_str()),
            ("errorbucket", "a-secret")
        );
        assert!(!read.shown.to_string().contains("secret"));
        let provider = Provider::read(Id::from_uuid(Uuid::nil()), &read.shown).unwrap();
        assert!(provider.writes_logs && !provider.reads_logs);
        assert_eq!(
            (provider.default_plan(), provider.suffixes.as_slice()),
            ("test", &["URL".to_owned()][..])
        );
        let given = |key: &str| provider.config(&[(key.to_owned(), "x".to_owned())].into(), &provider.suffixes);
        let values = Values::from([("URL".to_owned(), "x".to_owned())]);
        assert_eq!(given("ERRORBUCKET_URL").unwrap(), values);
        for other in ["ERRORBUCKET_TOKEN", "DATABASE_URL", "ERRORBUCKETURL", "URL"] {
            assert!(given(other).is_err(), "{other}");
        }
        // What an add-on was created without may be a person's by now; what it was created with stays its provider's.
        let before = ["TOKEN".to_owned()];
        let refused = provider.suffix("ERRORBUCKET_URL", &before).unwrap_err();
        assert!(refused.contains("created before that config var"), "{refused}");
        assert_eq!(provider.suffix("ERRORBUCKET_TOKEN", &before), Ok("TOKEN"));
    }

    #[test]
    fn a_manifest_that_cannot_work_is_refused() {
        for (pointer, value, error) in [
            ("/id", json!("Error Bucket"), "`id` is written"),
            ("/api/version", json!("1"), "speaks version 3"),
            (
                "/api/config_vars",
                json!(["DATABASE_URL"]),
                "does not begin with ERRORBUCKET_",
            ),
            (
                "/api/config_vars",
                json!(["ERRORBUCKET_A B"]),
                "does not begin with ERRORBUCKET_",
            ),
            ("/api/config_vars", json!([]), "is empty"),
            ("/api/password", json!(""), "is empty"),
            ("/api/regions", json!([]), "`api.regions`"),
            ("/api/regions", json!(["eu"]), "\"us\""),
            (
                "/api/production/base_url",
                json!("http://errorbucket.example.com/"),
                "https://",
            ),
            (
                "/api/production/sso_url",
                json!("ftp://errorbucket.example.com/"),
                "https://",
            ),
            ("/api/production", json!(null), "no add-on manifest"),
        ] {
            let mut manifest = manifest();
            *manifest.pointer_mut(pointer).unwrap() = value;
            let refused = ReadManifest::of(manifest, false).err().map(|error| error.to_string());
            assert!(
                refused.as_ref().is_some_and(|refused| refused.contains(error)),
                "{pointer}: {refused:?}"
            );
        }
        let mut own = manifest();
        own["api"]["production"]["base_url"] = json!("http://127.0.0.1:4567/heroku/resources");
        own["api"]["version"] = json!(3);
        own["plans"] = json!(["basic", "large"]);
        assert!(ReadManifest::of(own, true).is_ok());
    }
}

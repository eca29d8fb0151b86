//! Single sign-on to the page that a provider has for an add-on (Dev Center, *Add-on Single Sign-on*).

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use axum::{
    Json,
    extract::{Path, State},
};
use paas_api::AddonSso;
use paas_core::Permissions;
use paas_store::addon_provider;
use sha1::{Digest, Sha1};

use super::{addon, auth::Caller, error::ApiError, state::Api};
use crate::addon::SSO_SALT;

/// What a browser is to send to the provider: good for some minutes there.
pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path(name): Path<String>,
    caller: Caller,
) -> Result<Json<AddonSso>, ApiError> {
    let row = addon::seen(&api, &caller, &name).await?;
    addon::require(&api, &caller, &row, Permissions::DEPLOY | Permissions::OPERATE).await?;
    let provider = api.platform.catalogue.provider(&row.addon.service);
    let found = provider.and_then(|provider| provider.sso_url.clone().map(|url| (provider, url)));
    let Some((provider, url)) = found else {
        return Err(ApiError::invalid(format!(
            "{} has no page of its own. See `paas addons:info {0}`.",
            row.addon.name
        )));
    };
    let mut connection = api.connection().await?;
    let secrets = addon_provider::secret(&mut connection, &api.store().sealer, provider.id).await?;
    drop(connection);
    let salt = secrets.get(SSO_SALT).map_or("", String::as_str);
    if salt.is_empty() {
        return Err(ApiError::invalid(format!(
            "The manifest of {} has no sso_salt: nobody can sign on. Its operator has to register it anew.",
            provider.human_name
        )));
    }
    let (resource, timestamp) = (row.addon.id.to_string(), api.now().timestamp().to_string());
    let params = [
        ("app", row.app_name.clone()),
        ("context_app", row.app_name.clone()),
        ("email", caller.account.email.clone()),
        ("nav-data", String::new()),
        ("resource_id", resource.clone()),
        ("resource_token", token(&resource, salt, &timestamp)),
        ("timestamp", timestamp),
        ("user_id", caller.account.id.to_string()),
    ];
    let params: BTreeMap<_, _> = params.map(|(name, value)| (name.to_owned(), value)).into();
    api.announce(row.addon.app, &format!("Opening {}", row.addon.name), &caller.account);
    Ok(Json(AddonSso {
        action: url.as_str().to_owned(),
        method: "post".to_owned(),
        params,
    }))
}

fn token(resource: &str, salt: &str, timestamp: &str) -> String {
    let digest = Sha1::digest(format!("{resource}:{salt}:{timestamp}"));
    let mut token = String::new();
    for byte in digest {
        let _ = write!(token, "{byte:02x}");
    }
    token
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_the_digest_that_providers_make() {
        // printf %s '01234567-89ab-cdef-0123-456789abcdef:salt:1267597772' | sha1sum
        assert_eq!(
            token("01234567-89ab-cdef-0123-456789abcdef", "salt", "1267597772"),
            "b97baa7902a4d49aa2e48f6542e8657520b6e296"
        );
    }
}

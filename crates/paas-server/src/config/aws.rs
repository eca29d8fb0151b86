//! What is read from the environment, by the names that every AWS tool reads.

use anyhow::{Result, bail};
use paas_api::Secret;

use crate::aws::Credentials;

/// `AWS_ACCESS_KEY_ID` and the others, below a prefix. `None`: none of them is set.
pub(super) fn credentials(prefix: &str) -> Result<Option<Credentials>> {
    let [id, key, token] =
        ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"].map(|name| format!("{prefix}_{name}"));
    match (variable(&id), variable(&key)) {
        (None, None) => Ok(None),
        (Some(access_key_id), Some(secret)) => Ok(Some(Credentials {
            access_key_id,
            secret_access_key: Secret::new(secret),
            session_token: variable(&token).map(Secret::new),
        })),
        (Some(_), None) => bail!("{id} is set, but {key} is not\nhint: set both, or none of them"),
        (None, Some(_)) => bail!("{key} is set, but {id} is not\nhint: set both, or none of them"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is where variables are read; as flags they would show in `ps`"
)]
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

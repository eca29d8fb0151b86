//! Passwords: hashed with Argon2id, off the async threads, and only a few at a time.

use std::sync::LazyLock;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use paas_api::Secret;
use thiserror::Error;
use tokio::{sync::Semaphore, task};

/// Each hash takes 19 MiB and tens of milliseconds: a crowd of logins must not take the machine from the apps.
static TURNS: Semaphore = Semaphore::const_new(2);

/// What an unknown email address is checked against, so that it takes as long to refuse as a wrong password.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Argon2::default()
        .hash_password(b"nobody")
        .map_or_else(|_| String::new(), |hash| hash.to_string())
});

const MINIMUM_CHARACTERS: usize = 8;
/// Long enough for any passphrase; hashing megabytes is somebody else's idea.
const MAXIMUM_BYTES: usize = 1024;

#[derive(Debug, Error)]
pub(crate) enum PasswordError {
    #[error("the password is too short (minimum is {MINIMUM_CHARACTERS} characters)")]
    TooShort,
    #[error("the password is too long (maximum is {MAXIMUM_BYTES} bytes)")]
    TooLong,
    #[error("hashing a password: {0}")]
    Hash(argon2::password_hash::Error),
    #[error("a stored password hash cannot be read: {0}")]
    Unreadable(argon2::password_hash::phc::Error),
    #[error("hashing a password was interrupted")]
    Interrupted,
}

/// The PHC string of a new password.
pub(crate) async fn hash(password: Secret) -> Result<String, PasswordError> {
    if password.expose().chars().count() < MINIMUM_CHARACTERS {
        return Err(PasswordError::TooShort);
    }
    if password.expose().len() > MAXIMUM_BYTES {
        return Err(PasswordError::TooLong);
    }
    in_turn(move || {
        let hash = Argon2::default().hash_password(password.expose().as_bytes());
        hash.map(|hash| hash.to_string()).map_err(PasswordError::Hash)
    })
    .await
}

/// Whether `password` is the one that `hash` was made from. Without a hash the answer is no, after the same time.
pub(crate) async fn verify(password: Secret, hash: Option<String>) -> Result<bool, PasswordError> {
    if password.expose().len() > MAXIMUM_BYTES {
        return Ok(false);
    }
    in_turn(move || {
        let text = hash.as_deref().unwrap_or(&NOBODY);
        let parsed = PasswordHash::new(text).map_err(PasswordError::Unreadable)?;
        let fits = Argon2::default()
            .verify_password(password.expose().as_bytes(), &parsed)
            .is_ok();
        Ok(fits && hash.is_some())
    })
    .await
}

async fn in_turn<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
) -> Result<T, PasswordError> {
    let _turn = TURNS.acquire().await.map_err(|_| PasswordError::Interrupted)?;
    task::spawn_blocking(work)
        .await
        .map_err(|_| PasswordError::Interrupted)?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let hash = hash(Secret::new("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(verify(Secret::new("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!verify(Secret::new("wrong horse"), Some(hash)).await.unwrap());
        assert!(!verify(Secret::new("nobody"), None).await.unwrap());
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        assert!(matches!(hash(Secret::new("short")).await, Err(PasswordError::TooShort)));
        let endless = "x".repeat(2000);
        assert!(matches!(hash(Secret::new(endless)).await, Err(PasswordError::TooLong)));
    }
}

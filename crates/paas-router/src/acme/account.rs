//! Which authority, and who we are there.

use std::{fmt, path::PathBuf};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use instant_acme::{AccountCredentials, ExternalAccountKey, Key, NewAccount};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{
    AcmeError,
    patience::{Patience, Repeat},
    transport::Transport,
};

/// One certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its directory; always `https`.
    pub url: String,
    /// Certificates (PEM) that are trusted besides the platform's, when talking to the authority.
    pub ca_file: Option<PathBuf>,
    /// Whom the authority may write to.
    pub email: Option<String>,
    /// For authorities that want accounts bound to a customer (RFC 8555 §7.3.4).
    pub external_account: Option<ExternalAccount>,
}

/// What such an authority gives to its customer.
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    pub key_id: String,
    /// In base64url, as authorities hand it out.
    pub hmac_key: String,
}

/// Our account at one authority, its key included: a secret, to be sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Account(Vec<u8>);

impl Account {
    /// What was given by [`Account::as_bytes`].
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn new(credentials: &AccountCredentials) -> Result<Self, AcmeError> {
        serde_json::to_vec(credentials)
            .map(Self)
            .map_err(|_| AcmeError::StoredAccount)
    }

    pub(super) fn key(&self) -> Result<(Key, PrivateKeyDer<'static>), AcmeError> {
        // The parser's own words could quote the key.
        let credentials: AccountCredentials = serde_json::from_slice(&self.0).map_err(|_| AcmeError::StoredAccount)?;
        let der = credentials.private_key().secret_pkcs8_der().to_vec();
        let key =
            Key::from_pkcs8_der(PrivatePkcs8KeyDer::from(der.as_slice())).map_err(|_| AcmeError::StoredAccount)?;
        Ok((key, PrivatePkcs8KeyDer::from(der).into()))
    }
}

impl ExternalAccount {
    pub(super) fn key(&self) -> Result<ExternalAccountKey, AcmeError> {
        // Padding and line ends come with copying.
        let text = self.hmac_key.trim().trim_end_matches('=');
        let key = BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| AcmeError::ExternalAccount)?;
        Ok(ExternalAccountKey::new(self.key_id.clone(), &key))
    }
}

/// Our account, or `None` when the authority does not know it any more (RFC 8555 §7.3.1).
pub(super) async fn find(
    directory: &Directory,
    account: &Account,
    transport: &Transport,
) -> Result<Option<instant_acme::Account>, AcmeError> {
    let mut patience = Patience::new(Repeat::Anything);
    loop {
        let builder = instant_acme::Account::builder_with_http(Box::new(transport.clone()));
        match builder.from_key(account.key()?, directory.url.clone()).await {
            Ok((found, _)) => return Ok(Some(found)),
            Err(error) => match patience.after(error).await {
                Err(error) if error.is_account_unknown() => return Ok(None),
                after => after?,
            },
        }
    }
}

pub(super) async fn register(
    directory: &Directory,
    transport: &Transport,
) -> Result<(instant_acme::Account, Account), AcmeError> {
    let external_account = directory
        .external_account
        .as_ref()
        .map(ExternalAccount::key)
        .transpose()?;
    let contact: Vec<_> = directory.email.iter().map(|email| format!("mailto:{email}")).collect();
    let contact: Vec<_> = contact.iter().map(String::as_str).collect();
    let new_account = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let mut patience = Patience::new(Repeat::Unhandled);
    loop {
        let builder = instant_acme::Account::builder_with_http(Box::new(transport.clone()));
        let created = builder.create(&new_account, directory.url.clone(), external_account.as_ref());
        match created.await {
            Ok((registered, credentials)) => return Ok((registered, Account::new(&credentials)?)),
            Err(error) => patience.after(error).await?,
        }
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalAccount")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

//! Which certificate authorities are asked.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use paas_core::{Authorities, Authority};
use paas_router::acme::{Directory, ExternalAccount};

const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

/// What turns an authority off.
const NONE: &str = "none";

/// What CAA records call the authorities that people use, by a part of their directories' addresses.
const ISSUERS: [(&str, &str); 6] = [
    ("letsencrypt.org", "letsencrypt.org"),
    ("zerossl.com", "sectigo.com"),
    ("sectigo.com", "sectigo.com"),
    ("pki.goog", "pki.goog"),
    ("buypass.com", "buypass.com"),
    ("ssl.com", "ssl.com"),
];

/// As given; every one may be absent.
pub(super) struct AcmeArgs {
    pub(super) directory: Option<String>,
    pub(super) staging_directory: Option<String>,
    pub(super) fallback_directory: Option<String>,
    pub(super) email: Option<String>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) eab_file: Option<PathBuf>,
    pub(super) fallback_eab_file: Option<PathBuf>,
}

/// The authorities in force.
#[derive(Debug, Clone)]
pub(crate) struct AcmeSettings {
    production: Directory,
    staging: Option<Directory>,
    fallback: Option<Directory>,
}

impl AcmeArgs {
    /// `None` when no certificates are to be ordered.
    pub(super) fn resolve(self) -> Result<Option<AcmeSettings>> {
        let url = self.directory.unwrap_or_else(|| LETS_ENCRYPT.to_owned());
        if url == NONE {
            return Ok(None);
        }
        let staging = match self.staging_directory {
            Some(staging) => Some(staging).filter(|staging| staging != NONE),
            None => (url == LETS_ENCRYPT).then(|| LETS_ENCRYPT_STAGING.to_owned()),
        };
        let directory = |flag: &str, url: String, external_account| {
            if !url.starts_with("https://") {
                bail!("{flag} {url}: an ACME directory is an https:// address, or `{NONE}`");
            }
            Ok(Directory {
                url,
                ca_file: self.ca_file.clone(),
                email: self.email.clone(),
                external_account,
            })
        };
        let account = |file: Option<PathBuf>| file.as_deref().map(read_external_account).transpose();
        let fallback_account = account(self.fallback_eab_file)?;
        let fallback = self.fallback_directory.filter(|fallback| fallback != NONE);
        Ok(Some(AcmeSettings {
            production: directory("--acme-directory", url, account(self.eab_file)?)?,
            staging: staging
                .map(|url| directory("--acme-staging-directory", url, None))
                .transpose()?,
            fallback: fallback
                .map(|url| directory("--acme-fallback-directory", url, fallback_account))
                .transpose()?,
        }))
    }
}

/// The authority's own words for an account that is bound to a customer: a file, because an argument is everybody's to see.
fn read_external_account(path: &Path) -> Result<ExternalAccount> {
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(key_id), Some(hmac_key), None) = (lines.next(), lines.next(), lines.next()) else {
        bail!("{} must have two lines: the key id, and the HMAC key", path.display());
    };
    Ok(ExternalAccount {
        key_id: key_id.to_owned(),
        hmac_key: hmac_key.to_owned(),
    })
}

impl AcmeSettings {
    pub(crate) fn authorities(&self) -> Authorities {
        Authorities {
            has_staging: self.staging.is_some(),
            has_fallback: self.fallback.is_some(),
        }
    }

    /// Where the authority is that plays this part.
    pub(crate) fn directory(&self, authority: Authority) -> Option<&Directory> {
        match authority {
            Authority::Production => Some(&self.production),
            Authority::Staging => self.staging.as_ref(),
            Authority::Fallback => self.fallback.as_ref(),
        }
    }

    /// What CAA records may call those that issue our certificates. Empty when one of them is not known: then CAA is left to
    /// the authority.
    pub(crate) fn issuers(&self) -> Vec<&'static str> {
        let issuer = |directory: &Directory| {
            let known = ISSUERS.iter().find(|(part, _)| directory.url.contains(part));
            known.map(|(_, issuer)| *issuer)
        };
        let issuers: Option<Vec<_>> = [Some(&self.production), self.fallback.as_ref()]
            .into_iter()
            .flatten()
            .map(issuer)
            .collect();
        issuers.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(directory: Option<&str>) -> AcmeArgs {
        AcmeArgs {
            directory: directory.map(str::to_owned),
            staging_directory: None,
            fallback_directory: None,
            email: None,
            ca_file: None,
            eab_file: None,
            fallback_eab_file: None,
        }
    }

    fn url(settings: &AcmeSettings, authority: Authority) -> Option<&str> {
        settings.directory(authority).map(|directory| directory.url.as_str())
    }

    #[test]
    fn lets_encrypt_is_asked_and_rehearsed_with_by_default() {
        let settings = args(None).resolve().unwrap().unwrap();
        assert_eq!(url(&settings, Authority::Production), Some(LETS_ENCRYPT));
        assert_eq!(url(&settings, Authority::Staging), Some(LETS_ENCRYPT_STAGING));
        assert_eq!(settings.issuers(), ["letsencrypt.org"]);
        assert!(args(Some("none")).resolve().unwrap().is_none());
        let own = args(Some("https://ca.example/dir")).resolve().unwrap().unwrap();
        assert_eq!(
            url(&own, Authority::Staging),
            None,
            "another authority has no staging that we know of"
        );
        assert_eq!(own.issuers(), [""; 0]);
        assert!(args(Some("http://ca.example/dir")).resolve().is_err());
    }

    #[test]
    fn an_external_account_is_read_from_a_file_of_two_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eab");
        fs::write(&path, "kid-1\n  c2VjcmV0 \n\n").unwrap();
        let with = AcmeArgs {
            fallback_directory: Some("https://acme.zerossl.com/v2/DV90".to_owned()),
            fallback_eab_file: Some(path.clone()),
            ..args(None)
        };
        let settings = with.resolve().unwrap().unwrap();
        let account = settings.fallback.as_ref().unwrap().external_account.clone().unwrap();
        assert_eq!(
            (account.key_id.as_str(), account.hmac_key.as_str()),
            ("kid-1", "c2VjcmV0")
        );
        assert_eq!(settings.issuers(), ["letsencrypt.org", "sectigo.com"]);
        fs::write(&path, "kid-1\n").unwrap();
        assert!(read_external_account(&path).is_err());
    }
}

//! Where backups go besides this machine's disk.

use anyhow::{Result, bail, ensure};
use http::Uri;

use super::aws;
use crate::aws::Credentials;

/// What signs where nobody says: servers that are not AWS's take it.
const ANY_REGION: &str = "us-east-1";
/// Keys of the bucket alone: Route 53 may have others.
const OWN_PREFIX: &str = "PAAS_BACKUP_BUCKET";

impl BucketSettings {
    /// For the server alone: whoever runs another command has no keys in the environment, and needs none.
    pub(crate) fn require_keys(&self) -> Result<()> {
        if self.credentials.is_none() && !self.host.ends_with(".amazonaws.com") {
            bail!(
                "--backup-bucket {} has no keys\n\
                 hint: set {OWN_PREFIX}_ACCESS_KEY_ID and {OWN_PREFIX}_SECRET_ACCESS_KEY in the environment of paasd serve, \
                 or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                self.name
            );
        }
        Ok(())
    }
}

/// As given; every one may be absent.
#[derive(Debug, Default)]
pub(super) struct BucketArgs {
    pub(super) name: Option<String>,
    pub(super) endpoint: Option<String>,
    pub(super) region: Option<String>,
    pub(super) prefix: Option<String>,
}

/// The bucket in force.
#[derive(Debug, Clone)]
pub(crate) struct BucketSettings {
    pub(crate) name: String,
    pub(crate) region: String,
    /// Before each key: empty, or with a slash at its end.
    pub(crate) prefix: String,
    pub(crate) is_tls: bool,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Whether the bucket is the first part of the path; else the host's name is the bucket's own.
    pub(crate) is_in_path: bool,
    /// `None`: those of the instance's role.
    pub(crate) credentials: Option<Credentials>,
}

impl BucketArgs {
    /// `None` when backups stay on this machine. An empty name takes back what the file says.
    pub(super) fn resolve(self) -> Result<Option<BucketSettings>> {
        let given = |value: Option<String>| value.filter(|value| !value.is_empty());
        let (endpoint, region) = (given(self.endpoint), given(self.region));
        let Some(name) = given(self.name) else {
            if endpoint.is_some() || region.is_some() || given(self.prefix).is_some() {
                bail!(
                    "--backup-bucket-endpoint, -region or -prefix without --backup-bucket: backups would go nowhere\n\
                     hint: name the bucket, like --backup-bucket my-backups"
                );
            }
            return Ok(None);
        };
        let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
        let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        ensure!(
            (3..=63).contains(&name.len())
                && name.bytes().all(is_name)
                && is_edge(name.as_bytes().first())
                && is_edge(name.as_bytes().last()),
            "--backup-bucket {name}: the name of a bucket has 3 to 63 small letters, digits, dots and hyphens"
        );
        let credentials = match aws::credentials(OWN_PREFIX)? {
            None => aws::credentials("AWS")?,
            own => own,
        };
        let prefix = prefix(&given(self.prefix).unwrap_or_default())?;
        let Some(endpoint) = endpoint else {
            let Some(region) = region else {
                bail!(
                    "--backup-bucket {name} does not say where\n\
                     hint: for AWS, add --backup-bucket-region, like eu-central-1; for others, --backup-bucket-endpoint"
                );
            };
            check_region(&region)?;
            // A certificate of `*.s3.…` is good for one label.
            let is_in_path = name.contains('.');
            let host = format!("s3.{region}.amazonaws.com");
            return Ok(Some(BucketSettings {
                host: if is_in_path { host } else { format!("{name}.{host}") },
                name,
                region,
                prefix,
                is_tls: true,
                port: 443,
                is_in_path,
                credentials,
            }));
        };
        let region = region.unwrap_or_else(|| ANY_REGION.to_owned());
        check_region(&region)?;
        let (is_tls, host, port) = place(&endpoint)?;
        Ok(Some(BucketSettings {
            name,
            region,
            prefix,
            is_tls,
            host,
            port,
            is_in_path: true,
            credentials,
        }))
    }
}

/// Of characters that no address has to encode.
fn prefix(given: &str) -> Result<String> {
    let prefix = given.trim_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if prefix.is_empty() {
        return Ok(String::new());
    }
    ensure!(
        prefix.bytes().all(is_plain) && prefix.split('/').all(is_part) && prefix.len() <= 512,
        "--backup-bucket-prefix {given}: give letters, digits, dots, hyphens and slashes, such as paas/backups"
    );
    Ok(format!("{prefix}/"))
}

fn check_region(region: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    ensure!(
        region.bytes().all(is_plain) && region.len() <= 64,
        "--backup-bucket-region {region}: give a region such as eu-central-1"
    );
    Ok(())
}

/// Whether it speaks TLS, its host, and its port.
fn place(endpoint: &str) -> Result<(bool, String, u16)> {
    // The address may hold a password, which is not ours to show.
    let wrong = "--backup-bucket-endpoint: give an address without a path and without a password, such as \
                 https://s3.example.com or http://10.0.0.7:9000";
    let Ok(uri) = endpoint.parse::<Uri>() else { bail!(wrong) };
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => bail!(wrong),
    };
    let is_bare = ["", "/"].contains(&uri.path()) && uri.query().is_none();
    let authority = uri
        .authority()
        .filter(|authority| is_bare && !authority.as_str().contains('@'));
    let Some(authority) = authority else { bail!(wrong) };
    let usual = if is_tls { 443 } else { 80 };
    let port = match authority.port_u16() {
        Some(port) => port,
        // Such as 70000.
        None if authority.as_str() != authority.host() => bail!(wrong),
        None => usual,
    };
    Ok((is_tls, authority.host().to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved([name, endpoint, region, prefix]: [&str; 4]) -> Result<Option<BucketSettings>> {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let args = BucketArgs {
            name: given(name),
            endpoint: given(endpoint),
            region: given(region),
            prefix: given(prefix),
        };
        args.resolve()
    }

    #[test]
    fn a_bucket_of_aws_is_found_by_its_region() {
        let bucket = resolved(["my-backups", "", "eu-central-1", "/paas/one/"])
            .unwrap()
            .unwrap();
        assert_eq!(bucket.host, "my-backups.s3.eu-central-1.amazonaws.com");
        assert_eq!((bucket.is_tls, bucket.port, bucket.is_in_path), (true, 443, false));
        assert_eq!(bucket.prefix, "paas/one/");
        let dotted = resolved(["my.backups", "", "eu-central-1", ""]).unwrap().unwrap();
        assert_eq!(dotted.host, "s3.eu-central-1.amazonaws.com");
        assert!(dotted.is_in_path);
        assert_eq!(dotted.prefix, "");
    }

    #[test]
    fn what_is_half_said_or_not_understood_is_refused_with_what_to_do() {
        assert!(resolved(["", "", "", ""]).unwrap().is_none());
        for (given, words) in [
            (["", "https://s3.example.com", "", ""], "--backup-bucket my-backups"),
            (["", "", "", "paas"], "--backup-bucket my-backups"),
            (["my-backups", "", "", ""], "--backup-bucket-region"),
            (["My_Backups", "", "eu-central-1", ""], "small letters"),
            (["-x-", "", "eu-central-1", ""], "small letters"),
            (["my-backups", "", "eu central", ""], "such as eu-central-1"),
            (["my-backups", "", "eu-central-1", "a//b"], "such as paas/backups"),
            (["my-backups", "", "eu-central-1", "a/../b"], "such as paas/backups"),
            (["my-backups", "s3.example.com", "", ""], "give an address"),
            (["my-backups", "ftp://s3.example.com", "", ""], "give an address"),
            (
                ["my-backups", "https://s3.example.com/bucket", "", ""],
                "give an address",
            ),
            (
                ["my-backups", "https://me:hush@s3.example.com", "", ""],
                "give an address",
            ),
        ] {
            let error = resolved(given).unwrap_err().to_string();
            assert!(error.contains(words), "{given:?}: {error}");
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn only_aws_has_roles_in_the_place_of_keys() {
        let keyless = |endpoint| BucketSettings {
            credentials: None,
            ..resolved(["my-backups", endpoint, "eu-central-1", ""]).unwrap().unwrap()
        };
        assert!(keyless("").require_keys().is_ok());
        let error = keyless("https://s3.example.com").require_keys().unwrap_err();
        assert!(error.to_string().contains("AWS_SECRET_ACCESS_KEY"), "{error}");
    }

    #[test]
    fn an_address_says_host_and_port() {
        for (endpoint, wanted) in [
            ("https://S3.example.com", (true, "s3.example.com", 443)),
            ("http://10.0.0.7:9000/", (false, "10.0.0.7", 9000)),
            ("http://[::1]:9000", (false, "[::1]", 9000)),
        ] {
            let (is_tls, host, port) = place(endpoint).unwrap();
            assert_eq!((is_tls, host.as_str(), port), wanted);
        }
        assert!(place("http://10.0.0.7:70000").is_err());
    }
}

//! Our own certificate authority, for names that no public one can validate: `localhost`, `.test`, an intranet's.
//!
//! Its root lies in the data directory as `local-ca/root.pem`, for people to trust. The key beside it can make a certificate
//! of any name, which matters to whoever trusts the root: it is ours alone to read (0600) and leaves this module in no form.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::Held;
use paas_router::certificate::{CertificateFacts, certificate_facts};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};

const ROOT_LIFE: TimeDelta = TimeDelta::days(3650);
/// As long as a public authority's, so that nobody gets used to something else.
const LEAF_LIFE: TimeDelta = TimeDelta::days(90);
/// Clocks of clients are not quite right.
const BACKDATED: TimeDelta = TimeDelta::hours(1);

pub(crate) struct LocalCa {
    issuer: Issuer<'static, KeyPair>,
    root_path: PathBuf,
    /// As it stands in the certificates that it issued.
    name: String,
}

/// A certificate of ours and its key.
pub(super) struct Leaf {
    pub(super) chain_pem: String,
    pub(super) key_pem: String,
    pub(super) held: Held,
}

impl LocalCa {
    /// The authority in `dir`; made when there is none, or when it has not long to live.
    pub(crate) fn open(dir: &Path, now: DateTime<Utc>) -> Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(dir)
            .with_context(|| format!("making {}", dir.display()))?;
        let (root_path, key_path) = (dir.join("root.pem"), dir.join("root-key.pem"));
        let root = match (read(&root_path)?, read_private(&key_path)?) {
            (Some(root), Some(key)) => {
                let facts = certificate_facts(&root).with_context(|| format!("reading {}", root_path.display()))?;
                let lasts = now + LEAF_LIFE < facts.not_after;
                let unreadable = || format!("reading {}", key_path.display());
                let is_its_key = belong_together(&root, &key).with_context(unreadable)?;
                Some((root, key)).filter(|_| lasts && is_its_key)
            }
            _ => None,
        };
        let (root, key) = match root {
            Some(found) => found,
            None => {
                let (root, key) = make_root(now)?;
                // The key first: a root whose key is lost would be trusted for nothing.
                write(&key_path, &key, 0o600)?;
                write(&root_path, &root, 0o644)?;
                (root, key)
            }
        };
        let key = KeyPair::from_pem(&key).with_context(|| format!("reading {}", key_path.display()))?;
        Ok(Self {
            name: certificate_facts(&root)?.subject,
            issuer: Issuer::from_ca_cert_pem(&root, key).with_context(|| format!("reading {}", root_path.display()))?,
            root_path,
        })
    }

    /// What people have to trust.
    pub(crate) fn root_path(&self) -> &Path {
        &self.root_path
    }

    /// Whether a certificate comes from here, and not from an authority that was here before.
    pub(super) fn has_issued(&self, facts: &CertificateFacts) -> bool {
        facts.issuer == self.name
    }

    /// Certifies names and addresses.
    pub(super) fn issue(&self, names: &[String], now: DateTime<Utc>) -> Result<Leaf> {
        let held = Held {
            not_before: whole_seconds(now - BACKDATED),
            not_after: whole_seconds(now + LEAF_LIFE),
        };
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        set_dates(&mut params, held);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok(Leaf {
            chain_pem: params.signed_by(&key, &self.issuer)?.pem(),
            key_pem: key.serialize_pem(),
            held,
        })
    }
}

fn make_root(now: DateTime<Utc>) -> Result<(String, String)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new([])?;
    params.distinguished_name = DistinguishedName::new();
    // Another root must have another name, or clients look for the wrong key.
    let name = format!("paas local authority of {}", now.format("%Y-%m-%d %H:%M:%S UTC"));
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "paas");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let held = Held {
        not_before: now - BACKDATED,
        not_after: now + ROOT_LIFE,
    };
    set_dates(&mut params, held);
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// A crash, or a hand, may have left a root beside the key of another: what that signs, nobody takes.
fn belong_together(root_pem: &str, key_pem: &str) -> Result<bool> {
    let root = CertificateDer::from_pem_slice(root_pem.as_bytes())?;
    let key = KeyPair::from_pem(key_pem)?;
    let public = key.public_key_raw();
    Ok(root.windows(public.len()).any(|part| part == public))
}

fn set_dates(params: &mut CertificateParams, held: Held) {
    let since_1970 = |at: DateTime<Utc>| Duration::from_secs(u64::try_from(at.timestamp()).unwrap_or(0));
    let epoch = date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_1970(held.not_before);
    params.not_after = epoch + since_1970(held.not_after);
}

fn whole_seconds(at: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp(at.timestamp(), 0).unwrap_or(at)
}

fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn read_private(path: &Path) -> Result<Option<String>> {
    let text = read(path)?;
    if text.is_some() {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            bail!(
                "{} has mode {mode:o}: others may have read it\nhint: remove its directory; another authority is made, \
                 which browsers have to trust anew",
                path.display()
            );
        }
    }
    Ok(text)
}

/// Writes a file beside its place first: a crash leaves all of it or nothing.
fn write(path: &Path, text: &str, mode: u32) -> Result<()> {
    let draft = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&draft)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    written().with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    #[test]
    fn a_certificate_of_ours_covers_its_names_and_is_known_as_ours() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("local-ca");
        let ca = LocalCa::open(&dir, now()).unwrap();
        let names = [
            "hello.localhost".to_owned(),
            "*.box.test".to_owned(),
            "127.0.0.1".to_owned(),
        ];
        let leaf = ca.issue(&names, now()).unwrap();
        let facts = certificate_facts(&leaf.chain_pem).unwrap();
        assert_eq!(facts.names, ["hello.localhost", "*.box.test"]);
        assert_eq!(
            (facts.not_before, facts.not_after),
            (leaf.held.not_before, leaf.held.not_after)
        );
        assert!(ca.has_issued(&facts));
        let root = fs::read_to_string(ca.root_path()).unwrap();
        let chain = format!("{}{root}", leaf.chain_pem);
        paas_router::certificate::check_pair(&chain, &leaf.key_pem, Some("a.box.test"), now()).unwrap();

        let again = LocalCa::open(&dir, now() + TimeDelta::days(3000)).unwrap();
        assert!(again.has_issued(&facts), "the authority lasts");
        let renewed = LocalCa::open(&dir, now() + TimeDelta::days(3600)).unwrap();
        assert!(!renewed.has_issued(&facts), "but not for ever");
    }

    #[test]
    fn the_key_of_the_root_is_ours_alone() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("local-ca");
        LocalCa::open(&dir, now()).unwrap();
        let key = dir.join("root-key.pem");
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        let error = LocalCa::open(&dir, now()).err().unwrap().to_string();
        assert!(error.contains("644"), "{error}");
    }

    #[test]
    fn a_root_with_the_key_of_another_is_no_authority() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name: &str| LocalCa::open(&directory.path().join(name), now());
        let (one, other) = (open("one").unwrap(), open("other").unwrap());
        let key = |ca: &LocalCa| ca.root_path().with_file_name("root-key.pem");
        let root = fs::read_to_string(one.root_path()).unwrap();
        fs::copy(key(&other), key(&one)).unwrap();
        let again = open("one").unwrap();
        assert!(fs::read_to_string(again.root_path()).unwrap() != root);
        let leaf = again.issue(&["hello.localhost".to_owned()], now()).unwrap();
        let chain = format!("{}{}", leaf.chain_pem, fs::read_to_string(again.root_path()).unwrap());
        paas_router::certificate::check_pair(&chain, &leaf.key_pem, None, now()).unwrap();
    }
}

//! The certificates of a table, by the names that they serve.

use std::{collections::HashMap, sync::Arc};

use rustls::sign::CertifiedKey;

use crate::{
    feed::{Certificate, CertificateChange},
    tls,
};

/// Stands for every name that no other certificate is for, and for clients that ask for none.
const DEFAULT: &str = "*";

#[derive(Default)]
pub(crate) struct Certificates {
    /// In the feeder's order, which names those that it keeps by their index.
    list: Vec<Certified>,
    by_name: HashMap<Box<str>, Arc<CertifiedKey>>,
}

/// A certificate, and what was understood from it: nothing when it cannot be used.
#[derive(Clone)]
struct Certified {
    source: Arc<Certificate>,
    key: Option<Arc<CertifiedKey>>,
}

impl Certificates {
    /// The certificate for a name, or for one label under a wildcard, or the default one.
    pub(crate) fn find(&self, hostname: Option<&str>) -> Option<&Arc<CertifiedKey>> {
        let exact = hostname.and_then(|hostname| self.by_name.get(hostname));
        let wildcard = || {
            let (_, parent) = hostname?.split_once('.')?;
            self.by_name.get(format!("*.{parent}").as_str())
        };
        exact.or_else(wildcard).or_else(|| self.by_name.get(DEFAULT))
    }

    /// Whether clients that ask for either name are shown the same certificate.
    pub(crate) fn have_one_for(&self, name: &str, other: &str) -> bool {
        match (self.find(Some(name)), self.find(Some(other))) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Another list; what it has in common with this one was read before.
    pub(crate) fn replaced(&self, certificates: Vec<Arc<Certificate>>) -> Self {
        let known: HashMap<_, _> = self
            .list
            .iter()
            .map(|it| (it.source.hostnames.as_slice(), it))
            .collect();
        let certified = certificates.into_iter().map(|source| {
            let known = known.get(source.hostnames.as_slice());
            match known.filter(|known| known.source == source) {
                Some(known) => (*known).clone(),
                None => Certified::read(source),
            }
        });
        Self::of(certified.collect())
    }

    /// The list after a change; `None` when it keeps what is not there.
    pub(crate) fn changed(&self, changes: Vec<CertificateChange>) -> Option<Self> {
        let certified = changes.into_iter().map(|change| match change {
            CertificateChange::Kept(index) => self.list.get(index).cloned(),
            CertificateChange::New(source) => Some(Certified::read(source)),
        });
        Some(Self::of(certified.collect::<Option<_>>()?))
    }

    fn of(list: Vec<Certified>) -> Self {
        let mut by_name = HashMap::new();
        for Certified { source, key } in &list {
            for hostname in &source.hostnames {
                if let Some(key) = key {
                    by_name.insert(hostname.as_str().into(), key.clone());
                }
            }
        }
        Self { list, by_name }
    }
}

impl Certified {
    fn read(source: Arc<Certificate>) -> Self {
        let key = tls::certified_key(&source.chain_pem, &source.key_pem)
            .map(Arc::new)
            .inspect_err(|error| {
                let hostnames = source.hostnames.join(" ");
                tracing::error!(%error, hostnames, "a certificate of the table cannot be used");
            });
        Self { source, key: key.ok() }
    }
}

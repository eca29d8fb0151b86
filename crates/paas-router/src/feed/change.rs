//! What is different between two tables: all that crosses the socket when a router has the one and gets the other.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AppEntry, Certificate, Challenge, Exposure, PlatformHost, Table};

/// From one table to the next. Platform hosts do not change while a platform runs: with others, the table crosses whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    /// New ones, and those of which anything changed.
    pub(crate) apps: Vec<AppEntry>,
    pub(crate) gone: Vec<Uuid>,
    /// The whole list, when it is another.
    pub(crate) certificates: Option<Vec<CertificateChange>>,
    pub(crate) challenges: Option<Vec<Challenge>>,
    pub(crate) exposures: Option<Vec<Exposure>>,
}

/// One entry of the next list of certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum CertificateChange {
    /// The one with this index in the list before.
    Kept(usize),
    New(Arc<Certificate>),
}

/// What a router was sent, made for comparing.
#[derive(Default)]
pub(crate) struct Sent {
    apps: HashMap<Uuid, AppEntry>,
    platform_hosts: Vec<PlatformHost>,
    certificates: Vec<Arc<Certificate>>,
    challenges: Vec<Challenge>,
    exposures: Vec<Exposure>,
}

impl Sent {
    /// What has to be sent for this table; `None` when it has to cross whole.
    pub(crate) fn change_to(&self, table: &Table) -> Option<Change> {
        let Table {
            apps,
            platform_hosts,
            certificates,
            challenges,
            exposures,
        } = table;
        if *platform_hosts != self.platform_hosts {
            return None;
        }
        let changed = apps.iter().filter(|entry| self.apps.get(&entry.app) != Some(*entry));
        Some(Change {
            apps: changed.cloned().collect(),
            gone: self.gone(apps),
            certificates: (*certificates != self.certificates).then(|| self.certificate_changes(certificates)),
            challenges: (*challenges != self.challenges).then(|| challenges.clone()),
            exposures: (*exposures != self.exposures).then(|| exposures.clone()),
        })
    }

    /// The router has this table now.
    pub(crate) fn replace(&mut self, table: Table) {
        let Table {
            apps,
            platform_hosts,
            certificates,
            challenges,
            exposures,
        } = table;
        *self = Self {
            apps: apps.into_iter().map(|entry| (entry.app, entry)).collect(),
            platform_hosts,
            certificates,
            challenges,
            exposures,
        };
    }

    /// The router has been told of this change to this table.
    pub(crate) fn follow(&mut self, change: &Change, table: Table) {
        for app in &change.gone {
            self.apps.remove(app);
        }
        for entry in &change.apps {
            self.apps.insert(entry.app, entry.clone());
        }
        self.certificates = table.certificates;
        self.challenges = table.challenges;
        self.exposures = table.exposures;
    }

    fn gone(&self, apps: &[AppEntry]) -> Vec<Uuid> {
        let known = apps.iter().filter(|entry| self.apps.contains_key(&entry.app)).count();
        if known == self.apps.len() {
            return Vec::new();
        }
        let apps: HashSet<Uuid> = apps.iter().map(|entry| entry.app).collect();
        self.apps.keys().copied().filter(|app| !apps.contains(app)).collect()
    }

    fn certificate_changes(&self, certificates: &[Arc<Certificate>]) -> Vec<CertificateChange> {
        let known: HashMap<_, _> = self
            .certificates
            .iter()
            .enumerate()
            .map(|(index, it)| (&it.hostnames, index))
            .collect();
        let change = |certificate: &Arc<Certificate>| {
            let index = known.get(&certificate.hostnames).copied();
            match index.filter(|index| self.certificates[*index] == *certificate) {
                Some(index) => CertificateChange::Kept(index),
                None => CertificateChange::New(certificate.clone()),
            }
        };
        certificates.iter().map(change).collect()
    }
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            apps,
            gone,
            certificates,
            challenges,
            exposures,
        } = self;
        apps.is_empty() && gone.is_empty() && certificates.is_none() && challenges.is_none() && exposures.is_none()
    }
}

//! What takes room, and whose it is.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{App, AppName, Id};
use paas_engine::EngineDisk;
use paas_store as store;

use super::{
    Fill,
    files::{bytes_in, entries},
    prune::{self, Kind},
};
use crate::platform::Platform;

/// The engine walks through all of its files for an answer: nobody gets to ask it all the time.
const FRESH: TimeDelta = TimeDelta::minutes(1);
/// The images of a stack are of no app, and every platform of the machine uses them.
const STACK: &str = "paas/stack-";

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskAccount {
    pub(crate) measured_at: DateTime<Utc>,
    pub(crate) file_systems: Vec<FileSystem>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) apps: Vec<(Id<App>, AppName, AppBytes)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// A place on it.
    pub(crate) path: PathBuf,
    pub(crate) holds: Vec<&'static str>,
    pub(crate) fill: Fill,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) bytes: u64,
    /// How much of it a prune would remove.
    pub(crate) prunable_bytes: u64,
}

/// What one app takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AppBytes {
    pub(crate) images: u64,
    pub(crate) image_copies: u64,
    pub(crate) cache: u64,
    pub(crate) containers: u64,
    pub(crate) repository: u64,
    pub(crate) logs: u64,
    pub(crate) outputs: u64,
}

/// The last account, for whoever asks soon again.
#[derive(Debug, Default)]
pub(crate) struct LastAccount(tokio::sync::Mutex<Option<Arc<DiskAccount>>>);

impl AppBytes {
    pub(crate) const fn total(self) -> u64 {
        let Self {
            images,
            image_copies,
            cache,
            containers,
            repository,
            logs,
            outputs,
        } = self;
        images + image_copies + cache + containers + repository + logs + outputs
    }
}

/// The account of now, or of a minute ago. Several who ask at once get the same.
pub(crate) async fn account(platform: &Platform) -> Result<Arc<DiskAccount>> {
    let mut last = platform.disk.0.lock().await;
    let now = platform.clock.now();
    if let Some(account) = last.as_ref().filter(|account| account.measured_at + FRESH > now) {
        return Ok(Arc::clone(account));
    }
    let measured = Arc::new(measure(platform).await?);
    *last = Some(Arc::clone(&measured));
    Ok(measured)
}

/// After a prune nothing is as it was.
pub(crate) async fn forget(platform: &Platform) {
    *platform.disk.0.lock().await = None;
}

async fn measure(platform: &Platform) -> Result<DiskAccount> {
    let engine = platform.engine.disk().await?;
    let data_dir = PathBuf::from(platform.engine.version().await?.data_dir);
    let mut conn = platform.store.connection().await?;
    let names = store::disk::apps(&mut conn).await?;
    let outputs = store::disk::outputs(&mut conn).await?;
    let database_bytes = store::disk::database_bytes(&mut conn).await?;
    drop(conn);
    let prunable = prune::rehearse(platform).await?;
    let prunable = |kind| {
        prunable
            .iter()
            .filter(|item| item.kind == kind)
            .map(|item| item.bytes)
            .sum()
    };

    let settings = platform.settings.clone();
    let copies = Arc::clone(&platform.copies);
    let files = tokio::task::spawn_blocking(move || Files::measure(&settings, &copies, &outputs));
    let files = files.await?.context("measuring the data directory")?;
    let file_systems = file_systems(&platform.settings.data_dir, &data_dir);

    let mut apps: BTreeMap<Id<App>, AppBytes> = names.keys().map(|app| (*app, AppBytes::default())).collect();
    let mut add = |app: Option<Id<App>>, bytes: u64, field: fn(&mut AppBytes) -> &mut u64| {
        if let Some(account) = app.and_then(|app| apps.get_mut(&app)) {
            *field(account) += bytes;
        }
    };
    let EngineDisk {
        layers_bytes,
        images,
        volumes,
        containers,
    } = engine;
    let (mut of_apps, mut of_stack) = (0, 0);
    for image in &images {
        match image.app {
            Some(_) => of_apps += image.own_bytes,
            None if image.tags.iter().any(|tag| tag.as_str().starts_with(STACK)) => of_stack += image.own_bytes,
            None => {}
        }
        add(image.app, image.own_bytes, |app| &mut app.images);
    }
    for volume in &volumes {
        add(volume.app, volume.bytes, |app| &mut app.cache);
    }
    for container in &containers {
        add(container.app, container.bytes, |app| &mut app.containers);
    }
    for (app, bytes, field) in &files.of_apps {
        add(Some(*app), *bytes, *field);
    }
    let plain = |name, bytes| Account {
        name,
        bytes,
        prunable_bytes: 0,
    };
    let account = |name, kind, bytes| Account {
        name,
        bytes,
        prunable_bytes: prunable(kind),
    };
    // Those of add-ons belong to no app: several may use one.
    let (caches, of_addons): (Vec<_>, Vec<_>) = volumes.iter().partition(|volume| volume.app.is_some());
    let accounts = vec![
        account("images of apps", Kind::Image, of_apps),
        plain("images of the stack", of_stack),
        plain("other images", layers_bytes.saturating_sub(of_apps + of_stack)),
        account("image copies", Kind::Copies, files.copies),
        account(
            "build caches",
            Kind::Cache,
            caches.iter().map(|volume| volume.bytes).sum(),
        ),
        plain("add-ons", of_addons.iter().map(|volume| volume.bytes).sum()),
        plain("containers", containers.iter().map(|container| container.bytes).sum()),
        account("repositories", Kind::Repository, files.repositories),
        account("logs", Kind::Log, files.logs),
        account("build output", Kind::Output, files.outputs),
        account("sources", Kind::Source, files.sources),
        plain("fetched buildpacks", files.buildpacks),
        plain("registry", files.registry),
        plain("backups", files.backups),
        plain("archive", files.archive),
        plain("database", files.database.max(database_bytes)),
    ];
    let mut apps: Vec<_> = apps
        .into_iter()
        .filter_map(|(app, bytes)| Some((app, names.get(&app)?.clone(), bytes)))
        .collect();
    apps.sort_by(|(_, one_name, one), (_, other_name, other)| {
        (other.total(), one_name).cmp(&(one.total(), other_name))
    });
    Ok(DiskAccount {
        measured_at: platform.clock.now(),
        file_systems,
        accounts,
        apps,
    })
}

type Field = fn(&mut AppBytes) -> &mut u64;

/// What is in the data directory.
#[derive(Default)]
struct Files {
    of_apps: Vec<(Id<App>, u64, Field)>,
    copies: u64,
    repositories: u64,
    logs: u64,
    outputs: u64,
    sources: u64,
    buildpacks: u64,
    /// What was pushed to `registry.`, until no tag leads to it.
    registry: u64,
    backups: u64,
    archive: u64,
    /// Of the embedded database, with its journal.
    database: u64,
}

impl Files {
    fn measure(
        settings: &crate::config::Settings,
        copies: &crate::image_copies::ImageCopies,
        outputs: &std::collections::HashMap<uuid::Uuid, Id<App>>,
    ) -> std::io::Result<Self> {
        let mut files = Self {
            sources: bytes_in(&settings.sources()),
            buildpacks: bytes_in(&settings.buildpacks()),
            registry: bytes_in(&settings.registry()),
            backups: bytes_in(&settings.backups()),
            archive: bytes_in(&settings.archive()),
            database: bytes_in(&settings.data_dir.join("postgres")),
            ..Self::default()
        };
        for copy in copies.sizes()? {
            files.copies += copy.bytes;
            files.add(copy.app, copy.bytes, |app| &mut app.image_copies);
        }
        for path in entries(&settings.repositories())? {
            let bytes = bytes_in(&path);
            files.repositories += bytes;
            files.add(named(&path), bytes, |app| &mut app.repository);
        }
        for path in entries(&settings.logs())? {
            let bytes = bytes_in(&path);
            files.logs += bytes;
            files.add(named(&path), bytes, |app| &mut app.logs);
        }
        for path in entries(&settings.outputs())? {
            let bytes = bytes_in(&path);
            files.outputs += bytes;
            let app = named::<uuid::Uuid>(&path).and_then(|id| outputs.get(&id).copied());
            files.add(app, bytes, |app| &mut app.outputs);
        }
        Ok(files)
    }

    fn add(&mut self, app: Option<Id<App>>, bytes: u64, field: Field) {
        self.of_apps.extend(app.map(|app| (app, bytes, field)));
    }
}

/// Whom a file is named after.
fn named<T: std::str::FromStr>(path: &std::path::Path) -> Option<T> {
    path.file_stem()?.to_str()?.parse().ok()
}

/// One, where both are on the same.
fn file_systems(data_dir: &std::path::Path, engine_dir: &std::path::Path) -> Vec<FileSystem> {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &std::path::Path| std::fs::metadata(path).ok().map(|metadata| metadata.dev());
    let mut found: Vec<FileSystem> = Vec::new();
    for (path, holds) in [(engine_dir, "engine"), (data_dir, "data")] {
        let Some(fill) = Fill::of(path) else { continue };
        match found.iter_mut().find(|other| device(&other.path) == device(path)) {
            Some(other) => other.holds.push(holds),
            None => found.push(FileSystem {
                path: path.to_owned(),
                holds: vec![holds],
                fill,
            }),
        }
    }
    found
}

//! What nobody needs any more: found by comparing what is there with rows, and removed.
//!
//! What goes follows the release table: an image stays while a release that can be gone back to runs it. Nothing is found but
//! by our label or in our own folders, and whatever is in use stays, for another time.
//!
//! - While anything of an app is built or released, none of its images goes: a build ends with a row that names one, which may
//!   be an old one (the same source makes the same image). An image is removed in the app's turn, after another look at the rows.
//! - What cannot be removed keeps nothing else from going.

use std::{
    collections::{HashMap, HashSet},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use paas_core::{App, Build, Id, ImageRef, LogSource};
use paas_engine::{EngineDisk, EngineError, Image};
use paas_store::{self as store, slug::Expired};

use super::{
    super::image::KEPT_RELEASES,
    files::{age, bytes_in, entries},
};
use crate::platform::Platform;

/// Files that are being received grow; one that has not for this long is nobody's.
const RECEIVED: std::time::Duration = std::time::Duration::from_mins(1);

/// Something that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) app: Option<Id<App>>,
    pub(crate) bytes: u64,
    /// Where it is, of a file or a folder.
    path: Option<PathBuf>,
    /// Which image it is a name of.
    image: Option<ImageRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Release,
    Image,
    Copies,
    Cache,
    Repository,
    Log,
    Output,
    Source,
}

impl Kind {
    /// The word on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Image => "image",
            Self::Copies => "image copies",
            Self::Cache => "build cache",
            Self::Repository => "repository",
            Self::Log => "log",
            Self::Output => "build output",
            Self::Source => "source",
        }
    }
}

/// Removes what nobody needs, and says what that was. `asking` is a build that makes no image before this has ended.
pub(crate) async fn prune(platform: &Platform, asking: Option<Id<Build>>) -> Result<Vec<Item>> {
    let (items, _) = find(platform, asking, false).await?;
    let mut gone = Vec::new();
    for item in items {
        match remove(platform, &item, asking).await {
            Ok(true) => gone.push(item),
            Ok(false) => {}
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(
                    kind = item.kind.as_str(),
                    name = item.name,
                    error,
                    "what nobody needs stays behind"
                );
            }
        }
    }
    match prune_copies(platform).await {
        Ok(bytes) => gone.extend(copies(bytes)),
        Err(error) => tracing::warn!(
            error = format!("{error:#}"),
            "copies of images that nobody needs stay behind"
        ),
    }
    Ok(gone)
}

/// What would go.
pub(crate) async fn rehearse(platform: &Platform) -> Result<Vec<Item>> {
    let (mut items, kept) = find(platform, None, true).await?;
    let bytes = platform.copies.retain(platform.copies.turn().await, kept, true).await;
    items.extend(copies(bytes.context("reading the copies of images")?));
    Ok(items)
}

/// What releases need is read while nobody makes a copy: that of a new release would go with the rest.
async fn prune_copies(platform: &Platform) -> Result<u64> {
    let turn = platform.copies.turn().await;
    let mut conn = platform.store.connection().await?;
    let kept = store::slug::images_in_use(&mut conn).await?;
    drop(conn);
    Ok(platform.copies.retain(turn, kept.into_iter().collect(), false).await?)
}

/// All but the copies of images, and the images of which copies are kept. A rehearsal changes no row.
async fn find(
    platform: &Platform,
    asking: Option<Id<Build>>,
    is_rehearsal: bool,
) -> Result<(Vec<Item>, HashSet<ImageRef>)> {
    let busy = platform.turns.busy(asking);
    // Rows after what they are compared with: what is made in between is not in the lists.
    let images = platform.engine.images().await?;
    let volumes = platform.engine.volumes().await?;
    let settings = &platform.settings;
    let folders = [
        (Kind::Repository, settings.repositories()),
        (Kind::Log, settings.logs()),
        (Kind::Output, settings.outputs()),
    ];
    let mut files = Vec::new();
    for (kind, folder) in folders {
        let found = entries(&folder).with_context(|| format!("reading {}", folder.display()))?;
        files.extend(found.into_iter().map(|path| (kind, path)));
    }

    let mut transaction = platform.store.begin().await?;
    let expired = store::slug::expire(&mut transaction, KEPT_RELEASES, platform.clock.now()).await?;
    let in_use: HashSet<_> = store::slug::images_in_use(&mut transaction)
        .await?
        .into_iter()
        .collect();
    let apps = store::disk::apps(&mut transaction).await?;
    let outputs = store::disk::outputs(&mut transaction).await?;
    if is_rehearsal {
        // What is not committed never was.
        drop(transaction);
    } else {
        transaction.commit().await?;
        for Expired { app, version } in &expired {
            let message = format!("Release {version} has expired: {KEPT_RELEASES} newer ones are kept");
            platform.log(*app, LogSource::App, "api", message);
        }
    }

    let mut items: Vec<_> = expired
        .into_iter()
        .map(|expired| Item {
            app: Some(expired.app),
            ..Item::new(Kind::Release, expired.version.to_string())
        })
        .collect();
    items.extend(unused_images(images, &in_use, &busy));
    items.extend(
        volumes
            .into_iter()
            .filter(|volume| volume.app.is_some_and(|app| !apps.contains_key(&app)))
            .map(|volume| Item::new(Kind::Cache, volume.name)),
    );
    // A build's output is there before its row.
    let is_new = |kind, path: &Path| kind == Kind::Output && age(path).is_none_or(|age| age < RECEIVED);
    let is_owned = |kind, name: &str| match kind {
        Kind::Output => name.parse().is_ok_and(|id| outputs.contains_key(&id)),
        _ => name.parse().is_ok_and(|app| apps.contains_key(&app)),
    };
    for (kind, path) in files {
        // Named after what they are of: `<app>.git`, `<app>`, `<build>.log`. Anything else is not ours.
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if name.parse::<uuid::Uuid>().is_ok() && !is_owned(kind, &name) && !is_new(kind, &path) {
            items.push(Item::of_file(kind, name, path));
        }
    }
    items.extend(sources(platform).context("reading the sources")?);
    measure(platform, &mut items).await;
    Ok((items, in_use))
}

/// Images of apps that no release can run, neither by id nor by tag. Dependency layers stay, for the next build.
fn unused_images(images: Vec<Image>, in_use: &HashSet<ImageRef>, busy: &HashSet<Id<App>>) -> Vec<Item> {
    let unused = paas_build::unused_images(images, in_use).into_iter();
    unused
        .filter(|image| image.app.is_none_or(|app| !busy.contains(&app)))
        .flat_map(|image| {
            let (app, id) = (image.app, image.id);
            let names = if image.tags.is_empty() {
                vec![id.clone()]
            } else {
                image.tags
            };
            names.into_iter().map(move |name| Item {
                app,
                image: Some(id.clone()),
                ..Item::new(Kind::Image, name.to_string())
            })
        })
        .collect()
}

/// Source archives that no build of this process will read.
fn sources(platform: &Platform) -> io::Result<Vec<Item>> {
    if !platform.turns.running().is_empty() {
        return Ok(Vec::new());
    }
    let mut items = Vec::new();
    for path in entries(&platform.settings.sources())? {
        // An upload waits for its build for as long as the API says.
        let is_upload = path.extension().is_some_and(|extension| extension == "upload");
        if !is_upload && age(&path).is_some_and(|age| age > RECEIVED) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            items.push(Item::of_file(Kind::Source, name, path));
        }
    }
    Ok(items)
}

/// Fills in how large things are. The engine is asked only when something of its own goes: it takes its time. Without an
/// answer they count nothing, and go all the same.
async fn measure(platform: &Platform, items: &mut [Item]) {
    let is_engines = |item: &&mut Item| matches!(item.kind, Kind::Image | Kind::Cache);
    if items.iter_mut().any(|item| is_engines(&item)) {
        let disk = platform.engine.disk().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the engine does not say how large things are");
            EngineDisk::default()
        });
        let mut sizes: HashMap<String, u64> = HashMap::new();
        for image in disk.images {
            // An image with several names goes with the last of them.
            let name = image.tags.last().unwrap_or(&image.id).to_string();
            sizes.insert(name, image.own_bytes);
        }
        sizes.extend(disk.volumes.into_iter().map(|volume| (volume.name, volume.bytes)));
        for item in items.iter_mut().filter(is_engines) {
            item.bytes = sizes.get(&item.name).copied().unwrap_or_default();
        }
    }
    let paths: Vec<_> = items.iter().map(|item| item.path.clone()).collect();
    let sizes = tokio::task::spawn_blocking(move || {
        let measured = paths.iter().map(|path| path.as_deref().map(bytes_in));
        measured.collect::<Vec<_>>()
    });
    for (item, bytes) in items.iter_mut().zip(sizes.await.unwrap_or_default()) {
        item.bytes = bytes.unwrap_or(item.bytes);
    }
}

/// `false` when it is in use, and stays for another time.
async fn remove(platform: &Platform, item: &Item, asking: Option<Id<Build>>) -> Result<bool> {
    let removed = match (&item.path, item.kind) {
        (Some(path), _) => return remove_file(path.clone()).await,
        (None, Kind::Image) => return remove_image(platform, item, asking).await,
        (None, Kind::Cache) => platform.engine.remove_volume(&item.name).await,
        (None, _) => Ok(()),
    };
    unless_in_use(removed)
}

/// Whoever makes or names an image of an app has the app's turn, and so has this. The build that asks has it already.
async fn remove_image(platform: &Platform, item: &Item, asking: Option<Id<Build>>) -> Result<bool> {
    let asking = asking.and_then(|build| platform.turns.app_of(build));
    let turn = item
        .app
        .filter(|app| asking != Some(*app))
        .map(|app| platform.turns.app(app));
    let _turn = match turn.as_ref().map(|turn| turn.try_lock()) {
        Some(Err(_)) => return Ok(false),
        Some(Ok(turn)) => Some(turn),
        None => None,
    };
    let id = item.image.iter().map(ToString::to_string);
    let names: Vec<_> = id.chain([item.name.clone()]).collect();
    let mut conn = platform.store.connection().await?;
    if store::slug::is_in_use(&mut conn, &names).await? {
        return Ok(false);
    }
    drop(conn);
    unless_in_use(platform.engine.remove_image(&ImageRef::new(item.name.clone())).await)
}

fn unless_in_use(removed: Result<(), EngineError>) -> Result<bool> {
    match removed {
        Err(EngineError::InUse { .. }) => Ok(false),
        removed => Ok(removed.map(|()| true)?),
    }
}

async fn remove_file(path: PathBuf) -> Result<bool> {
    let removed = tokio::task::spawn_blocking(move || {
        if path.is_dir() {
            std::fs::remove_dir_all(path)
        } else {
            std::fs::remove_file(path)
        }
    });
    match removed.await? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        removed => Ok(removed.map(|()| true)?),
    }
}

fn copies(bytes: u64) -> Option<Item> {
    (bytes > 0).then(|| Item {
        bytes,
        ..Item::new(Kind::Copies, "of images that no release runs".to_owned())
    })
}

impl Item {
    const fn new(kind: Kind, name: String) -> Self {
        Self {
            kind,
            name,
            app: None,
            bytes: 0,
            path: None,
            image: None,
        }
    }

    fn of_file(kind: Kind, name: String, path: impl AsRef<Path>) -> Self {
        Self {
            path: Some(path.as_ref().to_owned()),
            ..Self::new(kind, name)
        }
    }
}

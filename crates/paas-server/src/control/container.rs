//! Releases that are made of images: pushed to the registry door, or named by somebody.
//!
//! An image becomes one of the engine's when it is released, under our labels: pruning then treats it as any other. A release
//! of images is a slug with an image for each process type; a change of some types leaves the others as they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use chrono::TimeDelta;
use paas_build::{BuildError, Built, own_command};
use paas_core::{App, DynoSize, Id, ImageRef, LogSource, ProcessType, Slug};
use paas_engine::{AdoptedImage, EngineError, Image, Limits, RegistryCredentials, SOURCE_LABEL};
use paas_store::{self as store, Connection, Stamp, StoreError, account::Account, release::ReleaseRow};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    disk::{self, DiskNearlyFull},
    turns::BuildUnderWay,
};
use crate::{
    output::OutputWriter,
    platform::Platform,
    registry::{self, Digest, RegistryError, Store},
};

/// The label with the digest that a pushed image is released by.
const PUSHED_LABEL: &str = "paas.pushed";
/// What pushed images are called between being loaded and being kept.
const LOADED: &str = "paas/pushed";
/// A loaded image is kept within seconds.
const LEFT_BEHIND: TimeDelta = TimeDelta::hours(1);

/// An image that somebody names.
#[derive(Debug, Clone)]
pub(crate) struct WantedImage {
    /// As Docker writes names; never an id.
    pub(crate) name: ImageRef,
    pub(crate) process_type: ProcessType,
    pub(crate) credentials: Option<RegistryCredentials>,
}

#[derive(Debug, Error)]
pub(crate) enum ImageError {
    #[error("no image {digest} was pushed for {process_type}: push it first (paas container:push {process_type})")]
    NotPushed { process_type: ProcessType, digest: Digest },
    #[error("the image of {process_type} has neither CMD nor ENTRYPOINT: say in its Dockerfile what it runs")]
    NothingToRun { process_type: ProcessType },
    #[error("the app runs no image as {process_type}: see paas ps")]
    NoSuchType { process_type: ProcessType },
    #[error("an app needs a process type: release another image before the last one goes")]
    NothingLeft,
    #[error(
        "the image {name} could not be fetched: {reason}. Check its name and tag; for a private registry give \
         --registry-user and --registry-password-stdin"
    )]
    NotFetched { name: ImageRef, reason: String },
    #[error("it was cancelled")]
    Cancelled,
    #[error("it was given up, because {0}: try a smaller image, or once more later")]
    GivenUp(#[source] BuildError),
    #[error("there is no room for another image: {0}. Tell the platform's operator (paas disk), and try again then")]
    NoRoom(#[source] DiskNearlyFull),
    #[error(transparent)]
    Other(anyhow::Error),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the container engine gave up")]
    Engine(#[source] EngineError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the process types of an app become: an image that was pushed, or nothing.
pub(crate) type ImageChanges = BTreeMap<ProcessType, Option<Digest>>;

/// What a slug of images is made of.
struct Cast {
    process_types: BTreeMap<ProcessType, String>,
    images: BTreeMap<ProcessType, ImageRef>,
}

/// Makes a release with these images in the place of the current ones, as `container:release` does. Goes on when whoever
/// wanted it goes away: half of it would be of no use.
pub(crate) async fn release_images(
    platform: &Arc<Platform>,
    app: &App,
    changes: ImageChanges,
    by: &Account,
) -> Result<ReleaseRow, ImageError> {
    let (platform, app, by) = (Arc::clone(platform), app.clone(), by.clone());
    let releasing = platform
        .tracker
        .clone()
        .spawn(async move { release(&platform, &app, changes, &by).await });
    releasing.await.map_err(|error| ImageError::Other(error.into()))?
}

async fn release(
    platform: &Arc<Platform>,
    app: &App,
    changes: ImageChanges,
    by: &Account,
) -> Result<ReleaseRow, ImageError> {
    let turn = platform.turns.app(app.id);
    let _turn = turn.lock().await;
    let now = platform.clock.now();
    let id = store::new_id(now);
    let build = store::new_id(now);
    // Until its row is there, an image would be taken for garbage.
    let under_way = BuildUnderWay::new(platform, app.id, build);
    if changes.values().any(Option::is_some)
        && let Some(full) = disk::check(platform, Some(build))
            .await
            .context("look at the disk")
            .map_err(ImageError::Other)?
    {
        return Err(ImageError::NoRoom(full));
    }
    let mut cast = Cast::of(&mut platform.store.connection().await?, app.id).await?;
    for (process_type, digest) in &changes {
        match digest {
            Some(digest) => {
                let stop = under_way.cancel.child_token();
                let loading = async {
                    tokio::select! {
                        loaded = pushed(platform, app.id, process_type, digest) => loaded,
                        () = stop.cancelled() => Err(ImageError::Cancelled),
                    }
                };
                let image = bounded(platform, &stop, loading).await?;
                cast.set(process_type, &image)?;
            }
            None => cast.remove(process_type)?,
        }
    }
    let slug = Slug {
        id,
        app: app.id,
        image: cast.default_image()?,
        size_bytes: cast.bytes(platform).await?,
        images: cast.images,
        process_types: cast.process_types,
        commit: None,
        buildpack_provided_description: Some("Container".to_owned()),
        created_at: now,
    };
    let description = describe(&changes);
    let stamp = Stamp { by: by.id, at: now };
    let mut transaction = platform.store.begin().await?;
    store::slug::adopt(&mut transaction, &slug).await?;
    let sealer = &platform.store.sealer;
    let release = store::release::of_slug(&mut transaction, sealer, app.id, slug.id, &description, stamp).await?;
    transaction.commit().await?;
    let say = |message: String| platform.log(app.id, LogSource::App, "api", message);
    say(format!("{description} by user {}", by.email));
    say(format!(
        "Release {} created by user {}",
        release.release.version, by.email
    ));
    platform.wake.notify_one();
    Ok(release)
}

/// Work on images, within the limits of a build: its time, and its share of the disk. It ends by `stop`.
async fn bounded<T>(
    platform: &Platform,
    stop: &CancellationToken,
    work: impl Future<Output = Result<T, ImageError>>,
) -> Result<T, ImageError> {
    match platform.builder.bounded(stop, work).await {
        (Err(ImageError::Cancelled), Some(why)) => Err(ImageError::GivenUp(why)),
        (done, _) => done,
    }
}

/// Images that were loaded and never kept, because the server died.
pub(super) async fn remove_loaded(platform: &Platform) -> Result<(), EngineError> {
    let horizon = platform.clock.now() - LEFT_BEHIND;
    platform.engine.remove_loaded(LOADED, horizon).await
}

/// `Deployed web (0123456789ab), worker (…)`, as Heroku calls it.
fn describe(changes: &ImageChanges) -> String {
    let deployed = changes.iter().filter_map(|(process_type, digest)| {
        let digest = digest.as_ref()?.hex();
        Some(format!("{process_type} ({})", &digest[..12]))
    });
    let deployed: Vec<_> = deployed.collect();
    let removed = changes.iter().filter(|(_, digest)| digest.is_none());
    let removed: Vec<_> = removed.map(|(process_type, _)| process_type.as_str()).collect();
    match (deployed.is_empty(), removed.is_empty()) {
        (_, true) => format!("Deployed {}", deployed.join(", ")),
        (true, false) => format!("Removed {}", removed.join(", ")),
        (false, false) => format!("Deployed {} and removed {}", deployed.join(", "), removed.join(", ")),
    }
}

/// The engine's image of one that was pushed: loaded, unless it was released before.
async fn pushed(
    platform: &Platform,
    app: Id<App>,
    process_type: &ProcessType,
    digest: &Digest,
) -> Result<Image, ImageError> {
    let engine = &platform.engine;
    let images = engine.images_of(app).await.map_err(ImageError::Engine)?;
    let name = digest.to_string();
    let is_it = |image: &&Image| image.labels.get(PUSHED_LABEL) == Some(&name);
    if let Some(found) = images.iter().find(is_it)
        && let Some(image) = engine.image(&found.id).await.map_err(ImageError::Engine)?
    {
        return Ok(image);
    }
    let door = Store::of(&platform.settings.registry(), app);
    let image = door.pushed(process_type, digest).await?;
    let image = image.ok_or_else(|| ImageError::NotPushed {
        process_type: process_type.clone(),
        digest: digest.clone(),
    })?;
    let within = ImageRef::new(format!("{LOADED}:{}", Uuid::new_v4().simple()));
    let archive = registry::archive(&door, &image, within.as_str());
    let adopted = adopted(app, [(PUSHED_LABEL.to_owned(), name)].into());
    let loaded = engine.adopt_archive(&adopted, &within, archive).await;
    loaded.map_err(ImageError::Engine)
}

fn adopted(app: Id<App>, labels: BTreeMap<String, String>) -> AdoptedImage {
    AdoptedImage {
        tag: ImageRef::new(format!("paas/app-{app}:image-{}", Uuid::new_v4().simple())),
        app,
        labels,
        limits: Limits::from(DynoSize::default()),
    }
}

/// What a build of a named image makes: the image, and those of the other process types.
pub(super) async fn take(
    platform: &Platform,
    app: Id<App>,
    wanted: &WantedImage,
    output: &mut OutputWriter,
    cancel: &CancellationToken,
) -> Result<Built, ImageError> {
    let write = |error| ImageError::Registry(RegistryError::Disk(error));
    let line = format!("-----> Fetching {}", wanted.name);
    output.line(&line).await.map_err(write)?;
    let image = adopted(app, BTreeMap::new());
    let stop = cancel.child_token();
    let fetching = async {
        let credentials = wanted.credentials.as_ref();
        let fetched = platform
            .engine
            .adopt_image(&image, &wanted.name, credentials, stop.clone());
        fetched.await.map_err(|error| not_fetched(wanted, error))
    };
    let image = bounded(platform, &stop, fetching).await?;
    if let Some(source) = image.labels.get(SOURCE_LABEL) {
        output.line(&format!("       Found {source}")).await.map_err(write)?;
    }
    let mut cast = Cast::of(&mut platform.store.connection().await?, app).await?;
    cast.set(&wanted.process_type, &image)?;
    Ok(Built {
        image: cast.default_image()?,
        size_bytes: cast.bytes(platform).await?,
        images: cast.images,
        process_types: cast.process_types,
        buildpack_description: Some("Container".to_owned()),
        detected: None,
        default_config: BTreeMap::new(),
        container: None,
    })
}

fn not_fetched(wanted: &WantedImage, error: EngineError) -> ImageError {
    let reason = match error {
        EngineError::Refused { message, .. } | EngineError::Build { message } => message,
        EngineError::NoImage { .. } => "there is none of this name".to_owned(),
        EngineError::Cancelled { .. } => return ImageError::Cancelled,
        error => return ImageError::Engine(error),
    };
    ImageError::NotFetched {
        name: wanted.name.clone(),
        reason,
    }
}

impl Cast {
    /// What the newest release has, if it is made of images.
    async fn of(conn: &mut Connection, app: Id<App>) -> Result<Self, StoreError> {
        let head = store::release::head(conn, app).await?;
        let slug = match head.and_then(|head| head.release.slug) {
            Some(slug) => store::slug::get(conn, slug).await?,
            None => None,
        };
        Ok(match slug.filter(Slug::is_of_images) {
            Some(slug) => Self {
                process_types: slug.process_types,
                images: slug.images,
            },
            None => Self {
                process_types: BTreeMap::new(),
                images: BTreeMap::new(),
            },
        })
    }

    fn set(&mut self, process_type: &ProcessType, image: &Image) -> Result<(), ImageError> {
        let command = own_command(image).ok_or_else(|| ImageError::NothingToRun {
            process_type: process_type.clone(),
        })?;
        self.process_types.insert(process_type.clone(), command);
        self.images.insert(process_type.clone(), image.id.clone());
        Ok(())
    }

    fn remove(&mut self, process_type: &ProcessType) -> Result<(), ImageError> {
        self.process_types.remove(process_type);
        let removed = self.images.remove(process_type);
        removed.map(drop).ok_or_else(|| ImageError::NoSuchType {
            process_type: process_type.clone(),
        })
    }

    /// What one-off dynos start from.
    fn default_image(&self) -> Result<ImageRef, ImageError> {
        let web = self.images.get(&ProcessType::web());
        let image = web.or_else(|| self.images.values().next());
        image.cloned().ok_or(ImageError::NothingLeft)
    }

    async fn bytes(&self, platform: &Platform) -> Result<u64, ImageError> {
        let mut bytes = 0;
        for image in self.images.values().collect::<BTreeSet<_>>() {
            let found = platform.engine.image(image).await.map_err(ImageError::Engine)?;
            bytes += found.map_or(0, |found| found.size_bytes);
        }
        Ok(bytes)
    }
}

/// Whether there is no room for more: builds do not start then either.
pub(crate) async fn disk_is_nearly_full(platform: &Platform) -> anyhow::Result<bool> {
    Ok(disk::check(platform, None).await?.is_some())
}

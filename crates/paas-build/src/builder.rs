//! One build, from a source archive to an image.
//!
//! ```text
//! source ─▶ heroku.yml, container stack or no Procfile ─▶ the engine builds each ─▶ images
//!    ├────▶ Dockerfile, the same ───────────────────────▶ the engine builds it ─▶ image
//!    └────▶ build container: detect, compile, release ─▶ /app as layers on the run image ─▶ image
//!                  └─ nothing detected, Dockerfile ────▶ the engine builds it
//! ```
//!
//! On Heroku an app is built from its `heroku.yml` only after `stack:set container`. Here nobody has to say so: one of the
//! two, `heroku.yml` first, without a `Procfile` is enough. On the container stack nothing else is asked. With both, buildpacks are asked first, as on Heroku, where such apps carry
//! their `Dockerfile` for other purposes; the `Dockerfile` is built when no buildpack recognises the app, and the
//! `Procfile` says what to run in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use paas_core::{App, Build, ConfigKey, ConfigVars, Id, ImageRef, ProcessType, Slug};
use paas_engine::{ByteStream, ContainerId, Engine, Exit, Limits};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    BuildError, Buildpack, Pack, Source, Stack, StackSettings, Tests,
    delivery::{Delivery, ResultFiles},
    discover::{discover, summary},
    errors::is_killed,
    image::Ground,
    output::{Console, human_bytes},
    report::{self, Report},
    room::Room,
    signs::Signs,
    status,
    workplace::{Expectations, Received, Worked},
};

/// Builds slugs.
#[derive(Clone)]
pub struct Builder {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) settings: BuildSettings,
    pub(crate) expectations: Arc<Expectations>,
}

#[derive(Debug, Clone)]
pub struct BuildSettings {
    pub stack: Stack,
    /// How the images of a language are made, when its first app comes.
    pub languages: StackSettings,
    /// The builder image of the `cnb` stack, if there is one.
    pub cnb_builder: Option<ImageRef>,
    /// The network that builds reach the package registries through; it exists already.
    pub network: String,
    pub limits: Limits,
    /// For the app's own work: whatever it has to wait for before does not count.
    pub timeout: Duration,
    /// What it may take of the disk. `None`: as much as there is.
    pub room: Option<Room>,
    /// How much of what a build says is kept and shown.
    pub output_bytes: u64,
    /// Told where a build has come to: for tests that let the process die there.
    pub checkpoint: fn(Checkpoint),
}

/// A place in a build at which nothing but the engine knows yet what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    BeforeImage,
    AfterImage,
}

/// What to build, and for whom.
#[derive(Debug, Clone, Copy)]
pub struct BuildRequest<'a> {
    pub app: Id<App>,
    pub build: Id<Build>,
    pub source: &'a Source,
    /// Files in `ENV_DIR`, and nowhere else.
    pub config: &'a ConfigVars,
    /// `SOURCE_VERSION`: the commit that is being built.
    pub commit: Option<&'a str>,
    /// Whether the app is on the container stack, where nothing but images is built.
    pub is_container: bool,
    /// Run one after the other. None of them: whichever recognises the app.
    pub buildpacks: &'a [Pack],
}

/// What a build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// By content, not by tag.
    pub image: ImageRef,
    /// By process type, where `heroku.yml` says so: then all of them.
    pub images: BTreeMap<ProcessType, ImageRef>,
    /// May be empty: then there is nothing to run but one-off dynos.
    pub process_types: BTreeMap<ProcessType, String>,
    /// What `bin/detect` called the app: `Python`, `Node.js`; `Dockerfile` for those.
    pub buildpack_description: Option<String>,
    /// What the app adds to its stack, uncompressed.
    pub size_bytes: u64,
    /// The buildpack that recognised the app, when none was chosen.
    pub detected: Option<Buildpack>,
    /// What the last buildpack wants to be set when the app is first deployed, unless it is set already.
    pub default_config: BTreeMap<ConfigKey, String>,
    /// Where it was built. Nobody needs it any more: [`Builder::remove`] it, while whoever waits for the build goes on.
    pub container: Option<ContainerId>,
}

/// Heroku's limit for a build (Dev Center, *Limits*).
const TIMEOUT: Duration = Duration::from_mins(15);
/// Far more than anybody reads; a build that talks for ever must not fill the disk. (Heroku keeps 300 MB.)
const OUTPUT_BYTES: u64 = 50 * 1024 * 1024;
/// Against 512 and more of a dyno, so that a build never hurts a running app.
const CPU_WEIGHT: u32 = 128;
const IO_WEIGHT: u16 = 50;
/// `make -j` and node's workers are many.
const PIDS: u32 = 1024;
const MEBIBYTE: u64 = 1024 * 1024;
/// Below this no package with C extensions compiles; above it a build only helps itself.
const MEMORY_BYTES: std::ops::RangeInclusive<u64> = 512 * MEBIBYTE..=4096 * MEBIBYTE;
/// Its container is still there.
pub(crate) struct Done {
    /// `None` after tests.
    built: Option<Built>,
    pub(crate) result: ResultFiles,
    pub(crate) container: ContainerId,
}

enum Verdict {
    Done(ResultFiles),
    OtherLanguage(Buildpack),
}

enum Attempt {
    Done(Box<Done>),
    /// The app is none of the language that its names promised: `.slugignore` took the others away. Nothing was compiled.
    OtherLanguage(Buildpack),
}

impl BuildSettings {
    /// A build gets half of the machine's memory, within reason: the other half is for what runs.
    pub fn new(stack: Stack, network: impl Into<String>, machine_memory_bytes: u64) -> Self {
        let memory_bytes = memory_share(machine_memory_bytes, 1);
        let network = network.into();
        Self {
            stack,
            languages: StackSettings {
                network: Some(network.clone()),
                ..StackSettings::default()
            },
            cnb_builder: None,
            network,
            limits: Limits {
                memory_bytes,
                cpu_weight: CPU_WEIGHT,
                cpus: None,
                io_weight: Some(IO_WEIGHT),
                pids: PIDS,
            },
            timeout: TIMEOUT,
            room: None,
            output_bytes: OUTPUT_BYTES,
            checkpoint: |_| {},
        }
    }
}

/// What each of several builds at a time may use: half of the machine's memory together, within reason.
pub fn memory_share(machine_memory_bytes: u64, builds: usize) -> u64 {
    let share = machine_memory_bytes / 2 / u64::try_from(builds.max(1)).unwrap_or(u64::MAX);
    share.clamp(*MEMORY_BYTES.start(), *MEMORY_BYTES.end())
}

impl Builder {
    pub fn new(engine: Arc<dyn Engine>, settings: BuildSettings) -> Self {
        Self {
            engine,
            settings,
            expectations: Arc::default(),
        }
    }

    /// Runs one build to its end. The stack's images are there already ([`Stack::ensure`]).
    ///
    /// Everything that the pusher is to read goes to `output` while it happens, the explanation of an error too; nobody
    /// needs to be listening. Dropping this future may leave a container with the role [`Role::Build`] behind; ending it
    /// with `cancel` does not.
    pub async fn build(
        &self,
        request: BuildRequest<'_>,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Built, BuildError> {
        let console = Console::new(output);
        let result = self.build_either_way(&request, &console, &cancel).await;
        self.end(&request, result, &console, &cancel).await
    }

    pub(crate) async fn end<T>(
        &self,
        request: &BuildRequest<'_>,
        result: Result<T, BuildError>,
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<T, BuildError> {
        let result = match result {
            Err(_) if cancel.is_cancelled() => Err(BuildError::Cancelled),
            result => result,
        };
        if let Err(error) = &result {
            if error.is_ours() {
                tracing::error!(app.id = %request.app, build.id = %request.build, error = ?error, "a build could not be run");
            }
            console.trouble(&error.explanation()).await;
        }
        result
    }

    /// The image of a slug that somebody else has compiled, and its size: `tar` has the files of `/app`, as `app/…`. The
    /// stack's images are there already.
    pub async fn image_of_slug(
        &self,
        app: Id<App>,
        slug: Id<Slug>,
        tar: ByteStream,
    ) -> Result<(ImageRef, u64), BuildError> {
        let ground = Ground::find(&*self.engine, app, &self.settings.stack.run).await?;
        ground.make_image_of(&*self.engine, slug, tar).await
    }

    /// Ends work when it takes too long or too much of the disk, by `stop`, which the work listens to. Says besides what came
    /// of it why it was stopped.
    pub async fn bounded<T>(&self, stop: &CancellationToken, work: impl Future<Output = T>) -> (T, Option<BuildError>) {
        tokio::pin!(work);
        let limit = self.settings.timeout;
        let room_ends = async {
            match &self.settings.room {
                Some(room) => room.is_exhausted(&*self.engine).await,
                None => std::future::pending().await,
            }
        };
        let why = tokio::select! {
            result = &mut work => return (result, None),
            () = tokio::time::sleep(limit) => BuildError::TimedOut { limit },
            error = room_ends => error,
        };
        stop.cancel();
        (work.await, Some(why))
    }

    pub(crate) async fn within_limit<T>(
        &self,
        stop: &CancellationToken,
        work: impl Future<Output = Result<T, BuildError>>,
    ) -> Result<T, BuildError> {
        match self.bounded(stop, work).await {
            // It says better than the time why nothing went on.
            (Err(error @ BuildError::TooManyProcesses { .. }), _) => Err(error),
            (Err(_), Some(why)) => Err(why),
            // The engine tells of a step how it ended, and of nothing else.
            (Err(BuildError::DockerfileFailed { message }), None) if is_killed(&message) => {
                let limit_bytes = self.settings.limits.memory_bytes;
                Err(BuildError::OutOfMemory { limit_bytes })
            }
            (result, _) => result,
        }
    }

    async fn build_either_way(
        &self,
        request: &BuildRequest<'_>,
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let source = request.source;
        let brings_images = source.heroku_yml.is_some() || source.has_dockerfile;
        let may_be_images = brings_images && request.buildpacks.is_empty();
        let images = async {
            self.expectations.forget(request.app);
            let stop = cancel.child_token();
            self.within_limit(&stop, self.build_images(request, console, &stop))
                .await
        };
        if request.is_container || may_be_images && source.procfile.is_none() {
            return images.await;
        }
        match self.run_buildpacks(request, None, console, cancel).await {
            Err(BuildError::NothingDetected { .. }) if may_be_images => images.await,
            Err(error) => Err(error),
            Ok(Done {
                built: Some(built),
                container,
                ..
            }) => Ok(Built {
                container: Some(container),
                ..built
            }),
            Ok(Done { container, .. }) => {
                self.remove(&container).await;
                Err(BuildError::Broken { code: 0 })
            }
        }
    }

    /// Builds in a container, and tests there if there are tests. Whoever asked for it removes the container.
    pub(crate) async fn run_buildpacks(
        &self,
        request: &BuildRequest<'_>,
        tests: Option<&Tests>,
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<Done, BuildError> {
        console
            .header(&format!("Building on the {} stack", self.settings.stack.name))
            .await;
        let mut expected = Buildpack::of(&request.source.root).filter(|_| request.buildpacks.is_empty());
        let mut has_tried = false;
        loop {
            let stack = self.stack_for(request, expected, console, cancel).await?;
            let stop = cancel.child_token();
            let attempt = self.attempt(request, tests, &stack, expected, console, &stop);
            match self.within_limit(&stop, attempt).await? {
                Attempt::Done(done) => return Ok(*done),
                Attempt::OtherLanguage(language) if !has_tried => expected = Some(language),
                Attempt::OtherLanguage(_) => {
                    return Err(BuildError::Broken {
                        code: status::OTHER_LANGUAGE,
                    });
                }
            }
            has_tried = true;
        }
    }

    async fn attempt(
        &self,
        request: &BuildRequest<'_>,
        tests: Option<&Tests>,
        stack: &Stack,
        expected: Option<Buildpack>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Attempt, BuildError> {
        let Worked {
            name,
            exit,
            signs,
            received: Received { result, mut built },
        } = Box::pin(self.work(request, tests, stack, expected, console, stop)).await?;

        // Errors of a run may come after the container was made.
        let container = self.find_container(&name).await;
        let ended = exit.map_err(BuildError::from);
        let ended = ended.and_then(|exit| self.verdict(exit, signs, request, result));
        let ended = ended.and_then(|verdict| match verdict {
            Verdict::OtherLanguage(language) => Ok(Attempt::OtherLanguage(language)),
            Verdict::Done(result) => Ok(Attempt::Done(Box::new(Done {
                built: built.take().transpose()?,
                result,
                container: container.clone().ok_or(BuildError::Broken { code: 0 })?,
            }))),
        });
        if matches!(ended, Ok(Attempt::Done(_))) {
            return ended;
        }
        if let Some(Ok(built)) = built
            && let Err(error) = self.engine.remove_image(&built.image).await
        {
            tracing::warn!(image = %built.image, %error, "the image of a build that failed after all stays behind");
        }
        if let Some(container) = container {
            self.remove(&container).await;
        }
        ended
    }

    fn verdict(
        &self,
        exit: Exit,
        signs: Signs,
        request: &BuildRequest<'_>,
        result: Option<io::Result<ResultFiles>>,
    ) -> Result<Verdict, BuildError> {
        let files = result.as_ref().and_then(|result| result.as_ref().ok());
        let reached = match exit.code {
            status::NOT_DETECTED | status::NO_BUILDPACK => files.and_then(report::misfit),
            status::OTHER_LANGUAGE if request.buildpacks.is_empty() => {
                if let Some(other) = files.and_then(report::chosen) {
                    return Ok(Verdict::OtherLanguage(other));
                }
                None
            }
            _ => None,
        };
        self.judge(exit, signs, request, reached.unwrap_or(0))?;
        let reason = match result {
            Some(Ok(files)) => return Ok(Verdict::Done(files)),
            Some(Err(error)) => format!("What the build left behind cannot be read: {error}."),
            None => "The build left no result behind.".to_owned(),
        };
        Err(BuildError::BadProcessTypes { reason })
    }

    /// Removes the container of a build. Removing takes a moment, and nobody has to wait for it but what comes next in the
    /// app's turn: its cache is still mounted there.
    pub async fn remove(&self, container: &ContainerId) {
        if let Err(error) = self.engine.remove(container).await {
            tracing::warn!(container.id = %container, %error, "a build container stays behind");
        }
    }

    pub(crate) async fn find_container(&self, name: &str) -> Option<ContainerId> {
        let containers = self.engine.list().await.ok()?;
        containers
            .into_iter()
            .find_map(|container| (container.name == name).then_some(container.id))
    }

    /// The stack with what the app's languages need: those of the chosen buildpacks, or of the one that will recognise it.
    async fn stack_for(
        &self,
        request: &BuildRequest<'_>,
        expected: Option<Buildpack>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Stack, BuildError> {
        let ours = request.buildpacks.iter().filter_map(|pack| match pack {
            Pack::Ours(buildpack) => Some(*buildpack),
            Pack::Fetched { .. } => None,
        });
        let languages: BTreeSet<_> = ours.chain(expected).collect();
        let (settings, engine) = (&self.settings, &*self.engine);
        settings
            .stack
            .with_languages(engine, &settings.languages, &languages, console, stop)
            .await
            .map_err(BuildError::Language)
    }

    /// `reached` is the buildpack that the build had come to.
    pub(crate) fn judge(
        &self,
        exit: Exit,
        signs: Signs,
        request: &BuildRequest<'_>,
        reached: usize,
    ) -> Result<(), BuildError> {
        let limit_bytes = self.settings.limits.memory_bytes;
        let pack = || request.buildpacks.get(reached).or(request.buildpacks.first()).cloned();
        Err(match exit.code {
            0 => return Ok(()),
            // Before memory, which so many processes want, too.
            _ if signs.out_of_processes => BuildError::TooManyProcesses {
                limit: self.settings.limits.pids,
            },
            _ if exit.out_of_memory => BuildError::OutOfMemory { limit_bytes },
            status::OUT_OF_MEMORY => BuildError::OutOfMemory { limit_bytes },
            status::DISK_FULL => BuildError::DiskFull,
            status::NO_BUILDPACK => BuildError::NoBuildpack {
                name: pack().map(|pack| pack.name().to_owned()).unwrap_or_default(),
            },
            // Whoever finds no room to look finds nothing.
            status::NOT_DETECTED if signs.full_disk => BuildError::DiskFull,
            status::NOT_DETECTED => match pack() {
                Some(buildpack) => BuildError::WrongBuildpack { buildpack },
                None => BuildError::NothingDetected {
                    root: request.source.root.clone(),
                },
            },
            status::COMPILE_FAILED | status::BROKEN_SOURCE | status::LIFECYCLE_FAILED if signs.full_disk => {
                BuildError::DiskFull
            }
            status::COMPILE_FAILED => BuildError::CompileFailed,
            status::BROKEN_SOURCE => BuildError::BrokenSource {
                source: std::io::Error::other("tar refused it"),
            },
            status::NO_TESTS => BuildError::NoTests,
            status::RELEASE_FAILED => BuildError::BadProcessTypes {
                reason: "The buildpack's bin/release failed.".to_owned(),
            },
            code => BuildError::Broken { code },
        })
    }

    /// Makes the image of the tars that a build hands over, of which `first` is the first one behind its result.
    pub(crate) async fn pack(
        &self,
        request: &BuildRequest<'_>,
        ground: &Ground,
        files: &ResultFiles,
        tars: (ByteStream, &mut Delivery),
        console: &Console,
    ) -> Result<Built, BuildError> {
        let report = Report::parse(files)?;
        let procfile = report.procfile.as_ref().or(request.source.procfile.as_ref());
        let process_types = discover(procfile, &report, console).await;

        console.header("Packing the slug").await;
        let started = Instant::now();
        (self.settings.checkpoint)(Checkpoint::BeforeImage);
        let (image, size_bytes) = ground
            .make_image(&*self.engine, tars, request.build, report.layer_key.as_deref())
            .await?;
        (self.settings.checkpoint)(Checkpoint::AfterImage);
        console.detail(&format!("Done: {}", human_bytes(size_bytes))).await;
        let image_seconds = started.elapsed().as_secs_f64();
        console.header(&summary(&report.times, image_seconds)).await;
        if let Some(told) = &report.told {
            tracing::info!(app.id = %request.app, build.id = %request.build, told, "a buildpack reports");
        }
        Ok(Built {
            image,
            images: BTreeMap::new(),
            process_types,
            buildpack_description: report.description,
            size_bytes,
            // What a build says of itself counts for nothing when somebody else has chosen.
            detected: report.detected.filter(|_| request.buildpacks.is_empty()),
            default_config: report.config_vars,
            container: None,
        })
    }
}

//! Where an app is built: a container, which may be there before its source is.
//!
//! Making and starting a container takes longer than many apps are worked on. All that it has to know of the source comes
//! with the source, through its input. So it is started when a push begins ([`Builder::expect`]), and while git still
//! takes the commits in, it gets ready. The build finds it by its id, or starts one of its own.
//!
//! One that waits runs nothing but a shell that reads. It holds no turn, and goes when nobody comes.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::{pending, ready},
    io,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryFutureExt as _,
    stream::{self, BoxStream},
};
use paas_core::{App, Build, Id, ImageRef};
use paas_engine::{ContainerSpec, EngineError, Environment, Exit, Input, Output, Role, Tmpfs, VolumeMount};
use tokio::{
    sync::{
        mpsc,
        oneshot::{self, error::TryRecvError},
    },
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    BuildError, BuildRequest, Builder, Buildpack, Built, Pack, Stack, Tests, buildpack,
    delivery::{Delivery, ResultFiles, delivery},
    discover::join,
    image::Ground,
    output::{Allowance, Console},
    signs::{self, Signs},
    sweep,
};

/// The first line says how long the kit is; it is unpacked, and goes on with the rest of standard input: the source.
/// Neither `read` nor `head` takes one byte more than it is to.
const BOOT: &str = r#"set -o pipefail
read -r -a words && head -c "${words[0]}" | tar -x --no-same-owner -C /tmp && exec /tmp/buildpacks/bin/build "${words[@]:1}""#;

/// How long a container waits for a source. What takes longer to come has time enough to start another one.
const PATIENCE: Duration = Duration::from_mins(1);
/// Config is 64 KiB at most, but every var is a file of at least one page.
pub(crate) const ENV_DIR_BYTES: u64 = 128 * 1024 * 1024;

/// What is known of builds to come.
#[derive(Default)]
pub(crate) struct Expectations {
    /// What an app was built with the last time: most likely the next one, too.
    last: Mutex<HashMap<Id<App>, Setting>>,
    /// Containers that wait; `None` for one that is not there yet.
    waiting: Mutex<HashMap<Id<Build>, Option<Workplace>>>,
}

#[derive(Debug, Clone)]
struct Setting {
    stack: Stack,
    expected: Option<Buildpack>,
}

/// A container that runs, and reads its input next.
struct Workplace {
    /// By content: the same name may mean another image by now.
    image: ImageRef,
    expected: Option<Buildpack>,
    ground: Ground,
    name: String,
    /// Whether a build has taken it, and looks after it.
    is_claimed: Arc<AtomicBool>,
    input: oneshot::Sender<BoxStream<'static, Input>>,
    output: mpsc::Receiver<Output>,
    exit: oneshot::Receiver<Result<Exit, EngineError>>,
    halt: CancellationToken,
}

/// What became of the work. The container is there no longer than its engine.
pub(crate) struct Worked {
    pub(crate) name: String,
    pub(crate) exit: Result<Exit, EngineError>,
    pub(crate) signs: Signs,
    pub(crate) received: Received,
}

/// What came out of the container.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// `None` when nothing was said.
    pub(crate) result: Option<io::Result<ResultFiles>>,
    /// `None` when there is nothing to make an image of.
    pub(crate) built: Option<Result<Built, BuildError>>,
}

impl Builder {
    /// Starts the container for a build to come, if it is likely how that will be built, and returns when it has ended. It
    /// goes when `give_up` says so before the build has begun.
    pub async fn expect(&self, app: Id<App>, build: Id<Build>, give_up: CancellationToken) {
        let Some(setting) = self.expectations.last(app) else {
            return;
        };
        self.expectations.waiting().insert(build, None);
        let run = match self.get_ready(app, build, setting).await {
            Ok(run) => run,
            Err(error) => {
                self.expectations.waiting().remove(&build);
                tracing::debug!(app.id = %app, %error, "no container could be started ahead of its source");
                return;
            }
        };
        let Some((name, is_claimed, run)) = run else { return };
        tokio::pin!(run);
        let mut has_ended = false;
        tokio::select! {
            () = &mut run => has_ended = true,
            () = give_up.cancelled() => {}
            () = sleep(PATIENCE) => {}
        }
        // It is there no more when the build has come. Else its input ends here, and with that the container.
        drop(self.expectations.waiting().remove(&build));
        if !has_ended {
            run.await;
        }
        // A build that refused it may have looked for it before it was there.
        if !is_claimed.load(Ordering::SeqCst) {
            self.remove_named(&name).await;
        }
    }

    /// Whether there is a container for a build that has not begun.
    pub fn expects(&self, build: Id<Build>) -> bool {
        self.expectations.waiting().contains_key(&build)
    }

    /// Builds, and tests if there are tests, in the container that waits for this build or in one of its own.
    pub(crate) async fn work(
        &self,
        request: &BuildRequest<'_>,
        tests: Option<&Tests>,
        stack: &Stack,
        expected: Option<Buildpack>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Worked, BuildError> {
        let kit = buildpack::kit(request.config, request.commit, tests);
        let (mut first, tars) = first_line(request, kit.len()).await?;
        first.extend(kit);
        let input = request.source.input_after(first, &tars).await?;
        let setting = Setting {
            stack: stack.clone(),
            expected,
        };
        // A place for tests has more to it, and is nobody's to expect.
        let waiting = match tests {
            None => self.claim(request.app, request.build, &setting).await?,
            Some(_) => None,
        };
        let (workplace, run) = match waiting {
            Some(workplace) => (workplace, ready(()).boxed()),
            None => {
                let ground = Ground::find(&*self.engine, request.app, &stack.run).await?;
                let mut spec = self.container(request.app, request.build, &setting, &ground);
                if let Some(tests) = tests {
                    tests.prepare(request.app, &mut spec);
                }
                let (workplace, run) = self.workplace(spec, expected, ground);
                (workplace, run.boxed())
            }
        };
        if tests.is_none() {
            self.expectations.remember(request.app, setting);
        }

        let Workplace {
            name,
            ground,
            input: hear,
            output,
            exit,
            halt,
            ..
        } = workplace;
        // One that has ended already hears nothing: its exit says why.
        let _ = hear.send(input);
        let allowance = Allowance::new(self.settings.output_bytes);
        let (courier, delivery) = delivery();
        let work = async {
            let forward = signs::forward(output, console, allowance, Some(courier), &halt);
            let receive = self.receive(request, &ground, delivery, console);
            tokio::join!(exit, forward, receive, run)
        };
        let stopped = async {
            stop.cancelled().await;
            halt.cancel();
            pending::<Infallible>().await
        };
        let (exit, signs, received, ()) = tokio::select! {
            worked = work => worked,
            never = stopped => match never {},
        };
        let exit = exit.unwrap_or_else(|_| {
            Err(EngineError::Refused {
                doing: "running a build",
                message: "whoever started its container has gone".to_owned(),
            })
        });
        Ok(Worked {
            name,
            exit,
            signs,
            received,
        })
    }

    /// Makes an image of what the build hands over, while its container still comes to its end.
    async fn receive(
        &self,
        request: &BuildRequest<'_>,
        ground: &Ground,
        mut delivery: Delivery,
        console: &Console,
    ) -> Received {
        let result = delivery.result().await;
        let Some(Ok(files)) = &result else {
            return Received { result, built: None };
        };
        let built = match delivery.next().await {
            Some(first) => Some(self.pack(request, ground, files, (first, &mut delivery), console).await),
            None => None,
        };
        Received { result, built }
    }

    /// Starts what the next build of an app will most likely run in: its name, whether a build has taken it, and what brings it
    /// about. `None` when that build has begun by itself.
    async fn get_ready(
        &self,
        app: Id<App>,
        build: Id<Build>,
        setting: Setting,
    ) -> Result<Option<(String, Arc<AtomicBool>, impl Future<Output = ()> + use<>)>, BuildError> {
        let ground = Ground::find(&*self.engine, app, &setting.stack.run).await?;
        let image = self.engine.image(&setting.stack.build).await?;
        let image = image.ok_or_else(|| EngineError::NoImage {
            image: setting.stack.build.to_string(),
        })?;
        let mut spec = self.container(app, build, &setting, &ground);
        // The build may still start one of its own.
        spec.name.push_str("-ahead");
        spec.image = image.id;
        let (workplace, run) = self.workplace(spec, setting.expected, ground);
        let (name, is_claimed) = (workplace.name.clone(), Arc::clone(&workplace.is_claimed));
        Ok(self.expectations.waiting().get_mut(&build).map(|place| {
            *place = Some(workplace);
            (name, is_claimed, run)
        }))
    }

    /// The container that waits for a build, if it is what the build would start.
    async fn claim(&self, app: Id<App>, build: Id<Build>, setting: &Setting) -> Result<Option<Workplace>, BuildError> {
        if !self.expects(build) {
            return Ok(None);
        }
        let engine = &*self.engine;
        let ground = Ground::find(engine, app, &setting.stack.run);
        let (image, ground) = tokio::try_join!(engine.image(&setting.stack.build).map_err(BuildError::from), ground)?;
        let Some(mut workplace) = self.expectations.waiting().remove(&build).flatten() else {
            return Ok(None);
        };
        // It was told what layers are known before it was this build's turn: the one before may have made others.
        if workplace.expected == setting.expected
            && image.is_some_and(|image| image.id == workplace.image)
            && ground == workplace.ground
            && matches!(workplace.exit.try_recv(), Err(TryRecvError::Empty))
        {
            workplace.is_claimed.store(true, Ordering::SeqCst);
            return Ok(Some(workplace));
        }
        self.remove_named(&workplace.name).await;
        Ok(None)
    }

    async fn remove_named(&self, name: &str) {
        if let Some(container) = self.find_container(name).await {
            self.remove(&container).await;
        }
    }

    /// A container to be, and what brings it about.
    fn workplace(
        &self,
        spec: ContainerSpec,
        expected: Option<Buildpack>,
        ground: Ground,
    ) -> (Workplace, impl Future<Output = ()> + use<>) {
        let (input, heard) = oneshot::channel::<BoxStream<'static, Input>>();
        let heard = stream::once(heard).filter_map(|heard| ready(heard.ok())).flatten();
        let (said, output) = mpsc::channel(64);
        let (tell, exit) = oneshot::channel();
        let halt = CancellationToken::new();
        let workplace = Workplace {
            image: spec.image.clone(),
            expected,
            ground,
            name: spec.name.clone(),
            is_claimed: Arc::default(),
            input,
            output,
            exit,
            halt: halt.clone(),
        };
        let engine = Arc::clone(&self.engine);
        let run = async move {
            let exit = engine.run(&spec, heard.boxed(), said, halt).await;
            // Whoever waited for it may be gone.
            let _ = tell.send(exit);
        };
        (workplace, run)
    }

    fn container(&self, app: Id<App>, build: Id<Build>, setting: &Setting, ground: &Ground) -> ContainerSpec {
        let settings = &self.settings;
        let environment = Environment::new()
            .with("HOME", "/app")
            .with("STACK", setting.stack.name.as_str())
            .with("KNOWN_LAYERS", join(ground.known_layers(), " "))
            .with("EXPECTED_BUILDPACK", setting.expected.map_or("", Buildpack::as_str))
            .with("REQUEST_ID", build.to_string());
        ContainerSpec {
            environment,
            network: Some(settings.network.clone()),
            volumes: vec![VolumeMount {
                volume: sweep::cache_volume(app),
                path: "/tmp/cache".to_owned(),
            }],
            tmpfs: vec![Tmpfs {
                path: "/tmp/env".to_owned(),
                size_bytes: ENV_DIR_BYTES,
            }],
            ..ContainerSpec::new(
                format!("paas-build-{build}"),
                Role::Build { app, build },
                setting.stack.build.clone(),
                ["/bin/bash", "-c", BOOT].map(str::to_owned).to_vec(),
                settings.limits,
            )
        }
    }
}

impl Expectations {
    fn last(&self, app: Id<App>) -> Option<Setting> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&app).cloned()
    }

    fn remember(&self, app: Id<App>, setting: Setting) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.insert(app, setting);
    }

    /// The app is built in another way by now, or not at all.
    pub(crate) fn forget(&self, app: Id<App>) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.remove(&app);
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Id<Build>, Option<Workplace>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What [`BOOT`] and `buildpacks/bin/build` are told, and the tars that come before the source.
async fn first_line(request: &BuildRequest<'_>, kit_bytes: usize) -> Result<(Vec<u8>, Vec<PathBuf>), BuildError> {
    let form = if request.source.is_gzipped { "gzip" } else { "plain" };
    let (mut words, mut tars) = (vec![kit_bytes.to_string(), form.to_owned()], Vec::new());
    for pack in request.buildpacks {
        words.push(match pack {
            Pack::Ours(buildpack) => buildpack.as_str().to_owned(),
            Pack::Fetched { name: _, tar } => {
                let file = tokio::fs::metadata(tar).await;
                let file = file.map_err(|source| BuildError::ReadSource { source })?;
                tars.push(tar.clone());
                format!("@{}", file.len())
            }
        });
    }
    let line = words.join(" ") + "\n";
    Ok((line.into_bytes(), tars))
}

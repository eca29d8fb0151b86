//! Stacks: what builds run in and what dynos start from.

mod cnb;
mod service;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use paas_core::ImageRef;
use paas_engine::{DockerfileBuild, Engine, Environment, Limits};
use sha2::{Digest as _, Sha256};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

pub use self::service::ServiceRecipe;
use crate::{Buildpack, StackError, archive::MemoryTar, base, buildpack, output::Console};

/// Two images by one name. Stacks are data: Heroku's own, where a registry has them, are as good as ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// `STACK` in a build.
    pub name: String,
    pub run: ImageRef,
    pub build: ImageRef,
}

/// How our own stack is made.
#[derive(Debug, Clone)]
pub struct StackSettings {
    /// A folder with certificate authorities (`*.crt`) that the images are to trust besides the usual ones.
    pub extra_ca: Option<PathBuf>,
    /// Belongs to root; shared by all platforms of the machine, so that the images are made once.
    pub work_dir: PathBuf,
    /// The network that Debian's packages, and those of `PyPI` and npm, are reached through.
    pub network: Option<String>,
    pub limits: Limits,
}

/// Tells which inputs an image was made of.
const INPUTS_LABEL: &str = "paas.stack";
/// How much of the builder's words is shown.
const LINE_CHARACTERS: usize = 100;
const LAST_LINES: usize = 20;
/// How often a process looks whether another one has made the images.
const LOCK_PERIOD: Duration = Duration::from_millis(250);
const MEBIBYTE: u64 = 1024 * 1024;

impl Stack {
    /// Debian 12, as `buildpacks/stack` describes it.
    pub fn ours() -> Self {
        Self {
            name: "paas-12".to_owned(),
            run: ImageRef::new("paas/stack-12:run"),
            build: ImageRef::new("paas/stack-12:build"),
        }
    }

    /// The same stack with what apps of these languages need besides, which is made on first need: a compiler that nobody
    /// has asked for would make the platform's first push wait for it, and fill the disk.
    ///
    /// A language has an image for builds, and one for dynos when it runs there (`buildpacks/stack/<language>-<image>`).
    /// They are shared by all its apps and made again when the stack is. Several languages stand on each other, in the
    /// order in which buildpacks are asked.
    pub(crate) async fn with_languages(
        &self,
        engine: &dyn Engine,
        settings: &StackSettings,
        languages: &BTreeSet<Buildpack>,
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<Self, StackError> {
        let mut stack = self.clone();
        for language in languages {
            for (image, base) in [("run", &mut stack.run), ("build", &mut stack.build)] {
                let image = format!("{language}-{image}");
                let Some(recipe) = buildpack::FILES.get_file(format!("stack/{}", dockerfile(&image))) else {
                    continue;
                };
                let mut context = MemoryTar::new();
                context.file(&dockerfile(&image), 0o644, recipe.contents());
                let context = context.finish();
                let on = engine.image(base).await?.map(|image| image.id.to_string());
                let making = Making {
                    engine,
                    settings,
                    console: console.clone(),
                    cancel: cancel.clone(),
                    stack: self.clone(),
                    inputs: hash(format!("{} on {on:?}", hash(&context)).as_bytes()),
                    context,
                };
                let tag = ImageRef::new(format!("{base}-{language}"));
                making.make_language(&image, &tag, base).await?;
                *base = tag;
            }
        }
        Ok(stack)
    }

    /// Makes the images of our stack unless they are there, made of the same inputs. Takes a minute or two then, and says
    /// to `output` what it does; one process of the machine does it while others wait.
    pub async fn ensure(
        engine: &dyn Engine,
        settings: &StackSettings,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Self, StackError> {
        let making = Making::new(engine, settings, Console::new(output), cancel)?;
        if !making.is_made().await? {
            let lock = making.lock().await?;
            // Whoever held the lock may have made them.
            if !making.is_made().await? {
                making.make().await?;
            }
            drop(lock);
        }
        Ok(making.stack)
    }
}

impl Default for StackSettings {
    fn default() -> Self {
        Self {
            extra_ca: None,
            work_dir: PathBuf::from("/var/cache/paas"),
            network: None,
            limits: Limits {
                memory_bytes: 2048 * MEBIBYTE,
                cpu_weight: 256,
                cpus: None,
                io_weight: None,
                pids: 1024,
            },
        }
    }
}

/// One attempt to make the images.
struct Making<'a> {
    engine: &'a dyn Engine,
    settings: &'a StackSettings,
    console: Console,
    cancel: CancellationToken,
    stack: Stack,
    context: Vec<u8>,
    /// A hash of everything that the images depend on, apart from the day.
    inputs: String,
}

impl<'a> Making<'a> {
    fn new(
        engine: &'a dyn Engine,
        settings: &'a StackSettings,
        console: Console,
        cancel: CancellationToken,
    ) -> Result<Self, StackError> {
        let context = context(settings.extra_ca.as_deref())?;
        let inputs = hash(&context);
        Ok(Self {
            engine,
            settings,
            console,
            cancel,
            stack: Stack::ours(),
            context,
            inputs,
        })
    }

    async fn is_made(&self) -> Result<bool, StackError> {
        Ok(self.has(&self.stack.run).await? && self.has(&self.stack.build).await?)
    }

    async fn has(&self, image: &ImageRef) -> Result<bool, StackError> {
        has(self.engine, image, &self.inputs).await
    }

    async fn make(&self) -> Result<(), StackError> {
        let Stack { name, run, build } = &self.stack;
        self.console
            .header(&format!("Making the images of the {name} stack, once"))
            .await;
        if !self.has(run).await? {
            let base = self
                .unless_cancelled(base::ensure(self.engine, &self.settings.work_dir, &self.console))
                .await?;
            self.console
                .header("Building the run image: what dynos start from")
                .await;
            self.build("run", run, ("BASE", &base)).await?;
        }
        self.console
            .header("Building the build image: compilers and installers")
            .await;
        self.build("build", build, ("RUN_IMAGE", run)).await?;
        self.console.header("The stack is ready").await;
        Ok(())
    }

    /// Waits until no other process of the machine makes the images.
    async fn lock(&self) -> Result<File, StackError> {
        self.unless_cancelled(lock(&self.settings.work_dir, &self.console))
            .await
    }

    /// For work that may be dropped at any place.
    async fn unless_cancelled<T>(&self, work: impl Future<Output = Result<T, StackError>>) -> Result<T, StackError> {
        tokio::select! {
            done = work => done,
            () = self.cancel.cancelled() => Err(StackError::Cancelled),
        }
    }

    /// Makes one image of a language unless it is there, made on the same image.
    async fn make_language(&self, image: &str, tag: &ImageRef, base: &ImageRef) -> Result<(), StackError> {
        if self.has(tag).await? {
            return Ok(());
        }
        let lock = self.lock().await?;
        if !self.has(tag).await? {
            self.console
                .header(&format!(
                    "Making the {image} image of the {} stack, once",
                    self.stack.name
                ))
                .await;
            self.build(image, tag, ("IMAGE", base)).await?;
        }
        drop(lock);
        Ok(())
    }

    async fn build(&self, image: &str, tag: &ImageRef, base: (&str, &ImageRef)) -> Result<(), StackError> {
        let spec = DockerfileBuild {
            dockerfile: dockerfile(image),
            tag: tag.clone(),
            app: None,
            labels: BTreeMap::from([(INPUTS_LABEL.to_owned(), self.inputs.clone())]),
            arguments: Environment::new().with(base.0, base.1.as_str()),
            limits: self.settings.limits,
            network: self.settings.network.clone(),
            target: None,
        };
        let context = Bytes::from(self.context.clone());
        let context = stream::once(std::future::ready(io::Result::Ok(context))).boxed();
        let (output, mut lines) = mpsc::channel(64);
        let build = self.engine.build_image(&spec, context, output, self.cancel.clone());
        // apt alone has a thousand lines: its step lines show that it goes on, and the last lines what went wrong.
        let forward = async {
            let mut last_words = VecDeque::new();
            while let Some(bytes) = lines.recv().await {
                for line in String::from_utf8_lossy(&bytes).lines() {
                    let short: String = line.chars().take(LINE_CHARACTERS).collect();
                    if line.starts_with("Step ") {
                        self.console.detail(&short).await;
                    }
                    last_words.truncate(LAST_LINES - 1);
                    last_words.push_front(short);
                }
            }
            last_words
        };
        let (result, last_words) = tokio::join!(build, forward);
        if result.is_err() {
            for line in last_words.iter().rev() {
                self.console.detail(line).await;
            }
        }
        result.map(drop).map_err(|source| StackError::Image {
            image: image.to_owned(),
            source,
        })
    }
}

/// SHA-256, in hexadecimal digits.
pub(crate) fn hash(inputs: &[u8]) -> String {
    format!("{:x}", Bytes::copy_from_slice(&Sha256::digest(inputs)))
}

async fn has(engine: &dyn Engine, image: &ImageRef, inputs: &str) -> Result<bool, StackError> {
    let image = engine.image(image).await?;
    Ok(image.is_some_and(|image| image.labels.get(INPUTS_LABEL).map(String::as_str) == Some(inputs)))
}

fn dockerfile(image: &str) -> String {
    format!("{image}.Dockerfile")
}

/// The build context of both images.
fn context(extra_ca: Option<&Path>) -> Result<Vec<u8>, StackError> {
    let mut tar = MemoryTar::new();
    for name in ["run.Dockerfile", "build.Dockerfile"] {
        let file = buildpack::FILES
            .get_file(format!("stack/{name}"))
            .expect("both files are compiled in, as a test asserts");
        tar.file(name, 0o644, file.contents());
    }
    add_certificates(&mut tar, extra_ca)?;
    Ok(tar.finish())
}

fn add_certificates(tar: &mut MemoryTar, extra_ca: Option<&Path>) -> Result<(), StackError> {
    tar.directory("ca");
    for (name, certificate) in extra_ca.map(certificates).transpose()?.unwrap_or_default() {
        tar.file(&format!("ca/{name}"), 0o644, &certificate);
    }
    Ok(())
}

fn certificates(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, StackError> {
    let error = |source| StackError::File {
        doing: "reading certificate authorities",
        path: folder.to_owned(),
        source,
    };
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(error)? {
        let path = entry.map_err(error)?.path();
        // The only extension that update-ca-certificates looks at.
        if path.extension().is_some_and(|extension| extension == "crt")
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            found.insert(name.to_owned(), std::fs::read(&path).map_err(error)?);
        }
    }
    Ok(found)
}

async fn lock(work_dir: &Path, console: &Console) -> Result<File, StackError> {
    let error = |source| StackError::File {
        doing: "locking the making of the stack",
        path: work_dir.to_owned(),
        source,
    };
    std::fs::create_dir_all(work_dir).map_err(error)?;
    // The folder itself: nothing to create, so nothing to race for.
    let folder = File::open(work_dir).map_err(error)?;
    if folder.try_lock().is_ok() {
        return Ok(folder);
    }
    console.header("Waiting for another process that makes the stack").await;
    // A thread that waits in the kernel could not be called back.
    loop {
        sleep(LOCK_PERIOD).await;
        match folder.try_lock() {
            Ok(()) => return Ok(folder),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_for_the_images_of_another_can_be_cancelled() {
        let folder = tempfile::tempdir().unwrap();
        let other = File::open(folder.path()).unwrap();
        other.lock().unwrap();
        let engine = paas_engine::FakeEngine::new(|| chrono::DateTime::UNIX_EPOCH);
        let settings = StackSettings {
            work_dir: folder.path().to_owned(),
            ..StackSettings::default()
        };
        let cancel = CancellationToken::new();
        let (output, mut lines) = mpsc::channel(8);
        let wait = Stack::ensure(&engine, &settings, output, cancel.clone());
        let give_up = async {
            let line = lines.recv().await.unwrap();
            assert!(line.starts_with(b"-----> Waiting for another process"), "{line:?}");
            cancel.cancel();
        };
        let (ended, ()) = tokio::join!(wait, give_up);
        assert!(matches!(ended, Err(StackError::Cancelled)), "{ended:?}");
    }

    #[test]
    fn the_context_changes_with_the_certificates_only() {
        let folder = tempfile::tempdir().unwrap();
        let none = context(None).unwrap();
        assert_eq!(none, context(Some(folder.path())).unwrap());
        std::fs::write(folder.path().join("README"), "no certificate").unwrap();
        assert_eq!(none, context(Some(folder.path())).unwrap());
        std::fs::write(folder.path().join("corporate.crt"), "certificate").unwrap();
        assert_ne!(none, context(Some(folder.path())).unwrap());
    }
}

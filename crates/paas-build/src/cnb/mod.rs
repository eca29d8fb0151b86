//! Cloud Native Buildpacks: the lifecycle of a builder image makes the app's image (`buildpacks/spec`, *Platform*).
//!
//! ```text
//! builder ─▶ the same with our user ─▶ container: analyze, detect, restore, build, export
//!                                          └─▶ OCI layout in the app's cache ─▶ its own layers on the run image
//! ```
//!
//! A lifecycle can put an image into a registry, into an engine, or into a folder (`-layout`). The folder it is: the first would
//! need credentials in a container where anybody's buildpacks run, and a way from builds to the platform, which is walled off;
//! the second the engine's socket. A folder needs neither, so all phases run in one container, which is hardened, bounded and
//! cancelled as every build is. The layers are put on the run image by the engine's own builder (`app_image`).

mod app_image;
mod error;
mod layout;
mod metadata;
mod process;
mod project;

use bytes::Bytes;
use paas_core::{ConfigVars, ImageRef, Procfile};
use paas_engine::{
    ContainerId, ContainerSpec, DockerfileBuild, Environment, Image, ImageConfig, Role, Tmpfs, VolumeMount,
};
use serde_json::json;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

use self::{
    layout::Exported,
    metadata::BuilderMetadata,
    process::{BUILD_METADATA, BuildMetadata},
    project::Project,
};
use crate::{
    BuildError, BuildRequest, Builder, Built, Checkpoint, Stack,
    archive::MemoryTar,
    buildpack,
    discover::{join, summary},
    image::build_tag,
    output::{Allowance, Console, human_bytes},
    report::Report,
    signs, status, sweep,
    workplace::ENV_DIR_BYTES,
};

pub use error::CnbError;
pub use process::launch;

/// The cache of the app, in its container.
const CACHE: &str = "/paas/cache";
const IMAGES: &str = "/paas/cache/images";
/// Names of no registry: the lifecycle makes paths of them, below `IMAGES`.
const APP_IMAGE: &str = "paas.internal/app:new";
const PREVIOUS_IMAGE: &str = "paas.internal/app:previous";
const RUN_IMAGE: &str = "paas.internal/run:current";
/// Unpacks what the platform gives, then goes on with the rest of standard input: the source. Blocks, as a tar has them, with `dd`:
/// busybox's `head -c` reads ahead.
const BOOT: &str = r#"dd bs=512 count="$(($1 / 512))" iflag=fullblock 2> /dev/null | tar -x --no-same-owner -C /platform && exec sh /platform/paas/cnb "$2""#;

/// What an app is built with, and what it will run on.
struct Ground {
    name: String,
    builder: BuilderMetadata,
    /// The builder, as our user.
    image: ImageRef,
    run_image: Image,
    run_config: ImageConfig,
}

impl Builder {
    /// Runs one build of an app on the `cnb` stack to its end; the same as [`Builder::build`] in all else.
    pub async fn build_cnb(
        &self,
        request: BuildRequest<'_>,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<Built, BuildError> {
        self.expectations.forget(request.app);
        let console = Console::new(output);
        let built = async {
            let ground = tokio::select! {
                ground = self.cnb_ground(&console, &cancel) => ground?,
                () = cancel.cancelled() => return Err(BuildError::Cancelled),
            };
            let stop = cancel.child_token();
            let work = self.run_lifecycle(&request, &ground, &console, &stop);
            self.within_limit(&stop, work).await
        };
        self.end(&request, built.await, &console, &cancel).await
    }

    /// Finds or fetches the images. Other builds wait for the same, so it does not count as the app's own time.
    async fn cnb_ground(&self, console: &Console, cancel: &CancellationToken) -> Result<Ground, BuildError> {
        let name = self.settings.cnb_builder.as_ref().ok_or(CnbError::NoBuilder)?;
        let bad = |problem: String| {
            BuildError::from(CnbError::BadBuilder {
                name: name.to_string(),
                problem,
            })
        };
        console.header(&format!("Building with {name}")).await;
        let found = self.find_or_pull(name, console).await?.map_err(bad)?;
        let label = found.labels.get(BuilderMetadata::LABEL);
        let label =
            label.ok_or_else(|| bad(format!("it is no builder: it has no label {}", BuilderMetadata::LABEL)))?;
        let builder = BuilderMetadata::parse(label).map_err(bad)?;
        let mut problem = String::new();
        let mut run_image = None;
        for run in &builder.run_images {
            match self.find_or_pull(&ImageRef::new(run.clone()), console).await? {
                Ok(found) => {
                    run_image = Some(found);
                    break;
                }
                Err(error) => problem = format!("its run image {run} cannot be had: {error}"),
            }
        }
        let run_image = run_image.ok_or_else(|| bad(problem))?;
        let engine = &*self.engine;
        let image = Stack::ensure_cnb(engine, &self.settings.languages, (name, &found), console, cancel);
        let image = image.await.map_err(BuildError::Language)?;
        let run_config = engine.image_config(&run_image.id).await?;
        let run_config = run_config.ok_or_else(|| bad("its run image is gone again".to_owned()))?;
        Ok(Ground {
            name: name.to_string(),
            builder,
            image,
            run_image,
            run_config,
        })
    }

    /// An image of the operator's choice. One that is here is used as it is: whoever wants a newer one pulls it.
    async fn find_or_pull(&self, name: &ImageRef, console: &Console) -> Result<Result<Image, String>, BuildError> {
        if let Some(found) = self.engine.image(name).await? {
            return Ok(Ok(found));
        }
        console.detail(&format!("Fetching {name}, once")).await;
        Ok(self.engine.pull(name).await.map_err(|error| error.to_string()))
    }

    async fn run_lifecycle(
        &self,
        request: &BuildRequest<'_>,
        ground: &Ground,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let project = match &request.source.project_toml {
            Some(text) => Project::parse(text, &ground.builder).map_err(|problem| CnbError::BadProject { problem })?,
            None => Project::default(),
        };
        let given = given(request, ground, &project);
        let spec = self.lifecycle_container(request, ground, given.len());
        let input = request.source.input_after(given, &[]).await?;
        let (output, pieces) = mpsc::channel(64);
        let halt = stop.child_token();
        let run = self.engine.run(&spec, input, output, halt.clone());
        let allowance = Allowance::new(self.settings.output_bytes);
        let (exit, signs) = tokio::join!(run, signs::forward(pieces, console, allowance, None, &halt));
        let container = self.find_container(&spec.name).await;
        let built = match (exit, &container) {
            (Ok(exit), Some(container)) => {
                let judged = match exit.code {
                    status::NOT_DETECTED if !signs.is_trouble() => Err(CnbError::NoGroup {
                        name: ground.name.clone(),
                    }
                    .into()),
                    status::LIFECYCLE_FAILED if !signs.is_trouble() => Err(CnbError::LifecycleFailed.into()),
                    _ => self.judge(exit, signs, request, 0),
                };
                match judged {
                    Ok(()) => self.take_export(request, ground, container, console, stop).await,
                    Err(error) => Err(error),
                }
            }
            (Ok(exit), None) => Err(BuildError::Broken { code: exit.code }),
            (Err(error), _) => Err(error.into()),
        };
        match (built, container) {
            (Ok(built), container) => Ok(Built { container, ..built }),
            (Err(error), Some(container)) => {
                self.remove(&container).await;
                Err(error)
            }
            (Err(error), None) => Err(error),
        }
    }

    fn lifecycle_container(&self, request: &BuildRequest<'_>, ground: &Ground, given_bytes: usize) -> ContainerSpec {
        let BuildRequest { app, build, source, .. } = *request;
        let gzip_flag = if source.is_gzipped { "--gzip" } else { "" };
        let command = ["/bin/sh", "-c", BOOT, "build"].map(str::to_owned).into_iter();
        let environment = [
            ("CNB_PLATFORM_API", ground.builder.platform_api),
            // What the specification calls layouts. Anything but a refusal will do.
            ("CNB_EXPERIMENTAL_MODE", "quiet"),
            ("CNB_USE_LAYOUT", "true"),
            ("CNB_LAYOUT_DIR", IMAGES),
            ("CNB_CACHE_DIR", "/paas/cache/layers"),
            ("CNB_PREVIOUS_IMAGE", PREVIOUS_IMAGE),
            ("CNB_RUN_IMAGE", RUN_IMAGE),
            ("CNB_APP_DIR", "/workspace"),
            ("CNB_LAYERS_DIR", "/layers"),
            ("CNB_PLATFORM_DIR", "/platform"),
            ("CNB_NO_COLOR", "true"),
            ("APP_IMAGE", APP_IMAGE),
        ];
        ContainerSpec {
            environment: environment
                .into_iter()
                .fold(Environment::new(), |all, (name, value)| all.with(name, value)),
            working_dir: "/workspace".to_owned(),
            network: Some(self.settings.network.clone()),
            volumes: vec![VolumeMount {
                volume: sweep::cnb_cache_volume(app),
                path: CACHE.to_owned(),
            }],
            tmpfs: vec![Tmpfs {
                path: "/platform".to_owned(),
                size_bytes: ENV_DIR_BYTES,
            }],
            ..ContainerSpec::new(
                format!("paas-build-{build}"),
                Role::Build { app, build },
                ground.image.clone(),
                command.chain([given_bytes.to_string(), gzip_flag.to_owned()]).collect(),
                self.settings.limits,
            )
        }
    }

    /// Makes the app's image of what the lifecycle has left behind.
    async fn take_export(
        &self,
        request: &BuildRequest<'_>,
        ground: &Ground,
        container: &ContainerId,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let folder = format!("{IMAGES}/paas.internal/app/new");
        let engine = &self.engine;
        let report = Report::read(&**engine, container).await?;
        let exported = Exported::read(&**engine, container, &folder, &ground.run_config).await?;
        let label = exported.config.config.labels.iter().flatten();
        let label = label.into_iter().find(|(key, _)| *key == BUILD_METADATA);
        let metadata: BuildMetadata = match label {
            Some((_, text)) => serde_json::from_str(text).map_err(|error| CnbError::BadExport {
                problem: format!("its label {BUILD_METADATA} cannot be read: {error}"),
            })?,
            None => BuildMetadata::default(),
        };
        let mut process_types = metadata.process_types();

        console.header("Discovering process types").await;
        let known: Vec<_> = process_types.keys().map(ToString::to_string).collect();
        let known: Vec<_> = known.iter().map(String::as_str).collect();
        let line = format!("Buildpacks declare types -> {}", join(known.iter().copied(), ", "));
        console.detail(&line).await;
        // A builder without a buildpack for it leaves the Procfile to us.
        let declared = request.source.procfile.iter().flat_map(Procfile::process_types);
        let declared: Vec<_> = declared
            .filter(|(name, _)| !process_types.contains_key(*name))
            .collect();
        if !declared.is_empty() {
            let names = join(declared.iter().map(|(name, _)| name.as_str()), ", ");
            console.detail(&format!("Procfile declares types -> {names}")).await;
        }
        process_types.extend(
            declared
                .into_iter()
                .map(|(name, command)| (name.clone(), command.clone())),
        );

        console.header("Making the image").await;
        let started = Instant::now();
        (self.settings.checkpoint)(Checkpoint::BeforeImage);
        let build = DockerfileBuild {
            dockerfile: "Dockerfile".to_owned(),
            tag: build_tag(request.app, request.build),
            app: Some(request.app),
            labels: app_image::labels(&exported.config.config, &known),
            arguments: Environment::new(),
            limits: self.settings.limits,
            network: None,
            target: None,
        };
        let dockerfile = app_image::dockerfile(&ground.run_image.id, &ground.run_config, &exported);
        let context = app_image::context(engine, container, &folder, &exported, &dockerfile);
        // Its steps are ours, and say nothing to whoever pushed.
        let (steps, _) = mpsc::channel(1);
        let image = engine.build_image(&build, context, steps, stop.clone()).await;
        let image = image.map_err(|error| match BuildError::from(error) {
            BuildError::DockerfileFailed { message } => CnbError::BadExport { problem: message }.into(),
            error => error,
        })?;
        (self.settings.checkpoint)(Checkpoint::AfterImage);
        let size_bytes = image.size_bytes.saturating_sub(ground.run_image.size_bytes);
        console.detail(&format!("Done: {}", human_bytes(size_bytes))).await;
        console
            .header(&summary(&report.times, started.elapsed().as_secs_f64()))
            .await;
        Ok(Built {
            image: image.id,
            images: std::collections::BTreeMap::new(),
            process_types,
            buildpack_description: metadata.description(),
            size_bytes,
            detected: None,
            default_config: std::collections::BTreeMap::new(),
            container: None,
        })
    }
}

/// A tar for `/platform`: config vars as files, and what the lifecycle is to know.
fn given(request: &BuildRequest<'_>, ground: &Ground, project: &Project) -> Vec<u8> {
    let mut tar = MemoryTar::new();
    let program = buildpack::FILES.get_file("bin/cnb");
    let program = program.expect("the file is compiled in, as a test asserts");
    tar.file("paas/cnb", 0o755, program.contents());
    if let Some(order) = &project.order {
        tar.file("paas/order.toml", 0o644, order.as_bytes());
    }
    if let Some(commit) = request.commit {
        let text = format!(
            "[source]\ntype = \"git\"\n[source.version]\ncommit = {}\n",
            json!(commit)
        );
        tar.file("paas/project-metadata.toml", 0o644, text.as_bytes());
    }
    layout::sparse(&mut tar, "paas/run", &ground.run_config, &ground.run_image.labels);
    tar.directory("env");
    let config: &ConfigVars = request.config;
    let own = project
        .environment
        .iter()
        .filter(|(key, _)| config.get(key.as_str()).is_none());
    for (key, value) in own.chain(config) {
        tar.file(&format!("env/{key}"), 0o600, value.as_bytes());
    }
    tar.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_compiled_in() {
        assert!(buildpack::FILES.get_file("bin/cnb").is_some());
    }
}

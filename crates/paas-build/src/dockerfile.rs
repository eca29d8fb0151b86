//! Apps that bring a `Dockerfile`: the engine builds it, behind the limits of every build.
//!
//! What such an image runs is its `web` process, unless a Procfile says otherwise. What a Procfile says goes through a
//! shell, so the image needs one then; processes are the platform's own user in every image, whatever `USER` says.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt as _, stream};
use paas_core::{ImageRef, ProcessType};
use paas_engine::{ContainerSpec, DockerfileBuild, Environment, Image, Role};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    BuildError, BuildRequest, Builder, Built, Checkpoint,
    heroku_yml::ImageBuild,
    image,
    output::{Allowance, Console},
};

/// One image that is built from the source.
pub(crate) struct Recipe<'a> {
    pub(crate) image: &'a ImageBuild,
    pub(crate) tag: ImageRef,
    pub(crate) arguments: Environment,
}

impl Builder {
    pub(crate) async fn build_dockerfile(
        &self,
        request: &BuildRequest<'_>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        console.header("Dockerfile found, building it").await;
        let recipe = Recipe {
            image: &ImageBuild {
                directory: String::new(),
                dockerfile: "Dockerfile".to_owned(),
                target: None,
            },
            tag: image::build_tag(request.app, request.build),
            // Config vars are no build arguments: those end in the image's history.
            arguments: Environment::new(),
        };
        (self.settings.checkpoint)(Checkpoint::BeforeImage);
        let image = self.build_recipe(request, &recipe, console, stop).await?;
        let own = own_command(&image);
        let mut process_types = BTreeMap::new();
        if let Some(command) = &own {
            process_types.insert(ProcessType::web(), command.clone());
        }
        if let Some(procfile) = &request.source.procfile {
            process_types.extend(procfile.process_types().clone());
        }
        if process_types.values().any(|command| Some(command) != own.as_ref()) {
            self.check_shells(request, [&image.id].into()).await?;
        }
        (self.settings.checkpoint)(Checkpoint::AfterImage);
        if process_types.is_empty() {
            return Err(BuildError::BadProcessTypes {
                reason: "The Dockerfile has neither CMD nor ENTRYPOINT.".to_owned(),
            });
        }
        Ok(Built {
            image: image.id,
            images: BTreeMap::new(),
            process_types,
            buildpack_description: Some("Dockerfile".to_owned()),
            size_bytes: image.size_bytes,
            detected: None,
            default_config: BTreeMap::new(),
            container: None,
        })
    }

    pub(crate) async fn build_recipe(
        &self,
        request: &BuildRequest<'_>,
        recipe: &Recipe<'_>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Image, BuildError> {
        let spec = DockerfileBuild {
            dockerfile: recipe.image.dockerfile.clone(),
            tag: recipe.tag.clone(),
            app: Some(request.app),
            labels: BTreeMap::new(),
            arguments: recipe.arguments.clone(),
            limits: self.settings.limits,
            network: Some(self.settings.network.clone()),
            target: recipe.image.target.clone(),
        };
        let context = request.source.stream_below(&recipe.image.directory).await?;
        let (output, mut lines) = mpsc::channel(64);
        let build = self.engine.build_image(&spec, context, output, stop.clone());
        let forward = async {
            let mut allowance = Allowance::new(self.settings.output_bytes);
            while let Some(bytes) = lines.recv().await {
                allowance.pass(bytes, console).await;
            }
        };
        let (image, ()) = tokio::join!(build, forward);
        Ok(image?)
    }

    /// Says so now when no dyno could ever start, rather than when each of them fails.
    pub(crate) async fn check_shells(
        &self,
        request: &BuildRequest<'_>,
        images: BTreeSet<&ImageRef>,
    ) -> Result<(), BuildError> {
        let BuildRequest { app, build, .. } = *request;
        for image in images {
            let spec = ContainerSpec::new(
                format!("paas-build-{build}-check"),
                Role::Build { app, build },
                image.clone(),
                ["/bin/sh", "-c", "exit 0"].map(str::to_owned).to_vec(),
                self.settings.limits,
            );
            let (output, _) = mpsc::channel(1);
            let run = self
                .engine
                .run(&spec, stream::empty().boxed(), output, CancellationToken::new());
            let exit = run.await;
            if let Some(container) = self.find_container(&spec.name).await {
                self.engine.remove(&container).await?;
            }
            // As a shell says it: not executable, not found.
            if matches!(exit?.code, 126 | 127) {
                // What stays behind is nobody's: the sweep finds it.
                let _ = self.engine.remove_image(image).await;
                return Err(BuildError::NoShell);
            }
        }
        Ok(())
    }
}

/// What the image itself would run, as a shell command. `None` when it says nothing.
pub fn own_command(image: &Image) -> Option<String> {
    let words: Vec<_> = image
        .entrypoint
        .iter()
        .chain(&image.command)
        .map(|word| quote(word))
        .collect();
    if words.is_empty() {
        return None;
    }
    // `exec`, so that the program itself gets SIGTERM.
    let run = format!("exec {}", words.join(" "));
    Some(match image.working_dir.as_str() {
        // Where every dyno starts.
        "/app" => run,
        "" => format!("cd / && {run}"),
        other => format!("cd {} && {run}", quote(other)),
    })
}

/// One word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use paas_core::ImageRef;

    use super::*;

    fn image(entrypoint: &[&str], command: &[&str], working_dir: &str) -> Image {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Image {
            id: ImageRef::new("sha256:0"),
            tags: Vec::new(),
            app: None,
            size_bytes: 0,
            created_at: None,
            labels: BTreeMap::new(),
            entrypoint: words(entrypoint),
            command: words(command),
            working_dir: working_dir.to_owned(),
            user: String::new(),
        }
    }

    #[test]
    fn entrypoint_and_command_become_one_shell_command() {
        let image = image(&["/init"], &["sh", "-c", "echo it's $PORT"], "/srv/my app");
        assert_eq!(
            own_command(&image).unwrap(),
            r"cd '/srv/my app' && exec /init sh -c 'echo it'\''s $PORT'"
        );
    }

    #[test]
    fn an_image_that_says_nothing_has_no_command() {
        assert_eq!(own_command(&image(&[], &[], "/app")), None);
        assert_eq!(
            own_command(&image(&[], &["./server"], "/app")).unwrap(),
            "exec ./server"
        );
    }
}

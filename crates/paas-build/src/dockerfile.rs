//! Apps that bring a `Dockerfile`: the engine builds it, behind the limits of every build.
//!
//! What such an image runs is its `web` process, unless a Procfile says otherwise. Process commands go through a shell,
//! so the image needs `/bin/bash`; processes are the platform's own user in every image, whatever `USER` says.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream};
use paas_core::ProcessType;
use paas_engine::{ContainerSpec, DockerfileBuild, Environment, Image, Role};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    BuildError, BuildRequest, Builder, Built, Checkpoint, image,
    output::{Allowance, Console},
};

impl Builder {
    pub(crate) async fn build_dockerfile(
        &self,
        request: &BuildRequest<'_>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        console.header("Dockerfile found, building it").await;
        let spec = DockerfileBuild {
            dockerfile: "Dockerfile".to_owned(),
            tag: image::build_tag(request.app, request.build),
            app: Some(request.app),
            labels: BTreeMap::new(),
            // Config vars are no build arguments: those end in the image's history.
            arguments: Environment::new(),
            limits: self.settings.limits,
            network: Some(self.settings.network.clone()),
            target: None,
        };
        let context = request.source.stream().await?;
        (self.settings.checkpoint)(Checkpoint::BeforeImage);
        let (output, mut lines) = mpsc::channel(64);
        let build = self.engine.build_image(&spec, context, output, stop.clone());
        let forward = async {
            let mut allowance = Allowance::new(self.settings.output_bytes);
            while let Some(bytes) = lines.recv().await {
                allowance.pass(bytes, console).await;
            }
        };
        let (image, ()) = tokio::join!(build, forward);
        let image = image?;
        self.check_shell(request, &image).await?;
        (self.settings.checkpoint)(Checkpoint::AfterImage);

        let mut process_types = BTreeMap::new();
        if let Some(command) = command(&image) {
            process_types.insert(ProcessType::web(), command);
        }
        if let Some(procfile) = &request.source.procfile {
            process_types.extend(procfile.process_types().clone());
        }
        if process_types.is_empty() {
            return Err(BuildError::BadProcessTypes {
                reason: "The Dockerfile has neither CMD nor ENTRYPOINT.".to_owned(),
            });
        }
        Ok(Built {
            image: image.id,
            process_types,
            buildpack_description: Some("Dockerfile".to_owned()),
            size_bytes: image.size_bytes,
            detected: None,
            default_config: BTreeMap::new(),
        })
    }

    /// Says so now when no dyno could ever start, rather than when each of them fails.
    async fn check_shell(&self, request: &BuildRequest<'_>, image: &Image) -> Result<(), BuildError> {
        let BuildRequest { app, build, .. } = *request;
        let spec = ContainerSpec::new(
            format!("paas-build-{build}-check"),
            Role::Build { app, build },
            image.id.clone(),
            ["/bin/bash", "-c", "exit 0"].map(str::to_owned).to_vec(),
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
        match exit?.code {
            // As a shell says it: not executable, not found.
            126 | 127 => {
                self.engine.remove_image(&image::build_tag(app, build)).await?;
                Err(BuildError::NoShell)
            }
            _ => Ok(()),
        }
    }
}

/// What the image itself would run, as a shell command. `None` when it says nothing.
fn command(image: &Image) -> Option<String> {
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
fn quote(word: &str) -> String {
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
            command(&image).unwrap(),
            r"cd '/srv/my app' && exec /init sh -c 'echo it'\''s $PORT'"
        );
    }

    #[test]
    fn an_image_that_says_nothing_has_no_command() {
        assert_eq!(command(&image(&[], &[], "/app")), None);
        assert_eq!(command(&image(&[], &["./server"], "/app")).unwrap(), "exec ./server");
    }
}

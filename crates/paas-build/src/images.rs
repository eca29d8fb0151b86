//! Apps whose `heroku.yml` says which images they are: each is built, and each process type runs in one of them.

use std::collections::{BTreeMap, BTreeSet};

use paas_core::{ImageRef, ProcessType};
use paas_engine::Image;
use tokio_util::sync::CancellationToken;

use crate::{
    BuildError, BuildRequest, Builder, Built, Checkpoint,
    dockerfile::{Recipe, own_command},
    heroku_yml::{HerokuYml, Process},
    image,
    output::Console,
};

impl Builder {
    pub(crate) async fn build_images(
        &self,
        request: &BuildRequest<'_>,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        match &request.source.heroku_yml {
            Some(text) => self.build_heroku_yml(request, text, console, stop).await,
            None if request.source.has_dockerfile => self.build_dockerfile(request, console, stop).await,
            None => Err(BuildError::NoDockerfile),
        }
    }

    async fn build_heroku_yml(
        &self,
        request: &BuildRequest<'_>,
        text: &str,
        console: &Console,
        stop: &CancellationToken,
    ) -> Result<Built, BuildError> {
        let manifest = HerokuYml::parse(text)?;
        (self.settings.checkpoint)(Checkpoint::BeforeImage);
        let mut images = BTreeMap::new();
        for (name, build) in &manifest.images {
            let path = [&*build.directory, &*build.dockerfile].join("/");
            console
                .header(&format!("Building {name} ({})", path.trim_start_matches('/')))
                .await;
            let recipe = Recipe {
                image: build,
                tag: ImageRef::new(format!("{}-{name}", image::build_tag(request.app, request.build))),
                arguments: manifest.arguments.clone().into_iter().collect(),
            };
            images.insert(name.clone(), self.build_recipe(request, &recipe, console, stop).await?);
        }
        let cast = Cast::new(&manifest, &images)?;
        self.check_shells(request, cast.in_shells.iter().copied().collect())
            .await?;
        (self.settings.checkpoint)(Checkpoint::AfterImage);
        console.header("Discovering process types").await;
        let names: Vec<_> = cast.process_types.keys().map(ProcessType::as_str).collect();
        console
            .detail(&format!("heroku.yml declares types -> {}", names.join(", ")))
            .await;
        if !manifest.addons.is_empty() {
            let names = manifest.addons.join(", ");
            let line = format!("heroku.yml asks for add-ons, which a build does not make: {names}");
            console.detail(&line).await;
        }
        let sizes: BTreeMap<_, _> = images.values().map(|image| (&image.id, image.size_bytes)).collect();
        Ok(Built {
            image: images[manifest.default_image()].id.clone(),
            images: cast.images,
            process_types: cast.process_types,
            buildpack_description: Some("heroku.yml".to_owned()),
            size_bytes: sizes.values().sum(),
            detected: None,
            default_config: manifest.config.clone(),
            container: None,
        })
    }
}

/// Which process type runs what, and in which image.
struct Cast<'a> {
    process_types: BTreeMap<ProcessType, String>,
    images: BTreeMap<ProcessType, ImageRef>,
    /// The images in which a shell has to be.
    in_shells: BTreeSet<&'a ImageRef>,
}

impl<'a> Cast<'a> {
    fn new(manifest: &HerokuYml, images: &'a BTreeMap<ProcessType, Image>) -> Result<Self, BuildError> {
        let mut cast = Self {
            process_types: BTreeMap::new(),
            images: BTreeMap::new(),
            in_shells: BTreeSet::new(),
        };
        let mut processes = manifest.run.clone();
        if let Some(release) = &manifest.release {
            processes.insert(ProcessType::release(), release.clone());
        }
        let lent: BTreeSet<_> = processes
            .values()
            .filter_map(|process| process.image.as_ref())
            .collect();
        for (name, image) in images {
            // An image that runs nothing by itself may be there for other processes alone.
            if !processes.contains_key(name) && (own_command(image).is_some() || !lent.contains(name)) {
                cast.add(manifest, images, name, &Process::default())?;
            }
        }
        for (name, process) in &processes {
            cast.add(manifest, images, name, process)?;
        }
        Ok(cast)
    }

    fn add(
        &mut self,
        manifest: &HerokuYml,
        images: &'a BTreeMap<ProcessType, Image>,
        name: &ProcessType,
        process: &Process,
    ) -> Result<(), BuildError> {
        let own = manifest.images.contains_key(name).then_some(name);
        let from = process
            .image
            .as_ref()
            .or(own)
            .unwrap_or_else(|| manifest.default_image());
        let image = &images[from];
        let command = match (&process.command, own_command(image)) {
            (Some(command), own) => {
                if Some(command) != own.as_ref() {
                    self.in_shells.insert(&image.id);
                }
                command.clone()
            }
            (None, Some(own)) => own,
            (None, None) => {
                return Err(BuildError::BadProcessTypes {
                    reason: format!(
                        "heroku.yml has no command for {name}, and the Dockerfile of {from} has neither CMD nor \
                         ENTRYPOINT."
                    ),
                });
            }
        };
        self.process_types.insert(name.clone(), command);
        self.images.insert(name.clone(), image.id.clone());
        Ok(())
    }
}

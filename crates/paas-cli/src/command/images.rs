//! The verbs for images: built here and pushed, or built already.

use clap::Subcommand;

use crate::{app_context::Context, container, error::Result};

#[derive(Debug, Subcommand)]
pub(super) enum ImageVerb {
    /// Let docker push to the platform's registry
    #[command(name = "container:login")]
    ContainerLogin(container::LoginArgs),
    /// Build images with docker, and push them
    #[command(name = "container:push")]
    ContainerPush(container::PushArgs),
    /// Pull the pushed images of an app with docker
    #[command(name = "container:pull")]
    ContainerPull(container::PullArgs),
    /// Release images that were pushed
    #[command(name = "container:release")]
    ContainerRelease(container::TypesArgs),
    /// Take process types away from an app that runs images
    #[command(name = "container:rm")]
    ContainerRm(container::TypesArgs),
    /// Run an image of an app on this machine
    #[command(name = "container:run")]
    ContainerRun(container::RunArgs),
    /// Deploy an image that is built already
    #[command(name = "image:deploy")]
    ImageDeploy(container::DeployArgs),
}

pub(super) fn dispatch(verb: &ImageVerb, context: &Context) -> Result<()> {
    match verb {
        ImageVerb::ContainerLogin(args) => container::login(args, context),
        ImageVerb::ContainerPush(args) => container::push(args, context),
        ImageVerb::ContainerPull(args) => container::pull(args, context),
        ImageVerb::ContainerRelease(args) => container::release(args, context),
        ImageVerb::ContainerRm(args) => container::remove(args, context),
        ImageVerb::ContainerRun(args) => container::run(args, context),
        ImageVerb::ImageDeploy(args) => container::deploy(args, context),
    }
}

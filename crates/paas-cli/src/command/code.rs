//! The verbs for code and what is made of it: builds, buildpacks, stacks.

use clap::Subcommand;

use crate::{app_context::Context, build, buildpack, error::Result, stack, test_run};

#[derive(Debug, Subcommand)]
pub(super) enum CodeVerb {
    /// List the builds of an app
    Builds(build::ListArgs),
    /// Build and release a folder, a tar.gz or what an address has
    #[command(name = "builds:create")]
    BuildsCreate(build::CreateArgs),
    /// Show a build
    #[command(name = "builds:info")]
    BuildsInfo(build::InfoArgs),
    /// Print what a build said
    #[command(name = "builds:output")]
    BuildsOutput(build::OutputArgs),
    /// End a build that is under way
    #[command(name = "builds:cancel")]
    BuildsCancel(build::CancelArgs),
    /// Empty the cache that builds of an app share
    #[command(name = "builds:cache:purge")]
    BuildsCachePurge(build::PurgeArgs),
    /// List the test runs of an app
    Ci(test_run::ListArgs),
    /// Run the app's tests on the folder as it is; nothing is released
    #[command(name = "ci:run")]
    CiRun(test_run::RunArgs),
    /// Print what a test run said, and end as it ended
    #[command(name = "ci:info", alias = "ci:last")]
    CiInfo(test_run::InfoArgs),
    /// End a test run that is under way
    #[command(name = "ci:cancel")]
    CiCancel(test_run::CancelArgs),
    /// List the buildpacks that build an app
    Buildpacks(buildpack::ListArgs),
    /// Choose the buildpack of an app
    #[command(name = "buildpacks:set")]
    BuildpacksSet(buildpack::ChooseArgs),
    /// Add a buildpack to those of an app
    #[command(name = "buildpacks:add")]
    BuildpacksAdd(buildpack::ChooseArgs),
    /// Remove a buildpack from those of an app
    #[command(name = "buildpacks:remove")]
    BuildpacksRemove(buildpack::RemoveArgs),
    /// Let builds find out by themselves which buildpack fits
    #[command(name = "buildpacks:clear")]
    BuildpacksClear(buildpack::ListArgs),
    /// List the buildpacks that there are
    #[command(name = "buildpacks:search")]
    BuildpacksSearch(buildpack::SearchArgs),
    /// Show a buildpack
    #[command(name = "buildpacks:info")]
    BuildpacksInfo(buildpack::InfoArgs),
    /// List the stacks, and which one an app runs on
    #[command(aliases = ["stack", "apps:stacks"])]
    Stacks(stack::ListArgs),
    /// Choose the stack of an app's next build
    #[command(name = "stack:set", alias = "apps:stacks:set")]
    StackSet(stack::SetArgs),
}

pub(super) fn dispatch(verb: &CodeVerb, context: &Context) -> Result<()> {
    match verb {
        CodeVerb::Builds(args) => build::list(args, context),
        CodeVerb::BuildsCreate(args) => build::create(args, context),
        CodeVerb::BuildsInfo(args) => build::info(args, context),
        CodeVerb::BuildsOutput(args) => build::output(args, context),
        CodeVerb::BuildsCancel(args) => build::cancel(args, context),
        CodeVerb::BuildsCachePurge(args) => build::purge_cache(args, context),
        CodeVerb::Ci(args) => test_run::list(args, context),
        CodeVerb::CiRun(args) => test_run::run(args, context),
        CodeVerb::CiInfo(args) => test_run::info(args, context),
        CodeVerb::CiCancel(args) => test_run::cancel(args, context),
        CodeVerb::Buildpacks(args) => buildpack::list(args, context),
        CodeVerb::BuildpacksSet(args) => buildpack::set(args, context),
        CodeVerb::BuildpacksAdd(args) => buildpack::add(args, context),
        CodeVerb::BuildpacksRemove(args) => buildpack::remove(args, context),
        CodeVerb::BuildpacksClear(args) => buildpack::clear(args, context),
        CodeVerb::BuildpacksSearch(args) => buildpack::search(args, context),
        CodeVerb::BuildpacksInfo(args) => buildpack::info(args, context),
        CodeVerb::Stacks(args) => stack::list(args, context),
        CodeVerb::StackSet(args) => stack::set(args, context),
    }
}

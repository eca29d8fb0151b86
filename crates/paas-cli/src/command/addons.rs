//! The verbs for what apps use besides their own code.

use clap::Subcommand;

use crate::{addon, addon_attachment, addon_exposure, addon_provider, app_context::Context, error::Result};

#[derive(Debug, Subcommand)]
pub(super) enum AddonVerb {
    /// List the add-ons of an app, or of all
    Addons(addon::ListArgs),
    /// Create an add-on, such as a database
    #[command(name = "addons:create", visible_alias = "addons:add")]
    AddonsCreate(addon::CreateArgs),
    /// Show an add-on
    #[command(name = "addons:info")]
    AddonsInfo(addon::InfoArgs),
    /// Wait until an add-on can be used
    #[command(name = "addons:wait")]
    AddonsWait(addon::WaitArgs),
    /// Let another app use an add-on
    #[command(name = "addons:attach")]
    AddonsAttach(addon_attachment::AttachArgs),
    /// Take an add-on away from an app
    #[command(name = "addons:detach")]
    AddonsDetach(addon_attachment::DetachArgs),
    /// Rename an add-on
    #[command(name = "addons:rename")]
    AddonsRename(addon::RenameArgs),
    /// Give an add-on another plan
    #[command(name = "addons:upgrade", visible_alias = "addons:downgrade")]
    AddonsUpgrade(addon::UpgradeArgs),
    /// Let addresses outside connect to an add-on, or list those
    #[command(name = "addons:expose")]
    AddonsExpose(addon_exposure::ExposeArgs),
    /// Let nobody outside come to an add-on any more
    #[command(name = "addons:unexpose")]
    AddonsUnexpose(addon_exposure::UnexposeArgs),
    /// Destroy add-ons with all that is in them
    #[command(name = "addons:destroy", visible_alias = "addons:remove")]
    AddonsDestroy(addon::DestroyArgs),
    /// Open the page of an add-on in a browser
    #[command(name = "addons:open")]
    AddonsOpen(addon::OneArgs),
    /// Say where an add-on is explained
    #[command(name = "addons:docs")]
    AddonsDocs(addon::OneArgs),
    /// List the plans of a service
    #[command(name = "addons:plans")]
    AddonsPlans(addon::PlansArgs),
    /// List the services that there are
    #[command(name = "addons:services")]
    AddonsServices(addon::ServicesArgs),
    /// List the providers of add-ons that run elsewhere
    #[command(name = "addons:providers")]
    AddonsProviders(addon_provider::ListArgs),
    /// Register a provider by its manifest, or take its new one
    #[command(name = "addons:providers:add")]
    AddonsProvidersAdd(addon_provider::AddArgs),
    /// Forget a provider that has no add-ons
    #[command(name = "addons:providers:remove")]
    AddonsProvidersRemove(addon_provider::RemoveArgs),
}

pub(super) fn dispatch(verb: &AddonVerb, context: &Context) -> Result<()> {
    match verb {
        AddonVerb::Addons(args) => addon::list(args, context),
        AddonVerb::AddonsCreate(args) => addon::create(args, context),
        AddonVerb::AddonsInfo(args) => addon::info(args, context),
        AddonVerb::AddonsWait(args) => addon::wait(args, context),
        AddonVerb::AddonsAttach(args) => addon_attachment::attach(args, context),
        AddonVerb::AddonsDetach(args) => addon_attachment::detach(args, context),
        AddonVerb::AddonsRename(args) => addon::rename(args, context),
        AddonVerb::AddonsUpgrade(args) => addon::upgrade(args, context),
        AddonVerb::AddonsExpose(args) => addon_exposure::expose(args, context),
        AddonVerb::AddonsUnexpose(args) => addon_exposure::unexpose(args, context),
        AddonVerb::AddonsDestroy(args) => addon::destroy(args, context),
        AddonVerb::AddonsOpen(args) => addon::open(args, context),
        AddonVerb::AddonsDocs(args) => addon::docs(args, context),
        AddonVerb::AddonsPlans(args) => addon::plans(args, context),
        AddonVerb::AddonsServices(args) => addon::services(args, context),
        AddonVerb::AddonsProviders(args) => addon_provider::list(args, context),
        AddonVerb::AddonsProvidersAdd(args) => addon_provider::add(args, context),
        AddonVerb::AddonsProvidersRemove(args) => addon_provider::remove(args, context),
    }
}

//! The grammar: which verbs there are, and which function does each.

mod addons;
mod backups;
mod code;
mod data;
mod images;
mod names;
mod people;
mod teams;
mod webhooks;

use std::ffi::OsString;

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    error::{ContextKind, ContextValue, ErrorKind},
};

use self::{
    addons::AddonVerb, backups::BackupVerb, code::CodeVerb, data::DataVerb, images::ImageVerb, names::NameVerb,
    people::PeopleVerb, teams::TeamVerb, webhooks::WebhookVerb,
};
use crate::{
    app,
    app_context::Context,
    app_diff, arguments,
    client::Client,
    completion,
    config::Config,
    config_edit, config_var, disk, dyno,
    error::{Error, Result},
    exec, formation, git_remote, help, heroku, local, log_drain, log_session, login, one_off,
    output::Output,
    platform_url::PlatformUrl,
    region, release,
};

/// Push to deploy, on your own machine.
#[derive(Debug, Parser)]
#[command(name = "paas", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Where the platform's API answers, instead of `PAAS_URL`
    #[arg(long, global = true, value_name = "URL")]
    url: Option<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    #[command(flatten)]
    Platform(PlatformVerb),
    #[command(flatten)]
    Local(LocalVerb),
}

/// What needs no platform.
#[derive(Debug, Subcommand)]
enum LocalVerb {
    /// Print a completion script for a shell
    #[command(alias = "autocomplete")]
    Completion(completion::CompletionArgs),
    /// Start the app on this machine, from its Procfile and .env
    #[command(visible_alias = "local:start")]
    Local(local::StartArgs),
    /// Run a command on this machine, with the variables of .env
    #[command(name = "local:run")]
    LocalRun(local::RunArgs),
    /// Print the version of what `local` runs
    #[command(name = "local:version")]
    LocalVersion,
    /// Print the version of this command
    Version,
    /// Say what there is, or how to use one command
    Help {
        /// The command
        command: Option<String>,
    },
}

/// What a platform is asked to say or do.
#[derive(Debug, Subcommand)]
enum PlatformVerb {
    #[command(flatten)]
    People(PeopleVerb),
    /// List your apps
    #[command(alias = "apps:list")]
    Apps(app::ListArgs),
    /// Create an app
    #[command(visible_alias = "apps:create")]
    Create(app::CreateArgs),
    /// Show an app
    #[command(name = "apps:info", visible_alias = "info")]
    AppsInfo(app::InfoArgs),
    /// Rename an app
    #[command(name = "apps:rename", visible_alias = "rename")]
    AppsRename(app::RenameArgs),
    /// Open an app in a browser
    #[command(visible_alias = "apps:open")]
    Open(app::OpenArgs),
    /// Destroy an app for good
    #[command(name = "apps:destroy", visible_alias = "destroy", alias = "apps:delete")]
    AppsDestroy(app::DestroyArgs),
    /// Say what two apps differ in
    #[command(name = "apps:diff")]
    AppsDiff(app_diff::DiffArgs),
    /// Say where an app's errors are
    #[command(name = "apps:errors", hide = true)]
    AppsErrors(app::ErrorsArgs),
    /// Point a git remote of this directory at an app
    #[command(name = "git:remote")]
    GitRemote(git_remote::RemoteArgs),
    /// Clone the repository of an app
    #[command(name = "git:clone")]
    GitClone(git_remote::CloneArgs),
    /// Give git the token: a credential helper
    #[command(name = "git:credentials")]
    GitCredentials(git_remote::CredentialsArgs),
    /// Show the config vars of an app
    Config(config_var::ListArgs),
    /// Set config vars and restart the app
    #[command(name = "config:set", alias = "config:add")]
    ConfigSet(config_var::SetArgs),
    /// Print the value of a config var
    #[command(name = "config:get")]
    ConfigGet(config_var::GetArgs),
    /// Remove config vars and restart the app
    #[command(name = "config:unset", alias = "config:remove")]
    ConfigUnset(config_var::UnsetArgs),
    /// Change config vars in an editor and restart the app
    #[command(name = "config:edit")]
    ConfigEdit(config_edit::EditArgs),
    /// Show what takes room on the platform's disks, to those who run it
    Disk(disk::ShowArgs),
    /// Remove from the platform's disks what nobody needs any more
    #[command(name = "disk:prune")]
    DiskPrune(disk::PruneArgs),
    /// Show the dynos of an app
    #[command(alias = "ps:list")]
    Ps(dyno::ListArgs),
    /// Say how many dynos of each process type run
    #[command(name = "ps:scale", visible_alias = "scale")]
    PsScale(formation::ScaleArgs),
    /// Show the sizes of an app's dynos, or change them
    #[command(name = "ps:type", visible_aliases = ["ps:resize", "dyno:resize"])]
    PsType(formation::ResizeArgs),
    /// Wait until all dynos run the newest release
    #[command(name = "ps:wait")]
    PsWait(dyno::WaitArgs),
    /// Restart dynos
    #[command(name = "ps:restart", visible_aliases = ["restart", "dyno:restart"])]
    PsRestart(dyno::SelectArgs),
    /// Run a command in a one-off dyno
    Run(one_off::RunArgs),
    /// Run a command in a one-off dyno that talks into the log
    #[command(name = "run:detached")]
    RunDetached(one_off::DetachedArgs),
    /// Open the app's console
    #[command(visible_alias = "run:console")]
    Console(one_off::ConsoleArgs),
    /// Run a task of Rake
    #[command(visible_alias = "run:rake")]
    Rake(one_off::RunArgs),
    /// Run a program in a dyno that runs
    #[command(name = "ps:exec")]
    PsExec(exec::ExecArgs),
    /// Copy a file from a dyno
    #[command(name = "ps:copy")]
    PsCopy(exec::CopyArgs),
    /// Forward local ports to a dyno
    #[command(name = "ps:forward")]
    PsForward(exec::ForwardArgs),
    /// Start a SOCKS proxy into a dyno
    #[command(name = "ps:socks")]
    PsSocks(exec::SocksArgs),
    /// Stop dynos; those that the formation wants start again
    #[command(name = "ps:stop", visible_alias = "ps:kill")]
    PsStop(dyno::SelectArgs),
    /// Show the log of an app
    Logs(log_session::LogArgs),
    /// List the log drains of an app
    Drains(log_drain::ListArgs),
    /// Send the log of an app on to somewhere else too
    #[command(name = "drains:add")]
    DrainsAdd(log_drain::AddArgs),
    /// Send it there no more
    #[command(name = "drains:remove")]
    DrainsRemove(log_drain::RemoveArgs),
    /// List the releases of an app
    Releases(release::ListArgs),
    /// Show a release
    #[command(name = "releases:info")]
    ReleasesInfo(release::InfoArgs),
    /// Print what a release command said
    #[command(name = "releases:output")]
    ReleasesOutput(release::OneArgs),
    /// Run the release command of the newest release again
    #[command(name = "releases:retry")]
    ReleasesRetry(release::RetryArgs),
    /// Go back to the code and config of an earlier release
    #[command(visible_alias = "releases:rollback")]
    Rollback(release::OneArgs),
    /// Print whether an app is in maintenance mode
    Maintenance(app::MaintenanceArgs),
    /// Answer an app's visitors with a maintenance page
    #[command(name = "maintenance:on")]
    MaintenanceOn(app::SwitchArgs),
    /// Let an app's visitors in again
    #[command(name = "maintenance:off")]
    MaintenanceOff(app::SwitchArgs),
    #[command(flatten)]
    Names(NameVerb),
    #[command(flatten)]
    Teams(TeamVerb),
    #[command(flatten)]
    Webhooks(WebhookVerb),
    #[command(flatten)]
    Addons(AddonVerb),
    #[command(flatten)]
    Data(DataVerb),
    #[command(flatten)]
    Backups(BackupVerb),
    /// Run Heroku's own command against this platform, such as `paas heroku -- apps`
    Heroku(heroku::HerokuArgs),
    /// List the regions
    Regions(region::ListArgs),
    #[command(flatten)]
    Code(CodeVerb),
    #[command(flatten)]
    Images(ImageVerb),
}

/// Parses and does. `arguments` begin with the name of the binary.
pub(crate) fn run(arguments: Vec<OsString>, config: Config, output: Output) -> Result<()> {
    let cli = match parse(arguments::sorted(arguments)) {
        Ok(cli) => cli,
        Err(error) => return answer(&error, output),
    };
    let verb = match cli.verb {
        None => return explain(None, output),
        Some(Verb::Local(LocalVerb::Help { command })) => return explain(command.as_deref(), output),
        Some(Verb::Local(LocalVerb::Local(args))) => return local::start(&args, &config, output),
        Some(Verb::Local(LocalVerb::LocalRun(args))) => return local::run(&args, output),
        Some(Verb::Local(LocalVerb::Version | LocalVerb::LocalVersion)) => {
            return output.line(concat!("paas ", env!("CARGO_PKG_VERSION")));
        }
        Some(Verb::Local(LocalVerb::Completion(args))) => return completion::print(&args, Cli::command(), output),
        Some(Verb::Platform(verb)) => verb,
    };
    let base: PlatformUrl = cli
        .url
        .as_deref()
        .or(config.url.as_deref())
        .unwrap_or(Config::DEFAULT_URL)
        .parse()?;
    let machine = base.machines().swap_remove(0);
    let credentials = login::credentials(&config, &machine)?;
    let client = Client::new(base, credentials);
    dispatch(&verb, &Context { config, client, output })
}

fn dispatch(verb: &PlatformVerb, context: &Context) -> Result<()> {
    match verb {
        PlatformVerb::People(verb) => people::dispatch(verb, context),
        PlatformVerb::Apps(args) => app::list(args, context),
        PlatformVerb::Create(args) => app::create(args, context),
        PlatformVerb::AppsInfo(args) => app::info(args, context),
        PlatformVerb::AppsRename(args) => app::rename(args, context),
        PlatformVerb::Open(args) => app::open(args, context),
        PlatformVerb::AppsDestroy(args) => app::destroy(args, context),
        PlatformVerb::AppsDiff(args) => app_diff::diff(args, context),
        PlatformVerb::AppsErrors(_) => app::errors(),
        PlatformVerb::GitRemote(args) => git_remote::point(args, context),
        PlatformVerb::GitClone(args) => git_remote::clone(args, context),
        PlatformVerb::GitCredentials(args) => git_remote::credentials(args, context),
        PlatformVerb::Config(args) => config_var::list(args, context),
        PlatformVerb::ConfigSet(args) => config_var::set(args, context),
        PlatformVerb::ConfigGet(args) => config_var::get(args, context),
        PlatformVerb::ConfigUnset(args) => config_var::unset(args, context),
        PlatformVerb::ConfigEdit(args) => config_edit::edit(args, context),
        PlatformVerb::Disk(args) => disk::show(args, context),
        PlatformVerb::DiskPrune(args) => disk::prune(args, context),
        PlatformVerb::Ps(args) => dyno::list(args, context),
        PlatformVerb::PsScale(args) => formation::scale(args, context),
        PlatformVerb::PsType(args) => formation::resize(args, context),
        PlatformVerb::PsWait(args) => dyno::wait(args, context),
        PlatformVerb::PsRestart(args) => dyno::restart(args, context),
        PlatformVerb::PsStop(args) => dyno::stop(args, context),
        PlatformVerb::Run(args) => one_off::run(args, context),
        PlatformVerb::RunDetached(args) => one_off::detached(args, context),
        PlatformVerb::Console(args) => one_off::console(args, context),
        PlatformVerb::Rake(args) => one_off::rake(args, context),
        PlatformVerb::PsExec(args) => exec::exec(args, context),
        PlatformVerb::PsCopy(args) => exec::copy(args, context),
        PlatformVerb::PsForward(args) => exec::forward(args, context),
        PlatformVerb::PsSocks(args) => exec::socks(args, context),
        PlatformVerb::Logs(args) => log_session::show(args, context),
        PlatformVerb::Drains(args) => log_drain::list(args, context),
        PlatformVerb::DrainsAdd(args) => log_drain::add(args, context),
        PlatformVerb::DrainsRemove(args) => log_drain::remove(args, context),
        PlatformVerb::Releases(args) => release::list(args, context),
        PlatformVerb::ReleasesInfo(args) => release::info(args, context),
        PlatformVerb::ReleasesOutput(args) => release::output(args, context),
        PlatformVerb::ReleasesRetry(args) => release::retry(args, context),
        PlatformVerb::Rollback(args) => release::rollback(args, context),
        PlatformVerb::Maintenance(args) => app::maintenance(args, context),
        PlatformVerb::MaintenanceOn(args) => app::enable_maintenance(args, context),
        PlatformVerb::MaintenanceOff(args) => app::disable_maintenance(args, context),
        PlatformVerb::Names(verb) => names::dispatch(verb, context),
        PlatformVerb::Teams(verb) => teams::dispatch(verb, context),
        PlatformVerb::Webhooks(verb) => webhooks::dispatch(verb, context),
        PlatformVerb::Addons(verb) => addons::dispatch(verb, context),
        PlatformVerb::Data(verb) => data::dispatch(verb, context),
        PlatformVerb::Backups(verb) => backups::dispatch(verb, context),
        PlatformVerb::Heroku(args) => heroku::run(args, context),
        PlatformVerb::Regions(args) => region::list(args, context),
        PlatformVerb::Code(verb) => code::dispatch(verb, context),
        PlatformVerb::Images(verb) => images::dispatch(verb, context),
    }
}

fn parse(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let command = Cli::command();
    let overview = help::overview(&command);
    let matches = command.override_help(overview).try_get_matches_from(arguments)?;
    Cli::from_arg_matches(&matches)
}

/// What clap has to say: help is an answer, everything else is misuse in our own shape.
fn answer(error: &clap::Error, output: Output) -> Result<()> {
    let text = error.to_string();
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return output.line(text.trim_end());
    }
    let lines = text.lines().map(str::trim);
    let headline: Vec<_> = lines.clone().take_while(|line| !line.is_empty()).collect();
    let usage = lines.clone().find_map(|line| line.strip_prefix("Usage: "));
    let hint = match (suggestion(error), usage) {
        (Some(suggestion), _) => Some(format!("did you mean `{suggestion}`?")),
        (None, _) if error.kind() == ErrorKind::InvalidSubcommand => {
            Some("run `paas help` to see the commands".to_owned())
        }
        (None, usage) => usage.map(|usage| format!("write `{usage}`")),
    };
    Err(Error::Grammar {
        headline: headline.join(" ").trim_start_matches("error: ").to_owned(),
        hint,
    })
}

/// The verb or flag that clap takes for what was meant; of several the last, which is the nearest.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg];
    match kinds.into_iter().find_map(|kind| error.get(kind))? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    }
}

/// `help`
fn explain(name: Option<&str>, output: Output) -> Result<()> {
    let mut command = Cli::command();
    let Some(name) = name else {
        return output.line(help::overview(&command).trim_end());
    };
    command.build();
    let related = help::related(&command, name);
    let mut parts = Vec::new();
    if let Some(verb) = command.find_subcommand_mut(name) {
        parts.push(verb.render_help().to_string());
    } else if related.is_empty() {
        return Err(Error::Grammar {
            headline: format!("There is no command {name}"),
            hint: Some("run `paas help` to see the commands".to_owned()),
        });
    }
    if !related.is_empty() {
        parts.push(format!("Commands:\n{related}"));
    }
    output.line(parts.join("\n").trim_end())
}

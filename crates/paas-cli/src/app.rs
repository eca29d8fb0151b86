//! Apps: list, create, look at, rename, open, pause, destroy.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
};

use clap::Args;
use paas_api::{App, AppUpdate, Dyno, NewApp, NewTeamApp, TeamApp};

use crate::{
    app_context::{AppArgs, Context},
    buildpack,
    client::segment,
    config_var::shell_line,
    error::{Error, Result},
    git_remote::{self, DEFAULT_REMOTE},
    output::Style,
};

mod list;

pub(crate) use list::{ListArgs, list};

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The name of the app; the platform makes one up when there is none
    name: Option<String>,
    /// The same
    #[arg(short, long, value_name = "NAME", hide = true, conflicts_with = "name")]
    app: Option<String>,
    /// The buildpack that builds it, such as heroku/python
    #[arg(short, long)]
    buildpack: Option<String>,
    /// Where it runs
    #[arg(long)]
    region: Option<String>,
    /// The git remote to add
    #[arg(short, long, default_value = DEFAULT_REMOTE)]
    remote: String,
    /// Add no git remote
    #[arg(short, long)]
    no_remote: bool,
    /// The stack that the app's dynos start from
    #[arg(short, long)]
    stack: Option<String>,
    /// The team that is to own it
    #[arg(short, long)]
    team: Option<String>,
    /// Keep members of the team from seeing and joining it
    #[arg(long, requires = "team")]
    locked: bool,
    /// Print the app as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The app to look at
    #[arg(value_name = "APP")]
    name: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Print name=value lines that a shell can read
    #[arg(short, long, conflicts_with = "json")]
    shell: bool,
    /// Print the app as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// The app to destroy
    #[arg(value_name = "APP")]
    name: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// The app's name once more, instead of the question
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct RenameArgs {
    /// The new name
    new_name: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    /// The page to open
    path: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct MaintenanceArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the mode as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ErrorsArgs {
    #[command(flatten)]
    _app: AppArgs,
}

/// `create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let wanted_name = args.name.as_ref().or(args.app.as_ref());
    let what = wanted_name.map_or_else(|| "Creating app".to_owned(), |name| format!("Creating {name}"));
    let told = |app: &App| {
        let mut told = match wanted_name {
            Some(_) => String::new(),
            None => format!(", {}", app.name),
        };
        if args.region.is_some() {
            told.extend([", region is ", &app.region.name]);
        }
        if args.stack.is_some() {
            told.extend([", stack is ", &app.stack.name]);
        }
        told
    };
    let app = context
        .output
        .action(&what, || make(wanted_name, args, context), told)?;
    if let Some(buildpack) = &args.buildpack {
        buildpack::choose_first(&app.name, buildpack, context)?;
    }
    if args.json {
        context.output.json(&app)?;
    } else {
        context.output.line(addresses(&app, context))?;
    }
    if args.no_remote || !git_remote::is_repository() {
        return Ok(());
    }
    let url = git_remote::push_url(&app, context);
    match git_remote::url_of(&args.remote)? {
        Some(present) if present != url => context.output.warning(&format!(
            "the git remote {} stays at {present}; to change it, run: paas git:remote -a {}",
            args.remote, app.name
        )),
        Some(_) => Ok(()),
        None => git_remote::set(&args.remote, &url),
    }
}

fn make(name: Option<&String>, args: &CreateArgs, context: &Context) -> Result<App> {
    let name = name.cloned();
    let region = args.region.clone().map(Into::into);
    let stack = args.stack.clone().map(Into::into);
    let Some(team) = args.team.clone() else {
        return context.client.post("/apps", &NewApp { name, region, stack });
    };
    let new = NewTeamApp {
        locked: args.locked.then_some(true),
        name,
        personal: None,
        region,
        stack,
        team: Some(team.into()),
    };
    let made: TeamApp = context.client.post("/teams/apps", &new)?;
    get(&made.name, context)
}

/// `apps:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let name = args.app.name_or(args.name.as_ref(), context)?;
    let app = get(&name, context)?;
    if args.json {
        return context.output.json(&app);
    }
    let dynos: Vec<Dyno> = context.client.list(&format!("/apps/{}/dynos", segment(&name)), "id")?;
    let mut counts = BTreeMap::<_, usize>::new();
    for dyno in &dynos {
        *counts.entry(dyno.r#type.as_str()).or_default() += 1;
    }
    if args.shell {
        return shell(&app, &counts, context);
    }
    let counts: Vec<_> = counts.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    let mut facts = vec![("Dynos", counts.join(", ")), ("Git URL", app.git_url.clone())];
    if app.maintenance {
        facts.push(("Maintenance", "on".to_owned()));
    }
    facts.extend([
        ("Owner", app.owner.email.clone()),
        ("Region", app.region.name.clone()),
        ("Repo Size", size(app.repo_size)),
        ("Slug Size", size(app.slug_size)),
        ("Stack", app.stack.name.clone()),
        ("Web URL", app.web_url.clone().unwrap_or_default()),
    ]);
    context.output.header(&app.name)?;
    context.output.facts(&facts)
}

/// The names that Heroku's command prints, for scripts that read them.
fn shell(app: &App, dynos: &BTreeMap<&str, usize>, context: &Context) -> Result<()> {
    let dynos: Vec<_> = dynos.iter().map(|(kind, count)| format!("{kind}: {count}")).collect();
    let dynos = if dynos.is_empty() {
        "{}".to_owned()
    } else {
        format!("{{ {} }}", dynos.join(", "))
    };
    let lines = [
        ("auto_cert_mgmt", app.acm.to_string()),
        ("addons", String::new()),
        ("collaborators", String::new()),
        ("git_url", app.git_url.clone()),
        ("web_url", app.web_url.clone().unwrap_or_default()),
        ("repo_size", size(app.repo_size)),
        ("slug_size", size(app.slug_size)),
        ("owner", app.owner.email.clone()),
        ("region", app.region.name.clone()),
        ("dynos", dynos),
        ("stack", app.stack.name.clone()),
    ];
    lines
        .iter()
        .try_for_each(|(name, value)| context.output.line(shell_line(name, value)))
}

/// `apps:errors`: Heroku counts them in a service that this platform does not have.
pub(crate) fn errors() -> Result<()> {
    Err(Error::Absent(
        "This platform keeps no counts of errors. They are in the log: paas logs --source heroku".to_owned(),
    ))
}

/// `apps:destroy`: nothing brings an app back, so its name is asked for.
pub(crate) fn destroy(args: &DestroyArgs, context: &Context) -> Result<()> {
    let name = args.app.name_or(args.name.as_ref(), context)?;
    let app = get(&name, context)?;
    let consequence = format!("this destroys {} with its releases, config and logs", app.name);
    context.confirm(&app.name, &consequence, args.confirm.as_ref())?;
    let path = format!("/apps/{}", app.id);
    let what = format!("Destroying {}", app.name);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())?;
    for remote in git_remote::ours(context)? {
        if remote.app == app.name {
            git_remote::remove(&remote.name)?;
        }
    }
    Ok(())
}

/// `apps:rename`
pub(crate) fn rename(args: &RenameArgs, context: &Context) -> Result<()> {
    let old = args.app.name(context)?;
    let update = AppUpdate {
        name: Some(args.new_name.clone()),
        ..AppUpdate::default()
    };
    let what = format!("Renaming {old} to {}", args.new_name);
    let app: App = context
        .output
        .action(&what, || patch(&old, &update, context), |_| String::new())?;
    context.output.line(addresses(&app, context))?;
    for remote in git_remote::ours(context)? {
        if remote.app == old {
            git_remote::set(&remote.name, &git_remote::push_url(&app, context))?;
        }
    }
    context
        .output
        .warning("Don't forget to update git remotes for all other local checkouts of the app.")
}

/// `open`
pub(crate) fn open(args: &OpenArgs, context: &Context) -> Result<()> {
    let app = get(&args.app.name(context)?, context)?;
    let page = args.path.as_deref().unwrap_or_default().trim_start_matches('/');
    let url = format!("{}/{page}", app.web_url.unwrap_or_default().trim_end_matches('/'));
    // The opener takes an option or a file for an answer, too.
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Error::Absent(format!("{} has no web address", app.name)));
    }
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(opener);
    command
        .arg(&url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if command.status().is_ok_and(|status| status.success()) {
        return context.output.line(format!("Opening {url}..."));
    }
    context.output.note("No browser could be started; the app is at")?;
    context.output.line(url)
}

/// `maintenance`
pub(crate) fn maintenance(args: &MaintenanceArgs, context: &Context) -> Result<()> {
    let app = get(&args.app.name(context)?, context)?;
    if args.json {
        return context
            .output
            .json(&serde_json::json!({ "maintenance": app.maintenance }));
    }
    let (style, word) = if app.maintenance {
        (Style::Yellow, "on")
    } else {
        (Style::Green, "off")
    };
    context.output.line(context.output.paint(style, word))
}

/// `maintenance:on`
pub(crate) fn enable_maintenance(args: &SwitchArgs, context: &Context) -> Result<()> {
    switch(args, "Enabling", true, context)
}

/// `maintenance:off`
pub(crate) fn disable_maintenance(args: &SwitchArgs, context: &Context) -> Result<()> {
    switch(args, "Disabling", false, context)
}

fn switch(args: &SwitchArgs, verb: &str, maintenance: bool, context: &Context) -> Result<()> {
    let name = args.app.name(context)?;
    let update = AppUpdate {
        maintenance: Some(maintenance),
        ..AppUpdate::default()
    };
    let what = format!("{verb} maintenance mode for {name}");
    context
        .output
        .action(&what, || patch(&name, &update, context), |_| String::new())
        .map(drop)
}

fn get(name: &str, context: &Context) -> Result<App> {
    context.client.get(&format!("/apps/{}", segment(name)))
}

fn patch(name: &str, update: &AppUpdate, context: &Context) -> Result<App> {
    context.client.patch(&format!("/apps/{}", segment(name)), update)
}

/// `http://hello.localhost/ | http://127.0.0.1:5050/hello.git`
fn addresses(app: &App, context: &Context) -> String {
    let web = app.web_url.as_deref().unwrap_or_default();
    format!("{web} | {}", git_remote::push_url(app, context))
}

fn size(bytes: Option<u64>) -> String {
    let bytes = bytes.unwrap_or_default();
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} KB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

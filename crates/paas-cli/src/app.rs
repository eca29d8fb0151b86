//! Apps: list, create, look at, rename, open, pause, destroy.

use std::process::{Command, Stdio};

use clap::Args;
use paas_api::{Account, App, AppUpdate, Dyno, NewApp};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    git_remote::{self, DEFAULT_REMOTE},
    output::Style,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the apps as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// The name of the app; the platform makes one up when there is none
    name: Option<String>,
    /// The git remote to add
    #[arg(short, long, default_value = DEFAULT_REMOTE)]
    remote: String,
    /// Add no git remote
    #[arg(short, long)]
    no_remote: bool,
    /// The stack that the app's dynos start from
    #[arg(short, long)]
    stack: Option<String>,
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
    /// Print the app as JSON
    #[arg(long)]
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

/// `apps`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut apps: Vec<App> = context.client.list("/users/~/apps", "id")?;
    apps.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&apps);
    }
    if apps.is_empty() {
        return context.output.note("You have no apps.");
    }
    let account: Account = context.client.get("/account")?;
    context.output.header(&format!("{} Apps", account.email))?;
    apps.iter().try_for_each(|app| context.output.line(&app.name))
}

/// `create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let wanted = NewApp {
        name: args.name.clone(),
        region: None,
        stack: args.stack.clone().map(Into::into),
    };
    let what = args
        .name
        .as_ref()
        .map_or_else(|| "Creating app".to_owned(), |name| format!("Creating {name}"));
    let name = |app: &App| match &args.name {
        Some(_) => String::new(),
        None => format!(", {}", app.name),
    };
    let app: App = context
        .output
        .action(&what, || context.client.post("/apps", &wanted), name)?;
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

/// `apps:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let name = args.app.name_or(args.name.as_ref(), context)?;
    let app = get(&name, context)?;
    if args.json {
        return context.output.json(&app);
    }
    let dynos: Vec<Dyno> = context.client.list(&format!("/apps/{}/dynos", segment(&name)), "id")?;
    let mut counts = std::collections::BTreeMap::<_, usize>::new();
    for dyno in &dynos {
        *counts.entry(dyno.r#type.as_str()).or_default() += 1;
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
        return context.output.note(&format!("Opening {url}"));
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

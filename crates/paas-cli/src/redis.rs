//! `redis:`: caches of an app, their settings, and the client of their own server.

use clap::Args;
use paas_api::{Addon, DataStore, Said, WaitStatus};
use serde_json::{Value, json};

use crate::{
    addon::{self, find},
    addon_attachment,
    app_context::{AppArgs, Context},
    error::{Error, Result},
    postgres::client,
    terminal,
};

#[derive(Debug, Args)]
pub(crate) struct RedisArgs {
    /// The add-on [default: REDIS]
    #[arg(value_name = "DATABASE")]
    database: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// Print the add-ons as JSON, with their addresses
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CredentialsArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// Another password
    #[arg(long)]
    reset: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MaxmemoryArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// What goes when memory is full, such as allkeys-lru
    #[arg(short, long, value_name = "POLICY")]
    policy: String,
}

#[derive(Debug, Args)]
pub(crate) struct TimeoutArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// After how much idling connections end; 0 is never
    #[arg(short, long, value_name = "SECONDS")]
    seconds: u32,
}

#[derive(Debug, Args)]
pub(crate) struct NotificationsArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// Which events are told, such as AKE; '' is none
    #[arg(short, long, value_name = "LETTERS")]
    config: String,
}

#[derive(Debug, Args)]
pub(crate) struct ConfirmedArgs {
    #[command(flatten)]
    redis: RedisArgs,
    /// The app's name, to do it without asking
    #[arg(short, long, value_name = "NAME")]
    confirm: Option<String>,
}

/// `redis:cli`
pub(crate) fn cli(args: &RedisArgs, context: &Context) -> Result<()> {
    let addon = args.find(context)?;
    client(context, &addon, Vec::new(), terminal::is_one())
}

/// `redis:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let redis = &args.redis;
    let addons = match &redis.database {
        Some(_) => vec![redis.find(context)?],
        None => redis.all(context)?,
    };
    let mut stores = Vec::new();
    for addon in addons {
        let store: DataStore = context.client.get(&path(&addon, ""))?;
        stores.push((addon, store));
    }
    if args.json {
        let stores: Vec<_> = stores.iter().map(|(_, store)| store).collect();
        return context.output.json(&stores);
    }
    for (addon, store) in stores {
        context
            .output
            .header(&format!("{} ({})", addon.name, addon.config_vars.join(", ")))?;
        let facts: Vec<_> = store
            .info
            .iter()
            .map(|fact| (fact.name.as_str(), fact.values.join(", ")))
            .collect();
        context.output.facts(&facts)?;
    }
    Ok(())
}

/// `redis:wait`
pub(crate) fn wait(args: &RedisArgs, context: &Context) -> Result<()> {
    let addon = args.find(context)?;
    addon::follow_to_its_end(context, &addon)?;
    let status: WaitStatus = context.client.get(&path(&addon, "/wait"))?;
    if status.is_waiting {
        return Err(Error::Usage(format!(
            "{0}: {1}. See why with paas addons:info {0}",
            addon.name, status.message
        )));
    }
    Ok(())
}

/// `redis:credentials`
pub(crate) fn credentials(args: &CredentialsArgs, context: &Context) -> Result<()> {
    let addon = args.redis.find(context)?;
    if args.reset {
        let reset = || {
            let path = path(&addon, "/credentials_rotation");
            context.client.post::<Addon>(&path, &serde_json::Map::new())
        };
        let what = format!("Resetting credentials for {}", addon.name);
        return context.output.action(&what, reset, |_| String::new()).map(drop);
    }
    let store: DataStore = context.client.get(&path(&addon, ""))?;
    match store.resource_url {
        Some(url) => context.output.line(url.expose()),
        None => Err(Error::Usage(format!(
            "{0} has no address yet. Wait for it with paas redis:wait {0}",
            addon.name
        ))),
    }
}

/// `redis:maxmemory`
pub(crate) fn maxmemory(args: &MaxmemoryArgs, context: &Context) -> Result<()> {
    let (of, config) = args
        .redis
        .choose(context, &json!({ "maxmemory_policy": args.policy }))?;
    let policy = &config["maxmemory_policy"];
    let value = policy["value"].as_str().unwrap_or_default();
    context
        .output
        .line(format!("Maxmemory policy for {of} set to {value}."))?;
    let meaning = policy["values"][value].as_str().unwrap_or_default();
    context.output.line(format!("{value} {meaning}."))
}

/// `redis:timeout`
pub(crate) fn timeout(args: &TimeoutArgs, context: &Context) -> Result<()> {
    let (of, config) = args.redis.choose(context, &json!({ "timeout": args.seconds }))?;
    let seconds = &config["timeout"]["value"];
    context
        .output
        .line(format!("Timeout for {of} set to {seconds} seconds."))?;
    context.output.line(match seconds.as_u64() {
        Some(0) => "Connections to the Redis instance can idle indefinitely.".to_owned(),
        _ => format!("Connections to the Redis instance will be stopped after idling for {seconds} seconds."),
    })
}

/// `redis:keyspace-notifications`
pub(crate) fn notifications(args: &NotificationsArgs, context: &Context) -> Result<()> {
    let chosen = json!({ "notify_keyspace_events": args.config });
    let (of, config) = args.redis.choose(context, &chosen)?;
    let value = config["notify_keyspace_events"]["value"].as_str().unwrap_or_default();
    context
        .output
        .line(format!("Keyspace notifications for {of} set to '{value}'."))
}

/// `redis:stats-reset`
pub(crate) fn reset_stats(args: &ConfirmedArgs, context: &Context) -> Result<()> {
    let addon = args.redis.find(context)?;
    let consequence = format!(
        "All stats covered by RESETSTAT will be reset on {}. This cannot be undone.",
        addon.name
    );
    context.confirm(&addon.app.name, &consequence, args.confirm.as_ref())?;
    let reset = || {
        let path = path(&addon, "/stats/reset");
        context.client.post::<Said>(&path, &serde_json::Map::new())
    };
    let what = format!("Resetting stats on {}", addon.name);
    context
        .output
        .action_ending(&what, reset, |said| said.message.clone())
        .map(drop)
}

/// `redis:promote`
pub(crate) fn promote(args: &RedisArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    if args.database.is_none() {
        return Err(Error::Usage("Name the add-on that is to become REDIS".to_owned()));
    }
    let addon = args.find(context)?;
    addon_attachment::promote(context, &app, &addon, "REDIS")
}

impl RedisArgs {
    fn find(&self, context: &Context) -> Result<Addon> {
        find(context, &self.app, self.database.as_deref().unwrap_or("REDIS"))
    }

    fn all(&self, context: &Context) -> Result<Vec<Addon>> {
        let mut addons = addon::of_app(&self.app.name(context)?, context)?;
        addons.retain(|addon| addon.addon_service.name == "heroku-redis");
        Ok(addons)
    }

    /// Changes settings; says whose they are, and all there are.
    fn choose(&self, context: &Context, chosen: &Value) -> Result<(String, Value)> {
        let addon = self.find(context)?;
        let config = context.client.patch(&path(&addon, "/config"), chosen)?;
        Ok((format!("{} ({})", addon.name, addon.config_vars.join(", ")), config))
    }
}

fn path(addon: &Addon, rest: &str) -> String {
    format!("/redis/v0/databases/{}{rest}", addon.id)
}

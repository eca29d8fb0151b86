//! Authorizations: tokens for scripts and services.

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use paas_api::{Authorization, AuthorizationUpdate, ClientCredentials, NewAuthorization, Secret};
use uuid::Uuid;

use crate::{
    app_context::Context,
    client::segment,
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Print the authorizations as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// Seconds until the token ends; without it, it does not
    #[arg(short, long, value_name = "SECONDS")]
    expires_in: Option<i64>,
    /// What it may do: global, identity, read, write, read-protected, write-protected; several with commas
    #[arg(short, long, value_name = "SCOPES", value_delimiter = ',')]
    scope: Option<Vec<String>>,
    /// Print nothing but the token
    #[arg(short = 'S', long, conflicts_with = "json")]
    short: bool,
    /// Print the authorization as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// Its ID
    id: String,
    /// Print the authorization as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Its ID
    id: String,
    /// What it is for
    #[arg(short, long, value_name = "TEXT")]
    description: Option<String>,
    /// The OAuth client that acts by it
    #[arg(long, value_name = "ID", requires = "client_secret")]
    client_id: Option<Uuid>,
    /// The secret of that client
    #[arg(long, value_name = "SECRET", requires = "client_id")]
    client_secret: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct OneArgs {
    /// Its ID
    id: String,
}

/// `authorizations`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mut authorizations: Vec<Authorization> = context.client.list("/oauth/authorizations", "id")?;
    authorizations.sort_by_key(|authorization| authorization.description.to_lowercase());
    if args.json {
        return context.output.json(&authorizations);
    }
    if authorizations.is_empty() {
        return context.output.line("No OAuth authorizations.");
    }
    let rows = authorizations.into_iter().map(|authorization| {
        let scope = authorization.scope.join(",");
        [authorization.description, authorization.id.to_string(), scope]
    });
    context.output.table(&Table::new(["Description", "ID", "Scope"], rows))
}

/// `authorizations:create`
pub(crate) fn create(args: &CreateArgs, context: &Context) -> Result<()> {
    let new = NewAuthorization {
        description: args.description.clone(),
        expires_in: args.expires_in,
        scope: args.scope.clone(),
    };
    let made: Authorization = context.output.action(
        "Creating OAuth Authorization",
        || context.client.post("/oauth/authorizations", &new),
        |_| String::new(),
    )?;
    if args.json {
        return context.output.json(&made);
    }
    if args.short {
        let token = made.access_token.as_ref().map_or("", |access| access.token.expose());
        return context.output.line(token);
    }
    show(&made, context)
}

/// `authorizations:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let authorization: Authorization = context.client.get(&path(&args.id))?;
    if args.json {
        return context.output.json(&authorization);
    }
    show(&authorization, context)
}

/// `authorizations:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let client = args.client_id.zip(args.client_secret.as_deref());
    if client.is_none() && args.description.is_none() {
        return Err(Error::Usage(
            "Nothing to change: pass --description or --client-id".to_owned(),
        ));
    }
    let update = AuthorizationUpdate {
        client: client.map(|(id, secret)| ClientCredentials {
            id,
            secret: Secret::new(secret),
        }),
        description: args.description.clone(),
    };
    let updated: Authorization = context.output.action(
        "Updating OAuth Authorization",
        || context.client.patch(&path(&args.id), &update),
        |_| String::new(),
    )?;
    show(&updated, context)
}

/// `authorizations:rotate`
pub(crate) fn rotate(args: &OneArgs, context: &Context) -> Result<()> {
    let path = format!("{}/actions/regenerate-tokens", path(&args.id));
    let rotated: Authorization = context.output.action(
        "Rotating OAuth Authorization",
        || context.client.post(&path, &serde_json::Map::new()),
        |_| String::new(),
    )?;
    show(&rotated, context)
}

/// `authorizations:revoke`
pub(crate) fn revoke(args: &OneArgs, context: &Context) -> Result<()> {
    context
        .output
        .action(
            "Revoking OAuth Authorization",
            || context.client.delete_reading(&path(&args.id)),
            |revoked: &Authorization| format!(", revoked authorization from {}", revoked.description),
        )
        .map(drop)
}

fn path(id: &str) -> String {
    format!("/oauth/authorizations/{}", segment(id))
}

fn show(authorization: &Authorization, context: &Context) -> Result<()> {
    let now = time::now();
    context.output.facts(&facts(authorization, now))
}

fn facts(authorization: &Authorization, now: DateTime<Utc>) -> Vec<(&'static str, String)> {
    let client = authorization.client.as_ref();
    let mut facts = vec![(
        "Client",
        client.map_or_else(|| "<none>".to_owned(), |client| client.name.clone()),
    )];
    facts.extend(client.map(|client| ("Redirect URI", client.redirect_uri.clone())));
    facts.push(("ID", authorization.id.to_string()));
    facts.push(("Description", authorization.description.clone()));
    facts.push(("Scope", authorization.scope.join(",")));
    if let Some(access) = &authorization.access_token {
        facts.push(("Token", access.token.expose().to_owned()));
        let ends = access.expires_in.and_then(TimeDelta::try_seconds);
        facts.extend(ends.map(|ends| ("Expires at", time::due((now + ends).into(), now))));
        facts.push(("Updated at", time::told(authorization.updated_at, now)));
    }
    facts
}

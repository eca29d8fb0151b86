//! Certificates: those that people upload, and a look at those that come by themselves.

use std::{fs, path::PathBuf};

use clap::Args;
use paas_api::{NewSniEndpoint, Secret, SniEndpoint};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    domain,
    error::{Error, Result},
    table::Table,
    time,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the certificates as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The file of the certificate, followed by those of its issuers (PEM)
    #[arg(value_name = "CRT")]
    chain: PathBuf,
    /// The file of the private key (PEM)
    #[arg(value_name = "KEY")]
    key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    app: AppArgs,
    /// A domain to use it for; may be repeated [default: all domains that it covers and that have none of their own]
    #[arg(long, value_name = "HOSTNAME")]
    domain: Vec<String>,
    /// Print the certificate as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    #[command(flatten)]
    files: Files,
    #[command(flatten)]
    app: AppArgs,
    /// Which certificate, when there are several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The app's name once more; Heroku's command asks for it
    #[arg(long, value_name = "APP", hide = true)]
    confirm: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Which certificate, when there are several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Print the certificate as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Which certificate, when there are several
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The app's name once more, instead of the question
    #[arg(short, long, value_name = "APP")]
    confirm: Option<String>,
}

/// `certs`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let mut endpoints = all(&app, context)?;
    endpoints.sort_by(|one, other| one.name.cmp(&other.name));
    if args.json {
        return context.output.json(&endpoints);
    }
    if endpoints.is_empty() {
        return context.output.note(&format!(
            "{app} has no certificates. They come by themselves for its domains; to bring your own, run `paas certs:add CRT KEY`."
        ));
    }
    let rows = endpoints.iter().map(|endpoint| {
        [
            endpoint.name.clone(),
            endpoint.ssl_cert.cert_domains.join(", "),
            time::minute(endpoint.ssl_cert.expires_at),
            kind(endpoint).to_owned(),
            endpoint.domains.len().to_string(),
        ]
    });
    let titles = ["Name", "Common Name(s)", "Expires", "Type", "Domains"];
    context.output.table(&Table::new(titles, rows))
}

/// `certs:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let new = args.files.read()?;
    let path = format!("/apps/{}/sni-endpoints", segment(&app));
    let what = format!("Adding certificate to {app}");
    let told = |endpoint: &SniEndpoint| format!(", {}", endpoint.name);
    let endpoint: SniEndpoint = context
        .output
        .action(&what, || context.client.post(&path, &new), told)?;
    let chosen = if args.domain.is_empty() {
        let domains = domain::all(&app, context)?.into_iter();
        let free = domains.filter(|domain| domain::is_custom(domain) && domain.sni_endpoint.is_none());
        free.map(|domain| domain.hostname)
            .filter(|hostname| covers(&endpoint, hostname))
            .collect()
    } else {
        args.domain.clone()
    };
    for hostname in &chosen {
        context.output.action(
            &format!("Using it for {hostname}"),
            || domain::choose(&app, hostname, Some(&endpoint.name), context),
            |_| String::new(),
        )?;
    }
    if args.json {
        return context.output.json(&endpoint);
    }
    describe(&endpoint, context)?;
    if chosen.is_empty() {
        context.output.note(&format!(
            "\nNo domain of {app} uses it yet. Once there is one, run: paas domains:update HOSTNAME --cert {} -a {app}",
            endpoint.name
        ))?;
    }
    Ok(())
}

/// `certs:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    if let Some(confirmation) = &args.confirm
        && *confirmation != app
    {
        return Err(Error::NotConfirmed(app));
    }
    let new = args.files.read()?;
    let endpoint = uploaded(&app, args.name.as_deref(), context)?;
    let what = format!("Updating certificate {} for {app}", endpoint.name);
    let path = path(&app, &endpoint.name);
    let endpoint = context
        .output
        .action(&what, || context.client.patch(&path, &new), |_| String::new())?;
    describe(&endpoint, context)
}

/// `certs:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let endpoint = match &args.name {
        Some(name) => context.client.get(&path(&app, name))?,
        None => only(all(&app, context)?, &app)?,
    };
    if args.json {
        return context.output.json(&endpoint);
    }
    context.output.header(&endpoint.name)?;
    describe(&endpoint, context)
}

/// `certs:remove`: its key is gone for good, so the app's name is asked for.
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let endpoint = uploaded(&app, args.name.as_deref(), context)?;
    let consequence = format!("this removes the certificate {} with its key from {app}", endpoint.name);
    context.confirm(&app, &consequence, args.confirm.as_ref())?;
    let path = path(&app, &endpoint.name);
    let what = format!("Removing certificate {} from {app}", endpoint.name);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

impl Files {
    fn read(&self) -> Result<NewSniEndpoint> {
        let read = |path: &PathBuf| {
            fs::read_to_string(path).map_err(|source| Error::File {
                path: path.display().to_string(),
                source,
            })
        };
        Ok(NewSniEndpoint {
            certificate_chain: read(&self.chain)?,
            private_key: Secret::new(read(&self.key)?),
        })
    }
}

pub(crate) fn all(app: &str, context: &Context) -> Result<Vec<SniEndpoint>> {
    context
        .client
        .list(&format!("/apps/{}/sni-endpoints?all=true", segment(app)), "id")
}

/// One that can be changed.
fn uploaded(app: &str, name: Option<&str>, context: &Context) -> Result<SniEndpoint> {
    if let Some(name) = name {
        return context.client.get(&path(app, name));
    }
    let mut endpoints = all(app, context)?;
    endpoints.retain(|endpoint| kind(endpoint) == "uploaded");
    only(endpoints, app)
}

fn only(mut endpoints: Vec<SniEndpoint>, app: &str) -> Result<SniEndpoint> {
    let names: Vec<_> = endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect();
    match names.len() {
        0 => Err(Error::NoCertificate { app: app.to_owned() }),
        1 => Ok(endpoints.swap_remove(0)),
        _ => Err(Error::SeveralCertificates(names.join(", "))),
    }
}

fn path(app: &str, name: &str) -> String {
    format!("/apps/{}/sni-endpoints/{}", segment(app), segment(name))
}

fn kind(endpoint: &SniEndpoint) -> &'static str {
    match (endpoint.ssl_cert.acm, endpoint.ssl_cert.ca_signed) {
        (true, true) => "auto",
        (true, false) => "local",
        (false, _) => "uploaded",
    }
}

/// As the platform matches them: `*` stands for one label.
fn covers(endpoint: &SniEndpoint, hostname: &str) -> bool {
    let above = hostname.split_once('.').map(|(_, parent)| format!("*.{parent}"));
    endpoint
        .ssl_cert
        .cert_domains
        .iter()
        .any(|name| name == hostname || Some(name) == above.as_ref())
}

fn describe(endpoint: &SniEndpoint, context: &Context) -> Result<()> {
    let certificate = &endpoint.ssl_cert;
    let trust = match (certificate.acm, certificate.ca_signed) {
        (_, true) => "signed by an authority",
        (true, false) => "signed by this platform: browsers will warn",
        (false, false) => "self signed: browsers will warn",
    };
    context.output.facts(&[
        ("Common Name(s)", certificate.cert_domains.join("\n")),
        ("Expires At", time::minute(certificate.expires_at)),
        ("Issuer", certificate.issuer.clone()),
        ("Starts At", time::minute(certificate.starts_at)),
        ("Subject", certificate.subject.clone()),
        ("Trust", trust.to_owned()),
    ])
}

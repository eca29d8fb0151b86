//! Domains: what an app answers to, and which DNS records lead there.

mod progress;

use std::net::IpAddr;

use clap::Args;
use paas_api::{Domain, DomainUpdate, NewDomain};

pub(crate) use progress::{follow, status};

use crate::{
    app_context::{AppArgs, Context},
    client::segment,
    error::{Error, Result},
    table::Table,
};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    app: AppArgs,
    /// Print the domains as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AddArgs {
    /// The domain, such as www.example.com or *.example.com
    hostname: String,
    #[command(flatten)]
    app: AppArgs,
    /// An uploaded certificate to use for it; without it, one comes by itself
    #[arg(short, long, value_name = "NAME")]
    cert: Option<String>,
    /// Wait until it has its certificate
    #[arg(long)]
    wait: bool,
    /// Print the domain as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// The domain; without it, all that something is missing of
    hostname: Option<String>,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InfoArgs {
    /// The domain
    hostname: String,
    #[command(flatten)]
    app: AppArgs,
    /// Print the domain as JSON
    #[arg(short, long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// The domain
    hostname: String,
    #[command(flatten)]
    app: AppArgs,
    /// The uploaded certificate to use for it
    #[arg(long, value_name = "NAME", required_unless_present = "auto")]
    cert: Option<String>,
    /// Use the certificate that comes by itself
    #[arg(long, conflicts_with = "cert")]
    auto: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The domain
    hostname: String,
    #[command(flatten)]
    app: AppArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ClearArgs {
    #[command(flatten)]
    app: AppArgs,
}

/// `domains`
pub(crate) fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let domains = all(&app, context)?;
    if args.json {
        return context.output.json(&domains);
    }
    context.output.header(&format!("{app} Heroku Domain"))?;
    for domain in domains.iter().filter(|domain| !is_custom(domain)) {
        context.output.line(&domain.hostname)?;
    }
    let custom: Vec<_> = domains.iter().filter(|domain| is_custom(domain)).collect();
    if custom.is_empty() {
        return Ok(());
    }
    // Two blank lines, as Heroku's command leaves.
    context.output.line("\n")?;
    context.output.header(&format!("{app} Custom Domains"))?;
    let rows = custom.iter().map(|domain| {
        let (kind, target) = records(domain).swap_remove(0);
        let certificate = certificate(domain).unwrap_or_default();
        [domain.hostname.clone(), kind.to_owned(), target, certificate]
    });
    let titles = ["Domain Name", "DNS Record Type", "DNS Target", "Certificate"];
    context.output.table(&Table::new(titles, rows))
}

/// `domains:add`
pub(crate) fn add(args: &AddArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let new = NewDomain {
        hostname: args.hostname.clone(),
        sni_endpoint: args.cert.clone().map(Into::into),
    };
    let what = format!("Adding {} to {app}", args.hostname);
    let path = format!("/apps/{}/domains", segment(&app));
    let domain: Domain = context
        .output
        .action(&what, || context.client.post(&path, &new), |_| String::new())?;
    if args.json {
        context.output.json(&domain)?;
    } else {
        tell_records(&domain, context)?;
    }
    if domain.status != "pending" {
        return Ok(());
    }
    if args.wait {
        return follow(&app, vec![domain], context);
    }
    // A shell would look for files with such names.
    let quote = if domain.hostname.starts_with('*') { "'" } else { "" };
    context.output.note(&format!(
        "\nIts certificate comes by itself, as soon as that can be seen from the internet. To watch it come, run:\n\
         paas domains:wait {quote}{}{quote} -a {app}",
        domain.hostname
    ))
}

/// `domains:wait`
pub(crate) fn wait(args: &WaitArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let domains = match &args.hostname {
        Some(hostname) => vec![get(&app, hostname, context)?],
        None => all(&app, context)?
            .into_iter()
            .filter(|domain| domain.status == "pending")
            .collect(),
    };
    if domains.is_empty() {
        return context
            .output
            .note(&format!("Nothing is missing of the domains of {app}."));
    }
    follow(&app, domains, context)
}

/// `domains:info`
pub(crate) fn info(args: &InfoArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let domain = get(&app, &args.hostname, context)?;
    if args.json {
        return context.output.json(&domain);
    }
    let mut facts = vec![("App", domain.app.name.clone()), ("Kind", domain.kind.clone())];
    if is_custom(&domain) {
        let records = records(&domain)
            .into_iter()
            .map(|(kind, target)| format!("{kind} {target}"));
        facts.push(("DNS Record", records.collect::<Vec<_>>().join("\nor ")));
    }
    if let Some(certificate) = certificate(&domain) {
        facts.push(("Certificate", certificate));
    }
    if let Some(reason) = &domain.acm_status_reason {
        facts.push(("Reason", reason.clone()));
    }
    facts.push(("Status", domain.status.clone()));
    context.output.header(&domain.hostname)?;
    context.output.facts(&facts)
}

/// `domains:update`
pub(crate) fn update(args: &UpdateArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let what = match &args.cert {
        Some(cert) => format!("Updating {} to use {cert} certificate", args.hostname),
        None => format!("Updating {} to use the certificate that comes by itself", args.hostname),
    };
    context
        .output
        .action(
            &what,
            || choose(&app, &args.hostname, args.cert.as_deref(), context),
            |_| String::new(),
        )
        .map(drop)
}

/// `domains:remove`
pub(crate) fn remove(args: &RemoveArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let path = path(&app, &args.hostname);
    let what = format!("Removing {} from {app}", args.hostname);
    context
        .output
        .action(&what, || context.client.delete(&path), |()| String::new())
}

/// `domains:clear`
pub(crate) fn clear(args: &ClearArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let work = || {
        let custom = all(&app, context)?.into_iter().filter(is_custom);
        custom
            .map(|domain| context.client.delete(&path(&app, &domain.id.to_string())))
            .collect::<Result<Vec<_>>>()
    };
    let what = format!("Removing all domains from {app}");
    let told = |removed: &Vec<()>| format!(", {} removed", removed.len());
    context.output.action(&what, work, told).map(drop)
}

/// All domains of an app, its own first.
pub(crate) fn all(app: &str, context: &Context) -> Result<Vec<Domain>> {
    context.client.list(&format!("/apps/{}/domains", segment(app)), "id")
}

pub(crate) fn is_custom(domain: &Domain) -> bool {
    domain.kind == "custom"
}

/// Lets a domain be served with this certificate, or with the managed one.
pub(crate) fn choose(app: &str, hostname: &str, certificate: Option<&str>, context: &Context) -> Result<Domain> {
    let update = DomainUpdate {
        sni_endpoint: certificate.map(Into::into),
    };
    context.client.patch(&path(app, hostname), &update)
}

fn get(app: &str, hostname: &str, context: &Context) -> Result<Domain> {
    context.client.get(&path(app, hostname))
}

fn path(app: &str, hostname: &str) -> String {
    format!("/apps/{}/domains/{}", segment(app), segment(hostname))
}

/// The records of which one is to be created, the best first: all addresses, or the alias.
fn records(domain: &Domain) -> Vec<(&'static str, String)> {
    let of_address = |address: &IpAddr| {
        let kind = if address.is_ipv6() { "AAAA" } else { "A" };
        (kind, address.to_string())
    };
    let mut records: Vec<_> = domain.addresses.iter().map(of_address).collect();
    match &domain.cname {
        // An address here means that no alias would do.
        Some(target) if target.parse::<IpAddr>().is_err() => records.push(("CNAME", target.clone())),
        Some(target) if records.is_empty() => records.push(("A", target.clone())),
        _ => {}
    }
    if records.is_empty() {
        records.push(("A", "the public address of the platform".to_owned()));
    }
    records
}

/// `quiet-river-12345`, or how the managed one is doing.
fn certificate(domain: &Domain) -> Option<String> {
    match &domain.sni_endpoint {
        Some(endpoint) => Some(endpoint.name.clone()),
        None if domain.status == "none" => None,
        None => Some(format!("auto: {}", status(domain.acm_status.as_deref()))),
    }
}

fn tell_records(domain: &Domain, context: &Context) -> Result<()> {
    let (aliases, addresses): (Vec<_>, Vec<_>) = records(domain).into_iter().partition(|(kind, _)| *kind == "CNAME");
    let told = |(kind, target): &(&str, String)| format!("  {kind:<5}  {} → {target}", domain.hostname);
    let what = if addresses.len() > 1 {
        "these records"
    } else {
        "this record"
    };
    context
        .output
        .line(format!("Create {what} with the DNS provider of the domain:\n"))?;
    for record in &addresses {
        context.output.line(told(record))?;
    }
    for record in &aliases {
        if !addresses.is_empty() {
            context.output.line("\nor, in its place:\n")?;
        }
        context.output.line(told(record))?;
    }
    Ok(())
}

/// A domain that will not get its certificate by itself.
fn failed(domain: &Domain) -> Error {
    Error::DomainFailed {
        app: domain.app.name.clone(),
        hostname: domain.hostname.clone(),
        reason: domain.acm_status_reason.clone(),
    }
}

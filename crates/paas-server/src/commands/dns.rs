//! `paasd dns`: whether a name points here, in words, for whoever wonders why a certificate does not come.

use std::{
    io::{self, Write},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use paas_core::Hostname;
use uuid::Uuid;

use crate::{
    clock::Clock,
    config::Settings,
    dns::{AddressFinder, AddressSource, DnsPublisher, Metadata, PublicAddresses, Resolver, Verdict, challenge_name},
};

/// How long the servers of a zone may take to agree.
const VISIBLE_LIMIT: Duration = Duration::from_mins(3);

#[derive(Debug, Args)]
pub(super) struct DnsCommand {
    /// A name such as www.example.com, or *.example.com for a wildcard certificate
    name: String,

    /// What CAA records call a CA that may issue the certificate; may be repeated [default: those that are set up]
    #[arg(long, value_name = "DOMAIN")]
    ca: Vec<String>,

    /// Also make a TXT record as for a wildcard certificate, wait until it is seen, and take it away again
    #[arg(long)]
    publish: bool,
}

pub(super) async fn run(settings: Settings, command: DnsCommand) -> Result<()> {
    let (name, is_wildcard) = match command.name.strip_prefix("*.") {
        Some(domain) => (domain, true),
        None => (command.name.as_str(), false),
    };
    let hostname: Hostname = name.parse().with_context(|| format!("{name:?} is no name"))?;
    let issuers = match (&command.ca[..], &settings.acme) {
        ([], None) => Vec::new(),
        ([], Some(acme)) => acme.issuers(),
        (given, _) => given.iter().map(String::as_str).collect(),
    };
    let resolver = Resolver::new(settings.dns_servers.clone());
    let verdict = if is_wildcard {
        resolver.check_wildcard(&hostname, &issuers).await
    } else {
        let has_ipv6 = settings.http.is_ipv6();
        let finder = AddressFinder::new(settings.public_addresses.clone(), Metadata::of_this_machine(), has_ipv6);
        let ours = finder.current().await;
        say(&described(&ours))?;
        resolver.check(&hostname, &ours, &issuers).await
    };
    if command.publish {
        try_publishing(&settings, &hostname).await?;
    }
    let name = &command.name;
    match verdict {
        Verdict::PointsHere if is_wildcard => say(&format!(
            "{name} may get a certificate, with DNS-01: its CAA records allow it"
        )),
        Verdict::PointsHere => say(&format!("{name} points here and may get a certificate")),
        Verdict::Wait(findings) => {
            for finding in findings {
                say(&finding.to_string())?;
            }
            bail!("{name} cannot get a certificate yet\nhint: change what is named above, then run this again")
        }
        Verdict::Unknown(reason) => bail!("{name} could not be checked: {reason}"),
    }
}

/// Goes through what DNS-01 does, with a value that no CA asked for.
async fn try_publishing(settings: &Settings, domain: &Hostname) -> Result<()> {
    let Some(publisher) = DnsPublisher::from_settings(settings, &Clock::system())? else {
        bail!("nothing is set that makes DNS records\nhint: give --dns-hook PROGRAM or --dns-route53");
    };
    let name = challenge_name(domain);
    let values = [format!("paasd-{}", Uuid::new_v4().simple())];
    let published = publisher.publish(&name, &values).await;
    let seen = match published {
        Ok(()) => {
            say(&format!("{name} has the TXT record {}", values[0]))?;
            publisher.wait_visible(&name, &values, VISIBLE_LIMIT).await
        }
        failed => failed,
    };
    // Taken away whatever happened: it may be there although the answer said otherwise.
    let removed = publisher.remove(&name, &values).await;
    seen?;
    say("every server of the zone has it")?;
    removed?;
    say("and it is taken away again")
}

fn described(ours: &PublicAddresses) -> String {
    let addresses: Vec<_> = ours.addresses.iter().map(ToString::to_string).collect();
    let source = match ours.source {
        AddressSource::Settings => "by setting",
        AddressSource::Metadata => "says the cloud's metadata service",
        AddressSource::Machine => "this machine's own",
    };
    format!("This platform's addresses: {} ({source})", addresses.join(", "))
}

fn say(line: &str) -> Result<()> {
    writeln!(io::stdout(), "{line}").context("writing to standard output")
}

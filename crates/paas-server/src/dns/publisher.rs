//! Proofs that a domain is ours, in its DNS (DNS-01, RFC 8555 §8.4): made, seen by all, taken away.

use std::time::Duration;

use paas_core::Hostname;
use tokio::time::{Instant, sleep};

use super::{
    Metadata, Resolver,
    check::absolute,
    hook::{Hook, HookError},
    resolver::{LookError, shown},
    route53::{Route53, Route53Error},
    words,
};
use crate::{
    clock::Clock,
    config::{DnsRecords, Settings},
};

/// Servers of a zone tell each other of changes within seconds, or ask within minutes.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Hook(#[from] HookError),
    #[error(transparent)]
    Route53(#[from] Box<Route53Error>),
    #[error("{0} is no DNS name")]
    Name(String),
    #[error(
        "the TXT record of {name} is at {seen} of {asked} servers of its zone after {} seconds\n\
         hint: look whether the domain's name servers are those where the record is made",
        waited.as_secs()
    )]
    NotVisible {
        name: String,
        seen: usize,
        asked: usize,
        waited: Duration,
    },
    #[error("the TXT record of {name} could not be looked for: {reason}")]
    Look { name: String, reason: String },
}

/// Where a CA looks for the proof of a domain, and of the wildcard below it (RFC 8555 §8.4).
pub(crate) fn challenge_name(domain: &Hostname) -> String {
    format!("_acme-challenge.{domain}")
}

/// Makes TXT records in the DNS of the operator.
pub(crate) struct DnsPublisher {
    method: Method,
    resolver: Resolver,
}

enum Method {
    Hook(Hook),
    Route53(Box<Route53>),
}

impl DnsPublisher {
    /// What the settings say; `None` when they say nothing.
    pub(crate) fn from_settings(settings: &Settings, clock: &Clock) -> Result<Option<Self>, PublishError> {
        let resolver = Resolver::new(settings.dns_servers.clone());
        let publisher = match settings.dns_records.clone() {
            None => return Ok(None),
            Some(DnsRecords::Hook(program)) => Self::with_hook(Hook::new(program), resolver),
            Some(DnsRecords::Route53(settings)) => {
                let metadata = Metadata::of_this_machine();
                let route53 = Route53::new(settings, metadata, clock.clone())
                    .map_err(|error| Box::new(Route53Error::Fetch(error)))?;
                Self::with_route53(route53, resolver)
            }
        };
        Ok(Some(publisher))
    }

    pub(super) fn with_hook(hook: Hook, resolver: Resolver) -> Self {
        Self {
            method: Method::Hook(hook),
            resolver,
        }
    }

    pub(super) fn with_route53(route53: Route53, resolver: Resolver) -> Self {
        Self {
            method: Method::Route53(Box::new(route53)),
            resolver,
        }
    }

    /// Adds TXT values to a name such as `_acme-challenge.example.com`; may be repeated.
    ///
    /// When the name is an alias, the values go where it leads: so a zone can be used that holds nothing else.
    pub(crate) async fn publish(&self, name: &str, values: &[String]) -> Result<(), PublishError> {
        let name = self.target(name).await?;
        match &self.method {
            Method::Hook(hook) => {
                for value in values {
                    hook.present(&name, value).await?;
                }
            }
            Method::Route53(route53) => Box::pin(route53.add(&name, values)).await.map_err(Box::new)?,
        }
        Ok(())
    }

    /// Takes the values away again; may be repeated. All are tried, whatever becomes of the first.
    pub(crate) async fn remove(&self, name: &str, values: &[String]) -> Result<(), PublishError> {
        let name = self.target(name).await?;
        match &self.method {
            Method::Hook(hook) => {
                let mut done = Ok(());
                for value in values {
                    done = done.and(hook.clean_up(&name, value).await);
                }
                Ok(done?)
            }
            Method::Route53(route53) => Ok(Box::pin(route53.remove(&name, values)).await.map_err(Box::new)?),
        }
    }

    /// Waits until every server of the name's zone has the values: a CA may ask any of them.
    pub(crate) async fn wait_visible(
        &self,
        name: &str,
        values: &[String],
        limit: Duration,
    ) -> Result<(), PublishError> {
        let dns_name = absolute(name).ok_or_else(|| PublishError::Name(name.to_owned()))?;
        let start = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let looked = match self.resolver.look() {
                Ok(look) => look.texts_everywhere(&dns_name).await,
                Err(error) => Err(error),
            };
            let is_last = start.elapsed() + pause > limit;
            match looked {
                Ok(servers) => {
                    let has_all = |texts: &&Vec<String>| values.iter().all(|value| texts.contains(value));
                    let (seen, asked) = (servers.iter().filter(has_all).count(), servers.len());
                    if seen == asked {
                        return Ok(());
                    }
                    if is_last {
                        return Err(PublishError::NotVisible {
                            name: name.to_owned(),
                            seen,
                            asked,
                            waited: start.elapsed(),
                        });
                    }
                }
                Err(error) if is_last => return Err(look_error(name, &error)),
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The name that has the records: the alias's target, where there is one.
    async fn target(&self, name: &str) -> Result<String, PublishError> {
        let dns_name = absolute(name).ok_or_else(|| PublishError::Name(name.to_owned()))?;
        let look = self.resolver.look().map_err(|error| look_error(name, &error))?;
        Ok(shown(&look.challenge_target(&dns_name).await))
    }
}

fn look_error(name: &str, error: &LookError) -> PublishError {
    PublishError::Look {
        name: name.to_owned(),
        reason: words(error),
    }
}

//! Watching domains on their way to a certificate.

use std::{thread, time::Duration};

use paas_api::Domain;

use super::{all, failed};
use crate::{app_context::Context, error::Result};

/// How often to look: at first a little more often, because names without DNS are done in no time.
const FIRST_LOOKS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Heroku's `acm_status` in words.
pub(crate) fn status(acm_status: Option<&str>) -> &str {
    match acm_status {
        None => "waiting",
        Some("pending") => "waiting for DNS",
        Some("dns-verified") => "DNS leads here",
        Some("in-progress" | "verified") => "ordered",
        Some("cert issued" | "ok") => "issued",
        Some("failing") => "failing, will be tried again",
        Some(other) => other,
    }
}

/// Tells each change until all have their certificates, or one will not get it.
pub(crate) fn follow(app: &str, domains: Vec<Domain>, context: &Context) -> Result<()> {
    let mut pauses = FIRST_LOOKS.into_iter();
    let mut waiting = domains;
    let mut told: Vec<(String, String)> = Vec::new();
    loop {
        for domain in &waiting {
            let news = news(domain);
            match told.iter_mut().find(|(hostname, _)| *hostname == domain.hostname) {
                Some((_, last)) if *last == news => {}
                Some((_, last)) => {
                    context.output.note(&format!("{}: {news}", domain.hostname))?;
                    *last = news;
                }
                None => {
                    context.output.note(&format!("{}: {news}", domain.hostname))?;
                    told.push((domain.hostname.clone(), news));
                }
            }
        }
        if let Some(domain) = waiting.iter().find(|domain| domain.status == "failed") {
            return Err(failed(domain));
        }
        waiting.retain(|domain| domain.status == "pending");
        if waiting.is_empty() {
            return Ok(());
        }
        thread::sleep(pauses.next().unwrap_or(LOOK_EVERY));
        let seen = all(app, context)?;
        // One that was removed meanwhile is not waited for.
        waiting = seen
            .into_iter()
            .filter(|seen| waiting.iter().any(|domain| domain.id == seen.id))
            .collect();
    }
}

fn news(domain: &Domain) -> String {
    let word = match domain.status.as_str() {
        "succeeded" => return format!("certificate issued, https://{}/ is ready", domain.hostname),
        "none" => match &domain.sni_endpoint {
            Some(endpoint) => return format!("served with the certificate {}", endpoint.name),
            None => return "certificates do not come by themselves for this app".to_owned(),
        },
        _ => status(domain.acm_status.as_deref()),
    };
    match &domain.acm_status_reason {
        Some(reason) => format!("{word}: {reason}"),
        None => word.to_owned(),
    }
}

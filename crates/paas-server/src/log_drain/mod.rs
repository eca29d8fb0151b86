//! Log drains: an app's log, sent on to where its people want it, as Logplex sends it.
//!
//! Each drain is one task with a place in the log, and nothing else of its own: a receiver that is slow, dead or hostile
//! holds up neither the log nor another drain.
//!
//! * A line counts as delivered when an HTTPS receiver has answered 2xx, or when a TCP connection has taken it. The place is
//!   written down after each delivery, so a restart goes on behind it. A server that is killed in between sends its last
//!   batch again: a line may come twice, and is lost only with a TCP connection that breaks (syslog over TCP has no answers).
//! * A drain that is too far behind passes the older lines over, counts them, and says so where they are missing (L10).
//! * Where a drain leads is its app's owner's choice, so each address that its name resolves to is checked before the
//!   connection is made to just that address: not to this machine, its metadata service, or the networks of other apps.

mod backlog;
mod controller;
mod error;
mod http;
mod place;
mod sender;
mod syslog;

pub(crate) use controller::LogDrainsController;
use paas_core::{DrainHost, DrainUrl};

use crate::{config::Settings, outbound::Policy};

/// Why no drain may lead to the host of this URL. What a name stands for is checked whenever it is resolved.
pub(crate) fn closed(settings: &Settings, url: &DrainUrl) -> Option<String> {
    let address = match &url.host {
        DrainHost::Address(address) => *address,
        DrainHost::Name(name) if name.as_str() == "localhost" => std::net::Ipv4Addr::LOCALHOST.into(),
        DrainHost::Name(_) => return None,
    };
    let reason = Policy::of_receivers(settings).closed(address)?;
    Some(format!("{} {reason}", url.host))
}

#[cfg(test)]
mod tests;

//! Connections that the platform makes because its users tell it to: log drains, the sources of builds, webhooks.
//!
//! This server stands where outsiders do not: beside the engine's socket, the metadata service and the dynos. So every
//! such connection is made here, to an address that the [`Policy`] of its purpose has let through, and with TLS that is
//! verified. A name is resolved once for each connection, and what was checked is what is connected to: a second answer
//! of the same name may be another one. Nothing here follows a redirection.

mod connect;
mod exchange;
mod policy;

pub(crate) use connect::{ConnectError, Connector, Host, Socket, Target, addresses};
pub(crate) use exchange::{ExchangeError, ask, ask_whole, exchange};
pub(crate) use policy::Policy;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use percent_encoding::percent_decode_str;

/// `Authorization` of the `user:password` of a URL (RFC 7617). A user without a password has an empty one.
pub(crate) fn basic(user_info: &str) -> HeaderValue {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    let decoded: Vec<u8> = percent_decode_str(user)
        .chain(percent_decode_str(":"))
        .chain(percent_decode_str(password))
        .collect();
    let value = HeaderValue::try_from(format!("Basic {}", BASE64_STANDARD.encode(decoded)));
    let mut value = value.expect("base64 is ASCII");
    value.set_sensitive(true);
    value
}

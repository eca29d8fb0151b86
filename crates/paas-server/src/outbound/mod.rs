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
pub(crate) use exchange::{ExchangeError, exchange};
pub(crate) use policy::Policy;

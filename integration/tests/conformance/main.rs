//! The router before the tools by which the world judges proxies.
//!
//! The tools come from Debian (`integration/setup tests`) and from its Python, into folders below `target/tools`. The router is in
//! this process, with limits small enough that a tool sees them at work.

mod autobahn;
mod edge;
mod load;
mod origin;
mod slow;
mod tls;

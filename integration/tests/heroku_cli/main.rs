//! Heroku's own command-line client, unmodified, drives the platform: one module per group of commands.
//!
//! The client is installed from npm into `target/tools`, once. Each story does much with one platform, and says
//! which commands it covers: `docs/heroku-compatibility.md` is made from that.

mod access;
mod addons;
mod app;
mod backups;
mod clients;
mod code;
mod compatibility;
mod container;
mod deploy;
mod exec;
mod forwarder;
mod identity;
mod local;
mod log;
mod names;
mod oauth;
mod postgres;
mod run;
mod webhooks;

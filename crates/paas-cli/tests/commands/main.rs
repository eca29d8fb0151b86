//! The command as its users see it: the real binary, a platform that answers from a script, and snapshots of exit code,
//! stdout, stderr and the requests that were made.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene has failed")]

mod answers;
mod apps;
mod certificates;
mod code;
mod completion;
mod config_vars;
mod containers;
mod disk;
mod domains;
mod dynos;
mod help;
mod heroku;
mod labs;
mod local;
mod log_drains;
mod login;
mod logs;
mod more;
mod one_off;
mod people;
mod platform;
mod releases;
mod remotes;
mod routing;
mod teams;
mod trouble;

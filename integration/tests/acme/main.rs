//! The ACME client against Pebble, a real authority, with a real router that shows the challenges.
//!
//! `stage.rs` plays the control plane: it looks at the order, does what is asked for, and looks again. Pebble
//! knows no renewal information: `directory.rs` is an authority that knows nothing else.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod account;
mod directory;
mod failure;
mod issue;
mod renewal;
mod resume;
mod stage;

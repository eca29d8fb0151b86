//! Postgres: what is wanted, what was seen, and who changed it.
//!
//! One module per noun, with free functions named for the question. They take a [`PgConnection`], so that the caller owns
//! the transaction: `let mut transaction = store.begin().await?; app::find(&mut transaction, "hello").await?;`. Every
//! change of the wanted state records its event and wakes the reconciler in the same transaction.
//!
//! No other crate knows `sqlx`. Config leaves this crate in the clear only through [`release::config`]; tokens enter it
//! only as hashes. Nothing here reads a clock: whoever asks brings the time.

mod column;
mod embedded;
mod error;
mod id;
mod seal;
mod stamp;
mod store;
mod wakeups;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod migrations;

pub mod account;
pub mod acm;
pub mod acme_account;
pub mod acme_ledger;
pub mod addon;
pub mod addon_alarm;
pub mod addon_attachment;
pub mod addon_backup;
pub mod addon_backup_object;
pub mod addon_credential;
pub mod addon_exposure;
pub mod addon_fork;
pub mod addon_provider;
pub mod addon_resource;
pub mod addon_rollback;
pub mod addon_upgrade;
pub mod addon_volume;
pub mod app;
pub mod app_setup;
pub mod app_transfer;
pub mod authorization;
pub mod build;
pub mod certificate;
pub mod collaborator;
pub mod deploy;
pub mod disk;
pub mod domain;
pub mod dyno;
pub mod event;
pub mod feature;
pub mod formation;
pub mod key;
pub mod log_drain;
pub mod login;
pub mod oauth_client;
pub mod oauth_grant;
pub mod one_off;
pub mod release;
pub mod routing;
pub mod slug;
pub mod team;
pub mod team_member;
pub mod test_run;
pub mod two_factor;
pub mod wanted;
pub mod webhook;
pub mod webhook_delivery;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use embedded::{EmbeddedError, EmbeddedOptions, EmbeddedPostgres};
pub use error::StoreError;
pub use id::new_id;
pub use seal::{PIECE_TAG_BYTES, PIECES_HEADER_BYTES, PieceOpener, PieceSealer, SealError, Sealed, Sealer};
pub use sqlx::PgConnection;
pub use stamp::{Actor, Stamp};
pub use store::{Connection, DatabaseAddress, Store, Transaction};
pub use wakeups::Wakeups;

//! Who changes something, and when.

use chrono::{DateTime, Utc};
use paas_core::Id;

use crate::account::Account;

/// Who makes a change, and when: an argument of every function that changes what is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub by: Id<Account>,
    pub at: DateTime<Utc>,
}

/// An account as others see it: the `user` of a release, the `owner` of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub id: Id<Account>,
    pub email: String,
}

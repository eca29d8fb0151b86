//! A fresh database for each test, on one throw-away server of this machine.

use crate::{DatabaseAddress, Store};

/// A migrated database of one test, with a sealer of its own.
pub struct TestDatabase {
    pub store: Store,
    pub address: DatabaseAddress,
}

/// A fresh, migrated database on the test server, which is started when it does not run.
pub async fn database() -> TestDatabase {
    unimplemented!()
}

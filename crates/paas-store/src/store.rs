//! The way to the database.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    str::FromStr,
};

use sqlx::{
    PgConnection, Postgres,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPool},
};

use crate::{Sealer, StoreError};

/// The database, and the key to its secrets.
#[derive(Clone)]
pub struct Store {
    pub(crate) pool: PgPool,
    pub sealer: Sealer,
}

/// Where a database is: a URL, or the socket of an embedded server. Never shows a password.
#[derive(Clone)]
pub struct DatabaseAddress(pub(crate) PgConnectOptions);

/// A connection of the pool. Derefs to [`PgConnection`].
pub struct Connection(PoolConnection<Postgres>);

/// A transaction: rolled back unless it is committed. Derefs to [`PgConnection`].
pub struct Transaction(sqlx::Transaction<'static, Postgres>);

impl Store {
    /// A store at this address. Connects when first used, so that an API can start before its database.
    pub fn new(_address: &DatabaseAddress, _sealer: Sealer) -> Self {
        unimplemented!("pool")
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        unimplemented!("pool")
    }

    pub async fn connection(&self) -> Result<Connection, StoreError> {
        unimplemented!("pool")
    }

    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        unimplemented!("pool")
    }

    /// Closes every connection, after their queries have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Transaction {
    pub async fn commit(self) -> Result<(), StoreError> {
        unimplemented!("pool")
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.0
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.0
    }
}

impl FromStr for DatabaseAddress {
    type Err = StoreError;

    /// Reads `postgres://user:password@host:port/database`.
    fn from_str(_url: &str) -> Result<Self, Self::Err> {
        unimplemented!("address")
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseAddress")
    }
}

//! The way to the database.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    path::Path,
    str::FromStr,
    time::Duration,
};

use sqlx::{
    PgConnection, Postgres,
    migrate::Migrator,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPool, PgPoolOptions},
};

use crate::{Sealer, StoreError};

/// All migrations, in order.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

const MAXIMUM_CONNECTIONS: u32 = 10;
/// Short, because the API answers 503 while the database is away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);
/// Each idle connection is a process of the server with megabytes of its own.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

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
    pub fn new(address: &DatabaseAddress, sealer: Sealer) -> Self {
        Self::patient(address, sealer, ACQUIRE_TIMEOUT)
    }

    /// One that waits so long for its database.
    pub(crate) fn patient(address: &DatabaseAddress, sealer: Sealer, patience: Duration) -> Self {
        // A waiting lock or a forgotten transaction must not stop everybody else for ever.
        let options = address
            .0
            .clone()
            .application_name("paasd")
            .options([("lock_timeout", "10s"), ("idle_in_transaction_session_timeout", "60s")]);
        let pool = PgPoolOptions::new()
            .max_connections(MAXIMUM_CONNECTIONS)
            .acquire_timeout(patience)
            .idle_timeout(IDLE_TIMEOUT)
            .connect_lazy_with(options);
        Self { pool, sealer }
    }

    /// Brings the schema up to date.
    pub async fn migrate(&self) -> Result<(), StoreError> {
        MIGRATOR.run(&self.pool).await.map_err(StoreError::Migrate)
    }

    pub async fn connection(&self) -> Result<Connection, StoreError> {
        Ok(Connection(self.pool.acquire().await?))
    }

    pub async fn begin(&self) -> Result<Transaction, StoreError> {
        Ok(Transaction(self.pool.begin().await?))
    }

    /// Closes every connection, after their queries have ended.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Transaction {
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.0.commit().await?)
    }
}

impl DatabaseAddress {
    /// A database behind the unix socket in this directory, as the operating-system user that we are.
    pub(crate) fn of_socket(directory: &Path, user: &str, database: &str) -> Self {
        let options = PgConnectOptions::new_without_pgpass();
        Self(options.socket(directory).username(user).database(database))
    }

    /// Another database of the same server.
    #[must_use]
    pub fn with_database(&self, name: &str) -> Self {
        Self(self.0.clone().database(name))
    }

    /// The directory of the socket, for tools such as `pg_dump`; `None` for a server that is reached by TCP.
    pub fn socket_directory(&self) -> Option<&Path> {
        self.0.get_socket().map(std::path::PathBuf::as_path)
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

    /// Reads `postgres://user:password@host:port/database`; `?host=/directory` names a socket.
    fn from_str(url: &str) -> Result<Self, Self::Err> {
        url.parse().map(Self).map_err(StoreError::BadAddress)
    }
}

impl fmt::Debug for DatabaseAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self
            .0
            .get_socket()
            .map_or_else(|| self.0.get_host().into(), |path| path.to_string_lossy());
        let database = self.0.get_database().unwrap_or_default();
        write!(f, "{}@{host}:{}/{database}", self.0.get_username(), self.0.get_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_does_not_show_its_password() {
        let address: DatabaseAddress = "postgres://ann:canary@db.example:5433/paas".parse().unwrap();
        assert_eq!(format!("{address:?}"), "ann@db.example:5433/paas");
    }

    #[tokio::test]
    async fn a_database_that_is_away_is_unavailable() {
        let directory = tempfile::tempdir().unwrap();
        let address = DatabaseAddress::of_socket(directory.path(), "paas", "paas");
        let store = Store::new(&address, Sealer::ephemeral());
        assert!(matches!(store.connection().await, Err(StoreError::Unavailable(_))));
        assert!(matches!(store.begin().await, Err(StoreError::Unavailable(_))));
    }
}

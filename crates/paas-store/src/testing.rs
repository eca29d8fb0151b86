//! A fresh database for each test, on one throw-away server of this machine.
//!
//! The first test that asks starts the server (without `fsync`), later ones and later runs adopt it; test runners that
//! give every test its own process get along with it. It stays in `/tmp/paas-test-postgres-<uid>/` until someone stops it.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use chrono::{DateTime, TimeZone, Utc};
use paas_core::Id;
use rustix::fs::{FlockOperation, flock};
use sqlx::{Connection, PgConnection};
use tokio::{sync::OnceCell, task::spawn_blocking};

use crate::{
    DatabaseAddress, EmbeddedOptions, EmbeddedPostgres, Sealer, Store,
    account::{self, Account, NewAccount},
    store::MIGRATOR,
};

/// The server shares its processors with many tests.
const PATIENCE: Duration = Duration::from_secs(30);

/// A migrated database of one test, with a sealer of its own.
pub struct TestDatabase {
    pub store: Store,
    pub address: DatabaseAddress,
}

/// A fresh, migrated database on the test server, which is started when it does not run.
pub async fn database() -> TestDatabase {
    let (_, template) = server().await;
    let address = create_from(template).await;
    TestDatabase {
        store: Store::patient(&address, Sealer::ephemeral(), PATIENCE),
        address,
    }
}

/// A fresh database without a schema.
#[cfg(test)]
pub(crate) async fn empty_database() -> DatabaseAddress {
    create_from("template0").await
}

async fn server() -> &'static (DatabaseAddress, String) {
    static SERVER: OnceCell<(DatabaseAddress, String)> = OnceCell::const_new();
    SERVER.get_or_init(start).await
}

async fn create_from(template: &str) -> DatabaseAddress {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let (server, _) = server().await;
    let name = format!("test_{}_{}", process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let mut conn = connect(server).await;
    execute(&mut conn, format!("create database {name} template {template}")).await;
    server.with_database(&name)
}

impl TestDatabase {
    /// An account, `ann@example.com`.
    pub async fn account(&self, name: &str) -> Id<Account> {
        let new = NewAccount {
            email: &format!("{name}@example.com"),
            password_hash: "$argon2id$",
        };
        let mut conn = self.store.connection().await.expect("the test database answers");
        account::create(&mut conn, new, noon()).await.expect("a new name").id
    }
}

/// The time at which every test begins.
pub fn noon() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 1, 2, 12, 0, 0)
        .single()
        .expect("noon exists")
}

/// The server, and the name of a database that has every migration.
async fn start() -> (DatabaseAddress, String) {
    let data_dir = PathBuf::from(format!(
        "/tmp/paas-test-postgres-{}",
        rustix::process::geteuid().as_raw()
    ));
    // Test processes start together; one of them makes the server and the template, the others wait.
    let _lock = lock(&data_dir).await;
    let settings = [
        ("fsync", "off"),
        ("full_page_writes", "off"),
        ("synchronous_commit", "off"),
        ("max_connections", "300"),
    ];
    let options = EmbeddedOptions {
        settings: settings
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..EmbeddedOptions::default()
    };
    let server = EmbeddedPostgres::start(&data_dir, options)
        .await
        .expect("the test server starts");
    let address = server.address().clone();
    let mut conn = connect(&address).await;
    drop_orphans(&mut conn).await;
    let template = template_name();
    let existing = sqlx::query_scalar::<_, String>("select datname::text from pg_database where datname = $1");
    if existing
        .bind(&template)
        .fetch_optional(&mut conn)
        .await
        .expect("a list of databases")
        .is_none()
    {
        // Under another name until it is complete: this process may be killed halfway.
        let draft = format!("{template}_draft");
        execute(&mut conn, format!("drop database if exists {draft} with (force)")).await;
        execute(&mut conn, format!("create database {draft}")).await;
        let mut migrating = connect(&address.with_database(&draft)).await;
        MIGRATOR.run(&mut migrating).await.expect("the migrations apply");
        migrating.close().await.expect("a goodbye");
        execute(&mut conn, format!("alter database {draft} rename to {template}")).await;
    }
    (address, template)
}

/// Changes with every migration, so that no test sees the schema of yesterday.
fn template_name() -> String {
    use sha2::{Digest, Sha256};
    let digest = MIGRATOR.iter().fold(Sha256::new(), |digest, migration| {
        digest.chain_update(&migration.checksum)
    });
    format!("template_{}", crate::seal::to_hex(&digest.finalize()[..8]))
}

/// Drops the databases of test processes that have ended.
async fn drop_orphans(conn: &mut PgConnection) {
    let names = sqlx::query_scalar::<_, String>("select datname::text from pg_database where datname like 'test\\_%'");
    for name in names.fetch_all(&mut *conn).await.expect("a list of databases") {
        let pid = name.split('_').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            execute(conn, format!("drop database if exists {name} with (force)")).await;
        }
    }
}

async fn lock(data_dir: &Path) -> File {
    fs::create_dir_all(data_dir).expect("a directory in /tmp");
    let path = data_dir.join("lock");
    let lock = spawn_blocking(move || {
        let file = File::create(path)?;
        flock(&file, FlockOperation::LockExclusive)?;
        std::io::Result::Ok(file)
    });
    lock.await.expect("locking does not panic").expect("a lock in /tmp")
}

async fn connect(address: &DatabaseAddress) -> PgConnection {
    PgConnection::connect_with(&address.0)
        .await
        .expect("the test server answers")
}

async fn execute(conn: &mut PgConnection, statement: String) {
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement)
        .execute(conn)
        .await
        .expect("the test server obeys");
}

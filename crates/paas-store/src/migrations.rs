//! What every migration must keep to.

use std::{collections::BTreeSet, fs, path::PathBuf};

use sqlx::{Connection, PgConnection};

use crate::{
    store::MIGRATOR,
    testing::{database, empty_database},
};

/// A row of each kind, as the migration that made its table knew it; new columns of later migrations must cope with it.
/// Old entries never change, like the migrations themselves.
const ROWS: [(&str, &str); 8] = [
    ("create_accounts", "insert into accounts values ('00000000-0000-0000-0000-00000000000a', 'ann@example.com', 'hash', now(), now())"),
    ("create_apps", "insert into apps (id, name, owner, stack, subnet, created_at, updated_at)
        select gen_random_uuid(), 'hello', id, 'paas-12', 0, now(), now() from accounts"),
    ("create_slugs", "insert into slugs (id, app, image, process_types, size_bytes, created_at)
        select gen_random_uuid(), id, 'image', '{\"web\": \"run\"}', 1, now() from apps"),
    ("create_releases", "insert into releases (id, app, version, slug, config, description, actor, status, created_at, updated_at)
        select gen_random_uuid(), apps.id, 1, slugs.id, '', '', apps.owner, 'succeeded', now(), now() from apps, slugs"),
    ("create_builds", "insert into builds (id, app, actor, status, slug, release, created_at, updated_at)
        select gen_random_uuid(), apps.id, apps.owner, 'succeeded', slugs.id, releases.id, now(), now() from apps, slugs, releases"),
    ("create_formations", "insert into formations (id, app, process_type, quantity, size, created_at, updated_at)
        select gen_random_uuid(), id, 'web', 1, 'Basic', now(), now() from apps"),
    ("create_dynos", "insert into dynos (id, app, release, process_type, index, size, attempt, failures, state, state_since,
            created_at, updated_at)
        select gen_random_uuid(), app, id, 'web', 1, 'Basic', 1, 0, 'starting', now(), now(), now() from releases"),
    ("create_certificates", "with issued as (
            insert into certificates (id, source, hostnames, chain_pem, key, not_before, not_after, created_at, updated_at)
            values (gen_random_uuid(), 'acme', '{www.example.com}', '', '', now(), now(), now(), now()))
        insert into domains (id, app, hostname, created_at, updated_at)
        select gen_random_uuid(), id, 'www.example.com', now(), now() from apps"),
];

#[tokio::test]
async fn every_migration_applies_over_the_rows_of_those_before() {
    let address = empty_database().await;
    let mut conn = PgConnection::connect_with(&address.0).await.unwrap();
    let mut inserted = 0;
    for migration in MIGRATOR.iter() {
        MIGRATOR.run_to(migration.version, &mut conn).await.unwrap();
        let name = migration.description.replace(' ', "_");
        if let Some((_, statement)) = ROWS.iter().find(|(migration, _)| *migration == name) {
            inserted += sqlx::raw_sql(*statement)
                .execute(&mut conn)
                .await
                .unwrap()
                .rows_affected();
        }
    }
    assert_eq!(inserted, ROWS.len() as u64);
    MIGRATOR.run(&mut conn).await.unwrap();
}

#[test]
fn every_migration_is_named_for_what_it_does_and_spares_old_rows() {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let mut versions = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (version, verb) = name.strip_suffix(".sql").and_then(|name| name.split_once('_')).unwrap();
        assert!(
            version.len() == 14 && version.bytes().all(|byte| byte.is_ascii_digit()),
            "{name}: no timestamp"
        );
        assert!(
            versions.insert(version.to_owned()),
            "{name}: a timestamp that comes twice"
        );
        assert!(verb.contains('_'), "{name}: no verb and noun");
        let text = fs::read_to_string(&path).unwrap();
        for statement in text.split(';').filter(|statement| statement.contains("add column")) {
            let is_safe = !statement.contains("not null") || statement.contains("default");
            assert!(is_safe, "{name}: a new column is `not null` without a default");
        }
    }
    assert_eq!(versions.len(), MIGRATOR.iter().count());
}

#[tokio::test]
async fn every_table_says_what_it_is() {
    let database = database().await;
    let mut conn = database.store.connection().await.unwrap();
    let silent = sqlx::query_scalar::<_, String>(
        "select relname::text
        from pg_class
        where relnamespace = 'public'::regnamespace
            and relkind = 'r'
            and relname <> '_sqlx_migrations'
            and obj_description(oid, 'pg_class') is null",
    );
    assert_eq!(silent.fetch_all(&mut *conn).await.unwrap(), [""; 0]);
}

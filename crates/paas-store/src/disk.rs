//! What rows say about files: whose they are, and how large the database is itself.

use std::collections::HashMap;

use paas_core::{App, AppName, Id};
use uuid::Uuid;

use crate::{
    PgConnection, StoreError,
    column::{parse, unsigned},
};

/// Every app whose rows are there, also while it is being destroyed.
pub async fn apps(conn: &mut PgConnection) -> Result<HashMap<Id<App>, AppName>, StoreError> {
    let rows = sqlx::query!("select id, name from apps").fetch_all(conn).await?;
    rows.into_iter()
        .map(|row| Ok((row.id.into(), parse("app", &row.name)?)))
        .collect()
}

/// Whose output has which id: builds, releases and test runs have one each.
pub async fn outputs(conn: &mut PgConnection) -> Result<HashMap<Uuid, Id<App>>, StoreError> {
    let rows = sqlx::query!(
        r#"select id as "id!", app as "app!" from builds
        union all
        select id, app from releases
        union all
        select id, app from test_runs"#,
    );
    let rows = rows.fetch_all(conn).await?.into_iter();
    Ok(rows.map(|row| (row.id, row.app.into())).collect())
}

/// What the database takes of its disk, without its journal.
pub async fn database_bytes(conn: &mut PgConnection) -> Result<u64, StoreError> {
    let bytes = sqlx::query_scalar!(r#"select pg_database_size(current_database()) as "bytes!""#);
    unsigned("database", bytes.fetch_one(conn).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fixture::World, new_id, test_run, testing::noon};

    #[tokio::test]
    async fn files_are_told_whose_they_are() {
        let world = World::new().await;
        let app = world.app("hello").await;
        let release = world.deploy(app, &["web"]).await;
        let mut conn = world.conn().await;
        assert_eq!(apps(&mut conn).await.unwrap()[&app].as_str(), "hello");
        assert_eq!(outputs(&mut conn).await.unwrap()[release.release.id.as_uuid()], app);
        let commit = test_run::Commit {
            branch: "main".to_owned(),
            sha: "0123abc".to_owned(),
            message: String::new(),
        };
        let run = test_run::create(&mut conn, new_id(noon()), app, &commit, world.stamp());
        let run = run.await.unwrap();
        assert_eq!(outputs(&mut conn).await.unwrap()[run.id.as_uuid()], app);
        assert!(database_bytes(&mut conn).await.unwrap() > 100_000);
    }
}

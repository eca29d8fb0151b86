//! Features of apps, where somebody switched them.

use paas_core::{App, Feature, Features, Id};
use serde_json::json;
use sqlx::Connection;

use crate::{
    PgConnection, Stamp, StoreError, app,
    event::{self, Change},
};

/// The features of an app.
pub async fn get(conn: &mut PgConnection, app: Id<App>) -> Result<Features, StoreError> {
    let rows = sqlx::query!(
        "select feature, enabled from app_features where app = $1",
        app.as_uuid()
    );
    let mut features = Features::default();
    for row in rows.fetch_all(conn).await? {
        // One of another version means nothing to this one.
        if let Some(feature) = Feature::parse(&row.feature) {
            features.switch(feature, row.enabled);
        }
    }
    Ok(features)
}

/// The living apps that a feature was switched on for.
pub async fn apps_with(conn: &mut PgConnection, feature: Feature) -> Result<Vec<Id<App>>, StoreError> {
    let apps = sqlx::query_scalar!(
        "select app_features.app
        from app_features
        join apps on apps.id = app_features.app
        where app_features.feature = $1
            and app_features.enabled
            and apps.destroyed_at is null
        order by app_features.app",
        feature.as_str(),
    );
    let apps = apps.fetch_all(conn).await?;
    Ok(apps.into_iter().map(Id::from_uuid).collect())
}

/// Switches a feature. Fails with [`StoreError::AppGone`].
pub async fn set(
    conn: &mut PgConnection,
    app: Id<App>,
    feature: Feature,
    on: bool,
    stamp: Stamp,
) -> Result<(), StoreError> {
    let mut transaction = conn.begin().await?;
    if !app::lock(&mut transaction, app).await? {
        return Err(StoreError::AppGone);
    }
    sqlx::query!(
        "insert into app_features (app, feature, enabled, updated_at)
        values ($1, $2, $3, $4)
        on conflict (app, feature) do update set
            enabled = excluded.enabled,
            updated_at = excluded.updated_at",
        app.as_uuid(),
        feature.as_str(),
        on,
        stamp.at,
    )
    .execute(&mut *transaction)
    .await?;
    let change = Change {
        action: "update",
        resource: "app-feature",
        id: app.as_uuid(),
    };
    let payload = json!({ "name": feature.as_str(), "enabled": on });
    event::record(&mut transaction, change.by(app, stamp, payload)).await?;
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::World;

    #[tokio::test]
    async fn a_switch_is_kept_and_told() {
        let world = World::new().await;
        let (app, other) = (world.app("hello").await, world.app("other").await);
        let mut conn = world.conn().await;
        assert_eq!(get(&mut conn, app).await.unwrap(), Features::default());
        let metrics = Feature::LogRuntimeMetrics;
        set(&mut conn, app, metrics, true, world.stamp()).await.unwrap();
        set(&mut conn, app, Feature::RuntimeHerokuExec, false, world.stamp())
            .await
            .unwrap();
        let features = get(&mut conn, app).await.unwrap();
        assert!(features.is_on(metrics) && !features.is_on(Feature::RuntimeHerokuExec));
        assert_eq!(get(&mut conn, other).await.unwrap(), Features::default());
        assert_eq!(apps_with(&mut conn, metrics).await.unwrap(), [app]);
        let told = event::list(&mut conn, app, 1).await.unwrap().remove(0);
        assert_eq!((told.resource.as_str(), told.actor), ("app-feature", Some(world.ann)));
        assert_eq!(told.payload, json!({ "name": "runtime-heroku-exec", "enabled": false }));

        set(&mut conn, app, metrics, false, world.stamp()).await.unwrap();
        assert_eq!(apps_with(&mut conn, metrics).await.unwrap(), []);
        app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
        let gone = set(&mut conn, app, metrics, true, world.stamp()).await;
        assert!(matches!(gone, Err(StoreError::AppGone)));
    }
}

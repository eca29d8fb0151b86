//! The end of an app.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use paas_store::app;

use super::server::server;

#[tokio::test]
async fn destroying_an_app_is_answered_when_nothing_of_it_is_left() {
    let server = server().await;
    let row = server.app("hello").await;
    let platform = Arc::clone(&server.platform);
    // What the controller does: it looks when it is woken, and says so after each pass.
    let controller = async move {
        loop {
            platform.wake.notified().await;
            let mut connection = platform.store.connection().await.unwrap();
            let destroyed = app::destroyed(&mut connection).await.unwrap();
            for row in &destroyed {
                app::delete(&mut connection, row.app.id).await.unwrap();
            }
            platform.passes.send_modify(|passes| *passes += 1);
            if !destroyed.is_empty() {
                return;
            }
        }
    };
    let limit = Duration::from_secs(20);
    let both = async { tokio::join!(server.delete("/apps/hello"), controller) };
    let (answer, ()) = tokio::time::timeout(limit, both).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["name"], "hello");
    let mut connection = server.platform.store.connection().await.unwrap();
    assert_eq!(app::by_id(&mut connection, row.app.id).await.unwrap(), None);
    drop(connection);
    assert_eq!(server.get("/apps/hello").await.status, StatusCode::NOT_FOUND);
}

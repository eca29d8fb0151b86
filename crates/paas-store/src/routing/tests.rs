use super::*;
use crate::{
    event,
    fixture::{World, domain},
    wanted,
};

fn strict() -> Routing {
    Routing {
        https_redirect: true,
        hsts: Some(Duration::from_hours(8760)),
        session_affinity: true,
        response_timeout: Some(Duration::from_mins(2)),
        idle_timeout: Some(Duration::from_mins(10)),
        boot_timeout: Some(Duration::from_millis(100)),
        sleep_after: Some(Duration::from_mins(30)),
        ..Routing::default()
    }
}

#[tokio::test]
async fn what_is_set_is_what_is_wanted_and_an_event() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    assert_eq!(get(&mut conn, app).await.unwrap(), Routing::default());
    for routing in [strict(), Routing::default()] {
        set(&mut conn, app, &routing, world.stamp()).await.unwrap();
        let mut stored = routing;
        // No request could be answered in less than the second that a column holds.
        stored.boot_timeout = stored.boot_timeout.map(|_| Duration::from_secs(1));
        assert_eq!(get(&mut conn, app).await.unwrap(), stored);
        let wanted = wanted::all(&mut conn, &domain()).await.unwrap().remove(0);
        assert_eq!(wanted.routing, stored);
    }
    let events = event::list(&mut conn, app, 2).await.unwrap();
    assert_eq!(
        (events[1].resource.as_str(), events[1].actor),
        ("routing", Some(world.ann))
    );
    assert_eq!(events[1].payload["hsts"], 31_536_000);
    assert_eq!(events[0].payload["sleep_after"], serde_json::Value::Null);
}

#[tokio::test]
async fn an_app_that_is_gone_gets_no_rules() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let mut conn = world.conn().await;
    app::begin_destroy(&mut conn, app, world.stamp()).await.unwrap();
    let refused = set(&mut conn, app, &strict(), world.stamp()).await;
    assert!(matches!(refused, Err(StoreError::AppGone)));
}

#[tokio::test]
async fn the_pages_are_those_of_the_release_that_is_wanted() {
    let world = World::new().await;
    let app = world.app("hello").await;
    let set = async |key, value| world.set(app, &[(key, Some(value))]).await;
    set("ERROR_PAGE_URL", "https://example.com/error").await;
    world.deploy(app, &["web"]).await;
    let pages = async || {
        let mut conn = world.conn().await;
        let routing = wanted::all(&mut conn, &domain()).await.unwrap().remove(0).routing;
        (routing.error_page, routing.maintenance_page)
    };
    let error = || Some("https://example.com/error".to_owned());
    assert_eq!(pages().await, (error(), None));
    set("MAINTENANCE_PAGE_URL", "javascript:alert(1)").await;
    assert_eq!(pages().await, (error(), None), "no page that a browser would run");
    set("MAINTENANCE_PAGE_URL", "https://example.com/soon").await;
    assert_eq!(pages().await, (error(), Some("https://example.com/soon".to_owned())));
    world.set(app, &[("ERROR_PAGE_URL", None)]).await;
    assert_eq!(pages().await.0, None);
}

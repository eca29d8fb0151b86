//! Ranges, tags, ids, limits: what is true of every answer.

use futures_util::poll;
use http::{HeaderValue, Method, StatusCode, header};
use serde_json::json;

use super::server::server;

#[tokio::test]
async fn releases_come_newest_first_in_the_pages_that_were_asked_for() {
    let server = server().await;
    server.app("hello").await;
    for value in ["1", "2", "3"] {
        server.tick();
        server
            .patch("/apps/hello/config-vars", json!({ "KEY": value }))
            .await
            .ok();
    }
    let path = "/apps/hello/releases";
    let first = server.get_range(path, "version ..; max=2, order=desc").await;
    assert_eq!(first.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(first.column("version"), [json!(5), json!(4)]);
    assert_eq!(first.header("content-range"), Some("version 5..4"));
    assert_eq!(first.header("accept-ranges"), Some("id, version"));

    let mut next = first.header("next-range").map(str::to_owned);
    let mut versions = Vec::new();
    while let Some(range) = next {
        let page = server.get_range(path, &range).await;
        versions.extend(page.column("version"));
        next = page.header("next-range").map(str::to_owned);
        assert_eq!(page.status == StatusCode::PARTIAL_CONTENT, next.is_some());
    }
    assert_eq!(versions, [json!(3), json!(2), json!(1)]);

    for (range, expected) in [
        ("", vec![1, 2, 3, 4, 5]),
        ("id ..; max=1000;", vec![1, 2, 3, 4, 5]),
        ("id ..; ;", vec![1, 2, 3, 4, 5]),
        ("version ..; order=desc,max=1", vec![5]),
        ("version 2..3", vec![2, 3]),
        ("version ]2..3", vec![3]),
        ("version v4..", vec![4, 5]),
    ] {
        let page = server.get_range(path, range).await;
        assert_eq!(page.column("version"), expected, "{range:?}");
    }
    let bad = server.get_range(path, "version x..").await;
    assert_eq!(bad.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(bad.json()["id"], "requested_range_not_satisfiable");
}

#[tokio::test]
async fn ids_page_through_releases_as_well() {
    let server = server().await;
    server.app("hello").await;
    server.tick();
    server
        .patch("/apps/hello/config-vars", json!({ "KEY": "1" }))
        .await
        .ok();
    let path = "/apps/hello/releases";
    let first = server.get_range(path, "id ..; max=2").await;
    assert_eq!(first.column("version"), [json!(1), json!(2)]);
    let rest = server.get_range(path, first.header("next-range").unwrap()).await;
    assert_eq!(rest.column("version"), [json!(3)]);
    let foreign = server
        .get_range(path, "id 019b7c00-0000-7000-8000-000000000000..")
        .await;
    assert_eq!(foreign.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn apps_page_by_name() {
    let server = server().await;
    for name in ["ccc", "aaa", "bbb"] {
        server.tick();
        server.app(name).await;
    }
    let first = server.get_range("/apps", "name ..; max=2").await;
    assert_eq!(first.column("name"), ["aaa", "bbb"]);
    assert_eq!(first.header("next-range"), Some("name ]bbb..; max=2"));
    let rest = server.get_range("/apps", "name ]bbb..; max=2").await;
    assert_eq!(rest.column("name"), ["ccc"]);
    assert_eq!(rest.status, StatusCode::OK);
}

#[tokio::test]
async fn a_client_that_has_the_answer_already_is_told_so() {
    let server = server().await;
    server.app("hello").await;
    let first = server.get("/apps/hello").await;
    let tag = first.header("etag").unwrap().to_owned();
    let mut request = server.request(Method::GET, "/apps/hello");
    request
        .headers_mut()
        .insert(header::IF_NONE_MATCH, tag.parse().unwrap());
    let second = server.send(request).await;
    assert_eq!(second.status, StatusCode::NOT_MODIFIED);
    assert_eq!(second.text, "");
    assert_eq!(second.header("etag"), Some(tag.as_str()));

    server.patch("/apps/hello", json!({ "maintenance": true })).await.ok();
    let mut request = server.request(Method::GET, "/apps/hello");
    request
        .headers_mut()
        .insert(header::IF_NONE_MATCH, tag.parse().unwrap());
    let third = server.send(request).await;
    assert_eq!(third.status, StatusCode::OK);
    assert_ne!(third.header("etag"), Some(tag.as_str()));
}

#[tokio::test]
async fn a_change_of_what_has_changed_meanwhile_is_refused() {
    let server = server().await;
    server.app("hello").await;
    let tag = server.get("/apps/hello").await.header("etag").unwrap().to_owned();
    server.tick();
    let update = async |path: &str, if_match: &str, body: serde_json::Value| {
        let mut request = server.request(Method::PATCH, path);
        request
            .headers_mut()
            .insert(header::IF_MATCH, if_match.parse().unwrap());
        server.send(request.map(|_| body.to_string().into())).await
    };
    let first = update("/apps/hello", &tag, json!({ "maintenance": true })).await;
    assert_eq!(first.ok()["maintenance"], true);
    let second = update("/apps/hello", &tag, json!({ "maintenance": false })).await;
    assert_eq!(second.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(second.json()["id"], "precondition_failed");
    assert_eq!(server.get("/apps/hello").await.ok()["maintenance"], true);
    update("/apps/hello", "*", json!({ "maintenance": false })).await.ok();
    let nobody = update("/apps/nobody", "*", json!({ "maintenance": false })).await;
    assert_eq!(nobody.status, StatusCode::PRECONDITION_FAILED);

    let mut question = server.request(Method::GET, "/apps/hello");
    question.headers_mut().insert(header::IF_MATCH, tag.parse().unwrap());
    assert_eq!(server.send(question).await.status, StatusCode::PRECONDITION_FAILED);
}

#[tokio::test]
async fn the_head_of_an_answer_can_be_had_alone() {
    let server = server().await;
    server.app("hello").await;
    let whole = server.get("/apps/hello").await;
    let head = server.send(server.request(Method::HEAD, "/apps/hello")).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    for name in ["etag", "content-type"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    assert_eq!(
        head.header("content-length"),
        Some(whole.text.len().to_string().as_str())
    );
    let nobody = server.send(server.request(Method::HEAD, "/apps/nobody")).await;
    assert_eq!(nobody.status, StatusCode::NOT_FOUND);
}

/// `send` looks at the shape of each.
#[tokio::test]
async fn what_the_framework_refuses_is_refused_in_our_words() {
    let server = server().await;
    server.app("hello").await;
    for (method, path, status) in [
        (Method::GET, "/regions/%ff", StatusCode::BAD_REQUEST),
        (Method::GET, "/account/keys/%ff", StatusCode::BAD_REQUEST),
        (Method::PUT, "/apps/hello", StatusCode::NOT_FOUND),
        (Method::GET, "/apps/", StatusCode::NOT_FOUND),
        (Method::from_bytes(b"BREW").unwrap(), "/apps", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(server.send(server.request(method, path)).await.status, status, "{path}");
    }
    for (body, status) in [
        ("{".to_owned(), StatusCode::BAD_REQUEST),
        ("[]".to_owned(), StatusCode::BAD_REQUEST),
        ("name=hello".to_owned(), StatusCode::BAD_REQUEST),
        ("[".repeat(10_000), StatusCode::BAD_REQUEST),
        (
            format!("{{\"name\":\"{}\"}}", "x".repeat(2 << 20)),
            StatusCode::PAYLOAD_TOO_LARGE,
        ),
    ] {
        let mut request = server.request(Method::PATCH, "/apps/hello");
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(header::CONTENT_TYPE, form);
        assert_eq!(server.send(request.map(|_| body.into())).await.status, status);
    }
}

#[tokio::test]
async fn a_browser_may_ask_from_anywhere() {
    let server = server().await;
    let answer = server.send(server.request(Method::OPTIONS, "/apps/hello")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    let methods = answer.header("access-control-allow-methods").unwrap();
    assert!(methods.contains("PATCH"), "{methods}");
}

#[tokio::test]
async fn the_same_question_gets_the_same_tag() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web"), ("release", "./migrate")]).await;
    for path in ["/apps/hello/builds", "/apps/hello/releases", "/apps/hello/config-vars"] {
        let (one, two) = (server.get(path).await, server.get(path).await);
        assert_eq!(one.header("etag"), two.header("etag"), "{path}");
    }
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let server = server().await;
    let mut request = server.request(Method::GET, "/account");
    request
        .headers_mut()
        .insert("request-id", HeaderValue::from_static("abc-123"));
    assert_eq!(server.send(request).await.header("request-id"), Some("abc-123"));
    let given = server.get("/nowhere").await;
    assert_eq!(given.header("request-id").map(str::len), Some(36));
    assert_eq!(given.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn every_request_but_the_question_itself_counts() {
    let server = server().await;
    assert_eq!(server.get("/account").await.header("ratelimit-remaining"), Some("4499"));
    assert_eq!(server.get("/apps").await.header("ratelimit-remaining"), Some("4498"));
    for _ in 0..3 {
        let answer = server.get("/account/rate-limits").await;
        assert_eq!(answer.ok(), json!({ "remaining": 4498 }));
        assert_eq!(answer.header("ratelimit-remaining"), Some("4498"));
    }
}

#[tokio::test]
async fn whatever_is_accepted_is_answered_in_json() {
    let server = server().await;
    for accept in [
        "application/vnd.heroku+json; version=3",
        "application/vnd.heroku+json; version=3.sdk",
        "application/vnd.heroku+json; version=3.cedar-acm",
        "text/html",
        "*/*",
    ] {
        let mut request = server.request(Method::GET, "/account");
        request
            .headers_mut()
            .insert(header::ACCEPT, HeaderValue::from_static(accept));
        server.send(request).await.ok();
    }
}

#[tokio::test]
async fn a_post_can_be_a_delete_in_disguise() {
    let server = server().await;
    server.app("hello").await;
    let mut request = server.request(Method::POST, "/apps/hello/dynos");
    request
        .headers_mut()
        .insert("x-http-method-override", HeaderValue::from_static("DELETE"));
    assert_eq!(server.send(request).await.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn queries_with_bare_brackets_are_answered() {
    let server = server().await;
    server.app("hello").await;
    server.get("/apps/hello/dynos?extended=true").await.ok();
    server.get("/apps/hello/builds?eq%5Bstatus%5D=pending").await.ok();
}

#[tokio::test]
async fn segments_may_be_percent_encoded() {
    let server = server().await;
    server.app("hello").await;
    assert_eq!(server.get("/apps/h%65llo").await.ok()["name"], "hello");
    assert_eq!(
        server.get("/apps/hello/domains/hello%2Eexample.test").await.ok()["kind"],
        "heroku"
    );
    assert_eq!(server.get("/apps/%ff").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_change_is_made_to_its_end_when_its_client_goes_away() {
    let server = server().await;
    let app = server.app("hello").await;
    let mut change = Box::pin(server.patch("/apps/hello/config-vars", json!({ "KEY": "value" })));
    assert!(poll!(&mut change).is_pending());
    drop(change);
    server.platform.tracker.close();
    server.platform.tracker.wait().await;
    assert_eq!(
        server.get("/apps/hello/config-vars").await.ok(),
        json!({ "KEY": "value" })
    );
    assert!(server.log(&app).await.contains("Release v3 created"));
}

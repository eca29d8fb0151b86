//! Bad input gets Heroku's status and id, and a message that says what to do.

use axum::body::Body;
use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, StatusCode, header};
use paas_store::app;
use serde_json::{Value, json};

use super::server::{Answer, EMAIL, PASSWORD, Server, server};

fn assert_refused(answer: &Answer, status: u16, id: &str, message: &str) {
    let body = answer.json();
    assert_eq!(answer.status.as_u16(), status, "{body}");
    assert_eq!(body["id"], id, "{body}");
    let text = body["message"].as_str().unwrap();
    assert!(text.contains(message), "{text:?} does not say {message:?}");
}

fn basic(user: &str, password: &str) -> HeaderValue {
    let text = BASE64_STANDARD.encode(format!("{user}:{password}"));
    HeaderValue::from_str(&format!("Basic {text}")).unwrap()
}

async fn with_authorization(server: &Server, method: Method, path: &str, value: HeaderValue) -> Answer {
    let mut request = server.request(method, path);
    request.headers_mut().insert(header::AUTHORIZATION, value);
    server.send(request).await
}

#[tokio::test]
async fn an_unknown_app_is_not_found() {
    let server = server().await;
    let answer = server.get("/apps/nothing-here").await;
    assert_refused(&answer, 404, "not_found", "Couldn't find that app.");
    assert_eq!(answer.json()["resource"], "app");
    for (method, path) in [
        (Method::GET, "/apps/nothing-here/dynos"),
        (Method::PATCH, "/apps/nothing-here/config-vars"),
        (Method::DELETE, "/apps/nothing-here"),
        (Method::GET, "/apps/019b7c00-0000-7000-8000-000000000000"),
        (Method::GET, "/apps/%2e%2e%2fetc"),
    ] {
        let answer = server.send(server.request(method, path)).await;
        assert_refused(&answer, 404, "not_found", "Couldn't find that app.");
    }
}

#[tokio::test]
async fn an_invalid_app_name_is_refused_with_the_rule_it_breaks() {
    let server = server().await;
    for (name, rule) in [
        ("ab", "too short"),
        ("a-name-that-is-longer-than-thirty-characters", "too long"),
        ("Hello", "lowercase"),
        ("1hello", "start with a letter"),
        ("hello_world", "lowercase letters, numbers, and dashes"),
        ("git", "reserved"),
        ("../../etc", "can only contain"),
    ] {
        let answer = server.post("/apps", json!({ "name": name })).await;
        assert_refused(&answer, 422, "invalid_params", rule);
    }
    assert_eq!(server.get("/apps").await.ok(), json!([]));
}

#[tokio::test]
async fn a_name_that_is_taken_is_refused_and_free_again_after_a_rename() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    let answer = server.post("/apps", json!({ "name": "hello" })).await;
    assert_refused(&answer, 422, "invalid_params", "Name hello is already taken");
    let answer = server.patch("/apps/other", json!({ "name": "hello" })).await;
    assert_refused(&answer, 422, "invalid_params", "Name hello is already taken");
    server.patch("/apps/hello", json!({ "name": "renamed" })).await.ok();
    server.patch("/apps/other", json!({ "name": "hello" })).await.ok();
}

#[tokio::test]
async fn a_bad_token_is_unauthorized_everywhere() {
    let server = server().await;
    server.app("hello").await;
    for value in [
        HeaderValue::from_static("Bearer wrong"),
        HeaderValue::from_static("Bearer"),
        HeaderValue::from_static("Digest abc"),
        HeaderValue::from_static("Basic !!!"),
        basic("", "wrong"),
        basic("ada@example.com", PASSWORD),
    ] {
        for path in ["/account", "/apps", "/apps/hello", "/account/rate-limits", "/regions"] {
            let answer = with_authorization(&server, Method::GET, path, value.clone()).await;
            assert_refused(&answer, 401, "unauthorized", "Invalid credentials");
        }
    }
    let mut request = server.request(Method::GET, "/account");
    request.headers_mut().remove(header::AUTHORIZATION);
    let answer = server.send(request).await;
    assert_refused(&answer, 401, "unauthorized", "Invalid credentials");
    assert!(answer.header("www-authenticate").is_some());
}

#[tokio::test]
async fn a_token_is_good_as_bearer_and_as_any_basic_password() {
    let server = server().await;
    let (empty, named) = (basic("", &server.token), basic("anything", &server.token));
    for value in [empty, named] {
        let answer = with_authorization(&server, Method::GET, "/account", value).await;
        assert_eq!(answer.ok()["email"], EMAIL);
    }
}

#[tokio::test]
async fn an_app_of_somebody_else_is_forbidden_and_not_listed() {
    let server = server().await;
    server.app("hello").await;
    let token = server.stranger("eve@example.com").await;
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    for (method, path) in [
        (Method::GET, "/apps/hello"),
        (Method::GET, "/apps/hello/config-vars"),
        (Method::DELETE, "/apps/hello"),
        (Method::POST, "/apps/hello/log-sessions"),
    ] {
        let answer = with_authorization(&server, method, path, bearer.clone()).await;
        assert_refused(&answer, 403, "forbidden", "You do not have access to the app hello.");
    }
    let answer = with_authorization(&server, Method::GET, "/apps", bearer.clone()).await;
    assert_eq!(answer.ok(), json!([]));
    let path = format!("/users/{EMAIL}/apps");
    let answer = with_authorization(&server, Method::GET, &path, bearer).await;
    assert_refused(&answer, 404, "not_found", "user");
}

#[tokio::test]
async fn scaling_an_unknown_type_says_which_types_there_are() {
    let server = server().await;
    let app = server.app("hello").await;
    let scale =
        |name: &str| json!({ "updates": [{ "type": "web", "quantity": "3" }, { "type": name, "quantity": "1" }] });
    let answer = server.patch("/apps/hello/formation", scale("worker")).await;
    assert_refused(&answer, 404, "not_found", "Couldn't find that process type");
    server.deploy(&app, &[("web", "./web"), ("worker", "./work")]).await;
    let answer = server.patch("/apps/hello/formation", scale("clock")).await;
    assert_refused(
        &answer,
        404,
        "not_found",
        "Couldn't find that process type (clock). The deployed release has: web, worker.",
    );
    // All changes or none: web was not scaled either.
    assert_eq!(server.get("/apps/hello/formation/web").await.ok()["quantity"], 1);
    for path in ["/apps/hello/formation/clock", "/apps/hello/dynos/clock.1"] {
        assert_eq!(server.get(path).await.status, StatusCode::NOT_FOUND);
    }
    let answer = server.delete("/apps/hello/formations/clock").await;
    assert_refused(&answer, 404, "not_found", "process type (clock)");
}

#[tokio::test]
async fn odd_quantities_and_sizes_are_refused_in_words() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    for (update, message) in [
        (json!({ "type": "web", "quantity": "many" }), "such as 2, +1 or -1"),
        (json!({ "type": "web", "quantity": 1.5 }), "such as 2, +1 or -1"),
        (json!({ "type": "web", "quantity": "101" }), "cannot be more than 100"),
        (json!({ "type": "web", "size": "Huge" }), "must be one of Eco, Basic"),
        (json!({ "quantity": "1" }), "must name a process type"),
        (json!({ "type": "web", "quantity": [] }), "a quantity such as 2"),
    ] {
        let answer = server
            .patch("/apps/hello/formation", json!({ "updates": [update] }))
            .await;
        assert_refused(&answer, 422, "invalid_params", message);
    }
    let answer = server.patch("/apps/hello/formation", json!({})).await;
    assert_refused(&answer, 422, "invalid_params", "missing field `updates`");
}

#[tokio::test]
async fn config_keys_that_no_environment_can_hold_are_refused_and_nothing_is_lost() {
    let server = server().await;
    server.app("hello").await;
    server
        .patch("/apps/hello/config-vars", json!({ "KEEP": "me" }))
        .await
        .ok();
    let long = "K".repeat(500);
    for (key, value, message) in [
        (long.as_str(), "v", "is too long (maximum is 255 characters)"),
        ("", "v", "name is missing"),
        ("1ABC", "v", "use letters, numbers and underscores"),
        ("A-B", "v", "use letters, numbers and underscores"),
        ("A=B", "v", "use letters, numbers and underscores"),
        ("PORT", "v", "is set by the platform"),
        ("NUL", "a\0b", "contains a NUL byte"),
        ("BIG", &"v".repeat(70_000), "Config vars are too large"),
    ] {
        let body = json!({ key: value, "ALSO": "this" });
        let answer = server.patch("/apps/hello/config-vars", body).await;
        assert_refused(&answer, 422, "invalid_params", message);
        let answer = server.get("/apps/hello/config-vars").await;
        assert_eq!(answer.ok(), json!({ "KEEP": "me" }));
    }
}

#[tokio::test]
async fn a_config_value_of_the_wrong_type_is_refused_without_repeating_it() {
    let server = server().await;
    server.app("hello").await;
    for value in [json!(12345), json!(["canary"]), json!({ "canary": 1 })] {
        let answer = server.patch("/apps/hello/config-vars", json!({ "KEY": value })).await;
        assert_refused(&answer, 422, "invalid_params", "does not fit");
        assert!(!answer.text.contains("canary") && !answer.text.contains("12345"));
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_bad_request() {
    let server = server().await;
    server.app("hello").await;
    for body in ["{", "name=hello", "[]", "\"hello\"", "{\"name\":}"] {
        let request = server.request(Method::POST, "/apps").map(|_| Body::from(body));
        assert_refused(&server.send(request).await, 400, "bad_request", "The request body");
    }
    let request = server.request(Method::PATCH, "/apps/hello/config-vars");
    let huge = request.map(|_| Body::from(vec![b' '; 2 * 1024 * 1024]));
    assert_refused(&server.send(huge).await, 413, "request_entity_too_large", "too large");
}

#[tokio::test]
async fn unknown_fields_are_ignored_where_clients_send_extra_ones_and_named_where_they_are_mistakes() {
    let server = server().await;
    let new =
        json!({ "name": "hello", "kernel": null, "locked": false, "internal_routing": null, "feature_flags": [] });
    server.post("/apps", new).await.ok();
    let answer = server.patch("/apps/hello", json!({ "maintainance": true })).await;
    assert_refused(&answer, 422, "invalid_params", "unknown field `maintainance`");
}

#[tokio::test]
async fn other_regions_stacks_and_scopes_are_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    let answer = server.post("/apps", json!({ "region": "eu" })).await;
    assert_refused(&answer, 422, "invalid_params", "Region eu is not available");
    let answer = server.post("/apps", json!({ "stack": "heroku-24" })).await;
    assert_refused(
        &answer,
        422,
        "invalid_params",
        "Stack heroku-24 is not available: this platform has paas-12",
    );
    let answer = server
        .patch("/apps/hello", json!({ "build_stack": { "name": "heroku-99" } }))
        .await;
    assert_refused(&answer, 422, "invalid_params", "Stack heroku-99 is not available");
    let answer = server
        .post("/oauth/authorizations", json!({ "scope": ["everything"] }))
        .await;
    assert_refused(&answer, 422, "invalid_params", "Scope must be one or more of");
    let answer = server.post("/oauth/authorizations", json!({ "expires_in": -1 })).await;
    assert_refused(&answer, 422, "invalid_params", "expires_in");
}

#[tokio::test]
async fn rollbacks_to_nowhere_are_refused_in_words() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    let new = |body: Value| server.post("/apps/hello/releases", body);
    let answer = new(json!({ "release": "v99" })).await;
    assert_refused(&answer, 404, "not_found", "Couldn't find that release.");
    let answer = new(json!({ "release": "v1" })).await;
    assert_refused(&answer, 422, "invalid_params", "Cannot roll back to v1");
    let answer = new(json!({ "slug": "nonsense" })).await;
    assert_refused(&answer, 404, "not_found", "Couldn't find that slug.");
    for body in [json!({}), json!({ "release": "v3", "slug": "x" })] {
        assert_refused(&new(body).await, 422, "invalid_params", "needs either release");
    }
}

#[tokio::test]
async fn a_build_takes_uploads_and_whole_https_addresses() {
    let server = server().await;
    server.app("hello").await;
    for url in [
        "http://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "http://api.example.test/uploads/AAAA",
        "not a url",
    ] {
        let answer = server
            .post("/apps/hello/builds", json!({ "source_blob": { "url": url } }))
            .await;
        assert_refused(&answer, 422, "invalid_params", "any https URL of a tar.gz");
    }
    let source = server.post("/sources", json!({})).await.ok();
    let blob = json!({ "source_blob": { "url": source["source_blob"]["get_url"] } });
    let answer = server.post("/apps/hello/builds", blob.clone()).await;
    assert_refused(&answer, 422, "invalid_params", "Nothing has been uploaded");

    let path = Server::path_of(&source["source_blob"]["put_url"]);
    let mut request = server.request(Method::PUT, &path).map(|_| Body::from("no gzip"));
    request.headers_mut().remove(header::AUTHORIZATION);
    assert_eq!(server.send(request).await.status, StatusCode::OK);
    let again = server.request(Method::PUT, &path).map(|_| Body::from("another"));
    assert_refused(&server.send(again).await, 409, "conflict", "uploaded here already");
    let answer = server.post("/apps/hello/builds", blob).await;
    assert_refused(&answer, 422, "invalid_params", "not a whole tar.gz file");
    assert_eq!(server.get("/apps/hello/builds").await.ok(), json!([]));
}

#[tokio::test]
async fn a_login_with_a_wrong_password_is_refused_and_soon_has_to_wait() {
    let server = server().await;
    server.set_password().await;
    let login = |password: &'static str| {
        with_authorization(&server, Method::POST, "/oauth/authorizations", basic(EMAIL, password))
    };
    for _ in 0..5 {
        assert_refused(&login("wrong").await, 401, "unauthorized", "Invalid credentials");
    }
    let answer = login(PASSWORD).await;
    assert_refused(&answer, 429, "rate_limit", "Too many failed logins");
    assert_eq!(answer.header("retry-after"), Some("1"));
    server.tick();
    server.tick();
    assert_eq!(login(PASSWORD).await.status, StatusCode::CREATED);
    let stranger = basic("nobody@example.com", PASSWORD);
    let answer = with_authorization(&server, Method::POST, "/oauth/authorizations", stranger).await;
    assert_refused(&answer, 401, "unauthorized", "Invalid credentials");
}

#[tokio::test]
async fn no_endpoint_is_found_where_there_is_none() {
    let server = server().await;
    for (method, path) in [
        (Method::GET, "/"),
        (Method::GET, "/enterprise-accounts"),
        (Method::PUT, "/apps"),
        (Method::POST, "/account"),
    ] {
        let answer = server.send(server.request(method, path)).await;
        assert_refused(&answer, 404, "not_found", "The requested API endpoint was not found.");
    }
}

#[tokio::test]
async fn a_database_that_is_away_is_503_and_worth_a_retry() {
    let server = server().await;
    server.app("hello").await;
    server.platform.store.close().await;
    for path in ["/account", "/apps", "/apps/hello"] {
        let answer = server.get(path).await;
        assert_refused(&answer, 503, "service_unavailable", "try again");
        assert_eq!(answer.header("retry-after"), Some("5"));
    }
}

#[tokio::test]
async fn an_app_that_is_being_destroyed_is_not_found_and_its_name_is_free() {
    let server = server().await;
    let app = server.app("hello").await;
    let stamp = paas_store::Stamp {
        by: server.account.id,
        at: server.tick(),
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    app::begin_destroy(&mut connection, app.app.id, stamp).await.unwrap();
    drop(connection);
    assert_refused(&server.get("/apps/hello").await, 404, "not_found", "app");
    server.app("hello").await;
}

//! Every answer has every field of its shape, with its kind, and no other: what the client of these tests (`server.rs`)
//! gets, it holds against the table of its route.

use http::{Method, StatusCode};
use paas_api::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    people::KEY,
    server::{Answer, Server, server},
};
use crate::api::shape::{self, ANSWERS, Field, Kind, Shape};

/// Asks for everything that there is, so that nothing is left to be held against its shape.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a tour of everything")]
async fn every_answer_has_the_shape_of_its_route() {
    let server = server().await;
    let app = server.app("hello").await;
    let release = server.deploy(&app, &[("web", "./web"), ("release", "./migrate")]).await;
    let release = finish(&server, release).await;
    let dyno = server.dyno(&release, "web.1").await;
    let slug = release.release.slug.unwrap();
    let id_of = async |path: &str| server.get(path).await.column("id")[0].as_str().unwrap().to_owned();
    let build = id_of("/apps/hello/builds").await;
    let authorization = id_of("/oauth/authorizations").await;

    for (path, body) in [
        ("/apps", json!({})),
        (
            "/apps/hello/domains",
            json!({ "hostname": "www.example.com", "sni_endpoint": null }),
        ),
        ("/apps/hello/log-drains", json!({ "url": "https://logs.example.com" })),
        ("/apps/hello/log-sessions", json!({ "lines": 5 })),
        ("/apps/hello/dynos", json!({ "command": "ls" })),
        ("/apps/hello/acm", json!({})),
        ("/sources", json!({})),
        ("/apps/hello/sources", json!({})),
        ("/apps/hello/slugs", json!({ "process_types": { "web": "./web" } })),
        (
            "/oauth/authorizations",
            json!({ "description": "ci", "expires_in": 60 }),
        ),
        (
            "/oauth/clients",
            json!({ "name": "Amazing", "redirect_uri": "https://example.com/" }),
        ),
        ("/account/keys", json!({ "public_key": KEY })),
        ("/apps/hello/releases", json!({ "release": "v3" })),
        ("/filters/apps", json!({ "in": { "id": [app.app.id.to_string()] } })),
        ("/auth", json!({ "description": "on a laptop" })),
    ] {
        some(path, &server.post(path, body).await.ok());
    }
    for (path, body) in [
        ("/apps/hello", json!({ "maintenance": true })),
        ("/apps/hello/config-vars", json!({ "KEY": "value", "OTHER": null })),
        ("/apps/hello/features/hsts", json!({ "enabled": true })),
        ("/apps/hello/routing", json!({ "https_redirect": true })),
        ("/apps/hello/acm", json!({ "acm_refresh": true })),
        (
            "/apps/hello/formation",
            json!({ "updates": [{ "type": "web", "quantity": 2 }] }),
        ),
        ("/apps/hello/formation/web", json!({ "quantity": 1 })),
    ] {
        some(path, &server.patch(path, body).await.ok());
    }
    let client = id_of("/oauth/clients").await;
    let drain = id_of("/apps/hello/log-drains").await;
    let key = id_of("/account/keys").await;
    for path in [
        "/account",
        "/users/~",
        "/account/rate-limits",
        "/account/keys",
        &format!("/account/keys/{key}"),
        "/apps",
        "/users/~/apps",
        "/apps/hello",
        &format!("/apps/{}", app.app.id),
        "/apps/hello/config-vars",
        "/apps/hello/releases/4/config-vars",
        "/apps/hello/builds",
        &format!("/apps/hello/builds/{build}"),
        &format!("/apps/hello/builds/{build}/result"),
        "/apps/hello/releases",
        "/apps/hello/releases/3",
        &format!("/apps/hello/slugs/{slug}"),
        "/apps/hello/collaborators",
        "/apps/hello/domains",
        "/apps/hello/domains/hello.example.test",
        "/apps/hello/domains/www.example.com",
        "/apps/hello/log-drains",
        "/apps/hello/log-drains?extended=true",
        &format!("/apps/hello/log-drains/{drain}"),
        "/apps/hello/acm",
        "/apps/hello/features",
        "/apps/hello/features/hsts",
        "/apps/hello/routing",
        "/apps/hello/dynos",
        "/apps/hello/dynos/web.1",
        &format!("/apps/hello/dynos/{dyno}"),
        "/dyno-sizes",
        "/dyno-sizes/standard-1x",
        "/apps/hello/formation",
        "/apps/hello/formation/web",
        "/oauth/authorizations",
        &format!("/oauth/authorizations/{authorization}"),
        "/oauth/clients",
        &format!("/oauth/clients/{client}"),
        "/regions",
        "/regions/us",
        "/stacks",
        "/stacks/paas-12",
        "/apps/hello/available-stacks",
        "/apps/hello/available-dyno-sizes",
        "/api/v4/current-status",
        "/buildpack-registry/buildpacks",
        "/buildpack-registry/buildpacks/heroku%2Fpython",
        "/buildpack-registry/buildpacks/heroku/python",
        "/buildpack-registry/buildpacks/heroku%2Fpython/revisions",
        "/buildpack-registry/buildpacks/heroku%2Fpython/readme",
    ] {
        some(path, &server.get(path).await.ok());
    }
    for path in [
        "/apps/hello/acm",
        "/apps/hello/domains/www.example.com",
        &format!("/apps/hello/log-drains/{drain}"),
        &format!("/account/keys/{key}"),
        &format!("/oauth/clients/{client}"),
    ] {
        some(path, &server.delete(path).await.ok());
    }
    for path in [
        "/apps/hello/dynos",
        "/apps/hello/dynos/web.1",
        "/apps/hello/formations/web",
        "/apps/hello/build-cache",
    ] {
        server.delete(path).await.ok();
    }
    for path in ["/nowhere", "/apps/none"] {
        assert_eq!(server.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn lists_of_what_the_platform_does_not_have_are_empty() {
    let server = server().await;
    server.app("hello").await;
    for path in [
        "/apps/hello/addons",
        "/apps/hello/addon-attachments",
        "/apps/hello/buildpack-installations",
        "/apps/hello/log-drains",
        "/apps/hello/telemetry-drains",
        "/account/features",
        "/addons",
        "/addon-attachments",
        "/users/~/addons",
        "/apps/hello/oci-images",
        "/pipelines",
        "/pipeline-couplings",
        "/users/~/pipeline-couplings",
        "/spaces",
        "/teams",
        "/account/app-transfers",
    ] {
        assert_eq!(server.get(path).await.ok(), json!([]), "{path}");
    }
}

/// Heroku's command goes on without these, if they are told in its way.
#[tokio::test]
async fn what_the_platform_does_not_have_is_not_found_by_its_name() {
    let server = server().await;
    server.app("hello").await;
    for (path, resource) in [
        ("/addons/redis-round-1", "add_on"),
        ("/addons/redis-round-1/addon-attachments", "add_on"),
        ("/apps/hello/addons/redis", "add_on"),
        ("/addon-attachments/REDIS", "add_on attachment"),
        ("/apps/hello/addon-attachments/REDIS", "add_on attachment"),
        ("/addon-services/cobol", "add_on_service"),
        ("/addon-services/cobol/plans", "add_on_service"),
        ("/apps/hello/pipeline-couplings", "pipeline coupling"),
        ("/apps/hello/review-app", "review app"),
        ("/pipelines/hello", "pipeline"),
        ("/spaces/mars", "space"),
        ("/accounts/~/actions/get-quota", "quota"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["resource"]),
            (404, &json!(resource)),
            "{path}"
        );
    }
    for (path, resource) in [
        ("/actions/addons/resolve", "add_on"),
        ("/actions/addon-attachments/resolve", "add_on attachment"),
    ] {
        let question = json!({ "addon": "DATABASE", "addon_attachment": "DATABASE", "app": "hello" });
        let answer = server.post(path, question).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["resource"]),
            (404, &json!(resource)),
            "{path}"
        );
    }
    let status = server.get("/api/v4/current-status").await.ok();
    assert_eq!(status["status"][0], json!({ "system": "Apps", "status": "green" }));
}

/// What Heroku's command crashes on.
#[tokio::test]
async fn an_app_is_complete_enough_for_herokus_command() {
    let server = server().await;
    server.app("hello").await;
    let app = server.get("/apps/hello").await.ok();
    assert_eq!(app["repo_size"], json!(0));
    assert_eq!(app["slug_size"], json!(0));
    assert_eq!(app["generation"]["name"], "cedar");
    assert_eq!(app["web_url"], "http://hello.example.test:8080/");
    assert_eq!(app["git_url"], "http://git.example.test:8080/hello.git");
}

async fn finish(server: &Server, release: paas_store::release::ReleaseRow) -> paas_store::release::ReleaseRow {
    let now = server.tick();
    let mut connection = server.platform.store.connection().await.unwrap();
    assert!(
        paas_store::release::succeed(&mut connection, release.release.id, now)
            .await
            .unwrap()
    );
    release
}

/// What clients send, and Heroku has a use for.
const IGNORED: [&str; 5] = ["card_number", "feature_flags", "internal_routing", "kernel", "locked"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Answer,
    Request,
}

/// Lists that are short by nature, and have no ranges.
const WHOLE: [&str; 12] = [
    "acm",
    "add-on-config",
    "add-on-credential",
    "buildpack-installation",
    "buildpack-revision",
    "collaborator",
    "exec-dyno",
    "permission",
    "registry-buildpack",
    "team-feature",
    "transfer",
    "transfer-schedule",
];

/// An empty list would be held against nothing.
fn some(path: &str, answer: &Value) {
    assert_ne!(*answer, json!([]), "{path}: nothing to look at");
}

/// Holds an answer against the shape of its route.
pub(super) fn hold(method: &Method, path: &str, answer: &Answer) {
    let path = path.split('?').next().unwrap_or_default();
    headers(method, path, answer);
    if method == Method::OPTIONS {
        assert_eq!(answer.text, "", "{path}");
        return;
    }
    let Some((route, expected)) = route(method, path) else {
        return refusal(path, answer);
    };
    // A HEAD whose question is refused has no body, either.
    if answer.status == StatusCode::NOT_MODIFIED || answer.status.is_informational() || method == Method::HEAD {
        assert_eq!(answer.text, "", "{route}");
        return;
    }
    if !answer.status.is_success() {
        // A page in a browser has words of its own.
        if *expected != shape::Answer::Raw || answer.text.starts_with('{') {
            refusal(path, answer);
        }
        return;
    }
    let mut problems = Vec::new();
    match expected {
        shape::Answer::Raw => {}
        shape::Answer::Refused => problems.push("this was to be refused".to_owned()),
        shape::Answer::None => problems.extend((answer.json() != json!([])).then(|| "there was to be none".to_owned())),
        shape::Answer::Done(_) => {
            problems.extend((answer.json() != json!({})).then(|| "this was to be empty".to_owned()));
        }
        shape::Answer::One(name) => object(&of_resource(name), &answer.json(), Side::Answer, name, &mut problems),
        shape::Answer::Many(name) => {
            let list = Kind::List(Box::new(Kind::Object(of_resource(name))));
            fits(&list, &answer.json(), Side::Answer, name, &mut problems);
            let is_paged = answer.header("accept-ranges").is_some();
            if method == Method::GET && !WHOLE.contains(name) && !is_paged {
                problems.push("there are no ranges of this list".to_owned());
            }
        }
        shape::Answer::Texts(name) => {
            let list = Kind::List(Box::new(Kind::Text));
            fits(&list, &answer.json(), Side::Answer, name, &mut problems);
        }
    }
    assert!(
        problems.is_empty(),
        "{method} {path}: {}\n{}",
        problems.join("\n"),
        answer.text
    );
}

/// Holds a body that was taken against what the table says of it.
pub(super) fn hold_request(method: &Method, path: &str, body: &Value) {
    let path = path.split('?').next().unwrap_or_default();
    let (Some((route, _)), Some(fields)) = (route(method, path), body.as_object()) else {
        return;
    };
    if fields.is_empty() {
        return;
    }
    let shape = shape::request(route).unwrap_or_else(|| panic!("{route} takes a body: say so in shape/requests.rs"));
    let mut problems = Vec::new();
    object(&shape, body, Side::Request, route, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// What every answer brings, whatever became of the request.
fn headers(method: &Method, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {} {}", answer.status, answer.text);
    assert!(answer.header("request-id").is_some(), "{what}");
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{what}");
    assert!(answer.header("cache-control").is_some(), "{what}");
}

/// Every refusal has an id and words, and one for want of something says of what.
fn refusal(path: &str, answer: &Answer) {
    let body = answer.json();
    let mut problems = Vec::new();
    object(&of_resource("error"), &body, Side::Answer, "error", &mut problems);
    let is_about_the_endpoint = body["message"]
        .as_str()
        .is_some_and(|text| text.starts_with("The requested API endpoint"));
    if answer.status == StatusCode::NOT_FOUND && !is_about_the_endpoint && body["resource"].is_null() {
        problems.push("what was not found?".to_owned());
    }
    if body["message"].as_str().is_none_or(str::is_empty) {
        problems.push("nothing is said".to_owned());
    }
    assert!(problems.is_empty(), "{path}: {}\n{}", problems.join("\n"), answer.text);
}

/// The route that takes this path: of several the one with the most words of its own.
fn route(method: &Method, path: &str) -> Option<&'static (&'static str, shape::Answer)> {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let segments: Vec<&str> = path.split('/').collect();
    let matching = ANSWERS.iter().filter(|(route, _)| {
        let Some((_, pattern)) = route.split_once(' ').filter(|(one, _)| *one == method) else {
            return false;
        };
        let pattern: Vec<&str> = pattern.split('/').collect();
        let fits = |(one, other): (&&str, &&str)| one.starts_with('{') && !other.is_empty() || one == other;
        pattern.len() == segments.len() && pattern.iter().zip(&segments).all(fits)
    });
    matching.min_by_key(|(route, _)| route.matches('{').count())
}

fn field<'a>(shape: &'a Shape, name: &str) -> Option<&'a Field> {
    let exact = shape.0.iter().find(|field| field.name == name);
    exact.or_else(|| shape.0.iter().find(|field| field.name == "*"))
}

fn of_resource(name: &str) -> Shape {
    Shape::of(shape::resource(name).unwrap().fields)
}

fn object(shape: &Shape, value: &Value, side: Side, path: &str, problems: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        problems.push(format!("{path} is no object"));
        return;
    };
    for field in &shape.0 {
        let may_be_missing = match side {
            Side::Answer => field.may_be_missing,
            Side::Request => !field.is_required || field.name == "*",
        };
        if !may_be_missing && !fields.contains_key(field.name) {
            problems.push(format!("{path}.{} is missing", field.name));
        }
    }
    for (name, value) in fields {
        match field(shape, name) {
            Some(field) => fits(&field.kind, value, side, &format!("{path}.{name}"), problems),
            None if side == Side::Request && IGNORED.contains(&name.as_str()) => {}
            None => problems.push(format!("{path}.{name} is not in the table of shapes")),
        }
    }
}

fn fits(kind: &Kind, value: &Value, side: Side, path: &str, problems: &mut Vec<String>) {
    let text = value.as_str();
    let fits = match kind {
        Kind::OrNull(kind) => {
            if !value.is_null() {
                fits(kind, value, side, path, problems);
            }
            true
        }
        Kind::Object(shape) => {
            object(shape, value, side, path, problems);
            true
        }
        Kind::List(kind) => {
            let items = value.as_array();
            for item in items.into_iter().flatten() {
                fits(kind, item, side, path, problems);
            }
            items.is_some()
        }
        Kind::Anything => true,
        Kind::Bool => value.is_boolean(),
        Kind::Int => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::AnyObject => value.is_object(),
        Kind::Quantity => value.is_number() || value.is_string(),
        Kind::Reference => value.is_string() || value.is_object(),
        Kind::Text => value.is_string(),
        Kind::Email => text.is_some_and(|text| text.contains('@')),
        Kind::Uri => text.is_some_and(|text| text.contains("://")),
        Kind::Uuid => text.is_some_and(|text| Uuid::parse_str(text).is_ok()),
        Kind::Time => text.is_some_and(|text| {
            text.len() == "2026-01-02T03:04:05Z".len() && serde_json::from_value::<Time>(value.clone()).is_ok()
        }),
        Kind::Word(words) => text.is_some_and(|text| words.contains(&text)),
    };
    if !fits {
        problems.push(format!("{path} is no {kind:?}: {value}"));
    }
}

//! What providers write into the logs of apps, and where they have them sent.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, StatusCode, header};
use serde_json::{Value, json};

use super::{addon_provider::World, server::Answer};

impl World {
    fn requiring(&self, words: &[&str]) -> Value {
        let mut manifest = self.manifest();
        manifest["api"]["requires"] = json!(words);
        manifest
    }

    async fn writes(&self, token: &str, body: &str) -> Answer {
        let mut request = self.server.request(Method::POST, "/logs");
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("token:{token}")));
        request
            .headers_mut()
            .insert(header::AUTHORIZATION, basic.parse().unwrap());
        self.server.send(request.map(|_| body.to_owned().into())).await
    }

    async fn drains(&self) -> Vec<Value> {
        let drains = self.server.get("/apps/hello/log-drains").await.ok();
        drains.as_array().unwrap().clone()
    }
}

fn framed(message: &str) -> String {
    let line = format!("<190>1 2013-03-27T20:02:24+00:00 host heroku router - - {message}");
    format!("{} {line}", line.len())
}

fn answered(drain: Option<&str>) -> Value {
    let mut said = json!({ "config": { "ERRORBUCKET_URL": "https://bucket.example.com/9" } });
    if let Some(url) = drain {
        said["log_drain_url"] = json!(url);
    }
    said
}

#[tokio::test]
async fn a_provider_writes_into_the_log_of_its_app_under_the_name_of_its_add_on() {
    let world = World::new().await;
    world.registers_as(world.requiring(&["log_input"])).await;
    world.provider.will_answer(201, answered(None));
    let made = world.creates("errorbucket", json!({})).await;
    let asked = world.provider.asked("POST /heroku/resources").await.body;
    assert!(asked.get("log_drain_token").is_none(), "it has not asked for that");
    let url = asked["log_input_url"].as_str().unwrap();
    let (_, rest) = url.split_once("://token:").unwrap();
    let (token, place) = rest.split_once('@').unwrap();
    assert!(token.starts_with("t.") && place.ends_with("/logs"), "{url}");
    assert!(
        asked["callback_url"]
            .as_str()
            .unwrap()
            .contains(place.trim_end_matches("logs"))
    );

    let body = framed("one error") + &framed("another one\n2026-11-22T12:00:00.000000+00:00 app[web.1]: third");
    let taken = world.writes(token, &body).await;
    assert_eq!(taken.status, StatusCode::NO_CONTENT, "{}", taken.text);
    let name = made["name"].as_str().unwrap();
    let log = world.server.log(&world.app).await;
    for message in [
        "one error",
        "another one",
        "2026-11-22T12:00:00.000000+00:00 app[web.1]: third",
    ] {
        let line = format!("app[{name}]: {message}");
        assert!(log.lines().any(|seen| seen.ends_with(&line)), "{log}");
    }
    assert!(!log.contains("[router]") && !log.contains(token), "{log}");

    let cut = framed("good") + "99 <190>1 - host app x - - bad";
    let refused = world.writes(token, &cut).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text.contains("frame 2 is cut off"), "{}", refused.text);
    for wrong in ["t.01234567-89ab-cdef-0123-456789abcdef", world.server.token.as_str()] {
        let refused = world.writes(wrong, &body).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{}", refused.text);
        assert!(refused.text.contains("log_input_url"), "{}", refused.text);
    }
    // Its operator may think better of it, and so may the app's people.
    world.registers().await;
    assert_eq!(world.writes(token, &body).await.status, StatusCode::UNAUTHORIZED);
    world.registers_as(world.requiring(&["log_input"])).await;
    assert_eq!(world.writes(token, &body).await.status, StatusCode::NO_CONTENT);
    let path = format!("/apps/hello/addons/{name}");
    world.server.delete(&path).await.ok();
    assert_eq!(world.writes(token, &body).await.status, StatusCode::UNAUTHORIZED);
    assert!(!world.server.log(&world.app).await.contains("good"));
}

#[tokio::test]
async fn a_drain_of_an_add_on_goes_with_it_and_no_sooner() {
    let world = World::new().await;
    let server = &world.server;
    world.registers_as(world.requiring(&["syslog_drain"])).await;
    let url = format!("http://{}/logs?key=s3cret", world.address);
    world.provider.will_answer(201, answered(Some(&url)));
    let made = world.creates("errorbucket", json!({})).await;
    let path = format!("/addons/{}", made["id"].as_str().unwrap());
    let asked = world.provider.asked("POST /heroku/resources").await.body;
    assert!(asked.get("log_input_url").is_none(), "it has not asked for that");
    let is_provisioned = |answer: &Answer| answer.json()["state"] == "provisioned";
    world.becomes("it is provisioned", &path, is_provisioned).await;
    let drains = world.drains().await;
    assert_eq!(drains.len(), 1);
    assert_eq!(
        (&drains[0]["token"], &drains[0]["url"], &drains[0]["addon"]["name"]),
        (&asked["log_drain_token"], &json!(url), &made["name"])
    );
    let drain = format!("/apps/hello/log-drains/{}", drains[0]["id"].as_str().unwrap());
    let refused = server.delete(&drain).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("paas addons:destroy"), "{}", refused.text);
    // It takes nobody's place.
    for number in 0..5 {
        let own = json!({ "url": format!("syslog://logs.example.com:{}", 1000 + number) });
        assert_eq!(
            server.post("/apps/hello/log-drains", own).await.status,
            StatusCode::CREATED
        );
    }
    server.delete(&format!("/apps/hello{path}")).await.ok();
    let left = world.drains().await;
    assert!(
        left.len() == 5 && left.iter().all(|drain| drain["addon"].is_null()),
        "{left:?}"
    );
}

#[tokio::test]
async fn a_provider_that_takes_its_time_makes_its_drain_by_its_token() {
    let world = World::new().await;
    let secret = world.registers_as(world.requiring(&["syslog_drain"])).await;
    let (path, token) = world.is_being_made(&secret).await;
    let asked = world.provider.asked("POST /heroku/resources").await.body;
    let drain = asked["log_drain_token"].as_str().unwrap();
    let sets = async |drain: &str, url: &str| {
        let path = format!("{path}/log-drains/{drain}");
        world.says(&token, Method::PUT, &path, json!({ "url": url })).await
    };
    let first = sets(drain, "https://one.example.com/").await.ok();
    assert_eq!(
        (&first["token"], &first["app"]["name"]),
        (&json!(drain), &json!("hello"))
    );
    let moved = sets(first["id"].as_str().unwrap(), "https://two.example.com/")
        .await
        .ok();
    assert_eq!(
        (&moved["token"], &moved["url"]),
        (&json!(drain), &json!("https://two.example.com/"))
    );
    let listed = world
        .says(&token, Method::GET, &format!("{path}/log-drains"), json!({}))
        .await
        .ok();
    assert_eq!(listed, json!([moved]));
    assert_eq!(world.drains().await.len(), 1);
    let unknown = sets("d.01234567-89ab-cdef-0123-456789abcdef", "https://one.example.com/").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    for wrong in ["ftp://one.example.com/", "https://169.254.169.254/"] {
        let refused = sets(drain, wrong).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", refused.text);
    }
    world.registers().await;
    let refused = sets(drain, "https://one.example.com/").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.text.contains("syslog_drain"), "{}", refused.text);
}

#[tokio::test]
async fn no_log_goes_where_the_manifest_does_not_ask_for_it() {
    let world = World::new().await;
    world.registers().await;
    world
        .provider
        .will_answer(201, answered(Some("https://logs.example.com/?key=s3cret")));
    let made = world.creates("errorbucket", json!({})).await;
    let path = format!("/addons/{}", made["id"].as_str().unwrap());
    let words = "its manifest does not have \\\"syslog_drain\\\" in `requires`";
    world
        .becomes("it says so", &path, |answer| answer.text.contains(words))
        .await;
    assert!(world.drains().await.is_empty());
    assert!(!world.server.get(&path).await.text.contains("s3cret"));
}

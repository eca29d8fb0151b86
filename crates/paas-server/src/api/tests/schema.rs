//! The schema that clients are made from.

use std::collections::BTreeSet;

use http::{Method, header};
use serde_json::Value;

use super::server::server;
use crate::api::shape::{ANSWERS, Answer};

#[tokio::test]
async fn the_schema_tells_of_every_answer_and_refers_to_nothing_that_is_not_there() {
    let server = server().await;
    // Nobody has to say who they are.
    let mut request = server.request(Method::GET, "/schema");
    request.headers_mut().remove(header::AUTHORIZATION);
    let schema = server.send(request).await.ok();
    assert_eq!(schema["links"][0]["href"], "http://api.example.test");

    for reference in references(&schema) {
        let path = reference.strip_prefix('#').unwrap();
        assert!(schema.pointer(path).is_some(), "{reference}");
    }
    let mut routes = BTreeSet::new();
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        assert_eq!(schema["properties"][name]["$ref"], format!("#/definitions/{name}"));
        let mut titles = BTreeSet::new();
        for link in definition["links"].as_array().unwrap() {
            let text = |key: &str| link[key].as_str().unwrap().to_owned();
            assert!(titles.insert(text("title")), "{name} has two links {}", link["title"]);
            let mut href = text("href");
            while let Some((before, rest)) = href.clone().split_once("{(") {
                let (parameter, after) = rest.split_once(")}").unwrap();
                let parameter = parameter.replace("%23", "#").replace("%2F", "/");
                let path = parameter.strip_prefix('#').unwrap();
                assert!(schema.pointer(path).is_some(), "{parameter}");
                href = format!("{before}PARAMETER{after}");
            }
            assert!(routes.insert(format!("{} {href}", text("method"))), "{href} twice");
        }
    }
    let told = ANSWERS.iter().filter(|(_, answer)| {
        matches!(
            answer,
            Answer::One(_) | Answer::Many(_) | Answer::Texts(_) | Answer::Done(_)
        )
    });
    let told: BTreeSet<String> = told.map(|(route, _)| named(route)).collect();
    assert_eq!(routes, told);
}

/// `GET /apps/PARAMETER`
fn named(route: &str) -> String {
    let segment = |segment| {
        if str::starts_with(segment, '{') {
            "PARAMETER"
        } else {
            segment
        }
    };
    route.split('/').map(segment).collect::<Vec<_>>().join("/")
}

fn references(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

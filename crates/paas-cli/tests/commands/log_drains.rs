use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{but, log_drain},
    platform::Paas,
};

const URL: &str = "https://ann:hunter2@logs.example.com/in?key=1";

#[test]
fn drains_are_listed_with_their_tokens() {
    let paas = Paas::new().on("GET /apps/hello/log-drains", json!([log_drain(URL)]));
    assert_snapshot!(paas.run("drains -a hello"), @r"
    exit: 0
    --- stdout
    === Drains

    https://ann:hunter2@logs.example.com/in?key=1 (d.9e5c1e5a)
    --- requests
    GET /apps/hello/log-drains | range=id ..; max=1000
    ");
    let extended = json!({ "extended": { "drain_id": "01234567-89ab-7def-8123-456789abcdef" } });
    let paas = Paas::new().on(
        "GET /apps/hello/log-drains?extended=true",
        json!([but(log_drain(URL), &extended)]),
    );
    assert_snapshot!(paas.run("drains -x -a hello"), @r"
    exit: 0
    --- stdout
    === Drains

    https://ann:hunter2@logs.example.com/in?key=1 (d.9e5c1e5a) drain_id=01234567-89ab-7def-8123-456789abcdef
    --- requests
    GET /apps/hello/log-drains?extended=true | range=id ..; max=1000
    ");
    let paas = Paas::new().on("GET /apps/hello/log-drains", json!([]));
    assert_snapshot!(paas.run("drains -a hello"), @r"
    exit: 0
    --- requests
    GET /apps/hello/log-drains | range=id ..; max=1000
    ");
}

#[test]
fn drains_are_added_and_removed_by_url() {
    let encoded = "https%3A%2F%2Fann%3Ahunter2%40logs.example.com%2Fin%3Fkey%3D1";
    let paas = Paas::new()
        .on("POST /apps/hello/log-drains", log_drain(URL))
        .on(&format!("DELETE /apps/hello/log-drains/{encoded}"), log_drain(URL));
    assert_snapshot!(paas.run(&format!("drains:add {URL} -a hello")), @r#"
    exit: 0
    --- stdout
    Successfully added drain https://ann:hunter2@logs.example.com/in?key=1
    --- requests
    POST /apps/hello/log-drains | {"url":"https://ann:hunter2@logs.example.com/in?key=1"}
    "#);
    assert_snapshot!(paas.run(&format!("drains:remove {URL} -a hello")), @r"
    exit: 0
    --- stdout
    Successfully removed drain https://ann:hunter2@logs.example.com/in?key=1
    --- requests
    DELETE /apps/hello/log-drains/https%3A%2F%2Fann%3Ahunter2%40logs.example.com%2Fin%3Fkey%3D1
    ");
}

//! Other clients of the Platform API, from the registries: a script of each makes an app, sets config, scales, and goes back.

use std::{path::Path, process::Command, time::Duration};

use paas_integration::{App, Node, Output, Platform, Python, eventually};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker, heroku3 and jsonschema from PyPI, npm's heroku-client, heroku_rs from crates.io"]
fn scripts_of_other_clients_make_configure_scale_and_roll_back() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let url = format!("http://{}", platform.api());
    let token = platform.token();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("clients");

    let python = Python::with("heroku3", &[&["heroku3==5.2.1", "six"]]);
    let mut heroku3 = python.command();
    heroku3
        .arg(scripts.join("with_heroku3.py"))
        .args([url.as_str(), &token, "hello", "by-heroku3", "paas-12"]);
    let told = tell(&app, "heroku3", &mut heroku3);
    assert_eq!(told["account"], "you@example.com");
    assert_eq!(told["created"], "by-heroku3");
    assert_eq!(told["domains"], json!(["hello.localhost"]));
    assert_eq!(told["builds"], json!(["succeeded"]));
    assert_eq!(told["log"], true);

    let node = Node::with("heroku-client", &["heroku-client@3.1.4"]);
    let mut client = Command::new("node");
    client
        .env("PATH", node.path())
        .arg(scripts.join("with_heroku_client.mjs"))
        .arg(node.modules())
        .args([url.as_str(), &token, "hello", "by-heroku-client"]);
    let told = tell(&app, "heroku-client", &mut client);
    assert_eq!(told["account"], "you@example.com");
    assert_eq!(told["created"], "by-heroku-client");
    assert_eq!(told["refused"], json!({ "status": 404, "id": "not_found" }));

    // A client that knows nothing but the schema.
    let python = Python::with("jsonschema", &[&["jsonschema==4.26.0"]]);
    let mut made = python.command();
    made.arg(scripts.join("with_schema.py"))
        .args([url.as_str(), &token, "hello"]);
    let told = Output::of(&mut made, "").expect_success().json();
    assert_eq!(told["broken"], json!([]));
    let asked = told["asked"].as_array().expect("a list");
    for question in [
        "app Info",
        "release List",
        "release Info",
        "dyno Info",
        "config-var Info",
    ] {
        assert!(asked.contains(&json!(question)), "{question} is not in {asked:?}");
    }

    let mut heroku_rs = Command::new(built(&scripts.join("heroku_rs")));
    heroku_rs.args([url.as_str(), &token, "hello", "by-heroku-rs"]);
    let told = tell(&app, "heroku_rs", &mut heroku_rs);
    assert_eq!(told["created"], "by-heroku-rs");
    assert_eq!(
        (&told["apps"], &told["app"], &told["formation"], &told["domains"]),
        (&json!(2), &json!("hello"), &json!(1), &json!(1))
    );
    assert_eq!(told["dynos"], true);
    assert!(told["refused"].to_string().contains("not_found"), "{told}");

    assert_eq!(platform.sql("select name from apps"), ["hello"]);
}

/// Runs a script that sets `CLIENT`, scales web to 2 and goes back to the release before; gives what it has printed.
#[track_caller]
fn tell(app: &App<'_>, name: &str, script: &mut Command) -> Value {
    app.paas(&["ps:scale", "web=1"]).expect_success();
    let before = app.current();
    let told = Output::of(script, "").expect_success().json();
    assert_eq!(told["config"], name, "{told}");
    assert_eq!(
        told["release"],
        json!({ "version": before + 1, "description": "Set CLIENT config vars" })
    );
    assert_eq!(told["web"], 2);
    assert_eq!(app.current(), before + 2);
    assert_eq!(app.releases()[0]["description"], format!("Rollback to v{before}"));
    eventually("the config of before is there again, on two dynos", SOON, || {
        let is_back = app.get("/env?CLIENT").body == "(not set)";
        is_back && app.states().len() == 2
    });
    told
}

/// Builds a program of its own once.
fn built(folder: &Path) -> std::path::PathBuf {
    let target = folder.ancestors().nth(3).expect("it is in the workspace");
    let target = target.join("target/tools/heroku_rs");
    let mut build = Command::new(env!("CARGO"));
    build
        .args(["build", "--quiet", "--locked", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    Output::of(&mut build, "").expect_success();
    target.join("debug/heroku-rs-story")
}

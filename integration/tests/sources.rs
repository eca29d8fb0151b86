//! Code that does not come by git: folders, archives, slugs, and whole apps with an `app.json`.

#![expect(clippy::unwrap_used, reason = "a story that cannot go on has failed")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::Command,
    thread,
    time::Duration,
};

use paas_integration::{App, Options, Platform, download, request, within};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_mins(2);

fn path(url: &Value) -> String {
    let (_, rest) = url.as_str().unwrap().split_once("://").expect("a URL has a scheme");
    rest[rest.find('/').expect("a URL has a path")..].to_owned()
}

/// Whoever has the address may upload, as with Heroku's.
fn put(platform: &Platform, url: &Value, bytes: &[u8]) {
    let uploaded = request(platform.api(), "PUT", &path(url), &[("Content-Type", "")], bytes);
    uploaded.expect("the upload is answered").expect_status(200);
}

fn call(platform: &Platform, method: &str, path: &str, body: &Value) -> Value {
    let body = if method == "GET" {
        String::new()
    } else {
        body.to_string()
    };
    let answer = platform.call(method, path, &body);
    assert!((200..300).contains(&answer.status), "{method} {path}: {answer:?}");
    answer.json()
}

/// The commit as the archive that GitHub would give.
fn archive(platform: &Platform, app: &App<'_>) -> Vec<u8> {
    app.commit();
    let (prefix, output) = ("--prefix=hello-1a2b3c/", "--output=../source.tar.gz");
    app.git(&["archive", prefix, output, "HEAD"]).expect_success();
    fs::read(platform.work().join("source.tar.gz")).unwrap()
}

/// A host of code: whatever it is asked for, this is it.
fn host(archive: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut head = BufReader::new(connection.try_clone().unwrap()).lines();
            while head.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", archive.len());
            connection.write_all(head.as_bytes()).unwrap();
            connection.write_all(&archive).unwrap();
        }
    });
    port
}

#[test]
#[ignore = "needs docker"]
fn a_folder_and_an_address_are_built_as_they_are() {
    let platform = Platform::with(Options {
        arguments: vec!["--allow-private-sources".to_owned()],
        ..Options::default()
    });
    let app = platform.app("hello");
    // Nothing is committed, and what git ignores stays here.
    app.write(".gitignore", "secret\n").write("secret", "x");
    let built = app.start_paas(&["builds:create", "--version", "v1"]);
    built
        .finish(SOON)
        .expect_success()
        .expect("Python app detected")
        .expect("Released v3");
    assert_eq!(app.page("/"), "hello one");

    app.says("two");
    let port = host(archive(&platform, &app));
    let url = format!("http://127.0.0.1:{port}/hello.tar.gz?signature=secret");
    let built = app.paas(&["builds:create", "--source-url", &url]);
    built
        .expect_success()
        .expect("-----> Fetching the source from 127.0.0.1")
        .expect_no("secret");
    app.serves("hello two", SOON);

    let blob = app.builds()[0]["source_blob"]["url"].clone();
    assert_eq!(blob, format!("http://127.0.0.1:{port}/hello.tar.gz"));
    let missing = format!("http://{}/nowhere", platform.api());
    let failed = app.paas(&["builds:create", "--source-url", &missing]);
    failed.expect_code(1).expect("127.0.0.1 answered 404 Not Found");
    assert_eq!(app.builds()[0]["status"], "failed");
    app.paas(&["builds:cache:purge", "--confirm", "hello"]).expect_success();
    assert_eq!(app.page("/"), "hello two");

    // A buildpack comes by the same road, and a push is built with it.
    let buildpack = platform.app("buildpack");
    buildpack
        .clear()
        .write("bin/detect", "#!/bin/sh\necho Foreign\n")
        .write("bin/compile", "#!/bin/sh\necho \"       made elsewhere: $(ls $1)\"\n")
        .write("bin/release", "#!/bin/sh\necho 'config_vars: {FROM_BUILDPACK: yes}'\n");
    let port = host(archive(&platform, &buildpack));
    let address = format!("http://127.0.0.1:{port}/buildpack.tgz");
    app.paas(&["buildpacks:set", &address])
        .expect_success()
        .expect(&address);
    app.says("three");
    app.push()
        .expect_success()
        .expect(&format!("-----> Fetching the buildpack {address}"))
        .expect("-----> Foreign app detected")
        .expect("made elsewhere: ")
        .expect(", compile ");
    assert_eq!(app.page("/"), "hello three");
    app.paas(&["builds:info"])
        .expect_success()
        .expect(&format!("Buildpacks: {address}#"));
    // Only a first deploy takes what the buildpack wants.
    app.paas(&["config"]).expect_success().expect_no("FROM_BUILDPACK");
}

#[test]
#[ignore = "needs docker"]
fn the_slug_of_one_app_is_taken_to_another() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let other = platform.app("other");
    app.commit();
    app.push().expect_success();
    let mut releases = app.releases().into_iter();
    let release = releases.find(|release| !release["slug"].is_null()).unwrap();
    let id = release["slug"]["id"].as_str().unwrap().to_owned();
    let slug = call(&platform, "GET", &format!("/apps/hello/slugs/{id}"), &json!({}));
    let bytes = download(platform.api(), &path(&slug["blob"]["url"]));
    let file = platform.work().join("slug.tgz");
    fs::write(&file, &bytes).unwrap();
    let listed = Command::new("tar").arg("-tzf").arg(&file).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|line| line == "app/server.py"), "{listed}");

    let new = json!({ "process_types": slug["process_types"], "commit": slug["commit"] });
    let made = call(&platform, "POST", "/apps/other/slugs", &new);
    put(&platform, &made["blob"]["url"], &bytes);
    let released = call(
        &platform,
        "POST",
        "/apps/other/releases",
        &json!({ "slug": made["id"] }),
    );
    assert_eq!(released["slug"]["id"], made["id"]);
    other.serves("hello one", SOON);
    let left = within(SOON, || {
        let containers = platform.engine().containers();
        let is_lent = |name: &str| name.contains("paas-slug");
        (!containers.iter().any(|container| is_lent(&format!("{container:?}")))).then_some(())
    });
    assert!(left.is_some(), "{:?}", platform.engine().containers());
}

#[test]
#[ignore = "needs docker"]
fn an_app_is_set_up_by_its_manifest() {
    let platform = Platform::start();
    let app = platform.app("template");
    app.write(
        "app.json",
        r#"{
            "env": { "SECRET": { "generator": "secret" }, "COLOUR": "red", "NEEDED": {} },
            "scripts": { "postdeploy": "echo colour $COLOUR on $NEEDED" },
            "formation": { "web": { "quantity": 2 } },
            "success_url": "/welcome"
        }"#,
    );
    let source = call(&platform, "POST", "/sources", &json!({}))["source_blob"].clone();
    put(&platform, &source["put_url"], &archive(&platform, &app));
    let begin = |name: &str, env: Value| {
        let blob = json!({ "url": source["get_url"], "version": "v1" });
        let new = json!({ "app": { "name": name }, "overrides": { "env": env }, "source_blob": blob });
        call(&platform, "POST", "/app-setups", &new)
    };
    let end = |setup: &Value| {
        let path = format!("/app-setups/{}", setup["id"].as_str().unwrap());
        let ended = within(SOON, || {
            let seen = call(&platform, "GET", &path, &json!({}));
            (seen["status"] != "pending").then_some(seen)
        });
        ended.unwrap_or_else(|| panic!("the setup has no end:\n{}", platform.log()))
    };
    let setup = end(&begin("made", json!({ "NEEDED": "blue" })));
    assert_eq!(setup["status"], "succeeded", "{setup}");
    assert_eq!(
        setup["postdeploy"],
        json!({ "exit_code": 0, "output": "colour red on blue\n" })
    );
    assert!(
        setup["resolved_success_url"].as_str().unwrap().ends_with("/welcome"),
        "{setup}"
    );
    assert_eq!(setup["build"]["status"], "succeeded");
    let host = "made.localhost";
    let served = within(SOON, || {
        platform.get(host, "/").filter(|answer| answer.body == "hello one")
    });
    assert!(served.is_some(), "{:?}", platform.get(host, "/"));
    let config = call(&platform, "GET", "/apps/made/config-vars", &json!({}));
    assert_eq!(config["SECRET"].as_str().map(str::len), Some(64));
    let formation = call(&platform, "GET", "/apps/made/formation/web", &json!({}));
    assert_eq!(formation["quantity"], 2);

    let setup = end(&begin("unmade", json!({})));
    assert_eq!(setup["failure_message"], "The app.json cannot be used");
    assert!(
        setup["manifest_errors"][0]
            .as_str()
            .unwrap()
            .contains("NEEDED is required"),
        "{setup}"
    );
}

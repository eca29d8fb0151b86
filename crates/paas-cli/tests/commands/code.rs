//! Builds, buildpacks and stacks.

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{app, build, but, stack},
    platform::{Answer, Paas},
};

const INSTALLATIONS: &str = "GET /apps/hello/buildpack-installations";
const BUILD: &str = "GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef";

fn installations(names: &[&str]) -> Value {
    let installations = (0..).zip(names).map(|(ordinal, name): (u32, _)| {
        json!({ "buildpack": { "name": name, "url": format!("urn:buildpack:{name}") }, "ordinal": ordinal })
    });
    installations.collect()
}

fn entry(name: &str, description: &str) -> Value {
    json!({ "category": "languages", "description": description, "name": name, "namespace": "heroku" })
}

#[test]
fn buildpacks_are_listed_one_or_several_or_none() {
    let paas = Paas::new()
        .on(INSTALLATIONS, installations(&[]))
        .on(INSTALLATIONS, installations(&["heroku/python"]))
        .on(INSTALLATIONS, installations(&["heroku/nodejs", "heroku/python"]));
    assert_snapshot!(paas.run("buildpacks -a hello"), @r"
    exit: 0
    --- stdout
    hello has no Buildpacks.
    --- requests
    GET /apps/hello/buildpack-installations
    ");
    assert_snapshot!(paas.run("buildpacks -a hello"), @r"
    exit: 0
    --- stdout
    === hello Buildpack

    heroku/python
    --- requests
    GET /apps/hello/buildpack-installations
    ");
    assert_snapshot!(paas.run("buildpacks -a hello"), @r"
    exit: 0
    --- stdout
    === hello Buildpacks

    1. heroku/nodejs
    2. heroku/python
    --- requests
    GET /apps/hello/buildpack-installations
    ");
}

#[test]
fn a_buildpack_is_set_added_and_removed() {
    let put = "PUT /apps/hello/buildpack-installations";
    let paas = Paas::new()
        .on(INSTALLATIONS, installations(&["heroku/nodejs"]))
        .on(put, installations(&["heroku/python"]))
        .on(put, installations(&["heroku/python", "heroku/nodejs"]))
        .on(put, installations(&["heroku/nodejs"]))
        .on(put, installations(&[]));
    assert_snapshot!(paas.run("buildpacks:set heroku/python -a hello"), @r#"
    exit: 0
    --- stdout
    Buildpack set. Next release on hello will use heroku/python.
    Run git push paas main to create a new release using this buildpack.
    --- requests
    GET /apps/hello/buildpack-installations
    PUT /apps/hello/buildpack-installations | {"updates":[{"buildpack":"heroku/python"}]}
    "#);
    assert_snapshot!(paas.run("buildpacks:add -i 1 heroku/python -a hello"), @r#"
    exit: 0
    --- stdout
    Buildpack added. Next release on hello will use:
      1. heroku/python
      2. heroku/nodejs
    Run git push paas main to create a new release using these buildpacks.
    --- requests
    GET /apps/hello/buildpack-installations
    PUT /apps/hello/buildpack-installations | {"updates":[{"buildpack":"heroku/python"},{"buildpack":"heroku/nodejs"}]}
    "#);
    let paas = paas.on(INSTALLATIONS, installations(&["heroku/nodejs", "heroku/python"]));
    paas.run("buildpacks -a hello");
    assert_snapshot!(paas.run("buildpacks:remove heroku/python -a hello -r staging"), @r#"
    exit: 0
    --- stdout
    Buildpack removed. Next release on hello will use heroku/nodejs.
    Run git push staging main to create a new release using this buildpack.
    --- requests
    GET /apps/hello/buildpack-installations
    PUT /apps/hello/buildpack-installations | {"updates":[{"buildpack":"heroku/nodejs"}]}
    "#);
    assert_snapshot!(paas.run("buildpacks:clear -a hello"), @r#"
    exit: 0
    --- stdout
    Buildpacks cleared. Next release on hello will detect buildpacks normally.
    --- requests
    PUT /apps/hello/buildpack-installations | {"updates":[]}
    "#);
}

#[test]
fn a_buildpack_that_is_there_or_is_not_changes_nothing() {
    let paas = Paas::new().on(INSTALLATIONS, installations(&["heroku/nodejs"]));
    assert_snapshot!(paas.run("buildpacks:add heroku/nodejs -a hello"), @r"
    exit: 1
    --- stderr
     !    The buildpack heroku/nodejs is already set on your app
    --- requests
    GET /apps/hello/buildpack-installations
    ");
    assert_snapshot!(paas.run("buildpacks:remove heroku/ruby -a hello"), @r"
    exit: 1
    --- stderr
     !    hello has no such buildpack: it uses heroku/nodejs. Nothing was removed
    --- requests
    GET /apps/hello/buildpack-installations
    ");
    assert_snapshot!(paas.run("buildpacks:remove -a hello"), @r"
    exit: 2
    --- stderr
     !    the following required arguments were not provided: <BUILDPACK>

    hint: write `paas buildpacks:remove --app <APP> <BUILDPACK>`
    ");
}

#[test]
fn the_buildpacks_of_the_platform_can_be_looked_through() {
    let all = json!([entry("python", "Python apps"), entry("nodejs", "Node.js apps")]);
    let paas = Paas::new().on("GET /buildpack-registry/buildpacks", all).on(
        "GET /buildpack-registry/buildpacks/heroku%2Fpython",
        entry("python", "Python apps"),
    );
    assert_snapshot!(paas.run("buildpacks:search node"), @r"
    exit: 0
    --- stdout
      Buildpack       Category    Description
     ──────────────────────────────────────────
      heroku/nodejs   languages   Node.js apps


    1 buildpack found
    --- requests
    GET /buildpack-registry/buildpacks
    ");
    assert_snapshot!(paas.run("buildpacks:info heroku/python"), @r"
    exit: 0
    --- stdout
    === heroku/python

    Category:    languages
    Description: Python apps
    --- requests
    GET /buildpack-registry/buildpacks/heroku%2Fpython
    ");
}

#[test]
fn the_stack_of_an_app_is_marked_and_set() {
    let new = but(
        app("hello"),
        &json!({ "build_stack": { "id": "01234567-89ab-7def-8123-456789abcdef", "name": "next" } }),
    );
    let paas = Paas::new()
        .on("GET /stacks", json!([stack("paas-12", true), stack("next", false)]))
        .on("GET /apps/hello", new.clone())
        .on("PATCH /apps/hello", new);
    assert_snapshot!(paas.run("stacks -a hello"), @r"
    exit: 0
    --- stdout
    === hello Available Stacks

    * paas-12
      next (active on next deploy)
    --- requests
    GET /stacks | range=id ..; max=1000
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("stack:set next -a hello"), @r#"
    exit: 0
    --- stdout
    You will need to redeploy hello for the change to take effect.
    Run git push paas main to trigger a new build on hello.
    --- stderr
    Setting stack to next... done
    --- requests
    PATCH /apps/hello | {"build_stack":"next"}
    "#);
}

#[test]
fn a_build_of_an_address_is_followed_to_its_end() {
    let paas = Paas::new()
        .on("POST /apps/hello/builds", Answer::json(201, &build("pending")))
        .on(
            "GET /streams/build",
            Answer::text(200, "text/plain", "-----> Building\n"),
        )
        .on(BUILD, build("succeeded"))
        .on(BUILD, build("failed"));
    let create = "builds:create -a hello --source-url https://example.com/x.tgz --version v1 -b heroku/python";
    assert_snapshot!(paas.run(create), @r#"
    exit: 0
    --- stdout
    -----> Building
    --- stderr
    Starting build... done
    --- requests
    POST /apps/hello/builds | {"buildpacks":["heroku/python"],"source_blob":{"checksum":null,"url":"https://example.com/x.tgz","version":"v1","version_description":null}}
    GET /streams/build | no authorization
    GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef
    "#);
    assert_snapshot!(paas.run("builds:create -a hello --source-url https://example.com/x.tgz"), @r#"
    exit: 1
    --- stdout
    -----> Building
    --- stderr
    Starting build... done
     !    Build 01234567-89ab-7def-8123-456789abcdef has failed
    --- requests
    POST /apps/hello/builds | {"source_blob":{"checksum":null,"url":"https://example.com/x.tgz","version":null,"version_description":null}}
    GET /streams/build | no authorization
    GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef
    "#);
}

#[test]
fn a_folder_is_packed_as_git_sees_it() {
    let source = json!({ "source_blob": {
        "get_url": "http://127.0.0.1:5050/uploads/x", "put_url": "http://127.0.0.1:5050/uploads/x"
    } });
    let paas = Paas::new()
        .on("POST /sources", Answer::json(201, &source))
        .on("PUT /uploads/x", Answer::text(200, "text/plain", ""))
        .on("POST /apps/hello/builds", Answer::json(201, &build("pending")))
        .on("GET /streams/build", Answer::text(200, "text/plain", ""))
        .on(BUILD, build("succeeded"));
    paas.git("init --quiet .");
    for (name, content) in [("Procfile", "web: ./web"), (".gitignore", "secret"), ("secret", "x")] {
        fs::write(paas.directory().join(name), content).unwrap();
    }
    assert_snapshot!(paas.run("builds:create -a hello"), @r#"
    exit: 0
    --- stderr
    Uploading source... done
    Starting build... done
    --- requests
    POST /sources | {}
    PUT /uploads/x | no authorization | (bytes)
    POST /apps/hello/builds | {"source_blob":{"checksum":null,"url":"http://127.0.0.1:5050/uploads/x","version":null,"version_description":null}}
    GET /streams/build | no authorization
    GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef
    "#);
    let archive = paas.home.path().join("upload");
    fs::write(&archive, paas.upload()).unwrap();
    let listed = std::process::Command::new("tar")
        .arg("-tzf")
        .arg(archive)
        .output()
        .unwrap();
    assert_snapshot!(String::from_utf8(listed.stdout).unwrap(), @r"
    .gitignore
    Procfile
    ");
}

#[test]
fn a_build_is_cancelled_and_the_cache_purged() {
    let paas = Paas::new()
        .on("GET /apps/hello/builds", json!([build("pending")]))
        .on(
            "DELETE /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef",
            build("pending"),
        )
        .on("DELETE /apps/hello/build-cache", json!({}));
    assert_snapshot!(paas.run("builds:cancel -a hello"), @r"
    exit: 0
    --- stderr
    Cancelling build 01234567-89ab-7def-8123-456789abcdef... done
    --- requests
    GET /apps/hello/builds | range=id ..; max=1, order=desc
    DELETE /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef
    ");
    assert_snapshot!(paas.run("builds:cache:purge -a hello --confirm hello"), @r"
    exit: 0
    --- stderr
    Purging build cache of hello... done
    --- requests
    DELETE /apps/hello/build-cache
    ");
    assert_snapshot!(paas.run("builds:cache:purge -a hello"), @r"
    exit: 1
    --- stderr
     !    Warning: the next build of hello installs everything anew, which takes longer
          To proceed, type hello, or run again with --confirm hello
     !    There is no terminal to ask on for a confirmation

    hint: pass `--confirm APP`
    ");
}

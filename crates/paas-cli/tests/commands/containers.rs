//! Images: pushed ones are released and taken away, others are deployed.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{app, build, current, release},
    platform::{Answer, Paas},
};

fn app_on(stack: &str) -> Value {
    let mut app = app("hello");
    app["stack"]["name"] = json!(stack);
    app["build_stack"]["name"] = json!(stack);
    app
}

#[test]
fn a_pushed_image_is_released_by_the_digest_of_its_configuration() {
    let manifest = json!({ "schemaVersion": 2, "config": { "digest": "sha256:abc" }, "layers": [] });
    let paas = Paas::new()
        .on("GET /apps/hello", app_on("container"))
        .on("GET /v2/hello/web/manifests/latest", manifest)
        .on("PATCH /apps/hello/formation", json!([]))
        .on(
            "GET /apps/hello/releases",
            json!([current(release(7, "Deployed web (0123456789ab)"))]),
        );
    assert_snapshot!(paas.run("container:release web -a hello"), @r#"
    exit: 0
    --- stderr
    Releasing images web to hello... done
    --- requests
    GET /apps/hello
    GET /v2/hello/web/manifests/latest
    PATCH /apps/hello/formation | {"updates":[{"type":"web","docker_image":"sha256:abc"}]}
    GET /apps/hello/releases | range=version ..; max=1, order=desc
    "#);
}

#[test]
fn an_image_that_was_not_pushed_cannot_be_released() {
    let paas = Paas::new().on("GET /apps/hello", app_on("container")).on(
        "GET /v2/hello/web/manifests/latest",
        Answer::json(404, &json!({ "errors": [{ "code": "MANIFEST_UNKNOWN" }] })),
    );
    assert_snapshot!(paas.run("container:release web -a hello"), @"
    exit: 1
    --- stderr
     !    No image was pushed for web of hello: run paas container:push web first
    --- requests
    GET /apps/hello
    GET /v2/hello/web/manifests/latest
    ");
}

#[test]
fn an_app_of_buildpacks_is_told_what_to_do() {
    let paas = Paas::new().on("GET /apps/hello", app_on("paas-12"));
    assert_snapshot!(paas.run("container:push web -a hello"), @"
    exit: 1
    --- stderr
     !    This command is for Docker apps only. Switch stacks by running paas stack:set container -a hello. Or, to deploy hello with paas-12, run git push paas main instead
    --- requests
    GET /apps/hello
    ");
}

#[test]
fn an_image_of_another_registry_is_deployed() {
    let paas = Paas::new()
        .on("POST /apps/hello/images", Answer::json(201, &build("pending")))
        .on(
            "GET /streams/build",
            Answer::text(200, "text/plain", "-----> Fetching x/y:1\n"),
        )
        .on(
            "GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef",
            build("succeeded"),
        );
    assert_snapshot!(paas.run("image:deploy x/y:1 -a hello --type worker"), @r#"
    exit: 0
    --- stdout
    -----> Fetching x/y:1
    --- stderr
    Deploying x/y:1 as worker of hello... done
    --- requests
    POST /apps/hello/images | {"image":"x/y:1","process_type":"worker"}
    GET /streams/build | no authorization
    GET /apps/hello/builds/01234567-89ab-7def-8123-456789abcdef
    "#);
}

//! `buildpacks` and stacks: what an app is built with.

use paas_integration::{Heroku, Platform};

#[test]
#[ignore = "needs docker, npm's heroku"]
fn buildpacks_are_chosen_and_build_the_app() {
    let platform = Platform::start();
    let app = platform.app("hello");
    let heroku = Heroku::user(&platform);
    let installed = || platform.sql("select array_to_string(buildpacks, ' ') from apps");

    let none = heroku.run_for(&app, &["buildpacks"]);
    none.expect_success().expect("hello has no Buildpacks.");
    heroku
        .run_for(&app, &["buildpacks:set", "heroku/nodejs"])
        .expect_success()
        .expect("Buildpack set. Next release on hello will use heroku/nodejs.");
    heroku
        .run_for(&app, &["buildpacks:add", "heroku/python"])
        .expect_success()
        .expect("1. heroku/nodejs\n  2. heroku/python");
    assert_eq!(installed(), ["heroku/nodejs heroku/python"]);
    heroku
        .run_for(&app, &["buildpacks"])
        .expect_success()
        .expect("1. heroku/nodejs\n2. heroku/python");
    heroku
        .run_for(&app, &["buildpacks:add", "https://github.com/x/y.git#v1"])
        .expect_success()
        .expect("3. https://github.com/x/y.git#v1");
    heroku
        .run_for(&app, &["buildpacks:add", "somebody/thing"])
        .expect_success()
        .expect("4. somebody/thing");
    for other in ["https://github.com/x/y.git#v1", "somebody/thing"] {
        heroku.run_for(&app, &["buildpacks:remove", other]).expect_success();
    }
    heroku
        .run_for(&app, &["buildpacks:add", "https://me:secret@github.com/x/y.git"])
        .expect_code(2)
        .expect("no user and no password");
    heroku
        .run_for(&app, &["buildpacks:add", "heroku/cobol"])
        .expect_code(2)
        .expect("That buildpack cannot be used here");
    // The source is no app of the first one, whatever the second one would say.
    app.commit();
    app.push()
        .expect_code(1)
        .expect("App not compatible with buildpack: nodejs");
    heroku
        .run_for(&app, &["buildpacks:remove", "heroku/nodejs"])
        .expect_success()
        .expect("Buildpack removed. Next release on hello will use heroku/python.");
    app.push().expect_success().expect("Python app detected");
    assert_eq!(app.page("/"), "hello one");
    assert_eq!(app.builds()[0]["buildpacks"][0]["name"], "heroku/python");
    heroku
        .run_for(&app, &["buildpacks:clear"])
        .expect_success()
        .expect("Next release on hello will detect buildpacks normally.");
    assert_eq!(installed(), [""]);

    let found = heroku.run(&["buildpacks:search", "python"]);
    found
        .expect_success()
        .expect("heroku/python")
        .expect("1 buildpack found");
    heroku
        .run(&["buildpacks:info", "heroku/nodejs"])
        .expect_success()
        .expect("=== heroku/nodejs");
    heroku
        .run(&["buildpacks:versions", "heroku/nodejs"])
        .expect_success()
        .expect("published");

    let stacks = heroku.run_for(&app, &["apps:stacks"]);
    stacks
        .expect_success()
        .expect("=== hello Available Stacks")
        .expect("* paas-12");
    heroku
        .run_for(&app, &["stack:set", "paas-12"])
        .expect_success()
        .expect("Setting stack to paas-12... done");
    heroku
        .run_for(&app, &["stack:set", "heroku-24"])
        .expect_code(2)
        .expect("heroku-24 is not available");
    heroku.covers(&[
        "apps:stacks",
        "apps:stacks:set",
        "buildpacks",
        "buildpacks:add",
        "buildpacks:clear",
        "buildpacks:info",
        "buildpacks:remove",
        "buildpacks:search",
        "buildpacks:set",
        "buildpacks:versions",
    ]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn two_apps_are_compared_and_a_release_command_is_run_again() {
    let platform = Platform::start();
    let app = platform.app("hello");
    platform.app("other");
    let heroku = Heroku::user(&platform);
    app.write("Procfile", "web: python3 server.py\nrelease: echo migrated\n");
    app.commit();
    app.push().expect_success().expect("migrated");
    app.paas(&["config:set", "COLOUR=red"]).expect_success();
    let formation = heroku.run_for(&app, &["ps:scale"]);
    formation
        .expect_success()
        .expect("web=1:Standard-1X")
        .expect("release=0:");

    let differs = heroku.run(&["apps:diff", "hello", "other"]);
    differs
        .expect_success()
        .expect("slug (checksum)")
        .expect("config (COLOUR)");
    let same = heroku.run(&["apps:diff", "hello", "hello"]);
    same.expect_success().expect_no("checksum");

    let before = app.current();
    heroku
        .run_for(&app, &["releases:retry"])
        .expect_success()
        .expect(&format!("Retrying v{before} on hello... done, v{}", before + 1))
        .expect("migrated");
    assert_eq!(app.current(), before + 1);
    heroku.run_for(&app, &["ps:wait"]).expect_success();
    let status = heroku.run(&["status"]);
    status.expect_success().expect("No known issues at this time.");
    heroku.covers(&["apps:diff", "ps:wait", "releases:retry", "status"]);
}

//! Apps in the shape in which they exist: a framework, a lock file, a build step, several process types; pushed, served, and
//! pushed again with unchanged dependencies.

use std::time::Duration;

use paas_integration::{Answer, App, Output, Platform, eventually, request};

const SOON: Duration = Duration::from_mins(1);

/// Pushes a change that no dependency has a part in: nothing is installed again.
#[track_caller]
fn pushed_again(app: &App<'_>) -> Output {
    let output = app.deploys_again();
    output
        .expect("Using the cached dependencies: unchanged")
        .expect_no("Installing dependencies")
        .expect_no("Pruning");
    output
}

/// Pushes something that cannot be built.
#[track_caller]
fn refused(app: &App<'_>, words: &str) {
    app.push().expect_code(1).expect(words);
}

/// Sends a form to an app.
#[track_caller]
fn post(app: &App<'_>, path: &str, form: &str) -> Answer {
    let host = app.host();
    let headers = [
        ("Host", host.as_str()),
        ("Content-Type", "application/x-www-form-urlencoded"),
    ];
    let answer = request(app.platform().http(), "POST", path, &headers, form);
    answer.unwrap_or_else(|| panic!("no answer from {host}{path}"))
}

#[test]
#[ignore = "needs docker"]
fn a_django_shop_has_a_database_a_worker_and_a_clock() {
    let platform = Platform::start();
    let shop = platform.app("shop");
    shop.fixture("django-shop");
    // Before there is a database the release phase cannot make its tables, and says so.
    let first = shop.push();
    first
        .expect_code(1)
        .expect("collectstatic")
        .expect("static file copied")
        .expect("settings.DATABASES is improperly configured")
        .expect("release");

    shop.paas(&["addons:create", "heroku-postgresql", "--wait"])
        .expect_success();
    shop.write("NOTES.md", "There is a database now.\n");
    shop.deploys()
        .expect("Using the cached dependencies: unchanged")
        .expect("Procfile declares types -> clock, release, web, worker")
        .expect("Applying orders.0001_initial... OK");
    shop.paas(&["ps:scale", "worker=1", "clock=1"]).expect_success();
    shop.runs(&["web.1", "worker.1", "clock.1"], SOON);

    let page = shop.page("/");
    assert!(page.contains("Hello from a shop"), "{page}");
    let style = page.split('"').find(|word| word.starts_with("/static/orders/shop."));
    let style = shop.get(style.unwrap_or_else(|| panic!("no style sheet in {page}")));
    assert!(style.expect_status(200).body.contains("#336699"));
    // WhiteNoise: the name holds a hash of the content.
    assert_eq!(
        style.header("cache-control"),
        Some("max-age=315360000, public, immutable")
    );

    // A job goes from web to worker, and what the clock has counted comes back.
    post(&shop, "/orders", "item=teapot").expect_status(201);
    eventually("the worker packs the teapot", SOON, || {
        shop.page("/orders")
            .contains(r#"{"item": "teapot", "packed_by": "worker.1"}"#)
    });
    eventually("the clock has counted it", SOON, || {
        shop.page("/report") == r#"{"packed": 1, "made_by": "clock.1"}"#
    });
    shop.logs("packed teapot", SOON);

    // With unchanged dependencies nothing is installed, and there is nothing to migrate.
    pushed_again(&shop).expect("No migrations to apply.");
    assert!(shop.page("/orders").contains("teapot"), "orders outlive a release");
}

#[test]
#[ignore = "needs docker"]
fn node_apps_with_a_build_step_are_installed_once_whatever_installs_them() {
    let platform = Platform::start();
    let vite = platform.app("vite");
    vite.fixture("node-vite");
    vite.deploys()
        .expect("Installing dependencies (npm)")
        .expect("Running build")
        .expect("Pruning development dependencies");
    let page = vite.page("/any/page/of/the/app");
    let script = page.split('"').find(|word| word.starts_with("/assets/index-"));
    assert!(
        vite.page(script.unwrap_or_else(|| panic!("no script in {page}")))
            .contains("Notes of a Vite app")
    );
    assert!(vite.page("/api/notes").contains("Hello from Express"));
    pushed_again(&vite).expect("Running build");
    assert!(vite.page("/api/notes").contains("Hello from Express"));
    // What only the build needs is in no dyno.
    vite.paas(&["run", "--exit-code", "ls node_modules/express/package.json"])
        .expect_success();
    vite.paas(&["run", "--exit-code", "ls node_modules/vite/package.json"])
        .expect_code(2);

    let yarn = platform.app("yarn");
    yarn.fixture("node-yarn");
    yarn.deploys()
        .expect("Adding yarn@1.x")
        .expect("Running heroku-postbuild")
        .expect_no("never run")
        .expect("Default types for Node.js -> web");
    assert_eq!(yarn.page("/"), "Hello from Koa on web.1\n");
    assert!(yarn.page("/site.css").contains("#336699"));
    pushed_again(&yarn).expect("Running heroku-postbuild");
    assert!(yarn.page("/site.css").contains("#336699"));

    let berry = platform.app("berry");
    berry.fixture("node-berry");
    berry.deploys().expect("Adding @yarnpkg/cli-dist@4.18.1");
    assert!(berry.page("/").starts_with("Hello from Plug'n'Play"));

    // Two lock files, and then none that fits.
    yarn.write("package-lock.json", "{}\n");
    refused(
        &yarn,
        " !     There are several lock files: package-lock.json yarn.lock.",
    );
    vite.remove("package-lock.json");
    vite.write("package.json", r#"{ "engines": { "node": "99.x" } }"#);
    refused(&vite, " !     There is no Node.js 99.x.");
    // Nobody says how to start it, and so nothing does.
    vite.remove("Procfile").remove("server.js");
    vite.write(
        "package.json",
        r#"{ "scripts": { "build": "mkdir dist && echo hello > dist/index.html" } }"#,
    );
    vite.deploys()
        .expect(" !     Nothing says how to start this app. What it has built in dist looks like a site of files.")
        .expect("There is nothing to run");
}

#[test]
#[ignore = "needs docker"]
fn next_and_nuxt_are_built_and_served_without_a_procfile() {
    let platform = Platform::start();
    let next = platform.app("next");
    next.fixture("node-next");
    next.paas(&["config:set", "GREETING=kindness"]).expect_success();
    next.deploys().expect("Default types for Node.js -> web");
    let page = next.page("/");
    assert!(page.contains("Hello from Next at next.localhost"), "{page}");
    assert_eq!(next.page("/api/hello"), r#"{"hello":"web.1"}"#);
    // Config is there while the app is built, too.
    assert!(next.page("/about").contains("Built with kindness"));
    pushed_again(&next).expect_no("No build cache found");
    assert!(next.page("/about").contains("Built with kindness"));

    let nuxt = platform.app("nuxt");
    nuxt.fixture("node-nuxt");
    nuxt.deploys()
        .expect("Adding pnpm@10.34.9")
        .expect("Types generated in .nuxt")
        .expect("Default types for Node.js -> web");
    assert!(nuxt.page("/").contains("<h1>Hello from Nuxt on web.1</h1>"));
    pushed_again(&nuxt).expect("Types generated in .nuxt");
    assert!(nuxt.page("/").contains("<h1>Hello from Nuxt on web.1</h1>"));
}

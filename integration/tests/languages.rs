//! One little app of each kind that the platform builds.

use std::time::Duration;

use paas_integration::{App, Platform};

const SOON: Duration = Duration::from_secs(40);

/// Pushes a change that no dependency has a part in: nothing is installed again.
#[track_caller]
fn pushed_again(app: &App<'_>) {
    app.deploys_again()
        .expect("Using the cached dependencies: unchanged")
        .expect_no("Installing dependencies");
}

/// Pushes `integration/apps/<fixture>`, looks at its page, pushes a change and looks again.
#[track_caller]
fn serves_twice(fixture: &str, detected: &str) {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.fixture(fixture);
    app.push().expect_success().expect(detected).expect("deployed");
    assert!(app.page("/").contains("Hello from web.1"));
    pushed_again(&app);
    assert!(app.page("/").contains("Hello from web.1"));
}

/// Pushes `integration/apps/<fixture>` and looks at one of its pages.
#[track_caller]
fn serves(fixture: &str, detected: &str, path: &str, text: &str) {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.fixture(fixture);
    app.push().expect_success().expect(detected).expect("deployed");
    let page = app.page(path);
    assert!(page.contains(text), "no {text:?} in {page}");
    app.runs(&["web.1"], SOON);
}

#[test]
#[ignore = "needs docker"]
fn a_python_app_is_built_once_and_its_packages_reused() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.fixture("hello-python");
    app.push().expect_success().expect("+ gunicorn==23.0.0");
    assert_eq!(app.page("/"), "Hello from web.1\n");
    app.write("README.md", "One line more.\n");
    app.push().expect_success().expect_no("+ gunicorn");
    assert_eq!(app.page("/"), "Hello from web.1\n");

    app.write("runtime.txt", "python-2.7.18\n");
    let refused = app.push();
    refused
        .expect_code(1)
        .expect(" !     Python 2.7.18, asked for in runtime.txt, is not here.");
    app.remove("runtime.txt");
    app.write("uv.lock", "").write("poetry.lock", "");
    let refused = app.push();
    refused
        .expect_code(1)
        .expect(" !     There are several lock files: uv.lock poetry.lock.");
}

#[test]
#[ignore = "needs docker"]
fn a_uv_project_is_built() {
    serves_twice("hello-uv", "Python app detected");
}

#[test]
#[ignore = "needs docker"]
fn a_pipenv_project_is_built() {
    serves_twice("hello-pipenv", "Python app detected");
}

#[test]
#[ignore = "needs docker"]
fn a_node_app_is_built() {
    serves_twice("hello-node", "Node.js app detected");
}

#[test]
#[ignore = "needs docker"]
fn frameworks_without_a_procfile_and_workspaces_are_served() {
    let platform = Platform::start();
    let flask = platform.app("flask");
    flask.fixture("flask");
    flask.push().expect_success().expect("web: gunicorn app:app");
    assert!(flask.page("/").contains("Hello from Flask at http://"));
    pushed_again(&flask);

    let fastapi = platform.app("fastapi");
    fastapi.fixture("fastapi");
    fastapi.push().expect_success().expect("web: uvicorn app.main:app");
    assert_eq!(fastapi.page("/"), r#"{"hello":"FastAPI"}"#);
    pushed_again(&fastapi);

    let workspace = platform.app("workspace");
    workspace.fixture("node-workspace");
    workspace
        .push()
        .expect_success()
        .expect("before the install")
        .expect("build number 1")
        .expect("Pruning development dependencies")
        .expect("after the pruning");
    assert_eq!(workspace.page("/"), "Hello from a workspace\n");
    workspace.write("README.md", "One line more.\n");
    workspace.push().expect_success().expect("build number 2");
    workspace
        .paas(&["config:set", "NODE_MODULES_CACHE=false"])
        .expect_success();
    workspace.write("README.md", "Two lines more.\n");
    workspace.push().expect_success().expect("build number 1");
}

#[test]
#[ignore = "needs docker"]
fn a_dockerfile_is_built() {
    serves("hello-dockerfile", "Dockerfile found", "/", "Hello from a Dockerfile");
}

//! Languages whose compilers and runtimes come when their first app does: three apps of each, pushed, served, and pushed
//! again with unchanged dependencies, and what somebody reads whose app cannot be built.

use std::{fs, process::Command, time::Duration};

use paas_integration::{App, Output, Platform};

/// The first app of a language waits until its images are made.
const SOON: Duration = Duration::from_secs(40);

/// Pushes `integration/apps/<fixture>` and looks for a text on one of its pages.
#[track_caller]
fn serves(app: &App<'_>, fixture: &str, path: &str, text: &str) -> Output {
    app.fixture(fixture);
    pushed(app, path, text)
}

/// Pushes what is in the working tree and looks for a text on one of its pages.
#[track_caller]
fn pushed(app: &App<'_>, path: &str, text: &str) -> Output {
    let output = app.deploys();
    let page = app.page(path);
    assert!(page.contains(text), "no {text:?} in {page}");
    output
}

/// Pushes something that cannot be built.
#[track_caller]
fn refused(app: &App<'_>, words: &[&str]) {
    let output = app.push();
    output.expect_code(1);
    for words in words {
        output.expect(words);
    }
}

/// Makes `vendor/cache` and `Gemfile.lock` from Debian's packages: rubygems.org cannot be reached everywhere.
#[track_caller]
fn vendor_gems(apps: &[&App<'_>]) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/apps/vendor-gems");
    let mut docker = Command::new("docker");
    docker.args(["run", "--rm", "--user", "root", "--network", "bridge"]);
    docker.args(["--volume", &format!("{script}:/vendor-gems:ro")]);
    for app in apps {
        docker.args(["--volume", &format!("{}:/{}", app.tree().display(), app.name())]);
    }
    docker.args(["paas/stack-12:build-ruby", "bash", "/vendor-gems"]);
    docker.args(apps.iter().map(|app| format!("/{}", app.name())));
    Output::of(&mut docker, "").expect_success();
}

#[test]
#[ignore = "needs docker"]
fn ruby_apps_bring_their_gems_along_and_rails_compiles_its_assets() {
    let platform = Platform::start();
    let plain = platform.app("plain");
    serves(&plain, "ruby-plain", "/", "as production").expect("Ruby app detected");
    plain.deploys_again().expect("Using the cached gems: unchanged");

    let (rails, sinatra) = (platform.app("rails"), platform.app("sinatra"));
    rails.fixture("rails");
    sinatra.fixture("ruby-sinatra");
    vendor_gems(&[&rails, &sinatra]);

    pushed(&rails, "/", "Hello from Rails production")
        .expect("Installing railties")
        .expect("rake assets:precompile")
        .expect("Default types for Ruby -> console, rake, web, worker");
    let page = rails.page("/");
    let style = page
        .split('"')
        .find(|word| word.starts_with("/assets/application-"))
        .unwrap_or_else(|| panic!("no style sheet in {page}"));
    assert!(rails.page(style).contains("#336699"), "{style}");
    rails
        .deploys_again()
        .expect("Using the cached gems: unchanged")
        .expect_no("Installing railties");
    assert!(rails.page("/").contains("Hello from Rails"));

    pushed(&sinatra, "/", "Hello from Sinatra")
        .expect("Default types for Ruby -> console, rake, web")
        .expect_no("Installing rack-test");
    assert_eq!(sinatra.page("/built.txt"), "Built by rake\n");
    sinatra.deploys_again().expect("Using the cached gems: unchanged");

    plain.write("Gemfile", "source 'https://rubygems.org'\nruby '2.0.0'\n");
    refused(&plain, &[" !     Ruby 2.0.0, asked for in the Gemfile, is not here."]);
    plain.remove("Gemfile.lock");
    refused(&plain, &[" !     There is no Gemfile.lock.", "bundle lock"]);
    plain.runs(&["web.1"], SOON);
}

#[test]
#[ignore = "needs docker"]
fn go_apps_are_compiled_with_the_go_that_they_ask_for() {
    let platform = Platform::start();
    let plain = platform.app("plain");
    serves(&plain, "go-plain", "/", "Hello from go1.")
        .expect("Go app detected")
        .expect("Default types for Go -> web")
        // Of Go's own library nothing is named, and most of it is not compiled.
        .expect_no("net/http");

    let vendored = platform.app("vendored");
    serves(&vendored, "go-vendored", "/", "Hello from web.1")
        .expect("Using the modules in vendor/")
        .expect("Default types for Go -> web, worker");
    vendored.deploys_again().expect_no("example.com/greeting");

    let version = platform.app("version");
    version.paas(&["config:set", "GO_LINKER_SYMBOL=main.version", "GO_LINKER_VALUE=1.2.3"]);
    serves(&version, "go-version", "/", "Version 1.2.3 on go1.25").expect("Fetching Go 1.25");
    version.deploys_again().expect_no("Fetching Go");

    plain.write("main.go", "package main\n\nfunc main() { fmt.Println(1) }\n");
    refused(&plain, &["undefined: fmt", " !     The app could not be compiled."]);
    plain.write("go.mod", "module example.com/hello\n\n// +heroku goVersion go1.1\n");
    refused(
        &plain,
        &[" !     Go 1.1, asked for in the comment in go.mod, could not be fetched."],
    );
    plain.runs(&["web.1"], SOON);
}

/// Makes the folder of archives that `composer.lock` names: Packagist cannot be reached everywhere.
#[track_caller]
fn archive_packages(app: &App<'_>) {
    app.write("artifacts/README.md", "Made from packages/.\n");
    let mut python = Command::new("python3");
    python.current_dir(app.tree().join("packages/greeting"));
    python.args(["-m", "zipfile", "-c", "../../artifacts/greeting-1.0.0.zip"]);
    Output::of(python.args(["composer.json", "src", "bin"]), "").expect_success();
}

#[test]
#[ignore = "needs docker"]
fn php_apps_are_served_by_apache_and_by_nginx() {
    let platform = Platform::start();
    let plain = platform.app("plain");
    serves(&plain, "php-plain", "/hello/you", "at /hello/you").expect("Default types for PHP -> web");
    plain.get("/composer.json").expect_status(403);

    let composer = platform.app("composer");
    serves(
        &composer,
        "php-composer",
        "/some/where",
        "Hello from Composer at /some/where",
    )
    .expect("Installing example/greeting")
    .expect("Running composer compile");
    assert_eq!(composer.page("/compiled.txt"), "Compiled");
    composer.get("/vendor/autoload.php").expect_status(200);
    assert!(
        !composer.page("/vendor/autoload.php").contains("<?php"),
        "only public/ is served"
    );

    let nginx = platform.app("nginx");
    serves(&nginx, "php-nginx", "/some/where", "Hello from nginx at /some/where")
        .expect("Procfile declares types -> web, worker");
    nginx.deploys_again().expect("nothing to install");

    let packages = platform.app("packages");
    packages.fixture("php-packages");
    archive_packages(&packages);
    pushed(&packages, "/", "Hello from a package with vendor/bin/greet").expect("Installing example/greeting");
    packages
        .deploys_again()
        .expect("Using the cached packages: unchanged")
        .expect_no("Installing example/greeting");
    // What is installed outside vendor/ is no part of what is kept: it is made anew.
    let manifest = packages.tree().join("composer.json");
    let manifest = fs::read_to_string(manifest).expect("the fixture has a manifest");
    let elsewhere = manifest.replacen('{', r#"{ "config": { "bin-dir": "bin" },"#, 1);
    packages.write("composer.json", &elsewhere);
    for note in ["One line.\n", "Two lines.\n"] {
        packages.write("NOTES.md", note);
        pushed(&packages, "/", "Hello from a package with bin/greet").expect_no("Using the cached packages");
    }

    composer.remove("composer.lock");
    refused(&composer, &[" !     There is no composer.lock."]);
    plain.write("composer.json", r#"{ "require": { "php": "^5.6" } }"#);
    refused(&plain, &[" !     The app asks for another PHP"]);
    plain.runs(&["web.1"], SOON);
}

#[test]
#[ignore = "needs docker"]
fn java_apps_are_built_by_their_own_wrappers() {
    let platform = Platform::start();
    let spring = platform.app("spring");
    serves(&spring, "java-spring", "/", "Hello from Java 17")
        .expect("./mvnw -DskipTests clean install")
        .expect("The program is target/hello-1.0.jar")
        .expect("Default types for Java -> web");
    spring
        .paas(&[
            "config:set",
            "DATABASE_URL=postgres://me:s%40c%2Bret@db.example:5432/shop",
        ])
        .expect_success();
    spring.serves(
        "Hello from Java 17 to jdbc:postgresql://db.example:5432/shop?user=me&password=s%40c%2Bret as me with s@c+ret\n",
        SOON,
    );

    let gradle = platform.app("gradle");
    serves(&gradle, "java-gradle", "/", "Hello from Java 17").expect("./gradlew stage");
    gradle.deploys_again();

    let classes = platform.app("classes");
    classes
        .paas(&["config:set", "MAVEN_CUSTOM_GOALS=package"])
        .expect_success();
    serves(&classes, "java-procfile", "/", "Hello from Java 17").expect("Procfile declares types -> web, worker");

    gradle.remove("gradlew");
    refused(&gradle, &[" !     There is no Gradle wrapper.", "gradle wrapper"]);
    spring.write("system.properties", "java.runtime.version=1\n");
    refused(
        &spring,
        &[" !     Java 1, asked for in system.properties, could not be fetched."],
    );
    spring.runs(&["web.1"], SOON);
}

#[test]
#[ignore = "needs docker"]
fn rust_apps_are_compiled_once() {
    let platform = Platform::start();
    let plain = platform.app("plain");
    serves(&plain, "rust-plain", "/", "Hello from Rust").expect("Default types for Rust -> web");

    let workspace = platform.app("workspace");
    serves(&workspace, "rust-workspace", "/", "Hello from a workspace").expect("Default types for Rust -> web, worker");

    let crates = platform.app("crates");
    serves(&crates, "rust-crates", "/", "Hello from 2 crates").expect("Compiling itoa");
    crates.deploys_again().expect_no("Compiling itoa");

    plain.write("src/main.rs", "fn main() { nothing(); }\n");
    refused(
        &plain,
        &["cannot find function", " !     The app could not be compiled."],
    );
    plain.write("rust-toolchain.toml", "[toolchain]\nchannel = \"0.1.0\"\n");
    refused(
        &plain,
        &[" !     Rust 0.1.0, asked for in rust-toolchain.toml, could not be fetched."],
    );
    plain.runs(&["web.1"], SOON);
}

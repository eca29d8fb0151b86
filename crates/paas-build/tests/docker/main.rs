//! Real builds in real containers: the fixture apps are built and booted, and builds go wrong in every way we have words
//! for. The first run makes the stack's images, which takes a minute or two.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod elsewhere;
mod workshop;

use std::time::Duration;

use paas_build::{BuildError, Buildpack};
use paas_core::Id;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::workshop::{Workshop, in_workshop};

/// A package.json whose build script is the given one.
fn node_app(build: &str) -> Vec<(&'static str, String)> {
    let build = build.replace('"', "\\\"");
    let package = format!(r#"{{ "name": "app", "scripts": {{ "build": "{build}", "start": "node app.js" }} }}"#);
    vec![("package.json", package)]
}

fn python_app(page: &str) -> Vec<(&'static str, String)> {
    let app = format!("def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'{page}']\n");
    vec![
        ("app.py", app),
        ("requirements.txt", "gunicorn==23.0.0\n".to_owned()),
        ("Procfile", "web: gunicorn app:app\n".to_owned()),
    ]
}

async fn builds_and_boots(workshop: &Workshop, fixture: &str, description: &str, page: &str) {
    let built = workshop.build_fixture(fixture).await;
    let built = built
        .result
        .unwrap_or_else(|error| panic!("{fixture}: {error}\n{}", built.output));
    assert_eq!(built.buildpack_description.as_deref(), Some(description), "{fixture}");
    assert!(built.size_bytes > 0, "{fixture}");
    let answer = workshop.boot(&built).await.get("/").await;
    assert!(answer.contains(page), "{fixture} answered {answer}");
}

#[tokio::test]
#[ignore = "needs docker"]
async fn python_apps_build_and_boot_whatever_names_their_dependencies() {
    in_workshop(async |workshop| {
        for fixture in ["hello-python", "hello-uv", "hello-pipenv", "hello-poetry"] {
            builds_and_boots(workshop, fixture, "Python", "Hello from").await;
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_django_site_serves_its_collected_static_files() {
    in_workshop(async |workshop| {
        let built = workshop.build_fixture("django").await;
        let dyno = workshop.boot(&built.result.unwrap()).await;
        let page = dyno.get("/").await;
        assert!(page.contains("Hello from Django"), "{page}");
        let style = page
            .split('"')
            .find(|word| word.starts_with("/static/hello/style."))
            .expect("the page links its style sheet");
        let style = dyno.get(style).await;
        assert!(style.contains("rebeccapurple"), "{style}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_node_app_without_procfile_is_started_with_npm() {
    in_workshop(async |workshop| {
        builds_and_boots(workshop, "hello-node", "Node.js", "Hello from").await;
        // With the layer that the first build has made.
        let again = workshop.build_fixture("hello-node").await;
        assert!(
            again.output.contains("Using the cached dependencies: unchanged"),
            "{}",
            again.output
        );
        let page = workshop.boot(&again.result.unwrap()).await.get("/").await;
        assert!(page.contains("Hello from"), "{page}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_site_of_files_is_served_as_its_configuration_says() {
    in_workshop(async |workshop| {
        let built = workshop.build_fixture("hello-static").await;
        let dyno = workshop.boot(&built.result.unwrap()).await;
        let index = dyno.get("/").await;
        assert!(index.contains("200 OK") && index.contains("text/html") && index.contains("a site of files"));
        assert!(dyno.get("/about").await.contains("About this site"));
        let style = dyno.get("/style.css").await;
        assert!(style.contains("text/css") && style.contains("max-age=3600"), "{style}");
        let missing = dyno.get("/nowhere").await;
        assert!(
            missing.contains("404 Not Found") && missing.contains("There is no such page"),
            "{missing}"
        );
        assert!(dyno.get("/.profile").await.contains("404 Not Found"));
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_dockerfile_is_built_and_what_it_runs_is_web() {
    in_workshop(async |workshop| builds_and_boots(workshop, "hello-dockerfile", "Dockerfile", "a Dockerfile").await)
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn an_image_without_a_shell_runs_what_it_runs_by_itself_and_nothing_else() {
    in_workshop(async |workshop| {
        let dockerfile = "FROM scratch\nCOPY server /server\nCMD [\"/server\"]\n".to_owned();
        let manifest = |run: &str| format!("build:\n  docker:\n    web: Dockerfile\n{run}");
        let files = |run: &str| {
            [
                ("Dockerfile", dockerfile.clone()),
                ("server", "x".to_owned()),
                ("heroku.yml", manifest(run)),
            ]
        };
        let built = workshop.build(&files("")).await;
        let built = built.result.unwrap();
        assert_eq!(built.process_types.values().next().unwrap(), "cd / && exec /server");
        workshop.engine.remove_image(&built.image).await.unwrap();

        let built = workshop.build(&files("run:\n  web: /server --port $PORT\n")).await;
        assert!(matches!(built.result, Err(BuildError::NoShell)), "{}", built.output);
        assert!(workshop.tags().await.is_empty() && workshop.containers().await == 0);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_dockerfile_beside_a_procfile_is_built_only_when_no_buildpack_fits() {
    in_workshop(async |workshop| {
        let dockerfile = ("Dockerfile", "FROM paas/stack-12:run\n".to_owned());
        let mut files = python_app("from the buildpack");
        files.push(dockerfile.clone());
        let built = workshop.build(&files).await.result.unwrap();
        assert_eq!(built.buildpack_description.as_deref(), Some("Python"));

        let files = [dockerfile, ("Procfile", "worker: sleep infinity\n".to_owned())];
        let built = workshop.build(&files).await.result.unwrap();
        assert_eq!(built.buildpack_description.as_deref(), Some("Dockerfile"));
        assert_eq!(built.process_types[&"worker".parse().unwrap()], "sleep infinity");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn unchanged_dependencies_are_used_again_and_changed_ones_are_not() {
    in_workshop(async |workshop| {
        let first = workshop.build(&python_app("one")).await;
        assert!(first.output.contains("Installing dependencies"), "{}", first.output);

        let second = workshop.build(&python_app("two")).await;
        assert!(
            second.output.contains("Using the cached dependencies"),
            "{}",
            second.output
        );
        assert!(!second.output.contains("Installing dependencies"));
        let answer = workshop.boot(&second.result.unwrap()).await.get("/").await;
        assert!(answer.contains("two"), "{answer}");

        let mut changed = python_app("three");
        changed[1].1.push_str("itsdangerous==2.2.0\n");
        let third = workshop.build(&changed).await;
        assert!(third.output.contains("+ itsdangerous==2.2.0"), "{}", third.output);
        let layers = workshop.tags().await;
        assert_eq!(
            layers.iter().filter(|tag| tag.contains(":layer-")).count(),
            1,
            "{layers:?}"
        );

        // What the cache lost is made again, although its layer is still there.
        workshop.purge_cache().await;
        let fourth = workshop.build(&python_app("four")).await;
        let answer = workshop.boot(&fourth.result.unwrap()).await.get("/").await;
        assert!(answer.contains("four"), "{answer}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_build_runs_in_the_container_that_waited_for_it_if_that_knows_the_layers_of_today() {
    in_workshop(async |workshop| {
        let (builder, go) = (workshop.builder(), CancellationToken::new());
        let build = || Id::from_uuid(Uuid::new_v4());
        let first = workshop.build_as(&builder, build(), &python_app("one")).await;
        assert!(first.result.is_ok() && !first.has_waited, "{}", first.output);

        let second = build();
        let expected = workshop.expect(&builder, second, &go).await;
        let outcome = workshop.build_as(&builder, second, &python_app("two")).await;
        assert!(outcome.has_waited, "{}", outcome.output);
        let answer = workshop.boot(&outcome.result.unwrap()).await.get("/").await;
        assert!(answer.contains("two"), "{answer}");
        expected.await.unwrap();

        // Another build comes between, and makes another layer.
        let third = build();
        let expected = workshop.expect(&builder, third, &go).await;
        let mut changed = python_app("between");
        changed[1].1.push_str("itsdangerous==2.2.0\n");
        let between = workshop.build_as(&builder, build(), &changed).await;
        assert!(between.result.is_ok() && !between.has_waited, "{}", between.output);
        // Else this one would have nothing to refuse.
        assert!(builder.expects(third));
        let outcome = workshop.build_as(&builder, third, &python_app("three")).await;
        assert!(outcome.result.is_ok() && !outcome.has_waited, "{}", outcome.output);
        expected.await.unwrap();

        let unwanted = build();
        let expected = workshop.expect(&builder, unwanted, &go).await;
        assert!(builder.expects(unwanted));
        go.cancel();
        expected.await.unwrap();
        assert!(!builder.expects(unwanted));
        let left = workshop.names().await;
        assert!(
            left.iter()
                .all(|name| !name.starts_with("paas-build-") || name.starts_with("paas-build-test")),
            "{left:?}"
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn node_scripts_run_on_every_build_with_config_and_development_packages() {
    in_workshop(async |workshop| {
        let workshop = workshop.with_config("GREETING", "config-is-here");
        let script = "node -e \"console.log(process.env.GREETING, process.env.SOURCE_VERSION)\"";
        for _ in 0..2 {
            let built = workshop.build(&node_app(script)).await;
            assert!(built.output.contains("config-is-here 0123abc"), "{}", built.output);
            let image = built.result.unwrap();
            let inside = workshop.output_of(&image, "env; ls /tmp; cat /tmp/env/* || true").await;
            assert!(!inside.contains("config-is-here"), "{inside}");
        }
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn what_slugignore_names_is_left_out() {
    in_workshop(async |workshop| {
        let mut files = python_app("");
        files.extend([
            (".slugignore", "*.psd\n/docs\n!keep.psd\n".to_owned()),
            ("art/large.psd", "x".to_owned()),
            ("docs/index.md", "x".to_owned()),
            ("kept/docs/index.md", "x".to_owned()),
        ]);
        let built = workshop.build(&files).await.result.unwrap();
        let inside = workshop
            .output_of(&built, "cd /app && find art docs kept -type f")
            .await;
        assert!(inside.contains("kept/docs/index.md"), "{inside}");
        assert!(!inside.contains("large.psd") && !inside.contains("\ndocs/"), "{inside}");

        // What it names does not say either which language the app is in.
        files.extend([
            ("Gemfile", String::new()),
            (".slugignore", "Gemfile\n*.psd\n".to_owned()),
        ]);
        let outcome = workshop.build(&files).await;
        assert_eq!(
            outcome.result.unwrap().detected,
            Some(Buildpack::Python),
            "{}",
            outcome.output
        );
        let times = outcome
            .output
            .matches("files or folders named in .slugignore\n")
            .count();
        assert_eq!(times, 1, "{}", outcome.output);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn an_app_that_nothing_recognises_is_told_what_we_look_for() {
    in_workshop(async |workshop| {
        let built = workshop.build(&[("main.cob", "x".to_owned())]).await;
        assert!(matches!(built.result, Err(BuildError::NothingDetected { .. })));
        assert!(
            built
                .output
                .contains(" !     No default language could be detected for this app.")
        );
        assert!(
            built.output.contains("main.cob") && built.output.contains("package.json"),
            "{}",
            built.output
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_chosen_buildpack_that_does_not_fit_is_refused() {
    in_workshop(async |workshop| {
        let workshop = workshop.with_buildpacks(&[Buildpack::Nodejs]);
        let built = workshop.build(&python_app("")).await;
        assert!(
            matches!(built.result, Err(BuildError::WrongBuildpack { .. })),
            "{}",
            built.output
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn several_buildpacks_run_one_after_the_other() {
    in_workshop(async |workshop| {
        let workshop = workshop.with_buildpacks(&[Buildpack::Nodejs, Buildpack::Python]);
        let mut app = python_app("");
        app.extend(node_app("node -p 1 > made-by-node"));
        // The program of the first buildpack is there when the second one works.
        app.push(("bin/pre_compile", "node --version\n".to_owned()));
        let built = workshop.build(&app).await;
        let output = &built.output;
        let places =
            ["Node.js app detected", "Python app detected", "Running bin/pre_compile"].map(|words| output.find(words));
        assert!(places[0].is_some() && places.is_sorted(), "{output}");
        let built = built.result.unwrap_or_else(|error| panic!("{error}: {output}"));
        assert_eq!(built.buildpack_description.as_deref(), Some("Python"));
        let programs = "cat made-by-node; .heroku/node/bin/node --version; .heroku/python/bin/python --version";
        let said = workshop.output_of(&built, programs).await;
        assert!(said.starts_with("1\nv") && said.contains("Python 3"), "{said}");
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_build_that_fails_says_why_and_leaves_nothing_behind() {
    in_workshop(async |workshop| {
        let mut files = python_app("");
        files[1].1.push_str("there-is-no-such-package-in-the-world==1\n");
        let built = workshop.build(&files).await;
        assert!(
            matches!(built.result, Err(BuildError::CompileFailed)),
            "{}",
            built.output
        );
        assert!(
            built.output.contains("there-is-no-such-package-in-the-world"),
            "{}",
            built.output
        );
        assert!(
            built.output.contains(" !     The dependencies could not be installed."),
            "{}",
            built.output
        );
        assert_eq!(workshop.containers().await, 0);
        assert!(workshop.tags().await.is_empty());

        let files = [(
            "Dockerfile",
            "FROM paas/stack-12:run\nRUN echo why-it-failed && exit 3\n".to_owned(),
        )];
        let built = workshop.build(&files).await;
        assert!(
            matches!(built.result, Err(BuildError::DockerfileFailed { .. })),
            "{}",
            built.output
        );
        assert!(built.output.contains("why-it-failed"), "{}", built.output);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_build_that_wants_too_much_memory_is_told_so() {
    in_workshop(async |workshop| {
        let workshop = workshop.with_memory(256 * 1024 * 1024);
        let script = "python3 -c 'bytearray(1024 * 1024 * 1024)'";
        let built = workshop.build(&node_app(script)).await;
        assert!(
            matches!(built.result, Err(BuildError::OutOfMemory { .. })),
            "{}",
            built.output
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_full_disk_is_not_blamed_on_the_app() {
    in_workshop(async |workshop| {
        // A real ENOSPC, on the one file system of a build that is small.
        let built = workshop.build(&node_app("head -c 1G /dev/zero > /tmp/env/large")).await;
        assert!(matches!(built.result, Err(BuildError::DiskFull)), "{}", built.output);
        assert!(
            built.output.contains(" !     The platform's disk is full."),
            "{}",
            built.output
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_build_that_takes_too_long_or_is_cancelled_ends() {
    in_workshop(async |workshop| {
        let late = workshop.with_timeout(Duration::from_secs(3));
        let built = late.build(&node_app("sleep 600")).await;
        assert!(
            matches!(built.result, Err(BuildError::TimedOut { .. })),
            "{}",
            built.output
        );

        let cancel = CancellationToken::new();
        let built = workshop
            .build_until(&node_app("sleep 600"), "Running build", &cancel)
            .await;
        assert!(matches!(built.result, Err(BuildError::Cancelled)), "{}", built.output);
        assert_eq!(workshop.containers().await, 0);
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn an_archive_that_leaves_its_folder_is_refused() {
    in_workshop(async |workshop| {
        let built = workshop
            .build(&[("app.js", String::new()), ("../../tmp/result/release", "x".to_owned())])
            .await;
        assert!(
            matches!(built.result, Err(BuildError::BrokenSource { .. })),
            "{}",
            built.output
        );
    })
    .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn nothing_is_left_of_an_app_that_is_destroyed() {
    in_workshop(async |workshop| {
        workshop.build(&python_app("one")).await.result.unwrap();
        let mut changed = python_app("two");
        changed[1].1.push_str("itsdangerous==2.2.0\n");
        workshop.build(&changed).await.result.unwrap();
        assert!(workshop.tags().await.len() >= 3);
        workshop.destroy_app().await;
        assert!(workshop.tags().await.is_empty());
        assert_eq!(workshop.untagged_images().await, 0);
        assert_eq!(workshop.volumes().await, 0);
    })
    .await;
}

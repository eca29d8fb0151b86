//! What somebody removes from the engine comes back, and the operator sees what takes room.

use std::{fs, time::Duration};

use paas_integration::{App, Options, OwnEngine, Platform, eventually};

const SOON: Duration = Duration::from_mins(1);

/// An engine of its own: on the machine's this would remove everybody's images.
#[test]
#[ignore = "needs docker"]
fn a_prune_of_the_whole_engine_takes_no_release_away() {
    OwnEngine::with(|engine| {
        let platform = Platform::with(Options {
            docker: Some(engine.socket()),
            arguments: vec!["--keep-images-after=0".to_owned()],
            ..Options::default()
        });
        let app = dockerfile_app(&platform, "hello");
        let [one, two, _] = ["one", "two", "three"].map(|text| {
            app.says(text).push().expect_success();
            format!("v{}", app.current())
        });
        let asleep = dockerfile_app(&platform, "asleep");
        asleep.push().expect_success();
        asleep.paas(&["ps:scale", "web=0"]).expect_success();
        let copies = || {
            let entries = fs::read_dir(platform.data_dir().join("images")).into_iter().flatten();
            let copies = entries
                .flatten()
                .filter(|entry| entry.path().extension().is_some_and(|end| end == "json"));
            copies.count()
        };
        eventually("the images of all releases are copied", 3 * SOON, || copies() == 4);
        eventually("only one dyno is left", SOON, || {
            platform.engine().containers().len() == 1
        });

        engine.docker(&["system", "prune", "--all", "--force"]).expect_success();
        let left = platform.engine().images();
        assert_eq!(left.len(), 1, "the image of what runs, and no other: {left:?}");
        assert_eq!(app.page("/"), "hello three");

        app.paas(&["rollback", &one]).expect_success();
        app.serves("hello one", SOON);
        app.paas(&["rollback", &two]).expect_success();
        app.serves("hello two", SOON);
        asleep.paas(&["ps:scale", "web=1"]).expect_success();
        asleep.serves("hello one", SOON);
        app.paas(&["ps:restart"]).expect_success();
        app.serves("hello two", SOON);

        let disk = platform.paas(&["disk", "--json"]).expect_success().json();
        let account = |name: &str| {
            let accounts = disk["accounts"].as_array().expect("a list of accounts");
            let account = accounts.iter().find(|account| account["name"] == name);
            account.unwrap_or_else(|| panic!("{name} in {disk}"))["bytes"]
                .as_u64()
                .expect("a number of bytes")
        };
        for name in ["images of apps", "image copies", "repositories", "logs", "database"] {
            assert!(account(name) > 0, "{name}: {disk}");
        }
        assert_eq!(disk["apps"].as_array().map(Vec::len), Some(2), "{disk}");
        platform
            .paas(&["disk"])
            .expect_success()
            .expect("=== File Systems")
            .expect("hello");
        // Whatever there is belongs to a release.
        platform
            .paas(&["disk:prune", "--dry-run"])
            .expect_success()
            .expect("There is nothing that nobody needs.");
        platform
            .paas(&["apps:destroy", "-a", "hello", "--confirm", "hello"])
            .expect_success();
        eventually("the app's images are gone", SOON, || {
            platform.engine().images().len() == 1
        });
        platform.paas(&["disk:prune"]).expect_success().expect("image copies");
        assert_eq!(copies(), 1);
        assert_eq!(asleep.page("/"), "hello one");
    });
}

/// The tiny app, built by the engine alone: there is no image for builds, and no registry.
fn dockerfile_app<'platform>(platform: &'platform Platform, name: &str) -> App<'platform> {
    let app = platform.app(name);
    app.remove("Procfile").remove("requirements.txt");
    app.write(
        "Dockerfile",
        "FROM paas/stack-12:run\nWORKDIR /app\nCOPY server.py .\nCMD [\"python3\", \"server.py\"]\n",
    );
    app
}

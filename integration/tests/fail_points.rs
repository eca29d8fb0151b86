//! `paasd serve` dies before and after every step of a deploy, and nobody but the one who pushes notices.

use std::{os::unix::process::ExitStatusExt, path::Path, time::Duration};

use paas_integration::{App, Load, Platform, Target, within};

/// In the order in which a deploy comes to them.
const FAIL_POINTS: [&str; 18] = [
    "receive.before",
    "receive.after",
    "build.before",
    "build.after",
    "image.before",
    "image.after",
    "release-row.before",
    "release-row.after",
    "start.before",
    "start.after",
    "probe.before",
    "probe.after",
    "swap.before",
    "swap.after",
    "drain.before",
    "drain.after",
    "stop.before",
    "stop.after",
];

const SOON: Duration = Duration::from_mins(1);
/// The lease of a build, and time to notice.
const SETTLE_LIMIT: Duration = Duration::from_secs(40);
const ABORTED: Option<i32> = Some(6);

#[test]
#[ignore = "needs docker"]
fn a_server_that_dies_at_any_step_of_a_deploy_costs_no_request_and_leaves_nothing_behind() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);
    let load = Load::start(platform.http(), &[Target::new(app.host())]);

    for point in FAIL_POINTS {
        platform.kill();
        platform.serve(&["--failpoint", point]);
        app.says(point);
        let push = app.start_push();
        let status = platform.ends(SOON);
        assert_eq!(status.signal(), ABORTED, "{point}: {status}");
        let pushed = push.finish(SOON);

        platform.serve(&[]);
        let head = app.git(&["rev-parse", "HEAD"]);
        if app.pushed().as_deref() != Some(head.stdout.trim()) {
            assert_ne!(
                pushed.code, 0,
                "{point}: the ref did not move, but the push said so: {pushed:?}"
            );
            let pushed = app.git(&["push", "paas", "main"]);
            assert_eq!(
                pushed.code, 0,
                "{point}: the push does not succeed when retried: {pushed:?}"
            );
        }
        app.serves(&format!("hello {point}"), SOON);
        load.expect_no_failure(point);

        let mut left = Vec::new();
        let settled = within(SETTLE_LIMIT, || {
            left = unsettled(&platform, &app);
            left.is_empty().then_some(())
        });
        assert!(settled.is_some(), "{point}: {left:#?}\n{}", platform.log());
    }
    load.stop().expect_all_answered();
}

/// Whatever is not as it is on a platform at rest with one app of one dyno.
fn unsettled(platform: &Platform, app: &App<'_>) -> Vec<String> {
    let engine = platform.engine();
    let mut left = Vec::new();

    let current = app.current();
    left.extend(platform.sql("select 'build ' || id from builds where status = 'pending'"));
    left.extend(platform.sql("select 'release ' || version from releases where status = 'pending'"));
    let dynos = platform.sql(
        "select process_type || '.' || index || ' of v' || version || ' is ' || state
         from dynos join releases on releases.id = dynos.release",
    );
    if dynos != [format!("web.1 of v{current} is up")] {
        left.push(format!("rows of dynos: {dynos:?}, but v{current} is current"));
    }

    let containers = engine.containers();
    if !matches!(&containers[..], [only] if only.dyno == "web.1" && only.state == "running") {
        left.push(format!("containers: {containers:?}"));
    }
    let images = platform.sql("select 'paas/app-' || app || ':' || id from builds where status = 'succeeded'");
    let (layers, others): (Vec<_>, Vec<_>) = engine.images().into_iter().partition(|image| image.contains(":layer-"));
    left.extend(others.into_iter().filter(|image| !images.contains(image)));
    if layers.len() > 1 {
        left.push(format!("layers: {layers:?}"));
    }
    let networks = engine.networks();
    if networks.len() != 2 {
        left.push(format!(
            "not only the app's network and the one of builds: {networks:?}"
        ));
    }
    let volumes = engine.volumes();
    if volumes.len() != 1 {
        left.push(format!("not only the app's cache: {volumes:?}"));
    }

    left.extend(files(&platform.data_dir().join("sources")));
    let is_temporary = |file: &String| ["tmp_", ".lock"].iter().any(|part| file.contains(part));
    left.extend(
        files(&platform.data_dir().join("repositories"))
            .into_iter()
            .filter(is_temporary),
    );
    let helpers = platform.processes().into_iter().filter(|process| {
        let is = |word: &str| process.arguments.iter().any(|argument| argument == word);
        is("hook") || process.arguments[0].ends_with("git")
    });
    left.extend(helpers.map(|process| format!("{process:?}")));
    left
}

/// All files below a folder, and the folders.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = folder.read_dir() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        found.push(entry.path().display().to_string());
        found.extend(files(&entry.path()));
    }
    found
}

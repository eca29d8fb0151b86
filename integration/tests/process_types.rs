//! Process types other than web.

use std::time::Duration;

use paas_integration::Platform;

const SOON: Duration = Duration::from_secs(40);
const PROCFILE: &str = "\
web: python3 server.py
worker: trap 'echo worker says goodbye; exit 0' TERM; echo working as $DYNO on port ${PORT:-none}; while :; do sleep 0.1; done
clock: echo tick from $DYNO with $FLAVOUR; exec sleep infinity
release: echo before everything
";

#[test]
#[ignore = "needs docker"]
fn workers_and_clocks_run_when_they_are_scaled_up() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.write("Procfile", PROCFILE);
    // Sourced before the process: .profile.d first.
    app.write(".profile.d/flavour.sh", "export FLAVOUR=vanilla\n");
    app.push().expect_success().expect("before everything");
    app.runs(&["web.1"], SOON);

    app.paas(&["ps:scale", "worker=2", "clock=1"]).expect_success();
    app.runs(&["clock.1", "web.1", "worker.1", "worker.2"], SOON);
    app.logs("app[worker.2]: working as worker.2", SOON);
    app.logs("app[clock.1]: tick from clock.1 with vanilla", SOON);

    // A worker is asked to stop, and may say a last word.
    app.paas(&["ps:scale", "worker=1"]).expect_success();
    app.runs(&["clock.1", "web.1", "worker.1"], SOON);
    app.logs("app[worker.2]: worker says goodbye", SOON);

    // A deploy takes all of them along.
    app.says("two").push().expect_success();
    app.runs(&["clock.1", "web.1", "worker.1"], SOON);
    let version = app.current();
    let old: Vec<_> = app
        .ps()
        .into_iter()
        .filter(|dyno| dyno["release"]["version"] != version)
        .collect();
    assert!(old.is_empty(), "{old:?}");

    let unknown = app.paas(&["ps:scale", "wroker=1"]);
    unknown
        .expect_code(1)
        .expect("Couldn't find that process type (wroker).")
        .expect("worker");
}

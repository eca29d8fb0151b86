//! A build can do what it wants, and its neighbours do not notice.

use std::time::Duration;

use paas_integration::{HOSTILE, Load, Options, Platform, Target, eventually};

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker"]
fn no_build_costs_a_neighbour_a_request_and_each_pusher_is_told_why() {
    let platform = Platform::with(Options {
        arguments: ["--build-memory=1500", "--build-disk=600", "--build-timeout=60"]
            .map(str::to_owned)
            .to_vec(),
        ..Options::default()
    });
    let neighbour = platform.app("neighbour");
    neighbour.push().expect_success();
    neighbour.serves("hello one", SOON);
    let dyno = platform.engine().dyno("web.1").expect("the neighbour runs");
    let app = platform.app("hostile");
    app.push().expect_success();
    let load = Load::start(platform.http(), &[Target::new(neighbour.host())]);

    for hostile in HOSTILE {
        hostile.infest(&app);
        let pushed = app.push();
        match hostile.verdict {
            None => pushed.expect_success(),
            Some(verdict) => pushed.expect_code(1).expect(verdict).expect(hostile.advice),
        };
        load.expect_no_failure(hostile.name);
        eventually("its build container is gone", SOON, || {
            platform
                .engine()
                .containers()
                .iter()
                .all(|container| container.role != "build")
        });
    }

    load.stop().expect_all_answered();
    assert!(
        platform
            .engine()
            .containers()
            .iter()
            .any(|container| container.id == dyno.id),
        "no dyno had to be started again"
    );
    app.remove("bin/pre_compile").says("two").push().expect_success();
    app.serves("hello two", SOON);
}

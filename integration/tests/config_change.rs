//! Config vars reach the app by a new release.

use std::time::Duration;

use paas_integration::Platform;

const SOON: Duration = Duration::from_secs(40);

#[test]
#[ignore = "needs docker"]
fn setting_and_unsetting_config_restarts_the_app_with_it() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.paas(&["config:set", "EARLY=yes"]).expect_success();
    app.push().expect_success();
    assert_eq!(app.page("/env?EARLY"), "yes");
    assert_eq!(app.page("/env?DYNO"), "web.1");
    let version = app.current();

    app.paas(&["config:set", "GREETING=good day", "SPACED= a 'b' \"c\" $HOME"])
        .expect_success()
        .expect(&format!("v{}", version + 1));
    app.serves("good day one", SOON);
    assert_eq!(app.page("/env?SPACED"), " a 'b' \"c\" $HOME");
    assert_eq!(app.page("/env?EARLY"), "yes");
    assert_eq!(app.current(), version + 1);
    let got = app.paas(&["config:get", "GREETING"]);
    assert_eq!(got.expect_success().stdout, "good day\n");
    app.paas(&["config"]).expect_success().expect("GREETING: good day");

    // What changes nothing makes no release.
    app.paas(&["config:set", "GREETING=good day"]).expect_success();
    app.paas(&["config:unset", "NEVER_SET"]);
    assert_eq!(app.current(), version + 1);

    app.paas(&["config:unset", "GREETING"]).expect_success();
    app.serves("hello one", SOON);
    assert_eq!(app.current(), version + 2);
    let newest = &app.releases()[0];
    assert_eq!(newest["description"], "Remove GREETING config vars");

    // Values are secrets: no log of ours has them, nor does the app's.
    for text in [platform.log(), app.log()] {
        assert!(!text.contains("good day"), "{text}");
    }
}

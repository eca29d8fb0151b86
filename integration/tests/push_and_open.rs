//! A developer pushes an app, looks at it, and pushes again.

use std::time::Duration;

use paas_integration::Platform;

const SOON: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs docker"]
fn a_push_builds_an_app_and_serves_it() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success().expect("remote: -----> ").expect("deployed");
    assert_eq!(app.page("/"), "hello one");
    app.runs(&["web.1"], SOON);
}

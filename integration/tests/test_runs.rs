//! An app's tests, run on the platform: `paas ci:run` ends as they end, and nothing is released.

use paas_integration::Platform;

const PASSING: &str = "import unittest\n\nimport server\n\n\nclass Test(unittest.TestCase):\n    def test_it(self):\n        \
                       self.assertTrue(server)\n";
const APP_JSON: &str = r#"{
  "env": {"GREETING": "from the app", "SECRET_KEY": {"generator": "secret"}},
  "environments": {"test": {
    "env": {"GREETING": "from the tests"},
    "scripts": {
      "test-setup": "echo prepared > prepared.txt",
      "test": "cat prepared.txt; echo \"$GREETING on $CI for $HEROKU_TEST_RUN_BRANCH\"; env | grep PRODUCTIO.; exit 7"
    }
  }}
}"#;

#[test]
#[ignore = "needs docker"]
fn tests_run_in_a_build_and_their_status_is_that_of_the_command() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.paas(&["config:set", "PRODUCTION=secret"]).expect_success();
    let (releases, tree) = (app.releases(), app.tree().display().to_string());

    // What the buildpack of the language does by itself, on what is not even committed.
    app.commit();
    app.clear();
    app.write("requirements.txt", "")
        .write("server.py", "")
        .write("test_it.py", PASSING);
    app.paas(&["ci:run", "--dir", &tree])
        .expect_success()
        .expect("-----> Python app detected")
        .expect("-----> Running the tests of the buildpack...")
        .expect("Ran 1 test in")
        .expect("-----> tests completed successfully")
        .expect("✓ #1 main:");

    // What its app.json says comes first, and production's config is no matter of tests.
    app.write("app.json", APP_JSON);
    app.paas(&["ci:run", "--dir", &tree])
        .expect_code(7)
        .expect("prepared\n")
        .expect("from the tests on true for main")
        .expect_no("PRODUCTION")
        .expect("✗ #2 main:");
    app.paas(&["ci:info", "2"])
        .expect_code(7)
        .expect("from the tests on true");
    let listed = app.paas(&["ci", "--json"]).expect_success().json();
    assert_eq!(listed[0]["status"], "failed");
    assert_eq!(listed[1]["status"], "succeeded");

    // An app that cannot be built has not been tested.
    app.write("requirements.txt", "no-such-package-at-all==1\n");
    app.paas(&["ci:run", "--dir", &tree])
        .expect_code(1)
        .expect("Test run #3 errored: The app could not be built");

    assert_eq!(app.releases(), releases);
    let left = platform.engine().containers();
    assert!(left.is_empty(), "{left:?}");
}

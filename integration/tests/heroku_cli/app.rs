//! `apps`, and what belongs to an app as a whole.

use std::time::Duration;

use paas_integration::{Heroku, Platform, eventually};

const SOON: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs docker, npm's heroku"]
fn apps_are_made_shown_renamed_and_destroyed() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let https = platform.https().port();
    let http = platform.http().port();

    heroku
        .run(&["create", "hello"])
        .expect_success()
        .expect("Creating hello... done")
        .expect(&format!(
            "http://hello.localhost:{http}/ | https://git.localhost:{https}/hello.git"
        ));
    assert_eq!(platform.sql("select name from apps"), ["hello"]);
    heroku
        .run(&["apps:create", "hello"])
        .expect_code(2)
        .expect("Name hello is already taken");
    let invented = heroku.run(&["create"]);
    invented.expect_success().expect("Creating app... done, ");
    let listed = heroku.beside(&["apps"]);
    listed
        .expect_alike()
        .expect_success()
        .expect("=== you@example.com Apps\n\n")
        .expect("\nhello\n");
    assert_eq!(listed.heroku.stdout.lines().count(), 4);
    let listed = heroku.beside(&["apps", "--json"]);
    listed.expect_alike();
    let names: Vec<_> = (0..2)
        .map(|index| listed.heroku.json()[index]["name"].clone())
        .collect();
    assert!(names.contains(&"hello".into()), "{names:?}");

    heroku
        .run(&["apps:info", "-a", "hello"])
        .expect_success()
        .expect(&format!(
            "\
=== hello

Auto Cert Mgmt: true
Git URL:        http://git.localhost:{http}/hello.git
Web URL:        http://hello.localhost:{http}/
Repo Size:      0 B
Slug Size:      0 B
Owner:          you@example.com
Region:         us
"
        ));
    let info = heroku.run(&["apps:info", "-a", "hello", "--json"]);
    assert_eq!(info.expect_success().json()["app"]["owner"]["email"], "you@example.com");
    heroku
        .beside(&["apps:info", "-a", "nobody"])
        .expect("Couldn't find that app.");

    let page = format!("http://hello.localhost:{http}/env?A=b");
    heroku
        .run(&["open", "/env?A=b", "-a", "hello"])
        .expect_success()
        .expect(&format!("Opening {page}..."));
    eventually("the browser is told", SOON, || heroku.opened() == [page.as_str()]);

    heroku.beside(&["maintenance", "-a", "hello"]).expect_alike();
    heroku
        .run(&["maintenance:on", "-a", "hello"])
        .expect_success()
        .expect("Enabling maintenance mode for hello... done");
    assert_eq!(platform.sql("select maintenance from apps where name = 'hello'"), ["t"]);
    assert_eq!(heroku.run(&["maintenance", "-a", "hello"]).stdout, "on\n");
    heroku.run(&["maintenance:off", "-a", "hello"]).expect_success();
    assert_eq!(platform.sql("select maintenance from apps where name = 'hello'"), ["f"]);
    heroku
        .run(&["apps:stacks", "-a", "hello"])
        .expect_success()
        .expect("=== hello Available Stacks")
        .expect("* paas-12");
    heroku.run(&["regions"]).expect_success().expect("This machine");

    let renamed = heroku.run(&["apps:rename", "bonjour", "-a", "hello"]);
    renamed.expect_success().expect("Renaming hello to bonjour... done");
    assert_eq!(
        platform.sql("select name from apps where name in ('hello', 'bonjour')"),
        ["bonjour"]
    );

    let wrong = heroku.run(&["apps:destroy", "-a", "bonjour", "--confirm", "hello"]);
    wrong.expect("did not match");
    assert_ne!(wrong.code, 0);
    heroku
        .run(&["apps:destroy", "-a", "bonjour", "--confirm", "bonjour"])
        .expect_success()
        .expect("Destroying bonjour");
    assert_eq!(
        platform.sql("select count(*) from apps where name in ('hello', 'bonjour')"),
        ["0"]
    );
    heroku.covers(&[
        "apps",
        "apps:create",
        "apps:destroy",
        "apps:info",
        "apps:open",
        "apps:rename",
        "apps:stacks",
    ]);
    heroku.covers(&["maintenance", "maintenance:off", "maintenance:on", "regions"]);
}

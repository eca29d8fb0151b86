//! `paas heroku -- …`: Heroku's client against a platform that is somewhere else.

use std::fs;

use paas_integration::{Heroku, Hosts, Output, Platform, binary};

#[test]
#[ignore = "needs docker, npm's heroku"]
fn the_client_reaches_a_platform_by_its_name_and_never_sees_the_token() {
    let platform = Platform::start();
    let heroku = Heroku::stranger(&platform);
    let api = format!("api.localhost:{}", platform.https().port());
    let token = platform.token();
    // As after `paas login` there. Names below localhost are not known to every resolver.
    let netrc = format!("machine api.localhost login you@example.com password {token}\n");
    fs::write(heroku.home().join(".netrc"), netrc).unwrap();
    let hosts = Hosts::write(heroku.home().join("hosts"), &["api.localhost", "git.localhost"]);
    let heroku = heroku.with_hosts(&hosts);
    let run = |arguments: &[&str]| {
        let mut command = heroku.command_of(&binary("paas"));
        for name in [
            "HEROKU_HOST",
            "HEROKU_GIT_HOST",
            "HEROKU_LOGIN_HOST",
            "DISABLE_TELEMETRY",
        ] {
            command.env_remove(name);
        }
        command
            .args(["heroku", "--"])
            .args(arguments)
            .env("PAAS_URL", format!("https://{api}"))
            // `paas` looks there for authorities, as programs with OpenSSL do.
            .env("SSL_CERT_FILE", platform.data_dir().join("local-ca/root.pem"));
        let output = Output::of(&mut command, "");
        assert!(!output.text().contains(&token), "the token is in {output:?}");
        assert_eq!(heroku.strays(), [""; 0]);
        output
    };

    let created = run(&["create", "hello", "--no-remote"]);
    created
        .expect_success()
        .expect(&format!("https://git.localhost:{}/hello.git", platform.https().port()));
    assert_eq!(platform.sql("select name from apps"), ["hello"]);
    run(&["config:set", "A=b", "-a", "hello"])
        .expect_success()
        .expect("Setting A and restarting hello... done, v3");
    assert_eq!(run(&["config:get", "A", "-a", "hello"]).expect_success().stdout, "b\n");
    run(&["apps:info", "-a", "nobody"])
        .expect_code(2)
        .expect("Couldn't find that app.");

    // A host that is written into the client gets neither an answer nor the token: the guard tells where it went.
    let mut asked = heroku.command_of(&binary("paas"));
    asked
        .args(["heroku", "--", "notifications", "-a", "hello"])
        .env("PAAS_URL", format!("http://{}", platform.api()))
        .env("PAAS_API_KEY", &token);
    let asked = Output::of(&mut asked, "");
    assert_ne!(asked.code, 0, "{asked:?}");
    assert!(
        heroku.strays().iter().all(|host| host.starts_with("telex.heroku.com")),
        "{asked:?}"
    );
}

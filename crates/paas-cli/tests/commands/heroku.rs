use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt};

use serde_json::json;

use crate::platform::{Answer, Paas};

/// A command `heroku` in front of the others that does this.
fn pretending(script: &str) -> Paas {
    let paas = Paas::new();
    let folder = paas.home.path().join("bin");
    fs::create_dir(&folder).unwrap();
    let heroku = folder.join("heroku");
    fs::write(&heroku, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&heroku, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", folder.display());
    paas.set("PATH", &path)
}

/// Asks the API as the client does, with curl.
const ASK: &str = r#"curl -s -g -w '\n%{http_code} %{content_type}\n' -H "Authorization: Bearer $HEROKU_API_KEY""#;

#[test]
fn requests_reach_the_platform_with_the_users_token_and_without_it_the_client_never_sees() {
    let paas = pretending(&format!(
        "env | grep -q the-token && echo 'the token is in the environment'
{ASK} \"$HEROKU_HOST/apps?eq[name]=x\" -H 'Range: id ..; max=5'
{ASK} -X PATCH \"$HEROKU_HOST/apps/hello/config-vars\" -d '{{\"A\":\"b\"}}'
{ASK} -X DELETE \"$HEROKU_HOST/apps/hello\" -d '{{\"confirm\":\"hello\"}}'
exit 42"
    ))
    .on("GET /apps?eq[name]=x", json!([{ "name": "hello" }]))
    .on("PATCH /apps/hello/config-vars", json!({ "A": "b" }))
    .on(
        "DELETE /apps/hello",
        Answer::error(422, "confirmation_required", "Confirm.").header("request-id", "r"),
    );
    insta::assert_snapshot!(paas.run("heroku -- apps:info -a hello"), @r#"
    exit: 42
    --- stdout
    [{"name":"hello"}]
    200 application/json
    {"A":"b"}
    200 application/json
    {"id":"confirmation_required","message":"Confirm."}
    422 application/json
    --- requests
    GET /apps?eq[name]=x | range=id ..; max=5
    PATCH /apps/hello/config-vars | {"A":"b"}
    DELETE /apps/hello | {"confirm":"hello"}
    "#);
}

#[test]
fn basic_credentials_are_exchanged_and_other_words_refused() {
    let paas = pretending(
        r#"curl -s -u "hello:$HEROKU_API_KEY" "$HEROKU_HOST/databases"; echo
curl -s -u "hello:guessed" "$HEROKU_HOST/databases"; echo
curl -s -H "Authorization: Bearer guessed" "$HEROKU_HOST/apps"; echo
curl -s -H "Authorization: Bearer" "$HEROKU_HOST/apps"; echo
curl -s "$HEROKU_HOST/api/v4/current-status""#,
    )
    .on("GET /databases", json!("basic"))
    .on("GET /api/v4/current-status", json!("open to all"));
    insta::assert_snapshot!(paas.run("heroku -- x"), @r#"
    exit: 0
    --- stdout
    "basic"
    {"id":"unauthorized","message":"Only the command that was started by paas heroku is served here."}
    {"id":"unauthorized","message":"Only the command that was started by paas heroku is served here."}
    {"id":"unauthorized","message":"Only the command that was started by paas heroku is served here."}
    "open to all"--- requests
    GET /databases | Basic aGVsbG86dGhlLXRva2Vu
    GET /api/v4/current-status | no authorization
    "#);
}

#[test]
fn every_host_that_can_be_chosen_is_this_machine() {
    let paas = pretending("env | grep -i -E '^(HEROKU|PAAS|NO_PROXY|SSO|PGDIAGNOSE|DISABLE|GIT_CONFIG)' | sort")
        .set("HEROKU_HEADERS", "{}")
        .set("HEROKU_CLOUD", "staging")
        .set("NO_PROXY", "example.com")
        .set("PAAS_APP", "hello");
    let told = paas.run("heroku -- x");
    let mut shown = String::new();
    for line in told.lines().filter(|line| !line.starts_with("HEROKU_API_KEY=")) {
        // The forwarder's port, which is another one each time.
        let forwarder = line.find("://127.0.0.1:").filter(|_| !line.contains("127.0.0.1:5050"));
        let end = forwarder.map_or(line.len(), |at| at + "://127.0.0.1:".len());
        let rest = line[end..].trim_start_matches(|character: char| character.is_ascii_digit());
        _ = writeln!(shown, "{}{rest}", &line[..end]);
    }
    insta::assert_snapshot!(shown, @r"
    exit: 0
    --- stdout
    DISABLE_TELEMETRY=true
    GIT_CONFIG_COUNT=1
    GIT_CONFIG_KEY_0=url.http://127.0.0.1:5050/.insteadOf
    GIT_CONFIG_NOSYSTEM=1
    GIT_CONFIG_VALUE_0=https://127.0.0.1:5050/
    HEROKU_ANALYTICS_URL=http://127.0.0.1:
    HEROKU_APP=hello
    HEROKU_BUILDPACK_REGISTRY_URL=http://127.0.0.1:/buildpack-registry
    HEROKU_CI_WEBSOCKET_URL=http://127.0.0.1:
    HEROKU_DATA_HOST=127.0.0.1
    HEROKU_EXEC_URL=https://127.0.0.1:5050/
    HEROKU_GIT_HOST=127.0.0.1:5050
    HEROKU_HOST=http://127.0.0.1:
    HEROKU_LOGIN_HOST=http://127.0.0.1:
    HEROKU_PARTICLEBOARD_URL=http://127.0.0.1:
    HEROKU_POSTGRESQL_HOST=127.0.0.1
    HEROKU_REDIS_HOST=127.0.0.1
    HEROKU_SKIP_NEW_VERSION_CHECK=true
    HEROKU_STATUS_HOST=http://127.0.0.1:
    NO_PROXY=127.0.0.1,localhost,example.com
    PAAS_APP=hello
    PAAS_URL=http://127.0.0.1:5050
    PGDIAGNOSE_URL=http://127.0.0.1:
    SSO_URL=http://127.0.0.1:
    no_proxy=127.0.0.1,localhost,example.com
    ");
}

#[test]
fn without_the_command_or_a_login_it_is_told_what_to_do() {
    let nowhere = Paas::new().set("PATH", "/nonexistent");
    insta::assert_snapshot!(nowhere.run("heroku -- apps"), @r"
    exit: 1
    --- stderr
     !    There is no command heroku on the PATH

    hint: run `npm install --global heroku`, or see https://devcenter.heroku.com/articles/heroku-cli; `paas` knows the same commands
    ");
    let nobody = pretending("echo never").unset("PAAS_API_KEY");
    insta::assert_snapshot!(nobody.run("heroku apps"), @r"
    exit: 1
    --- stderr
     !    Not logged in

    hint: run `paas login`
    ");
}

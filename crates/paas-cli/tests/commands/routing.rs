use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{but, feature, routing},
    platform::{Answer, Paas},
};

#[test]
fn features_are_listed_and_switched() {
    let paas = Paas::new()
        .on(
            "GET /apps/hello/features",
            json!([feature("https-redirect", false), feature("hsts", true)]),
        )
        .on("GET /apps/hello/features/hsts", feature("hsts", true))
        .on(
            "GET /apps/hello/features/https-redirect",
            feature("https-redirect", false),
        )
        .on(
            "PATCH /apps/hello/features/https-redirect",
            feature("https-redirect", true),
        )
        .on("PATCH /apps/hello/features/hsts", feature("hsts", false));
    assert_snapshot!(paas.run("features -a hello"), @r"
    exit: 0
    --- stdout
    === App Features hello

    [+] hsts            About hsts
    [ ] https-redirect  About https-redirect
    --- requests
    GET /apps/hello/features | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("features:info hsts -a hello"), @r"
    exit: 0
    --- stdout
    === hsts

    Description: About hsts
    Docs:        https://example.com/docs
    Enabled:     true
    --- requests
    GET /apps/hello/features/hsts
    ");
    assert_snapshot!(paas.run("features:enable https-redirect -a hello"), @r#"
    exit: 0
    --- stderr
    Enabling https-redirect for hello... done
    --- requests
    GET /apps/hello/features/https-redirect
    PATCH /apps/hello/features/https-redirect | {"enabled":true}
    "#);
    assert_snapshot!(paas.run("features:enable hsts -a hello"), @r"
    exit: 1
    --- stderr
    Enabling hsts for hello... !
     !    hsts is already enabled
    --- requests
    GET /apps/hello/features/hsts
    ");
    assert_snapshot!(paas.run("features:disable hsts -a hello"), @r#"
    exit: 0
    --- stderr
    Disabling hsts for hello... done
    --- requests
    GET /apps/hello/features/hsts
    PATCH /apps/hello/features/hsts | {"enabled":false}
    "#);
}

#[test]
fn an_unknown_feature_leads_to_the_list() {
    let missing = json!({ "id": "not_found", "message": "Couldn't find that feature.", "resource": "feature" });
    let paas = Paas::new().on("GET /apps/hello/features/warp", Answer::json(404, &missing));
    assert_snapshot!(paas.run("features:enable warp -a hello"), @r"
    exit: 1
    --- stderr
    Enabling warp for hello... !
     !    Couldn't find that feature.

    hint: run `paas features` to see what can be switched on
    --- requests
    GET /apps/hello/features/warp
    ");
}

#[test]
fn routing_shows_what_is_set_and_what_holds_otherwise() {
    let set = json!({ "https_redirect": true, "hsts_seconds": 31_536_000, "response_timeout_seconds": 90 });
    let paas = Paas::new().on("GET /apps/hello/routing", but(routing(), &set));
    assert_snapshot!(paas.run("routing -a hello"), @r"
    exit: 0
    --- stdout
    === hello Routing

    https-redirect:   on
    hsts:             1y
    session-affinity: off (default)
    response-timeout: 90s
    idle-timeout:     55s (default)
    boot-timeout:     75s (default)
    sleep-after:      30m for Eco dynos, else never (default)
    --- requests
    GET /apps/hello/routing
    ");
}

#[test]
fn routing_is_set_and_unset_by_rule() {
    let paas = Paas::new().on("PATCH /apps/hello/routing", routing());
    let all = "routing:set response-timeout=120s idle-timeout=10m hsts=1y https-redirect=on session-affinity=off \
               sleep-after=30m -a hello --json";
    assert_snapshot!(paas.run(all), @r#"
    exit: 0
    --- stdout
    {
      "app": {
        "id": "01234567-89ab-7def-8123-456789abcdef",
        "name": "hello"
      },
      "boot_timeout_seconds": null,
      "hsts_seconds": null,
      "https_redirect": false,
      "idle_timeout_seconds": null,
      "response_timeout_seconds": null,
      "session_affinity": false,
      "sleep_after_seconds": null
    }
    --- stderr
    Setting routing rules of hello... done
    --- requests
    PATCH /apps/hello/routing | {"hsts_seconds":31536000,"https_redirect":true,"idle_timeout_seconds":600,"response_timeout_seconds":120,"session_affinity":false,"sleep_after_seconds":1800}
    "#);
    assert_snapshot!(paas.run("routing:unset response-timeout hsts https-redirect -a hello"), @r#"
    exit: 0
    --- stdout
    === hello Routing

    https-redirect:   off (default)
    hsts:             off (default)
    session-affinity: off (default)
    response-timeout: 30s (default)
    idle-timeout:     55s (default)
    boot-timeout:     75s (default)
    sleep-after:      30m for Eco dynos, else never (default)
    --- stderr
    Unsetting routing rules of hello... done
    --- requests
    PATCH /apps/hello/routing | {"hsts_seconds":null,"https_redirect":null,"response_timeout_seconds":null}
    "#);
    let wrong = [
        "routing:set response-timeout -a hello",
        "routing:set response-timeout=fast -a hello",
        "routing:set https-redirect=maybe -a hello",
        "routing:unset warp -a hello",
    ];
    assert_snapshot!(wrong.map(|line| paas.run(line)).concat(), @r"
    exit: 2
    --- stderr
     !    response-timeout is not a change: write response-timeout=VALUE
    exit: 2
    --- stderr
     !    fast is no duration for response-timeout: write 90s, 10m, 2h, 30d or 1y
    exit: 2
    --- stderr
     !    https-redirect is on or off, not maybe
    exit: 2
    --- stderr
     !    There is no rule warp: the rules are https-redirect, hsts, session-affinity, response-timeout, idle-timeout, boot-timeout, sleep-after
    ");
}

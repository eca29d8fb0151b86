//! What people type wrong, at each door: Heroku's status and id, a message that says what to do, and nothing lost.

use paas_integration::{Answer, App, Output, Platform};

/// An app that serves, so that there is something to lose.
fn serving(platform: &Platform) -> App<'_> {
    let app = platform.app("hello");
    app.push().expect_success();
    app
}

/// The push must be refused with these words, before and after which the app serves the same.
#[track_caller]
fn refuses(app: &App<'_>, words: &[&str]) {
    let (pushed, current) = (app.pushed(), app.current());
    let refused = app.push();
    refused.expect_code(1);
    for word in words {
        refused.expect(word);
    }
    assert_eq!((app.pushed(), app.current()), (pushed, current));
    assert_eq!(app.page("/"), "hello one");
}

#[track_caller]
fn is_error(answer: &Answer, status: u16, id: &str, words: &str) {
    answer.expect_status(status);
    let error = answer.json();
    assert_eq!(error["id"], id, "{error}");
    let message = error["message"].as_str().expect("an error has a message");
    assert!(message.contains(words), "no {words:?} in {message}");
}

#[test]
#[ignore = "needs docker"]
fn a_procfile_with_a_bad_line_is_told_the_line() {
    let platform = Platform::start();
    let app = serving(&platform);
    app.write("Procfile", "web: python3 server.py\nworker python3 worker.py\n");
    refuses(
        &app,
        &["The Procfile has a mistake in line 2.", "web: gunicorn app:app"],
    );
    app.write("Procfile", "web: python3 server.py\n");
    app.push().expect_success();
}

#[test]
#[ignore = "needs docker"]
fn an_app_in_which_nothing_is_detected_is_told_what_is_looked_for() {
    let platform = Platform::start();
    let app = serving(&platform);
    app.clear().write("main.cob", "DISPLAY 'HELLO'.\n");
    refuses(
        &app,
        &[
            "No default language could be detected for this app.",
            "main.cob",
            "requirements.txt",
        ],
    );
}

#[test]
#[ignore = "needs docker"]
fn an_unknown_app_is_not_found_anywhere() {
    let platform = Platform::start();
    let app = platform.app("hello");
    is_error(
        &platform.call("GET", "/apps/nobody", ""),
        404,
        "not_found",
        "Couldn't find that app.",
    );
    let info = platform.paas(&["apps:info", "-a", "nobody"]);
    info.expect_code(1)
        .expect(" !    Couldn't find that app.")
        .expect("hint: run `paas apps`");
    app.commit();
    let url = format!("http://{}/nobody.git", platform.api());
    let pushed = app.git(&["push", &url, "main"]);
    pushed.expect_code(128).expect("nobody.git").expect("not found");
    platform.get("nobody.localhost", "/").unwrap().expect_status(404);
}

#[test]
#[ignore = "needs docker"]
fn an_invalid_name_is_told_the_rule() {
    let platform = Platform::start();
    platform.app("hello");
    for name in [
        "Hello",
        "1hello",
        "he_llo",
        "x",
        "a-very-long-name-that-has-more-than-thirty-characters",
    ] {
        let body = serde_json::json!({ "name": name }).to_string();
        is_error(&platform.call("POST", "/apps", &body), 422, "invalid_params", "Name ");
        platform.paas(&["create", name]).expect_code(1).expect("Name ");
    }
    is_error(
        &platform.call("POST", "/apps", "{\"name\":\"hello\"}"),
        422,
        "invalid_params",
        "is already taken",
    );
    let apps = platform.paas(&["apps", "--json"]).expect_success().json();
    assert_eq!(apps.as_array().unwrap().len(), 1);
}

#[test]
#[ignore = "needs docker"]
fn a_bad_token_is_refused_by_api_and_git() {
    let platform = Platform::start();
    let app = platform.app("hello");
    for authorization in [
        "Bearer 01234567-89ab-cdef-0123-456789abcdef",
        "Bearer ",
        "Basic !!!",
        "Nonsense",
    ] {
        let refused = platform.call_as(authorization, "GET", "/apps", "");
        is_error(&refused, 401, "unauthorized", "Invalid credentials provided.");
    }
    app.commit();
    let url = format!("http://you:wrong@{}/hello.git", platform.api());
    let pushed = app.git(&["push", &url, "main"]);
    pushed.expect_code(128).expect("Authentication failed");
    let mut paas = platform.user_command(&paas_integration::binary("paas"));
    let refused = Output::of(paas.arg("apps").env("PAAS_API_KEY", "wrong"), "");
    refused.expect_code(1).expect("The token was refused").expect("hint:");
    assert_eq!(app.builds().len(), 0);
}

#[test]
#[ignore = "needs docker"]
fn an_unknown_process_type_cannot_be_scaled() {
    let platform = Platform::start();
    let app = serving(&platform);
    let before = app.paas(&["ps:scale"]).stdout;
    let scaled = app.paas(&["ps:scale", "web=2", "clock=1"]);
    scaled
        .expect_code(1)
        .expect("Couldn't find that process type (clock).")
        .expect("The deployed release has: web.");
    let body = "{\"updates\":[{\"type\":\"clock\",\"quantity\":1}]}";
    let answer = platform.call("PATCH", "/apps/hello/formation", body);
    is_error(&answer, 404, "not_found", "Couldn't find that process type (clock).");
    assert_eq!(app.paas(&["ps:scale"]).stdout, before, "all of a batch or nothing");
    for quantity in ["-1", "\"many\"", "1000000", "1.5"] {
        let body = format!("{{\"quantity\":{quantity}}}");
        let answer = platform.call("PATCH", "/apps/hello/formation/web", &body);
        assert!(matches!(answer.status, 400 | 422), "{quantity}: {answer:?}");
    }
    assert_eq!(app.paas(&["ps:scale"]).stdout, before);
}

#[test]
#[ignore = "needs docker"]
fn a_config_key_of_500_characters_is_refused_whole() {
    let platform = Platform::start();
    let app = serving(&platform);
    let version = app.current();
    let key = "K".repeat(500);
    let set = app.paas(&["config:set", "GOOD=1", &format!("{key}=secret-value")]);
    set.expect_code(1)
        .expect("is too long (maximum is 255 characters)")
        .expect_no("secret-value");
    let body = serde_json::json!({ key.as_str(): "1" }).to_string();
    let answer = platform.call("PATCH", "/apps/hello/config-vars", &body);
    is_error(
        &answer,
        422,
        "invalid_params",
        "is too long (maximum is 255 characters)",
    );
    for key in ["1ST", "WITH-DASH", "WITH SPACE", "", "__RESERVED", "PORT"] {
        let body = serde_json::json!({ key: "1" }).to_string();
        let answer = platform.call("PATCH", "/apps/hello/config-vars", &body);
        is_error(&answer, 422, "invalid_params", "Config var name");
    }
    for body in ["{", "[]", "{\"A\":1}", "nonsense"] {
        let answer = platform.call("PATCH", "/apps/hello/config-vars", body);
        assert!(matches!(answer.status, 400 | 422), "{body}: {answer:?}");
    }
    assert_eq!(app.current(), version);
    assert_eq!(
        app.paas(&["config", "--json"]).expect_success().json(),
        serde_json::json!({})
    );
}

#[test]
#[ignore = "needs docker"]
fn an_empty_repository_cannot_be_pushed() {
    let platform = Platform::start();
    let app = serving(&platform);
    app.clear();
    refuses(
        &app,
        &["the commit has no files: add your app's files, commit and push again"],
    );
    let other = platform.app("other");
    // Without a commit it is git itself that has nothing to push.
    other
        .git(&["push", "paas", "main"])
        .expect_code(1)
        .expect("src refspec main does not match any");
    assert_eq!(other.builds().len(), 0);
}

//! A program of somebody else's acts for people: the flow of OAuth in a browser, as third parties of Heroku's use it.

use std::fmt::Write as _;

use paas_integration::{Answer, Heroku, Platform, request};
use serde_json::{Value, json};

const EMAIL: &str = "you@example.com";
const PASSWORD: &str = "correct horse battery staple";
const CALLBACK: &str = "https://dashboard.example.com/callback?from=paas";

/// A browser without a memory.
struct Browser<'a>(&'a Platform);

impl Browser<'_> {
    fn get(&self, path: &str) -> Answer {
        request(self.0.api(), "GET", path, &[], "").expect("an answer")
    }

    fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        request(self.0.api(), "POST", path, &form, encoded(fields)).expect("an answer")
    }

    /// Follows an answer to where it leads on this platform.
    fn follow(&self, answer: &Answer) -> (String, Answer) {
        let path = answer.header("location").expect("it leads somewhere").to_owned();
        let page = self.get(&path);
        (path, page)
    }

    /// Logs in and answers; where the browser is sent with that.
    fn answers(&self, scope: &str, state: &str, answer: &str, client: &str) -> String {
        let query = [
            ("client_id", client),
            ("response_type", "code"),
            ("scope", scope),
            ("state", state),
        ];
        let begun = self.get(&format!("/oauth/authorize?{}", encoded(&query)));
        begun.expect_status(303);
        let (page, asked) = self.follow(&begun);
        assert!(
            asked.body.contains("<b>Dash &amp; Co</b> asks for access"),
            "{}",
            asked.body
        );
        let wrong = self.submit(&page, &[("email", EMAIL), ("password", "guess")]);
        assert!(
            wrong.body.contains("The email or password is not right"),
            "{}",
            wrong.body
        );
        let known = self.submit(&page, &[("email", EMAIL), ("password", PASSWORD)]);
        let (page, asked) = self.follow(known.expect_status(303));
        assert!(
            asked.body.contains("wants to act for you@example.com"),
            "{}",
            asked.body
        );
        let policy = asked.header("content-security-policy").expect("a policy");
        assert!(
            policy.contains("form-action 'self' https://dashboard.example.com;"),
            "{policy}"
        );
        let answered = self.submit(&page, &[(answer, "1")]);
        answered.expect_status(303);
        // The page is good for one answer.
        assert_eq!(self.get(&page).status, 404);
        answered.header("location").expect("it leads somewhere").to_owned()
    }

    fn token(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let answer = self.submit("/oauth/token", fields);
        (answer.status, serde_json::from_str(&answer.body).expect("JSON"))
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut form = String::new();
    for (name, value) in fields {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for byte in value.bytes() {
            write!(form, "%{byte:02x}").expect("a text takes text");
        }
    }
    form
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_program_gets_tokens_for_what_a_person_allows_it() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    platform.app("hello");
    let made = heroku.run(&["clients:create", "Dash & Co", CALLBACK, "--json"]);
    let made = made.expect_success().json();
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let (id, secret) = (text(&made["id"]), text(&made["secret"]));
    let browser = Browser(&platform);
    let call = |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        platform.call_as(&bearer, "GET", path, "")
    };

    // Nobody is sent to an address that nobody registered.
    for query in [
        format!("client_id={id}&response_type=code&redirect_uri=https://evil.example"),
        "client_id=00000000-0000-0000-0000-000000000000&response_type=code".to_owned(),
    ] {
        let refused = browser.get(&format!("/oauth/authorize?{query}"));
        assert!(
            refused.status >= 400 && refused.header("location").is_none(),
            "{refused:?}"
        );
    }
    let refused = browser.get(&format!("/oauth/authorize?client_id={id}&response_type=token&state=s"));
    let location = refused.header("location").expect("the program hears of it");
    assert!(
        location.starts_with(&format!("{CALLBACK}&error=unsupported%5Fresponse%5Ftype")),
        "{location}"
    );

    let denied = browser.answers("read", "st te", "deny", &id);
    assert_eq!(denied, format!("{CALLBACK}&error=access%5Fdenied&state=st%20te"));

    let allowed = browser.answers("read", "state", "allow", &id);
    let code = allowed.strip_prefix(&format!("{CALLBACK}&code=")).expect("a code");
    let code = code.strip_suffix("&state=state").expect("the state as it was");
    let grant = [("grant_type", "authorization_code"), ("code", code)];
    let (status, refused) = browser.token(&[&grant[..], &[("client_secret", "guess")]].concat());
    assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")));
    let (status, token) = browser.token(&[&grant[..], &[("client_secret", &secret)]].concat());
    assert_eq!(
        (status, &token["token_type"], &token["expires_in"]),
        (200, &json!("Bearer"), &json!(28800))
    );
    let (access, refresh) = (text(&token["access_token"]), text(&token["refresh_token"]));

    call(&access, "/apps/hello").expect_status(200);
    call(&access, "/apps/hello/config-vars").expect_status(403);
    let listed = heroku.run(&["authorizations", "--json"]).expect_success().json();
    let listed = listed.as_array().expect("a list").iter();
    let own = listed
        .clone()
        .find(|one| one["client"]["id"] == id.as_str())
        .expect("it is listed");
    assert_eq!(
        (&own["description"], &own["scope"]),
        (&json!("Dash & Co"), &json!(["read"]))
    );

    let again = [
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh.as_str()),
        ("client_id", id.as_str()),
        ("client_secret", secret.as_str()),
    ];
    let (status, next) = browser.token(&again);
    assert_eq!(status, 200, "{next}");
    let next = text(&next["access_token"]);
    call(&access, "/apps/hello").expect_status(401);
    call(&next, "/apps/hello").expect_status(200);

    // A code that comes twice was seen by somebody else: what it was good for ends.
    let (status, refused) = browser.token(&[&grant[..], &[("client_secret", &secret)]].concat());
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    call(&next, "/apps/hello").expect_status(401);
    assert_eq!(browser.token(&again).0, 400);

    // What a person takes back is gone, and so is the way to renew it.
    let allowed = browser.answers("global", "x", "allow", &id);
    let code = allowed
        .split("code=")
        .nth(1)
        .and_then(|rest| rest.split('&').next())
        .expect("a code");
    let (_, token) = browser.token(&[
        ("grant_type", "authorization_code"),
        ("code", code),
        ("client_secret", &secret),
    ]);
    let access = text(&token["access_token"]);
    call(&access, "/account").expect_status(200);
    let listed = heroku.run(&["authorizations", "--json"]).expect_success().json();
    let listed = listed.as_array().expect("a list").iter();
    let own = listed
        .clone()
        .find(|one| one["client"]["id"] == id.as_str())
        .expect("it is listed");
    heroku
        .run(&["authorizations:revoke", own["id"].as_str().expect("an id")])
        .expect_success();
    call(&access, "/account").expect_status(401);
    let refresh = text(&token["refresh_token"]);
    let (status, _) = browser.token(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", &refresh),
        ("client_secret", &secret),
    ]);
    assert_eq!(status, 400);
}

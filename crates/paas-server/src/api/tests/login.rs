//! A login in a browser: what the command sees, what the page shows, and what strangers may try.

use axum::body::Body;
use chrono::TimeDelta;
use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};

use super::server::{Answer, EMAIL, PASSWORD, Server, server};

/// A login that a command has begun.
struct Begun {
    page: String,
    poll: String,
    secret: String,
}

impl Server {
    async fn begin_login(&self, description: &str) -> Begun {
        let request = Request::post("/auth").body(Body::from(json!({ "description": description }).to_string()));
        let login = self.send(request.unwrap()).await.ok();
        let text = |name: &str| login[name].as_str().unwrap().to_owned();
        Begun {
            page: text("browser_url"),
            poll: text("cli_url"),
            secret: text("token"),
        }
    }

    /// As a browser without scripts sends it.
    async fn submit(&self, login: &Begun, form: &str) -> Answer {
        let request = Request::post(&login.page)
            .header(header::HOST, "api.example.test")
            .header(header::ORIGIN, "http://api.example.test")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()));
        self.send(request.unwrap()).await
    }

    async fn show(&self, login: &Begun) -> Answer {
        self.send(Request::get(&login.page).body(Body::empty()).unwrap()).await
    }

    async fn poll(&self, login: &Begun) -> Answer {
        let request = Request::get(&login.poll).header(header::AUTHORIZATION, format!("Bearer {}", login.secret));
        self.send(request.body(Body::empty()).unwrap()).await
    }
}

fn credentials(password: &str) -> String {
    format!(
        "email={}&password={}",
        EMAIL.replace('@', "%40"),
        password.replace(' ', "+")
    )
}

/// The JSON behind the blanks.
fn result(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    serde_json::from_str(&answer.text).unwrap()
}

#[tokio::test]
async fn a_command_gets_its_token_when_the_page_is_filled_in() {
    let server = server().await;
    server.set_password().await;
    let login = server.begin_login("Heroku CLI login from laptop").await;
    let page = server.show(&login).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("Heroku CLI login from laptop") && page.text.contains("name=\"password\""));
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("form-action 'self'"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(!page.text.contains(&login.secret) && !page.text.contains("<script"));

    // The command waits while the person types.
    let filling = async {
        let wrong = server.submit(&login, &credentials("wrong horse")).await;
        assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
        assert!(wrong.text.contains("The email or password is not right.") && !wrong.text.contains("wrong horse"));
        let done = server.submit(&login, &credentials(PASSWORD)).await;
        assert_eq!(
            (done.status, done.header("location")),
            (StatusCode::SEE_OTHER, Some(login.page.as_str()))
        );
    };
    let (polled, ()) = tokio::join!(server.poll(&login), filling);
    let token = result(&polled)["access_token"].as_str().unwrap().to_owned();
    assert!(server.show(&login).await.text.contains("Logged in"));

    let mut request = server.request(Method::GET, "/account");
    let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    let account = server.send(request).await.ok();
    assert_eq!(
        (&account["email"], &account["last_login"]),
        (&json!(EMAIL), &json!("2026-01-02T03:04:05Z"))
    );
    let sessions = server.get("/oauth/sessions").await;
    assert_eq!(sessions.column("description"), ["Heroku CLI login from laptop"]);
    assert_eq!(sessions.column("expires_in"), [365 * 24 * 60 * 60]);
    assert_eq!(
        server.poll(&login).await.status,
        StatusCode::NOT_FOUND,
        "a token is collected once"
    );
}

#[tokio::test]
async fn the_page_asks_for_a_code_where_one_is_wanted() {
    let server = server().await;
    server.set_password().await;
    let codes = server.turn_two_factor_on().await;
    let login = server.begin_login("laptop").await;
    assert_eq!(
        server.submit(&login, &credentials(PASSWORD)).await.status,
        StatusCode::SEE_OTHER
    );
    let page = server.show(&login).await;
    assert!(
        page.text.contains("name=\"code\"") && !page.text.contains(EMAIL),
        "{}",
        page.text
    );
    let wrong = server.submit(&login, "code=000000").await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert!(wrong.text.contains("That code is not right"), "{}", wrong.text);

    assert_eq!(server.submit(&login, "again=1").await.status, StatusCode::SEE_OTHER);
    assert!(server.show(&login).await.text.contains("name=\"password\""));
    // A code alone is worth nothing.
    let skipped = server.submit(&login, &format!("code={}", codes[0])).await;
    assert_eq!(skipped.status, StatusCode::UNAUTHORIZED);
    server.submit(&login, &credentials(PASSWORD)).await;
    assert_eq!(
        server.submit(&login, &format!("code={}", codes[0])).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(result(&server.poll(&login).await)["access_token"].is_string());
}

#[tokio::test]
async fn a_login_is_over_after_ten_minutes_and_belongs_to_its_command() {
    let server = server().await;
    server.set_password().await;
    let (login, other) = (server.begin_login("one").await, server.begin_login("two").await);
    let crossed = Begun {
        page: login.page.clone(),
        poll: login.poll.clone(),
        secret: other.secret.clone(),
    };
    assert_eq!(server.poll(&crossed).await.status, StatusCode::NOT_FOUND);
    let bare = Request::get(&login.poll).body(Body::empty()).unwrap();
    assert_eq!(server.send(bare).await.status, StatusCode::UNAUTHORIZED);
    let page_as_token = login.page.trim_start_matches("/login/").to_owned();
    let crossed = Begun {
        secret: page_as_token,
        ..crossed
    };
    assert_eq!(
        server.poll(&crossed).await.status,
        StatusCode::NOT_FOUND,
        "the page's address gets no token"
    );

    server.submit(&login, &credentials(PASSWORD)).await;
    server.platform.clock.advance(TimeDelta::minutes(10));
    assert_eq!(server.poll(&login).await.status, StatusCode::NOT_FOUND);
    let page = server.show(&other).await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.text.contains("This login is over"), "{}", page.text);
    assert_eq!(
        server.submit(&other, &credentials(PASSWORD)).await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_changed_password_ends_what_was_under_way() {
    let server = server().await;
    server.set_password().await;
    let login = server.begin_login("one").await;
    server.submit(&login, &credentials(PASSWORD)).await;
    let change = json!({ "new_password": "another horse", "password": PASSWORD });
    server.patch("/account", change).await.ok();
    assert_eq!(server.poll(&login).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn hostile_forms_get_a_page_and_nothing_else() {
    let server = server().await;
    server.set_password().await;
    let login = server.begin_login("</p><script>alert(1)</script>\r\n\u{7}").await;
    let page = server.show(&login).await.text;
    assert!(
        page.contains("&lt;script&gt;") && !page.contains("<script>") && !page.contains('\u{7}'),
        "{page}"
    );
    let hostile = [
        String::new(),
        "&&&==&".to_owned(),
        "email=%ff%00&password=%".to_owned(),
        format!("email={}&password=x", "a".repeat(100_000)),
        "email=%3Cscript%3E%40x&password=%3Cscript%3E".to_owned(),
        "email[]=a&password[]=b&code=1&account=1&approved_at=1".to_owned(),
    ];
    for form in hostile {
        let answer = server.submit(&login, &form).await;
        assert!(
            matches!(answer.status.as_u16(), 401 | 422 | 429),
            "{} to {form:.40}",
            answer.status
        );
        assert!(answer.header("content-type").unwrap().starts_with("text/html"));
        assert!(!answer.text.contains("<script"), "{}", answer.text);
    }
    for path in ["/login/x", "/login/%00", "/login/..%2f..%2f", "/login/%3Cscript%3E"] {
        let answer = server.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.text.contains("<script"));
    }
    let elsewhere = Request::post(&login.page)
        .header(header::HOST, "api.example.test")
        .header(header::ORIGIN, "https://evil.example")
        .body(Body::from(credentials(PASSWORD)));
    let answer = server.send(elsewhere.unwrap()).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("sent by another site"), "{}", answer.text);
}

#[tokio::test]
async fn the_page_is_throttled_as_every_other_login_is() {
    let server = server().await;
    server.set_password().await;
    let login = server.begin_login("laptop").await;
    let mut statuses = Vec::new();
    for attempt in 0..8 {
        let answer = if attempt % 2 == 0 {
            server.submit(&login, &credentials("wrong horse")).await
        } else {
            server.log_in("wrong horse", None).await
        };
        statuses.push(answer.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 429, 429, 429]);
    let waiting = server.submit(&login, &credentials(PASSWORD)).await;
    assert!(
        waiting.text.contains("Too many failed logins. Please wait 1 seconds"),
        "{}",
        waiting.text
    );
    for _ in 0..49 {
        server.begin_login("more").await;
    }
    let request = Request::post("/auth").body(Body::from("{}")).unwrap();
    assert_eq!(server.send(request).await.status, StatusCode::TOO_MANY_REQUESTS);
}

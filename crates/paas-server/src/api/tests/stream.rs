//! Output and logs: URLs that are their own permission.

use chrono::TimeDelta;
use http::{HeaderValue, Method, StatusCode, header};
use paas_core::LogSource;
use serde_json::{Value, json};

use super::server::{Answer, Server, server};

/// Without a token, as clients fetch these.
async fn fetch(server: &Server, path: &str, headers: &[(&'static str, &'static str)]) -> Answer {
    let mut request = server.request(Method::GET, path);
    request.headers_mut().remove(header::AUTHORIZATION);
    for (name, value) in headers {
        request.headers_mut().insert(*name, HeaderValue::from_static(value));
    }
    server.send(request).await
}

async fn session(server: &Server, body: Value) -> String {
    let made = server.post("/apps/hello/log-sessions", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    Server::path_of(&made.json()["logplex_url"])
}

#[tokio::test]
async fn the_output_of_a_build_is_streamed_to_its_end() {
    let server = server().await;
    let app = server.app("hello").await;
    server.deploy(&app, &[("web", "./web")]).await;
    let build = &server.get("/apps/hello/builds").await.json()[0];
    let path = Server::path_of(&build["output_stream_url"]);
    assert_eq!(fetch(&server, &path, &[]).await.status, StatusCode::NOT_FOUND);

    let id = build["id"].as_str().unwrap().parse().unwrap();
    let mut output = server.platform.outputs.write(id).await.unwrap();
    output.line("-----> Building").await.unwrap();
    let reading = fetch(&server, &path, &[]);
    let writing = async {
        output.line("-----> Done").await.unwrap();
        drop(output);
    };
    let (answer, ()) = tokio::join!(reading, writing);
    assert_eq!(answer.text, "-----> Building\n-----> Done\n");
    assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
    let guessed = format!("/streams/{}", build["id"].as_str().unwrap());
    assert_eq!(fetch(&server, &guessed, &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_log_is_plain_text_or_events_as_the_client_likes() {
    let server = server().await;
    let app = server.app("hello").await;
    server.platform.log(app.app.id, LogSource::App, "web.1", "hello");
    server.platform.log(app.app.id, LogSource::Heroku, "router", "at=info");
    let path = session(&server, json!({ "lines": 2, "tail": false })).await;
    let plain = fetch(&server, &path, &[]).await;
    assert_eq!(
        plain.text,
        "2026-01-02T03:04:05.000000+00:00 app[web.1]: hello\n2026-01-02T03:04:05.000000+00:00 heroku[router]: at=info\n"
    );
    let events = fetch(&server, &path, &[("accept", "text/event-stream")]).await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    let ids: Vec<&str> = events
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .collect();
    let data: Vec<&str> = events
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect();
    assert_eq!(data.join("\n") + "\n", plain.text);
    assert_eq!(ids.len(), 2);
}

#[tokio::test]
async fn a_log_can_be_narrowed_to_a_source_and_a_dyno() {
    let server = server().await;
    let app = server.app("hello").await;
    for (source, process) in [
        (LogSource::App, "web.1"),
        (LogSource::App, "web.12"),
        (LogSource::App, "worker.1"),
        (LogSource::Heroku, "web.1"),
    ] {
        server.platform.log(app.app.id, source, process, "line");
    }
    for (body, expected) in [
        (json!({ "source": "app", "dyno": "web.1" }), 1),
        (json!({ "dyno": "web" }), 3),
        (json!({ "dyno_name": "web.1" }), 2),
        (json!({ "type": "worker" }), 1),
        (json!({ "source": "heroku" }), 1),
        (json!({ "lines": 2 }), 2),
    ] {
        let path = session(&server, body.clone()).await;
        let lines = fetch(&server, &path, &[]).await.text.lines().count();
        assert_eq!(lines, expected, "{body}");
    }
    let bad = server
        .post("/apps/hello/log-sessions", json!({ "source": "router" }))
        .await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_broken_tail_goes_on_after_the_last_line_that_was_seen() {
    let server = server().await;
    let app = server.app("hello").await;
    for line in ["one", "two", "three"] {
        server.platform.log(app.app.id, LogSource::App, "web.1", line);
    }
    let path = session(&server, json!({ "lines": 3, "tail": true })).await;
    // The platform stops, so that the tail ends.
    server.platform.stop.cancel();
    let first = fetch(&server, &path, &[("accept", "text/event-stream")]).await;
    assert!(
        first.text.contains("one") && first.text.contains("three"),
        "{}",
        first.text
    );
    let rest = fetch(&server, &path, &[("last-event-id", "1")]).await;
    assert!(!rest.text.contains("one"), "{}", rest.text);
}

#[tokio::test]
async fn a_log_session_must_be_opened_soon_and_can_be_resumed_later() {
    let server = server().await;
    server.app("hello").await;
    let path = session(&server, json!({})).await;
    server.platform.clock.advance(TimeDelta::minutes(6));
    let late = fetch(&server, &path, &[]).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND);
    let resumed = fetch(&server, &path, &[("last-event-id", "1")]).await;
    assert_eq!(resumed.status, StatusCode::OK);
    server.platform.clock.advance(TimeDelta::hours(25));
    let stale = fetch(&server, &path, &[("last-event-id", "1")]).await;
    assert_eq!(stale.status, StatusCode::NOT_FOUND);
    assert_eq!(fetch(&server, "/logs/AAAA", &[]).await.status, StatusCode::NOT_FOUND);
}

use insta::assert_snapshot;

use crate::{
    answers::log_session,
    platform::{Answer, Paas},
};

const EVENTS: &str = "id: 41\ndata: 2026-01-02T03:04:05.000000+00:00 app[web.1]: hello\n\n: heartbeat\n\n\
                      id: 42\ndata: 2026-01-02T03:04:06.000000+00:00 heroku[router]: at=info method=GET path=\"/\"\n\n";

#[test]
fn the_last_lines_are_printed_and_the_token_stays_at_home() {
    let paas = Paas::new()
        .on("POST /apps/hello/log-sessions", log_session())
        .on("GET /streams/log", Answer::text(200, "text/event-stream", EVENTS));
    assert_snapshot!(paas.run("logs -n 2 -a hello"), @r#"
    exit: 0
    --- stdout
    2026-01-02T03:04:05.000000+00:00 app[web.1]: hello
    2026-01-02T03:04:06.000000+00:00 heroku[router]: at=info method=GET path="/"
    --- requests
    POST /apps/hello/log-sessions | {"lines":2,"tail":false}
    GET /streams/log | no authorization
    "#);
}

#[test]
fn lines_are_chosen_by_source_and_dyno() {
    let paas = Paas::new().on("POST /apps/hello/log-sessions", log_session()).on(
        "GET /streams/log",
        Answer::text(200, "text/plain; charset=utf-8", "plain line\n"),
    );
    assert_snapshot!(paas.run("logs --source app -d web.1 -a hello"), @r#"
    exit: 0
    --- stdout
    plain line
    --- requests
    POST /apps/hello/log-sessions | {"dyno":"web.1","lines":100,"source":"app","tail":false}
    GET /streams/log | no authorization
    "#);
    assert_snapshot!(paas.run("logs -p worker -a hello"), @r#"
    exit: 0
    --- stdout
    plain line
    --- requests
    POST /apps/hello/log-sessions | {"dyno":"worker","lines":100,"tail":false}
    GET /streams/log | no authorization
    "#);
}

#[test]
fn a_tail_goes_on_behind_the_last_line_in_a_new_session_if_need_be() {
    let paas = Paas::new()
        .on("POST /apps/hello/log-sessions", log_session())
        .on("GET /streams/log", Answer::text(200, "text/event-stream", EVENTS))
        .on("GET /streams/log", Answer::text(503, "text/plain", "starting"))
        .on(
            "GET /streams/log",
            Answer::text(
                200,
                "text/event-stream",
                "id: 43\ndata: 2026-01-02T03:04:07.000000+00:00 app[web.1]: again\n\n",
            ),
        )
        .on("GET /streams/log", Answer::error(404, "not_found", "Gone."))
        .on(
            "GET /streams/log",
            Answer::text(
                200,
                "text/event-stream",
                "id: 44\ndata: 2026-01-02T03:04:08.000000+00:00 app[web.1]: last\n\n",
            ),
        )
        .on("GET /streams/log", Answer::error(404, "not_found", "Gone."));
    assert_snapshot!(paas.run("logs --tail -a hello"), @r#"
    exit: 1
    --- stdout
    2026-01-02T03:04:05.000000+00:00 app[web.1]: hello
    2026-01-02T03:04:06.000000+00:00 heroku[router]: at=info method=GET path="/"
    2026-01-02T03:04:07.000000+00:00 app[web.1]: again
    2026-01-02T03:04:08.000000+00:00 app[web.1]: last
    --- stderr
    The log stream was interrupted. Reconnecting...
     !    Log stream timed out. Please try again
    --- requests
    POST /apps/hello/log-sessions | {"lines":100,"tail":true}
    GET /streams/log | no authorization
    GET /streams/log | last-event-id=42 | no authorization
    GET /streams/log | last-event-id=42 | no authorization
    GET /streams/log | last-event-id=43 | no authorization
    POST /apps/hello/log-sessions | {"lines":100,"tail":true}
    GET /streams/log | last-event-id=43 | no authorization
    GET /streams/log | last-event-id=44 | no authorization
    POST /apps/hello/log-sessions | {"lines":100,"tail":true}
    GET /streams/log | last-event-id=44 | no authorization
    "#);
}

use std::time::{SystemTime, UNIX_EPOCH};

use http::Response;

use crate::support::{HOST, TestDyno, World, echoed, full, quick};

#[tokio::test]
async fn a_dyno_learns_who_asked_and_how() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let answer = world.get("/a%2Fb/../c?d=%20#").await;
    // Neither decoded nor cleaned.
    assert!(answer.body.starts_with("GET /a%2Fb/../c?d=%20"), "{}", answer.body);
    let headers = echoed(&answer.body);
    assert_eq!(headers["host"], [HOST]);
    assert_eq!(headers["x-forwarded-for"], ["127.0.0.1"]);
    assert_eq!(headers["x-forwarded-proto"], ["http"]);
    assert_eq!(headers["x-forwarded-port"], [world.addresses.http.port().to_string()]);
    assert_eq!(headers["via"], ["1.1 paas"]);
    assert!(headers["x-request-start"][0].parse::<u128>().unwrap() >= before);
    assert_eq!(
        headers["x-request-id"][0]
            .parse::<uuid::Uuid>()
            .unwrap()
            .get_version_num(),
        4
    );
    assert!(!headers.contains_key("connection"));
    assert_eq!(answer.header("via"), "1.1 paas");
}

#[tokio::test]
async fn forwarded_addresses_are_appended_and_the_rest_is_not_believed() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Forwarded-For: 9.9.9.9, 8.8.8.8\r\nX-Forwarded-For: 7.7.7.7\r\n\
             X-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\nX-Request-Start: 1\r\nVia: 1.0 x\r\n\
             Connection: close\r\n\r\n"
        ))
        .await;
    let headers = echoed(&answer.body);
    assert_eq!(headers["x-forwarded-for"], ["9.9.9.9, 8.8.8.8, 7.7.7.7, 127.0.0.1"]);
    assert_eq!(headers["x-forwarded-proto"], ["http"]);
    assert_eq!(headers["x-forwarded-port"], [world.addresses.http.port().to_string()]);
    assert_ne!(headers["x-request-start"], ["1"]);
    assert_eq!(headers["via"], ["1.0 x", "1.1 paas"]);
}

#[tokio::test]
async fn a_request_id_is_kept_when_it_looks_like_one() {
    let dyno = TestDyno::echoing_heads().await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    let long = "a".repeat(201);
    for (id, is_kept) in [
        ("01234567890123456789", true),
        ("aZ09+/=-aZ09+/=-aZ09", true),
        ("0123456789012345678", false),
        ("0123456789 0123456789", false),
        ("0123456789_0123456789", false),
        (&long, false),
    ] {
        let answer = world
            .send(&format!(
                "GET / HTTP/1.1\r\nHost: {HOST}\r\nX-Request-Id: {id}\r\nConnection: close\r\n\r\n"
            ))
            .await;
        let seen = &echoed(&answer.body)["x-request-id"];
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0] == id, is_kept, "{id}");
        assert_eq!(world.record().await.request_id, seen[0]);
    }
}

#[tokio::test]
async fn hop_by_hop_headers_end_here_and_end_to_end_ones_do_not() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: close, X-Hop, X-Forwarded-For, Cookie, Authorization\r\n\
             X-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\nProxy-Authorization: secret\r\n\
             Proxy-Connection: close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\
             X-Forwarded-For: 9.9.9.9\r\nCookie: a=b\r\nAuthorization: Basic x\r\nX-End: 1\r\n\r\n"
        ))
        .await;
    let headers = echoed(&answer.body);
    for gone in [
        "connection",
        "x-hop",
        "keep-alive",
        "te",
        "proxy-authorization",
        "proxy-connection",
        "upgrade",
        "http2-settings",
    ] {
        assert!(!headers.contains_key(gone), "{gone}");
    }
    assert_eq!(headers["x-forwarded-for"], ["9.9.9.9, 127.0.0.1"]);
    assert_eq!(headers["cookie"], ["a=b"]);
    assert_eq!(headers["authorization"], ["Basic x"]);
    assert_eq!(headers["x-end"], ["1"]);
}

#[tokio::test]
async fn headers_of_a_response_lose_only_what_is_between_router_and_dyno() {
    let dyno = TestDyno::answering("web.1", |_| async {
        Response::builder()
            .status(418)
            .header("connection", "x-hop")
            .header("x-hop", "1")
            .header("keep-alive", "timeout=5")
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("server", "dyno")
            .body(full("short and stout"))
            .unwrap()
    })
    .await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world.get("/").await;
    assert_eq!((answer.status, answer.body.as_str()), (418, "short and stout"));
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(answer.header("server"), "dyno");
    assert!(answer.headers.get("x-hop").is_none() && answer.headers.get("keep-alive").is_none());
}

#[tokio::test]
async fn an_absolute_target_reaches_the_dyno_as_a_path() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send(&format!(
            "GET http://{HOST}/x?y HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
        ))
        .await;
    assert!(answer.body.starts_with("GET /x?y\n"), "{}", answer.body);
}

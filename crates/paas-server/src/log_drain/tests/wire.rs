//! What receivers get, byte for byte.

use paas_core::LogSource;

use super::{World, receiver};
use crate::testing::receiver::HttpReceiver;

#[tokio::test]
async fn syslog_gets_frames_with_the_token_as_host() {
    let world = World::new().await;
    let mut receiver = receiver::Syslog::bind().await;
    let drain = world.drain(&receiver.url()).await;
    let _running = world.start(&drain);
    let (app, token) = (world.app, &drain.token);
    for (source, process, message) in [
        (LogSource::App, "web.1", "hello"),
        (LogSource::Heroku, "router", "at=info"),
        (LogSource::Heroku, "web.1", "State changed from starting to up"),
    ] {
        world.platform.log(app, source, process, message);
    }
    let at = "2026-01-02T03:04:05.000000+00:00";
    for expected in [
        format!("<190>1 {at} {token} app web.1 - - hello\n"),
        format!("<158>1 {at} {token} heroku router - - at=info\n"),
        format!("<45>1 {at} {token} heroku web.1 - - State changed from starting to up\n"),
    ] {
        assert_eq!(receiver.frame().await, expected);
    }
    assert!(token.starts_with("d.") && token.len() == 38, "{token}");
}

#[tokio::test]
async fn https_gets_requests_in_logplexs_framing() {
    let world = World::new().await;
    let mut receiver = HttpReceiver::bind().await;
    let url = format!("http://ann:p%40ss@{}/in?key=s3cret", receiver.address());
    let drain = world.drain(&url).await;
    world.say("one");
    world.say("two");
    let _running = world.start(&drain);
    let request = receiver.serve(Some("200 OK")).await;
    assert_eq!(request.line, "POST /in?key=s3cret HTTP/1.1");
    assert_eq!(
        request.body,
        "61 <190>1 2026-01-02T03:04:05.000000+00:00 host app web.1 - one\n\
         61 <190>1 2026-01-02T03:04:05.000000+00:00 host app web.1 - two\n"
    );
    let host = receiver.address().to_string();
    for (name, value) in [
        ("host", host.as_str()),
        ("content-type", "application/logplex-1"),
        ("logplex-msg-count", "2"),
        ("logplex-drain-token", &drain.token),
        ("authorization", "Basic YW5uOnBAc3M="),
        ("user-agent", "Logplex/v72"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}");
    }
    let first = request.header("logplex-frame-id").unwrap().to_owned();
    // Each request is another frame, on the same connection.
    world.say("three");
    let request = receiver.serve(Some("204 No Content")).await;
    assert!(request.body.ends_with("- three\n"), "{}", request.body);
    assert_ne!(request.header("logplex-frame-id"), Some(first.as_str()));
}

#[tokio::test]
async fn tls_is_verified_against_the_authorities_that_the_platform_trusts() {
    let authorities = tempfile::tempdir().unwrap();
    let mut receiver = receiver::Syslog::with_tls(authorities.path()).await;
    let folder = authorities.path().to_str().unwrap();
    let world = World::with(&["--local-drains", "--extra-ca", folder]).await;
    let drain = world.drain(&receiver.url()).await;
    let _running = world.start(&drain);
    world.say("hello");
    assert_eq!(receiver.message().await, "hello");
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_told_in_the_log() {
    let authorities = tempfile::tempdir().unwrap();
    let mut receiver = receiver::Syslog::with_tls(authorities.path()).await;
    let world = World::with(&["--local-drains", "--extra-ca", "/nonexistent"]).await;
    let drain = world.drain(&receiver.url()).await;
    let _running = world.start(&drain);
    world.say("secret");
    let told = format!("uri=\"syslog+tls://{}\"", receiver.address());
    tokio::select! {
        () = receiver.accept() => panic!("it was trusted"),
        () = world.logs("heroku[logplex]: Error L14 (certificate validation): error=\"invalid peer certificate") => {}
    }
    world.logs(&told).await;
}

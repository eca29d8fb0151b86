//! HTTP/2 frame by frame: what RFC 9113 refuses, what floods, and what only HTTP/1.1 would read differently.

mod flood;
mod header;
mod rule;
mod wire;

use self::{
    header::{BODY, DOWNGRADES, Downgrade},
    rule::{Outcome, RULES, Rule},
    wire::{
        DATA, END_HEADERS, END_STREAM, HEADERS, NO_ERROR, PREFACE, PROTOCOL_ERROR, Wire, block, frame_of, settings,
    },
};
use crate::{
    smuggling::recorder::Recorder,
    support::{HOST, World, quick},
};

/// The stream of an honest request behind a wrong one.
const CANARY: u32 = 101;

#[tokio::test]
async fn each_rule_of_the_rfc_holds() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let mut failures = Vec::new();
    for rule in RULES {
        if let Err(failure) = obey(&world, &recorder, rule).await {
            failures.push(failure);
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn obey(world: &World, recorder: &Recorder, rule: &Rule) -> Result<(), String> {
    let Rule {
        name,
        section,
        frames,
        outcome,
    } = rule;
    let mut wire = Wire::open(world).await;
    wire.send(&frames()).await;
    wire.settle().await;
    let ended = |codes: &[u32], heard: &wire::Heard| {
        // What a router that closes at once has to say may be lost with the bytes that it did not read. The general code
        // is never wrong, only less exact (RFC 9113 §7).
        let is_right = |code| code == PROTOCOL_ERROR || codes.contains(&code);
        heard.is_closed && heard.goaway.is_none_or(is_right)
    };
    if matches!(outcome, Outcome::Stream(_)) {
        wire.status(1).await;
    }
    let heard = &wire.heard;
    let is_as_expected = match outcome {
        Outcome::Connection(codes) => {
            if !heard.is_closed && heard.goaway.is_some() {
                wire.until_closed().await;
            }
            ended(codes, &wire.heard)
        }
        Outcome::Stream(codes) => {
            let is_reset = heard.resets.get(&1).is_some_and(|code| codes.contains(code));
            is_reset || heard.statuses.get(&1) == Some(&400) || ended(codes, heard)
        }
        Outcome::Fine => !heard.is_closed && heard.goaway.is_none() && heard.resets.is_empty(),
    };
    let is_closed = wire.heard.is_closed || wire.heard.goaway.is_some();
    let canary = if is_closed {
        None
    } else {
        wire.get(CANARY, "/canary").await
    };
    let heard = format!("{:?}", wire.heard);
    drop(wire);
    let seen = recorder.take().await;
    // What is `/attack` and whole must not have come; half of it may have.
    let is_clean = !seen.iter().any(|message| message.contains("/attack"));
    let is_alive = is_closed || canary == Some(200);
    if is_as_expected && is_clean && is_alive {
        return Ok(());
    }
    Err(format!(
        "§{section} {name}, {outcome:?}: {heard}, the dyno got {seen:?}"
    ))
}

#[tokio::test]
async fn what_begins_like_the_preface_and_is_not_gets_no_further() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    for preface in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
        "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
        "PRI * HTTP/2.0\r\nHost: hello.test\r\n\r\n",
        "PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut wire = Wire::silent(&world).await;
        let canary = format!("GET /canary HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
        wire.send(&[preface.as_bytes(), canary.as_bytes()].concat()).await;
        wire.drain().await;
    }
    assert_eq!(recorder.take().await, [""; 0]);
}

#[tokio::test]
async fn a_preface_may_come_byte_by_byte() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let mut wire = Wire::silent(&world).await;
    let whole = [PREFACE, &settings(&[(1, 0)]), &wire::request(1, "/bytes")].concat();
    for byte in &whole {
        wire.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(wire.status(1).await, Some(200));
    assert_eq!(
        recorder.take().await,
        [format!("GET /bytes HTTP/1.1\r\nhost: {HOST}\r\n\r\n")]
    );
}

#[tokio::test]
async fn what_http_1_would_read_differently_is_refused() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let mut failures = Vec::new();
    for downgrade in DOWNGRADES {
        if let Err(failure) = step_down(&world, &recorder, downgrade).await {
            failures.push(failure);
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

async fn step_down(world: &World, recorder: &Recorder, downgrade: &Downgrade) -> Result<(), String> {
    let Downgrade { name, fields, seen } = downgrade;
    let mut wire = Wire::open(world).await;
    let head = frame_of(HEADERS, END_HEADERS, 1, &block(fields));
    wire.send(&[head, frame_of(DATA, END_STREAM, 1, BODY.as_bytes())].concat())
        .await;
    let status = wire.status(1).await;
    wire.settle().await;
    let is_refused = status.is_none_or(|status| status == 400);
    let is_closed = wire.heard.is_closed || wire.heard.goaway.is_some_and(|code| code != NO_ERROR);
    let canary = if is_closed {
        None
    } else {
        wire.get(CANARY, "/canary").await
    };
    let heard = format!("{:?}", wire.heard);
    drop(wire);
    let got: Vec<String> = recorder.take().await.iter().map(|message| in_order(message)).collect();
    let mut expected: Vec<String> = seen.iter().map(|seen| in_order(seen)).collect();
    if canary == Some(200) {
        expected.push(format!("GET /canary HTTP/1.1\r\nhost: {HOST}\r\n\r\n"));
    }
    expected.sort();
    let mut sorted = got.clone();
    sorted.sort();
    let is_as_expected = is_refused == seen.is_none() && (is_closed || canary == Some(200));
    if is_as_expected && sorted == expected {
        return Ok(());
    }
    Err(format!("{name}: {heard}, the dyno got {got:?}"))
}

#[tokio::test]
async fn trailers_say_nothing_that_a_dyno_could_take_for_a_header_or_a_request() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let announced = (
        "trailer",
        "x, transfer-encoding, content-length, host, x-forwarded-for, connection",
    );
    let head = [&wire::pseudo("POST", "/trailers")[..], &[announced]].concat();
    for (trailer, is_passed) in [
        (("x", "a"), true),
        (("x", "a\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: hello.test"), false),
        (("x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost", "hello.test"), false),
        (("transfer-encoding", "chunked"), false),
        (("content-length", "99"), false),
        (("host", "other.test"), false),
        (("x-forwarded-for", "1.1.1.1"), false),
        (("connection", "x"), false),
    ] {
        let mut wire = Wire::open(&world).await;
        let frames = [
            frame_of(HEADERS, END_HEADERS, 1, &block(&head)),
            frame_of(DATA, 0, 1, b"abc"),
            frame_of(HEADERS, wire::WHOLE, 1, &block(&[trailer])),
        ];
        wire.send(&frames.concat()).await;
        let status = wire.status(1).await;
        let seen = recorder.take().await;
        let ending = if is_passed { "0\r\nx: a\r\n\r\n" } else { "0\r\n\r\n" };
        // Refused, or passed on without it.
        let is_harmless = match &seen[..] {
            [] => !is_passed && status.is_none_or(|status| status >= 400),
            [only] => only.ends_with(&format!("3\r\nabc\r\n{ending}")),
            _ => false,
        };
        assert!(is_harmless, "{trailer:?}: {status:?}, the dyno got {seen:?}");
    }
}

/// A message with its headers in the order of the alphabet: their order among others means nothing.
fn in_order(message: &str) -> String {
    let (head, body) = message.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    lines[1..].sort_unstable();
    format!("{}\r\n\r\n{body}", lines.join("\r\n"))
}

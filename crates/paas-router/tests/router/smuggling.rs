//! Requests that two servers could read differently (RFC 9112 §11.2), each with a canary behind it on the same connection.

mod attack;
mod chunk;
mod host;
mod length;
mod line;
mod mutation;
pub(crate) mod recorder;

use std::{collections::HashSet, sync::atomic::Ordering};

use paas_router::Code;
use tokio::io::AsyncWriteExt;

use self::{
    attack::{Attack, Fate},
    recorder::Recorder,
};
use crate::support::{Answer, HOST, TestDyno, World, quick};

const CANARY: &str = "GET /canary HTTP/1.1\r\nHost: hello.test\r\nConnection: close\r\n\r\n";
const GOOD: &str = "POST /good HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 3\r\n\r\nabc";
const BOTH: &str =
    "POST / HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
const CANARY_SEEN: &str = "GET /canary HTTP/1.1\r\nhost: hello.test\r\n\r\n";
const GOOD_SEEN: &str = "POST /good HTTP/1.1\r\nhost: hello.test\r\ncontent-length: 3\r\n\r\nabc";

/// How the bytes of an attack arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Whole,
    ByteByByte,
    AfterAnother,
}

#[tokio::test]
async fn lengths_are_plain_or_refused() {
    expect_fates(length::ATTACKS).await;
}

#[tokio::test]
async fn chunks_are_plain_or_their_request_ends() {
    expect_fates(chunk::ATTACKS).await;
}

#[tokio::test]
async fn lines_are_plain_or_refused() {
    expect_fates(line::ATTACKS).await;
}

#[tokio::test]
async fn hosts_are_plain_or_refused() {
    expect_fates(host::ATTACKS).await;
}

/// The oracle of a mutation is the dyno's strict reading alone: whatever passes, passes as what the router took it for.
#[tokio::test]
async fn no_byte_in_or_around_a_header_makes_two_requests_of_one() {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let mut passed = 0;
    for payload in mutation::payloads() {
        let answer = exchange(&world, &[&payload[..], CANARY.as_bytes()].concat(), Arrival::Whole).await;
        let seen = recorder.take().await;
        let shown = String::from_utf8_lossy(&payload);
        if seen.is_empty() {
            assert_eq!(answer.status, 400, "{shown:?}: {}", answer.raw);
            assert_eq!(answer.raw.matches("HTTP/1.1 ").count(), 1, "{shown:?}: {}", answer.raw);
        } else {
            passed += 1;
            assert_eq!(seen.len(), 2, "{shown:?}: {seen:?}");
            assert!(seen[0].ends_with(mutation::BODY), "{shown:?}: {seen:?}");
            assert_eq!(seen[1], CANARY_SEEN, "{shown:?}");
            assert_eq!(
                answer.raw.matches("HTTP/1.1 200").count(),
                2,
                "{shown:?}: {}",
                answer.raw
            );
        }
    }
    assert!(passed > 0, "nothing passed: the mutations test nothing");
}

async fn expect_fates(attacks: &[Attack]) {
    let recorder = Recorder::start().await;
    let world = World::serving(quick(), &[&recorder.dyno]).await;
    let (mut known, mut failures) = (HashSet::new(), Vec::new());
    for attack in attacks {
        assert!(known.insert((attack.name, attack.payload)), "twice: {}", attack.name);
        for arrival in [Arrival::Whole, Arrival::ByteByByte, Arrival::AfterAnother] {
            if let Err(failure) = meet(&world, &recorder, attack, arrival).await {
                failures.push(failure);
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} failures:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// Sends an attack, and tells what was not as it has to be.
async fn meet(world: &World, recorder: &Recorder, attack: &Attack, arrival: Arrival) -> Result<(), String> {
    let Attack {
        name,
        source,
        payload,
        fate,
    } = attack;
    let is_after = arrival == Arrival::AfterAnother;
    let bytes = [if is_after { GOOD } else { "" }, payload, CANARY].concat();
    let answer = exchange(world, bytes.as_bytes(), arrival).await;
    let seen = recorder.take().await;

    let answers: Vec<&str> = answer
        .raw
        .match_indices("HTTP/1.")
        .filter_map(|(at, _)| answer.raw.get(at + "HTTP/1.1 ".len()..at + "HTTP/1.1 200".len()))
        .collect();
    let mut expected = vec![GOOD_SEEN; usize::from(is_after)];
    let mut statuses = vec!["200"; expected.len()];
    let refusal;
    let is_as_expected = match fate {
        Fate::Refused(status) => {
            refusal = status.to_string();
            statuses.push(&refusal);
            answers == statuses
        }
        // The dyno, or the router, may have said that it does not like it, or nobody may.
        Fate::Broken => {
            let rest = answers.strip_prefix(&statuses[..]);
            rest.is_some_and(|rest| rest.len() <= 1 && !rest.contains(&"200"))
        }
        Fate::Passed(normal) => {
            expected.push(normal);
            // After an answer to an old client, the connection is closed.
            if !payload.contains("HTTP/1.0") {
                expected.push(CANARY_SEEN);
            }
            answers == vec!["200"; expected.len()]
        }
    };
    if is_as_expected && seen == expected {
        return Ok(());
    }
    Err(format!(
        "{name} ({source}), {arrival:?}, {fate:?}: got {answers:?}, the dyno {seen:?}"
    ))
}

/// Sends bytes and reads until the router closes. It may close while there still is something to send.
async fn exchange(world: &World, bytes: &[u8], arrival: Arrival) -> Answer {
    let (mut read, mut write) = world.connect().await.into_split();
    let size = if arrival == Arrival::ByteByByte { 1 } else { bytes.len() };
    let writing = async {
        for piece in bytes.chunks(size) {
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        // Kept open: the end of the bytes is not the end of the client.
        write
    };
    tokio::join!(writing, Answer::read_to_end(&mut read)).1
}

#[tokio::test]
async fn the_second_request_of_a_connection_is_looked_at_as_closely_as_the_first() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let good = "POST / HTTP/1.1\r\nHost: hello.test\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST / HTTP/1.1\r\nHost: hello.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let answer = world.send(&format!("{good}{chunked}{BOTH}{CANARY}")).await;
    assert_eq!(answer.raw.matches("HTTP/1.1 200").count(), 2, "{}", answer.raw);
    assert_eq!(answer.raw.matches("HTTP/1.1 400").count(), 1, "{}", answer.raw);
    assert_eq!(dyno.requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_refused_request_of_an_app_leaves_h26_with_its_cause() {
    let dyno = TestDyno::named("web.1").await;
    let mut world = World::serving(quick(), &[&dyno]).await;
    world.send(BOTH).await;
    let record = world.record().await;
    assert_eq!((record.code, record.status), (Some(Code::H26), 400));
    assert_eq!(record.cause.as_deref(), Some("content-length with transfer-encoding"));
    let answer = world
        .send(&format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nExpect: miracles\r\n\r\n"))
        .await;
    assert_eq!(answer.status, 417);
}

#[tokio::test]
async fn overlong_lines_are_refused() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick(), &[&dyno]).await;
    let long = "a".repeat(9000);
    assert_eq!(world.get(&format!("/{long}")).await.status, 400);
    let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: {long}\r\n\r\n");
    assert_eq!(world.send(&request).await.status, 400);
    assert_eq!(world.get(&format!("/{}", "a".repeat(8000))).await.status, 200);
}

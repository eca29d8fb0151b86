//! Too much of what each by itself is allowed.
//!
//! The client that floods loses its connection, or gets its frames handled at no cost; another client does not notice, the
//! dyno is not asked more than allowed, and memory stays where it was.

use std::{fs, sync::atomic::Ordering, time::Duration};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use paas_router::Limits;
use tokio::time::{Instant, timeout};

use super::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, HEADERS, NO_ERROR, PADDED, PING, PRIORITY,
    REFUSED_STREAM, RST_STREAM, WINDOW_UPDATE, Wire, block, frame_of, post, pseudo, request, settings,
};
use crate::support::{DEADLINE, TestDyno, World, full, quick};

/// What a flood may cost in memory, for as long as it lasts.
const MEMORY_KIB: u64 = 24 * 1024;
const MANY: usize = 20_000;
const SOME: usize = 2000;

/// Quick where that is tested, and as patient as ever with a dyno: a flood keeps a small machine busy.
fn quick_to_idle() -> Limits {
    Limits {
        idle: quick().idle,
        ..Limits::default()
    }
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Runs a flood, and asks beside it. Gives back its connection.
async fn flood(world: &World, times: usize, next: impl FnMut(usize) -> Vec<u8>) -> Wire {
    let before = resident_kib();
    let mut wire = Wire::open(world).await;
    let mut other = Wire::open(world).await;
    assert_eq!(other.get(1, "/before").await, Some(200));
    timeout(DEADLINE, wire.flood(times, next))
        .await
        .expect("an end of the flood");
    assert_eq!(other.get(3, "/after").await, Some(200), "another client noticed");
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB, "{grown} KiB more");
    wire
}

fn odd(number: usize) -> u32 {
    u32::try_from(number * 2 + 1).unwrap()
}

#[tokio::test]
async fn rapid_reset_ends_the_connection() {
    // CVE-2023-44487: a stream that is reset at once counts against no limit of streams.
    let dyno = TestDyno::answering("web.1", |request| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Response::new(full("done"))
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let mut wire = flood(&world, MANY, |time| {
        let reset = frame_of(RST_STREAM, 0, odd(time), &8_u32.to_be_bytes());
        [request(odd(time), "/slow"), reset].concat()
    })
    .await;
    let heard = wire.until_closed().await;
    assert!(heard.goaway.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{heard:?}");
    let asked = dyno.requests.load(Ordering::SeqCst);
    assert!(asked < 1500, "the dyno was asked {asked} times");
}

#[tokio::test]
async fn made_to_reset_the_router_ends_the_connection() {
    // CVE-2025-8671: the client lets the server do the resets.
    let dyno = TestDyno::answering("web.1", |request| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Response::new(full("done"))
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let tricks: [fn(u32) -> Vec<u8>; 4] = [
        |stream| frame_of(WINDOW_UPDATE, 0, stream, &0_u32.to_be_bytes()),
        |stream| frame_of(DATA, 0, stream, b"x"),
        |stream| frame_of(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        |stream| frame_of(PRIORITY, 0, stream, &[0; 4]),
    ];
    for trick in tricks {
        let mut wire = flood(&world, MANY, |time| {
            [request(odd(time), "/slow"), trick(odd(time))].concat()
        })
        .await;
        wire.until_closed().await;
    }
    let asked = dyno.requests.load(Ordering::SeqCst);
    assert!(asked < 6000, "the dyno was asked {asked} times");
}

#[tokio::test]
async fn continuations_without_end_end_the_connection() {
    // RUSTSEC-2024-0332.
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    for piece in [Vec::new(), block(&[("x", &"y".repeat(16_000))]), block(&[("x", "y")])] {
        let mut wire = flood(&world, MANY, |time| {
            if time == 0 {
                frame_of(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/attack")))
            } else {
                frame_of(CONTINUATION, 0, 1, &piece)
            }
        })
        .await;
        wire.until_closed().await;
    }
}

#[tokio::test]
async fn a_small_block_that_becomes_a_large_one_is_refused() {
    // One entry of 4000 bytes in the table, and then one byte for each time that it is named again: 1 MiB becomes 4 GiB.
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    let mut wire = flood(&world, 64, |time| {
        let mut bomb = block(&pseudo("GET", "/attack"));
        if time == 0 {
            let mut entry = block(&[("x", &"y".repeat(4000))]);
            entry[0] = 0x40;
            bomb.extend(entry);
        }
        bomb.extend([0xbe; 16_000]);
        bomb.truncate(16_384);
        frame_of(HEADERS, END_HEADERS | END_STREAM, odd(time), &bomb)
    })
    .await;
    let heard = wire.settle().await;
    let is_refused = |status: &u16| matches!(status, 400 | 431);
    assert!(heard.statuses.values().all(is_refused), "{heard:?}");
    assert!(dyno.requests.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn frames_that_ask_for_nothing_end_the_connection_whatever_else_it_does() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        match request.uri().path() {
            "/slow" => std::future::pending().await,
            "/attack" => {
                let _ = request.into_body().collect().await;
            }
            _ => {}
        }
        Response::new(full("done"))
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let kinds: [fn() -> Vec<u8>; 8] = [
        || frame_of(PING, 0, 0, &[7; 8]),
        || settings(&[(3, 100)]),
        || frame_of(PRIORITY, 0, 1, &[0, 0, 0, 0, 255]),
        || frame_of(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        || frame_of(WINDOW_UPDATE, 0, 1, &1_u32.to_be_bytes()),
        || frame_of(0xbb, 0, 0, &[0; 100]),
        || frame_of(DATA, 0, 3, b""),
        || frame_of(DATA, PADDED, 3, &[1, 0]),
    ];
    for kind in kinds {
        let mut wire = flood(&world, 1 + MANY / 100, |time| match time {
            0 => [request(1, "/slow"), post(3, &[])].concat(),
            _ => kind().repeat(100),
        })
        .await;
        let heard = wire.until_closed().await;
        assert!(heard.goaway.is_none_or(|code| code == ENHANCE_YOUR_CALM), "{heard:?}");
        assert!(heard.statuses.is_empty(), "{heard:?}");
    }
}

#[tokio::test]
async fn some_frames_that_ask_for_nothing_harm_nobody() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    let kinds: [fn(usize) -> Vec<u8>; 5] = [
        |_| frame_of(PING, 0, 0, &[7; 8]),
        |_| settings(&[(3, 100)]),
        |time| frame_of(PRIORITY, 0, odd(time), &[0, 0, 0, 0, 255]),
        |_| frame_of(WINDOW_UPDATE, 0, 0, &1_u32.to_be_bytes()),
        |_| frame_of(0xbb, 0, 0, &[0; 30]),
    ];
    for kind in kinds {
        let mut wire = flood(&world, SOME, kind).await;
        assert_eq!(wire.get(99_999, "/honest").await, Some(200), "{:?}", wire.heard);
    }
}

#[tokio::test]
async fn answers_to_pings_that_nobody_reads_are_not_kept() {
    let dyno = TestDyno::named("web.1").await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    let before = resident_kib();
    let mut wire = Wire::open(&world).await;
    let pings = frame_of(PING, 0, 0, &[7; 8]).repeat(1000);
    // Never reads: at some time the router must stop reading, too, or close.
    for _ in 0..4000 {
        if !matches!(timeout(Duration::from_millis(200), wire.send(&pings)).await, Ok(true)) {
            break;
        }
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < MEMORY_KIB, "{grown} KiB more");
    let mut other = Wire::open(&world).await;
    assert_eq!(other.get(1, "/").await, Some(200));
}

#[tokio::test]
async fn more_streams_than_allowed_are_refused_one_by_one() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        if request.uri().path() == "/slow" {
            std::future::pending::<()>().await;
        }
        Response::new(full("done"))
    })
    .await;
    let world = World::serving(Limits::default(), &[&dyno]).await;
    let mut wire = Wire::open(&world).await;
    wire.settle().await;
    let allowed = wire
        .heard
        .settings
        .iter()
        .find(|(id, _)| *id == 3)
        .expect("a limit of streams")
        .1;
    assert!((100..=256).contains(&allowed), "{allowed} streams");
    for number in 0..allowed + 50 {
        wire.send(&request(number * 2 + 1, "/slow")).await;
    }
    let heard = wire.until(|heard| heard.resets.len() >= 50).await;
    assert!(!heard.is_closed, "{heard:?}");
    let is_refused = |(stream, code): (&u32, &u32)| *stream > allowed * 2 && *code == REFUSED_STREAM;
    assert!(heard.resets.iter().all(is_refused), "{heard:?}");
    assert!(dyno.requests.load(Ordering::SeqCst) <= usize::try_from(allowed).unwrap());
}

#[tokio::test]
async fn a_stream_that_is_not_read_ends_and_others_go_on() {
    // One for all: what is measured is what the router holds.
    let large = Bytes::from(vec![b'x'; 2 << 20]);
    let dyno = TestDyno::answering("web.1", move |request| {
        let body = match request.uri().path() {
            "/large" => large.clone(),
            _ => Bytes::from_static(b"done"),
        };
        async { Response::new(full(body)) }
    })
    .await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    let before = resident_kib();
    let mut wire = Wire::open(&world).await;
    // Windows of streams that are never widened, on a connection that is.
    wire.send(&settings(&[(4, 10)])).await;
    for number in 0..50 {
        wire.send(&request(number * 2 + 1, "/large")).await;
    }
    assert_eq!(wire.get(201, "/").await, Some(200));
    let heard = wire.until(|heard| heard.resets.len() == 50).await;
    assert!(!heard.is_closed, "{heard:?}");
    assert!(heard.bytes.iter().all(|(_, bytes)| *bytes <= 10), "{heard:?}");
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 2 * MEMORY_KIB, "{grown} KiB more");
    assert_eq!(wire.get(203, "/").await, Some(200));
}

#[tokio::test]
async fn an_upload_that_stops_ends_and_others_go_on() {
    let dyno = TestDyno::answering("web.1", |request| async move {
        let _ = request.into_body().collect().await;
        Response::new(full("done"))
    })
    .await;
    let world = World::serving(quick_to_idle(), &[&dyno]).await;
    let mut wire = Wire::open(&world).await;
    let begun = Instant::now();
    wire.send(&[post(1, &[("content-length", "10")]), frame_of(DATA, 0, 1, b"abc")].concat())
        .await;
    assert_eq!(wire.get(3, "/").await, Some(200));
    let status = wire.status(1).await;
    assert!(status.is_none_or(|status| status >= 400), "{status:?}");
    assert!(begun.elapsed() >= quick_to_idle().idle);
    assert_eq!(wire.get(5, "/").await, Some(200));
}

#[tokio::test]
async fn a_connection_without_requests_is_closed() {
    let dyno = TestDyno::named("web.1").await;
    let limits = Limits {
        client_idle: Duration::from_millis(300),
        ..quick_to_idle()
    };
    let world = World::serving(limits, &[&dyno]).await;
    let mut silent = Wire::silent(&world).await;
    silent.until_closed().await;
    // It is told to go, and has a few seconds for that.
    let mut idle = Wire::open(&world).await;
    assert_eq!(idle.get(1, "/").await, Some(200));
    idle.until(|heard| heard.goaway.is_some()).await;
    let mut half = Wire::open(&world).await;
    half.send(&frame_of(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/"))))
        .await;
    half.until(|heard| heard.goaway.is_some()).await;
    assert!(
        [idle.heard.goaway, half.heard.goaway]
            .iter()
            .flatten()
            .all(|code| *code == NO_ERROR)
    );
}

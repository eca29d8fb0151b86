//! Frames of an HTTP/2 client that ask for nothing, and how many of them are enough.
//!
//! A `PING` or a `SETTINGS` costs its sender a few bytes, and us a look and an answer; so do `PRIORITY`, `WINDOW_UPDATE`,
//! `DATA` without data, and types that nobody knows (RFC 9113 §10.5, CVE-2019-9512, -9515 and -9518). The parser takes as
//! many as come, so they are counted on their way to it, by their headers alone.
//!
//! No clock is read but by who has used up what a client may send in a [`PERIOD`].

use std::time::Duration;

use tokio::time::Instant;

/// Far above what any client sends: some measure the line with a `PING` for each burst of data, some rate every request anew.
const ENOUGH: u32 = 10_000;
const PERIOD: Duration = Duration::from_secs(10);
/// What is larger counts more: a `SETTINGS` has room for 2730 of them.
const BYTES_FOR_ONE: u32 = 64;
/// A request that is taken back was work for a dyno, and its head has earned one.
const RESET: u32 = 2;
/// A client may widen two windows for the smallest frame of data that it got.
const SENT_FOR_ONE: u64 = 5;
/// So much of what was sent may be answered late.
const MOST_SENT: u64 = 1024 * 1024;

const PREFACE_BYTES: u32 = 24;
const HEADER_BYTES: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;
/// The length of the padding, and the padding.
const LONGEST_PADDING: u32 = 256;

/// Follows the bytes of one client connection, from its preface on.
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    filled: usize,
    /// Bytes of the frame that has begun.
    rest: u32,
    left: u32,
    since: Instant,
    /// Bytes that went to the client, as far as it has not answered them.
    sent: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            header: [0; HEADER_BYTES],
            filled: 0,
            rest: PREFACE_BYTES,
            left: ENOUGH,
            since: Instant::now(),
            sent: 0,
        }
    }
}

impl Frames {
    /// Whether the client may go on.
    pub(crate) fn receive(&mut self, mut bytes: &[u8]) -> bool {
        loop {
            let skipped = bytes.len().min(self.rest as usize);
            self.rest -= u32::try_from(skipped).unwrap_or(self.rest);
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return true;
            }
            let taken = bytes.len().min(HEADER_BYTES - self.filled);
            self.header[self.filled..][..taken].copy_from_slice(&bytes[..taken]);
            self.filled += taken;
            bytes = &bytes[taken..];
            if self.filled < HEADER_BYTES {
                return true;
            }
            self.filled = 0;
            let [a, b, c, kind, flags, ..] = self.header;
            self.rest = u32::from_be_bytes([0, a, b, c]);
            let price = self.price(kind, flags, self.rest);
            if price > self.left && !self.begin_anew() {
                return false;
            }
            self.left = self.left.saturating_sub(price);
        }
    }

    /// So many bytes went to the client.
    pub(crate) fn send(&mut self, bytes: usize) {
        self.sent = (self.sent + bytes as u64).min(MOST_SENT);
    }

    fn price(&mut self, kind: u8, flags: u8, length: u32) -> u32 {
        match kind {
            DATA if length == 0 && flags & END_STREAM == 0 => 1,
            DATA if flags & PADDED != 0 && length <= LONGEST_PADDING => 1,
            // The parser bounds a head, however many frames it comes in.
            DATA | CONTINUATION => 0,
            HEADERS => {
                self.left = (self.left + 1).min(ENOUGH);
                0
            }
            RST_STREAM => RESET,
            WINDOW_UPDATE if self.sent >= SENT_FOR_ONE => {
                self.sent -= SENT_FOR_ONE;
                0
            }
            _ => 1 + length / BYTES_FOR_ONE,
        }
    }

    fn begin_anew(&mut self) -> bool {
        let now = Instant::now();
        let is_over = now.duration_since(self.since) >= PERIOD;
        if is_over {
            (self.left, self.since) = (ENOUGH, now);
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;
    const SETTINGS: u8 = 4;

    fn begun() -> Frames {
        let mut frames = Frames::default();
        assert!(frames.receive(&[b' '; PREFACE_BYTES as usize]));
        frames
    }

    fn frame(kind: u8, flags: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let header = [0, high, low, kind, flags, 0, 0, 0, 1];
        [&header[..], &vec![7; usize::from(length)]].concat()
    }

    /// How many of these may come at once.
    fn accepted(frames: &mut Frames, bytes: &[u8]) -> u32 {
        (0..50_000)
            .take_while(|_| frames.receive(bytes))
            .count()
            .try_into()
            .unwrap()
    }

    #[test]
    fn frames_that_ask_for_nothing_are_enough_at_some_time() {
        for (bytes, expected) in [
            (frame(PING, 0, 8), ENOUGH),
            (frame(SETTINGS, 0, 6), ENOUGH),
            (frame(SETTINGS, 0, 6 * 100), ENOUGH / 10),
            (frame(WINDOW_UPDATE, 0, 4), ENOUGH),
            (frame(RST_STREAM, 0, 4), ENOUGH / RESET),
            (frame(DATA, 0, 0), ENOUGH),
            (frame(DATA, PADDED, 8), ENOUGH),
            (frame(0xbb, 0, 10), ENOUGH),
        ] {
            assert_eq!(accepted(&mut begun(), &bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn work_may_go_on_for_ever() {
        for bytes in [
            frame(HEADERS, 5, 20),
            frame(DATA, 0, 1),
            frame(DATA, END_STREAM, 0),
            frame(CONTINUATION, 0, 0),
            // Each request with a priority of its own.
            [frame(HEADERS, 5, 20), frame(0x10, 0, 10)].concat(),
        ] {
            assert_eq!(accepted(&mut begun(), &bytes), 50_000, "{bytes:?}");
        }
    }

    #[test]
    fn windows_may_be_widened_for_what_was_sent() {
        let (mut frames, widened) = (begun(), frame(WINDOW_UPDATE, 0, 4));
        for _ in 0..50_000 {
            frames.send(10);
            assert!(frames.receive(&widened) && frames.receive(&widened));
        }
        frames.send(usize::MAX / 2);
        let (late, usual) = (u32::try_from(MOST_SENT / SENT_FOR_ONE).unwrap(), ENOUGH);
        let all = (0..late + usual).filter(|_| frames.receive(&widened)).count();
        assert_eq!(all, usize::try_from(late + usual).unwrap());
        assert!(!frames.receive(&widened));
    }

    #[test]
    fn time_goes_by() {
        let (mut frames, ping) = (begun(), frame(PING, 0, 8));
        for _ in 0..5 {
            for _ in 0..ENOUGH {
                assert!(frames.receive(&ping));
            }
            frames.since -= PERIOD;
        }
        assert_eq!(accepted(&mut frames, &ping), ENOUGH);
    }

    #[test]
    fn how_the_bytes_arrive_makes_no_difference() {
        let (mut frames, bytes) = (begun(), [frame(PING, 0, 8), frame(DATA, 0, 100)].concat());
        let pieces = bytes.iter().cycle().take(bytes.len() * ENOUGH as usize);
        assert!(pieces.copied().all(|byte| frames.receive(&[byte])));
        assert!(!frames.receive(&bytes));
    }
}

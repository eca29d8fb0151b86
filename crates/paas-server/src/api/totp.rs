//! Time-based one-time passwords (RFC 6238), as authenticator apps make them: HMAC-SHA-1, six digits, thirty seconds.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;

/// What RFC 4226 §4 recommends.
pub(super) const SECRET_BYTES: usize = 20;
pub(super) const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// Clocks differ, and people take a while to type (RFC 6238 §5.2): the code before and the one after are good, too.
const TOLERATED_STEPS: i64 = 1;

/// The step whose code this is, the latest of those that are good now.
pub(super) fn step_of(code: &str, secret: &[u8], now: DateTime<Utc>) -> Option<i64> {
    let current = now.timestamp() / STEP_SECONDS;
    let steps = current - TOLERATED_STEPS..=current + TOLERATED_STEPS;
    // All of them are looked at: the time taken says nothing about which one fits.
    steps.fold(None, |found, step| {
        if is_equal(&code_of(step, secret), code) {
            Some(step)
        } else {
            found
        }
    })
}

/// RFC 4226 §5.3
pub(super) fn code_of(step: i64, secret: &[u8]) -> String {
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(secret).expect("HMAC takes keys of any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest[digest.len() - 1] & 0xf);
    let bytes = [
        digest[offset],
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ];
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// What a QR code holds (Google Authenticator, *Key URI Format*).
pub(super) fn url(secret: &[u8], email: &str, issuer: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let (issuer, email, secret) = (encoded(issuer), encoded(email), base32(secret));
    format!("otpauth://totp/{issuer}:{email}?secret={secret}&issuer={issuer}")
}

/// RFC 4648 §6, without padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::new();
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[(buffer >> bits & 31) as usize]));
        }
        buffer &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[(buffer << (5 - bits) & 31) as usize]));
    }
    text
}

fn is_equal(one: &str, other: &str) -> bool {
    let bytes = one.bytes().zip(other.bytes());
    one.len() == other.len() && bytes.fold(0, |difference, (one, other)| difference | (one ^ other)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"12345678901234567890";

    #[test]
    fn codes_are_those_of_the_specification() {
        // RFC 6238, appendix B, with six digits instead of eight.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_of(seconds / STEP_SECONDS, SECRET), code);
        }
    }

    #[test]
    fn a_code_is_good_for_a_step_before_and_after() {
        let now = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        for (seconds, step) in [(0, None), (30, Some(2)), (60, Some(2)), (119, Some(2)), (120, None)] {
            let code = code_of(2, SECRET);
            assert_eq!(step_of(&code, SECRET, now(seconds)), step, "{seconds}");
        }
        assert_eq!(step_of("", SECRET, now(60)), None);
        assert_eq!(step_of("２８７０８２", SECRET, now(59)), None);
    }

    #[test]
    fn secrets_are_written_in_base32() {
        // RFC 4648 §10
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            url(b"foobar", "a b@example.com", "paas.example"),
            "otpauth://totp/paas%2Eexample:a%20b%40example%2Ecom?secret=MZXW6YTBOI&issuer=paas%2Eexample"
        );
    }
}

//! URLs that are their own permission: streams of output, log sessions, uploads.
//!
//! Clients fetch these without their token, so the URL must be impossible to guess. It carries what it is for, and a
//! message authentication code (HMAC-SHA256, RFC 2104) over that: nothing has to be remembered, and a restart of the
//! server breaks no stream.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a URL is good for. One kind never passes for another.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Output,
    LogSession,
    Source,
    Slug,
    Backup,
}

pub(super) struct Capabilities {
    key: [u8; 32],
}

/// 128 bits: nobody gets to guess online even a fraction of these.
const CODE_BYTES: usize = 16;

impl Capabilities {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A path segment that carries `payload`. The same payload makes the same segment, so that answers have stable tags.
    pub(super) fn issue(&self, purpose: Purpose, payload: &[u8]) -> String {
        let code = self.code(purpose, payload).finalize().into_bytes();
        let mut bytes = code[..CODE_BYTES].to_vec();
        bytes.extend_from_slice(payload);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of a segment that we issued for this purpose.
    pub(super) fn open(&self, purpose: Purpose, segment: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(segment).ok()?;
        let (code, payload) = bytes.split_at_checked(CODE_BYTES)?;
        // The time taken says nothing about where the two differ.
        self.code(purpose, payload).verify_truncated_left(code).ok()?;
        Some(payload.to_vec())
    }

    fn code(&self, purpose: Purpose, payload: &[u8]) -> Hmac<Sha256> {
        let code = Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
        code.chain_update([purpose as u8]).chain_update(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_issued_opens_for_its_purpose_only() {
        let capabilities = Capabilities::new([7; 32]);
        let segment = capabilities.issue(Purpose::Output, b"payload");
        assert_eq!(
            capabilities.open(Purpose::Output, &segment).as_deref(),
            Some(&b"payload"[..])
        );
        assert_eq!(capabilities.open(Purpose::LogSession, &segment), None);
        assert_eq!(Capabilities::new([8; 32]).open(Purpose::Output, &segment), None);
        assert_eq!(segment, capabilities.issue(Purpose::Output, b"payload"));
    }

    #[test]
    fn a_changed_segment_does_not_open() {
        let capabilities = Capabilities::new([7; 32]);
        let segment = capabilities.issue(Purpose::Output, b"payload");
        for index in 0..segment.len() {
            let mut bytes = segment.clone().into_bytes();
            bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(capabilities.open(Purpose::Output, &changed), None, "{changed}");
        }
        for odd in ["", "AAAA", "!", &segment[..20]] {
            assert_eq!(capabilities.open(Purpose::Output, odd), None, "{odd}");
        }
    }
}

//! URLs that are their own permission: streams of output, log sessions, uploads.
//!
//! Clients fetch these without their token, so the URL must be impossible to guess. It carries what it is for, and a
//! message authentication code (HMAC-SHA256, RFC 2104) over that: nothing has to be remembered, and a restart of the
//! server breaks no stream.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// What a URL is good for. One kind never passes for another.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    Output,
    LogSession,
    Source,
    Slug,
}

pub(super) struct Capabilities {
    key: [u8; 32],
}

/// SHA-256 works on blocks of this size.
const BLOCK_BYTES: usize = 64;
/// 128 bits: nobody gets to guess online even a fraction of these.
const CODE_BYTES: usize = 16;

impl Capabilities {
    pub(super) const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// A path segment that carries `payload`. The same payload makes the same segment, so that answers have stable tags.
    pub(super) fn issue(&self, purpose: Purpose, payload: &[u8]) -> String {
        let mut bytes = self.code(purpose, payload).to_vec();
        bytes.extend_from_slice(payload);
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of a segment that we issued for this purpose.
    pub(super) fn open(&self, purpose: Purpose, segment: &str) -> Option<Vec<u8>> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(segment).ok()?;
        let (code, payload) = bytes.split_at_checked(CODE_BYTES)?;
        let expected = self.code(purpose, payload);
        // Every byte is looked at: the time taken says nothing about where they differ.
        let difference = code
            .iter()
            .zip(expected)
            .fold(0, |difference, (one, other)| difference | (one ^ other));
        (difference == 0).then(|| payload.to_vec())
    }

    fn code(&self, purpose: Purpose, payload: &[u8]) -> [u8; CODE_BYTES] {
        let padded = |byte: u8| {
            let mut block = [byte; BLOCK_BYTES];
            block.iter_mut().zip(self.key).for_each(|(byte, key)| *byte ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(padded(0x36))
            .chain_update([purpose as u8])
            .chain_update(payload)
            .finalize();
        let outer = Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize();
        let mut code = [0; CODE_BYTES];
        code.copy_from_slice(&outer[..CODE_BYTES]);
        code
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

//! Just enough of WebSocket (RFC 6455 §5.2) to say goodbye between two frames of somebody else.

/// A close frame from a server: 1001, going away.
pub(crate) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// Follows the frames that a server sends, to know where one ends.
#[derive(Default)]
pub(crate) struct Frames {
    /// The header of the frame that has begun; at most 2 + 8 + 4 bytes.
    header: Vec<u8>,
    payload_left: u64,
}

impl Frames {
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if self.payload_left > 0 {
                let skipped = usize::try_from(self.payload_left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                self.payload_left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header.push(*first);
            bytes = &bytes[1..];
            if let Some(length) = payload_length(&self.header) {
                self.payload_left = length;
                self.header.clear();
            }
        }
    }

    /// Whether a control frame may come next: they may between any two frames, even of one message.
    pub(crate) fn is_between(&self) -> bool {
        self.header.is_empty() && self.payload_left == 0
    }
}

/// `None` while the header is not whole.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if header.len() < 2 + extended + mask {
        return None;
    }
    let bytes = &header[2..2 + extended];
    Some(match extended {
        0 => u64::from(second & 0x7f),
        _ => bytes.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, mask: bool) -> Vec<u8> {
        let bit = if mask { 0x80 } else { 0 };
        let mut frame = match length {
            0..126 => vec![0x82, bit | u8::try_from(length).unwrap()],
            126..65536 => [&[0x82, bit | 0x7e][..], &u16::try_from(length).unwrap().to_be_bytes()].concat(),
            _ => [&[0x82, bit | 0x7f][..], &(length as u64).to_be_bytes()].concat(),
        };
        frame.extend(vec![0xff; if mask { length + 4 } else { length }]);
        frame
    }

    #[test]
    fn only_the_end_of_a_frame_is_between_frames() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            for mask in [false, true] {
                let mut frames = Frames::default();
                let bytes = [frame(3, false), frame(length, mask)].concat();
                for (index, byte) in bytes.iter().enumerate() {
                    frames.feed(&[*byte]);
                    let is_end = index + 1 == 5 || index + 1 == bytes.len();
                    assert_eq!(frames.is_between(), is_end, "byte {index} of {length}");
                }
                frames.feed(&bytes);
                assert!(frames.is_between());
                frames.feed(&bytes[..bytes.len() - 1]);
                assert!(!frames.is_between());
            }
        }
    }
}

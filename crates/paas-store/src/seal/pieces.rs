//! Long secrets, sealed piece by piece as they come.
//!
//! Each has a key of its own, which is sealed as every other secret is and stands before the pieces. The nonce of a piece is its
//! place and whether it is the last one: pieces that were altered, moved, left out or cut off do not open (the STREAM of Hoang,
//! Reyhanitabar, Rogaway and Vizár, *Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance*).

use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce, aead::Aead};
use uuid::Uuid;

use super::{HEADER_BYTES, KEY_BYTES, NONCE_BYTES, SealError, Sealed, Sealer, random};

/// What stands before the pieces.
pub const PIECES_HEADER_BYTES: usize = HEADER_BYTES + KEY_BYTES + PIECE_TAG_BYTES;
/// How much longer a piece is when it is sealed.
pub const PIECE_TAG_BYTES: usize = 16;

/// Seals pieces in their order.
pub struct PieceSealer(Pieces);

/// Opens pieces in the same order.
pub struct PieceOpener {
    pieces: Pieces,
    noun: &'static str,
    row: Uuid,
}

struct Pieces {
    cipher: XChaCha20Poly1305,
    next: u64,
}

impl Sealer {
    /// What has to stand before the pieces, and what seals them.
    pub fn seal_pieces(&self, noun: &'static str, row: &Uuid) -> (Vec<u8>, PieceSealer) {
        let key = random::<KEY_BYTES>();
        (self.seal(noun, row, &key).0, PieceSealer(Pieces::new(&key)))
    }

    /// From what stands before the pieces.
    pub fn open_pieces(&self, noun: &'static str, row: &Uuid, header: &[u8]) -> Result<PieceOpener, SealError> {
        let key = self.open(noun, row, &Sealed(header.to_vec()))?;
        let key = <[u8; KEY_BYTES]>::try_from(key).map_err(|_| SealError::Open { noun, row: *row })?;
        Ok(PieceOpener {
            pieces: Pieces::new(&key),
            noun,
            row: *row,
        })
    }
}

impl PieceSealer {
    pub fn seal(&mut self, piece: &[u8], is_last: bool) -> Vec<u8> {
        let nonce = self.0.nonce(is_last);
        let sealed = self.0.cipher.encrypt(&nonce, piece);
        sealed.expect("a piece is far below the cipher's 256 GiB")
    }
}

impl PieceOpener {
    pub fn open(&mut self, sealed: &[u8], is_last: bool) -> Result<Vec<u8>, SealError> {
        let nonce = self.pieces.nonce(is_last);
        let opened = self.pieces.cipher.decrypt(&nonce, sealed);
        opened.map_err(|_| SealError::Open {
            noun: self.noun,
            row: self.row,
        })
    }
}

impl Pieces {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
            next: 0,
        }
    }

    /// No key seals two secrets, and no place comes twice: no nonce does.
    fn nonce(&mut self, is_last: bool) -> XNonce {
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&self.next.to_be_bytes());
        nonce[8] = u8::from(is_last);
        self.next += 1;
        XNonce::from(nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOUN: &str = "backup";

    #[test]
    fn pieces_open_in_their_order_and_to_their_end_only() {
        let sealer = Sealer::ephemeral();
        let row = Uuid::from_u128(1);
        let (header, mut pieces) = sealer.seal_pieces(NOUN, &row);
        assert_eq!(header.len(), PIECES_HEADER_BYTES);
        let (one, two) = (pieces.seal(b"one", false), pieces.seal(b"two", true));
        assert_eq!(one.len(), 3 + PIECE_TAG_BYTES);
        let open = || sealer.open_pieces(NOUN, &row, &header).unwrap();
        let mut right = open();
        assert_eq!(right.open(&one, false).unwrap(), b"one");
        assert_eq!(right.open(&two, true).unwrap(), b"two");
        assert!(open().open(&two, true).is_err(), "one was left out");
        assert!(open().open(&one, true).is_err(), "it was cut off after one");
        let mut altered = one.clone();
        altered[0] ^= 1;
        assert!(open().open(&altered, false).is_err());
        assert!(sealer.open_pieces(NOUN, &Uuid::from_u128(2), &header).is_err());
        assert!(sealer.open_pieces(NOUN, &row, &header[1..]).is_err());
        let (other, _) = sealer.seal_pieces(NOUN, &row);
        assert!(
            sealer
                .open_pieces(NOUN, &row, &other)
                .unwrap()
                .open(&one, false)
                .is_err()
        );
    }
}

//! Secrets at rest: sealed with a key that is not in the database.

mod pieces;

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use sha2::{Digest, Sha256};
use thiserror::Error;
use uuid::Uuid;

pub use pieces::{PIECE_TAG_BYTES, PIECES_HEADER_BYTES, PieceOpener, PieceSealer};

/// The first byte of a sealed value: this layout, `1 | key id (8) | nonce (24) | ciphertext and tag`.
const LAYOUT: u8 = 1;
const KEY_BYTES: usize = 32;
const KEY_ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
const HEADER_BYTES: usize = 1 + KEY_ID_BYTES + NONCE_BYTES;

/// Seals and opens secrets (XChaCha20-Poly1305). The key is a file of the data dir; a sealed value names its key, and is
/// bound to its noun and row, so that a value moved to another row does not open.
#[derive(Clone)]
pub struct Sealer {
    /// Seals with the first, opens with any: so keys rotate.
    keys: Arc<[Key]>,
}

/// A secret as the database holds it.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub(crate) Vec<u8>);

/// Why a secret was not sealed or opened. No variant carries any of it.
#[derive(Debug, Error)]
pub enum SealError {
    #[error("read the key file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("write the key file {path}")]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("key file {path} has mode {mode:o}, others may have read it: make it 600, and think about a new key")]
    Permissions { path: PathBuf, mode: u32 },
    #[error("key file {path} must hold one key of 64 hexadecimal digits per line")]
    Malformed { path: PathBuf },
    #[error("{noun} is sealed with the key {key}, which the key file does not have")]
    UnknownKey { noun: &'static str, key: String },
    #[error("{noun} {row} does not open: it was altered, or moved here from another row")]
    Open { noun: &'static str, row: Uuid },
}

struct Key {
    id: [u8; KEY_ID_BYTES],
    cipher: XChaCha20Poly1305,
    /// What keys for other purposes are derived from.
    root: [u8; 32],
}

impl Sealer {
    /// The sealer of the key file at `path`, which is made (0600) when there is none. The first line is the key that seals;
    /// further lines are older keys that still open.
    pub fn load_or_create(path: &Path) -> Result<Self, SealError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let write = |source| SealError::Write {
                    path: path.to_owned(),
                    source,
                };
                create(path).map_err(write)?;
                File::open(path).map_err(write)?
            }
            Err(source) => {
                return Err(SealError::Read {
                    path: path.to_owned(),
                    source,
                });
            }
        };
        let text = read_private(file, path)?;
        let keys: Option<Arc<[Key]>> = text
            .lines()
            .map(|line| from_hex(line).map(|key| Key::new(&key)))
            .collect();
        match keys {
            Some(keys) if !keys.is_empty() => Ok(Self { keys }),
            _ => Err(SealError::Malformed { path: path.to_owned() }),
        }
    }

    /// A sealer with a new key that is stored nowhere.
    pub fn ephemeral() -> Self {
        Self {
            keys: Arc::new([Key::new(&random())]),
        }
    }

    /// A key of its own for another purpose, such as signing URLs. The same after a restart; another once keys rotate.
    pub fn derive_key(&self, purpose: &'static str) -> [u8; 32] {
        Sha256::new()
            .chain_update(self.keys[0].root)
            .chain_update(purpose)
            .finalize()
            .into()
    }

    pub fn seal(&self, noun: &'static str, row: &Uuid, secret: &[u8]) -> Sealed {
        let key = &self.keys[0];
        let nonce: [u8; NONCE_BYTES] = random();
        let aad = associated_data(noun, row);
        let payload = Payload { msg: secret, aad: &aad };
        let ciphertext = key
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .expect("a secret is far below the cipher's 256 GiB");
        let mut sealed = Vec::with_capacity(HEADER_BYTES + ciphertext.len());
        sealed.push(LAYOUT);
        sealed.extend_from_slice(&key.id);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Sealed(sealed)
    }

    pub fn open(&self, noun: &'static str, row: &Uuid, sealed: &Sealed) -> Result<Vec<u8>, SealError> {
        let error = || SealError::Open { noun, row: *row };
        let (&layout, rest) = sealed.0.split_first().ok_or_else(error)?;
        let (key_id, rest) = rest.split_first_chunk::<KEY_ID_BYTES>().ok_or_else(error)?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or_else(error)?;
        if layout != LAYOUT {
            return Err(error());
        }
        let Some(key) = self.keys.iter().find(|key| key.id == *key_id) else {
            return Err(SealError::UnknownKey {
                noun,
                key: to_hex(key_id),
            });
        };
        let aad = associated_data(noun, row);
        let payload = Payload {
            msg: ciphertext,
            aad: &aad,
        };
        key.cipher.decrypt(&XNonce::from(*nonce), payload).map_err(|_| error())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(…)")
    }
}

impl Key {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        let digest =
            |purpose: &[u8]| -> [u8; 32] { Sha256::new().chain_update(purpose).chain_update(key).finalize().into() };
        let mut id = [0; KEY_ID_BYTES];
        id.copy_from_slice(&digest(b"paas key id\0")[..KEY_ID_BYTES]);
        Self {
            id,
            cipher: XChaCha20Poly1305::new(key.into()),
            root: digest(b"paas derive\0"),
        }
    }
}

fn associated_data(noun: &str, row: &Uuid) -> Vec<u8> {
    let mut data = noun.as_bytes().to_vec();
    data.push(0);
    data.extend_from_slice(row.as_bytes());
    data
}

/// Writes a new key beside its place first: a crash leaves the whole key or none.
fn create(path: &Path) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&draft)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    writeln!(file, "{}", to_hex(&random::<KEY_BYTES>()))?;
    file.sync_all()?;
    // A link, because a rename would replace the key of somebody who was faster.
    match fs::hard_link(&draft, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => fs::remove_file(&draft)?,
    }
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

fn read_private(mut file: File, path: &Path) -> Result<String, SealError> {
    let read = |source| SealError::Read {
        path: path.to_owned(),
        source,
    };
    let mode = file.metadata().map_err(read)?.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SealError::Permissions {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(read)?;
    Ok(text)
}

pub(crate) fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the kernel has randomness once the machine has booted");
    bytes
}

pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |four: u8| DIGITS[usize::from(four)];
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn from_hex(text: &str) -> Option<[u8; KEY_BYTES]> {
    let mut bytes = [0; KEY_BYTES];
    let text = text.trim();
    if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_keys_differ_by_purpose_and_by_key_and_last() {
        let sealer = Sealer::ephemeral();
        assert_eq!(sealer.derive_key("one"), sealer.clone().derive_key("one"));
        assert_ne!(sealer.derive_key("one"), sealer.derive_key("two"));
        assert_ne!(sealer.derive_key("one"), Sealer::ephemeral().derive_key("one"));
    }

    const NOUN: &str = "release config";

    #[test]
    fn a_secret_opens_in_its_own_row_only() {
        let sealer = Sealer::ephemeral();
        let (row, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let value = sealer.seal(NOUN, &row, b"canary");
        assert_eq!(sealer.open(NOUN, &row, &value).unwrap(), b"canary");
        assert!(matches!(sealer.open(NOUN, &other, &value), Err(SealError::Open { .. })));
        assert!(matches!(
            sealer.open("drain", &row, &value),
            Err(SealError::Open { .. })
        ));
        assert!(matches!(
            Sealer::ephemeral().open(NOUN, &row, &value),
            Err(SealError::UnknownKey { .. })
        ));
    }

    #[test]
    fn no_altered_or_cut_value_opens() {
        let sealer = Sealer::ephemeral();
        let row = Uuid::from_u128(1);
        let value = sealer.seal(NOUN, &row, b"canary");
        for index in 0..value.0.len() {
            let mut altered = value.clone();
            altered.0[index] ^= 1;
            assert!(sealer.open(NOUN, &row, &altered).is_err(), "byte {index}");
            let cut = Sealed(value.0[..index].to_vec());
            assert!(sealer.open(NOUN, &row, &cut).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn one_secret_is_sealed_differently_each_time() {
        let sealer = Sealer::ephemeral();
        let row = Uuid::from_u128(1);
        assert!(sealer.seal(NOUN, &row, b"same") != sealer.seal(NOUN, &row, b"same"));
    }

    #[test]
    fn the_key_file_is_made_once_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let row = Uuid::from_u128(1);
        let value = Sealer::load_or_create(&path).unwrap().seal(NOUN, &row, b"canary");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_eq!(
            Sealer::load_or_create(&path).unwrap().open(NOUN, &row, &value).unwrap(),
            b"canary"
        );
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        Sealer::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = Sealer::load_or_create(&path).err().unwrap();
        assert!(matches!(error, SealError::Permissions { mode: 0o640, .. }), "{error}");
    }

    #[test]
    fn an_older_key_still_opens_after_a_new_one_came_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let row = Uuid::from_u128(1);
        let value = Sealer::load_or_create(&path).unwrap().seal(NOUN, &row, b"canary");
        let old = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{}\n{old}", to_hex(&[7; KEY_BYTES]))).unwrap();
        let rotated = Sealer::load_or_create(&path).unwrap();
        assert_eq!(rotated.open(NOUN, &row, &value).unwrap(), b"canary");
        assert_ne!(rotated.seal(NOUN, &row, b"canary").0[1..9], value.0[1..9]);
    }

    #[test]
    fn a_key_file_with_anything_else_in_it_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        Sealer::load_or_create(&path).unwrap();
        for text in ["", "abc\n", &"g".repeat(64), &"é".repeat(32)] {
            fs::write(&path, text).unwrap();
            let error = Sealer::load_or_create(&path).err().unwrap();
            assert!(matches!(error, SealError::Malformed { .. }), "{text:?}: {error}");
        }
    }
}

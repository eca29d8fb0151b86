//! Public SSH keys as OpenSSH writes them: `ssh-ed25519 AAAA… ada@laptop` (RFC 4253 §6.6, RFC 5656, RFC 8709).

use std::{fmt::Write, str::FromStr};

use base64::{Engine, prelude::BASE64_STANDARD, prelude::BASE64_STANDARD_NO_PAD};
use md5::Md5;
use sha2::{Digest, Sha256};
use thiserror::Error;

/// A public key that is whole, and its fingerprints.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SshKey {
    /// Algorithm, base64 and comment, with one space between.
    pub(super) public_key: String,
    pub(super) comment: String,
    /// `17:63:a4:…`
    pub(super) md5: String,
    /// `SHA256:…`
    pub(super) sha256: String,
}

#[derive(Debug, PartialEq, Eq, Error)]
pub(super) enum SshKeyError {
    #[error("That is a private key: keep it to yourself. Upload the public one, whose file ends in .pub.")]
    Private,
    #[error(
        "That is not a public SSH key. It is one line that begins like ssh-ed25519 AAAA: upload a file that ends in .pub."
    )]
    NotAKey,
    #[error("Keys of the kind {0} are not accepted. Make one with: ssh-keygen -t ed25519")]
    Algorithm(String),
    #[error("This SSH key is damaged: its text does not fit its kind. Upload the .pub file as it is.")]
    Damaged,
    #[error("RSA keys need at least {MINIMUM_RSA_BITS} bits; this one has {0}. Make one with: ssh-keygen -t ed25519")]
    Weak(usize),
}

/// What OpenSSH itself still accepts is less; NIST SP 800-131A is not content with less.
const MINIMUM_RSA_BITS: usize = 2048;
const LONGEST: usize = 16 * 1024;
const LONGEST_COMMENT: usize = 200;

impl FromStr for SshKey {
    type Err = SshKeyError;

    fn from_str(text: &str) -> Result<Self, SshKeyError> {
        let text = text.trim();
        if text.contains("PRIVATE KEY") {
            return Err(SshKeyError::Private);
        }
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err(SshKeyError::NotAKey);
        }
        let mut words = text.split_ascii_whitespace();
        let (Some(algorithm), Some(encoded)) = (words.next(), words.next()) else {
            return Err(SshKeyError::NotAKey);
        };
        let comment = words.collect::<Vec<_>>().join(" ");
        let comment: String = comment.chars().take(LONGEST_COMMENT).collect();
        let blob = BASE64_STANDARD.decode(encoded).map_err(|_| SshKeyError::NotAKey)?;
        check(algorithm, &blob)?;
        let public_key = format!("{algorithm} {encoded} {comment}").trim_end().to_owned();
        Ok(Self {
            public_key,
            comment,
            md5: colons(&Md5::digest(&blob)),
            sha256: format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(&blob))),
        })
    }
}

/// Whether the bytes are those of a whole key of this algorithm.
fn check(algorithm: &str, blob: &[u8]) -> Result<(), SshKeyError> {
    let mut fields = Fields(blob);
    if fields.next().ok_or(SshKeyError::NotAKey)? != algorithm.as_bytes() {
        return Err(SshKeyError::NotAKey);
    }
    let mut field = || fields.next().ok_or(SshKeyError::Damaged);
    let is_whole = match algorithm {
        "ssh-ed25519" => field()?.len() == 32,
        "sk-ssh-ed25519@openssh.com" => field()?.len() == 32 && !field()?.is_empty(),
        "ssh-rsa" => {
            let (exponent, modulus) = (field()?, field()?);
            let bits = bits(modulus);
            if bits < MINIMUM_RSA_BITS {
                return Err(SshKeyError::Weak(bits));
            }
            !exponent.is_empty()
        }
        "ecdsa-sha2-nistp256" => is_point(field()?, b"nistp256", field()?, 32),
        "ecdsa-sha2-nistp384" => is_point(field()?, b"nistp384", field()?, 48),
        "ecdsa-sha2-nistp521" => is_point(field()?, b"nistp521", field()?, 66),
        "sk-ecdsa-sha2-nistp256@openssh.com" => is_point(field()?, b"nistp256", field()?, 32) && !field()?.is_empty(),
        other => return Err(SshKeyError::Algorithm(other.to_owned())),
    };
    if is_whole && fields.0.is_empty() {
        Ok(())
    } else {
        Err(SshKeyError::Damaged)
    }
}

/// An uncompressed point of a curve (SEC 1 §2.3.3).
fn is_point(curve: &[u8], wanted: &[u8], point: &[u8], coordinate_bytes: usize) -> bool {
    curve == wanted && point.len() == 1 + 2 * coordinate_bytes && point[0] == 4
}

/// The length of a positive multiple precision integer.
fn bits(number: &[u8]) -> usize {
    let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
    let leading = number.first().map_or(0, |byte| byte.leading_zeros() as usize);
    number.len() * 8 - leading
}

fn colons(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 3);
    for byte in bytes {
        _ = write!(text, "{byte:02x}:");
    }
    text.truncate(text.len() - 1);
    text
}

/// Strings with their length in front (RFC 4251 §5).
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with ssh-keygen, whose -l gave the fingerprints.
    const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX+kLAXWX/KPo0pGKeCrQ/SI8 ada@laptop";
    const RSA: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDZ5gKKxN6P3m53zFnAJvGbRNNYM2CP9cS1b5DRMG7xVb4RNaxMeBKbNkF9mylUMPlIqt8wE8HynHICztWgBAWKqqsguU1jpGBDhtBB+a4LqZMemfPS0pecs7COla3lVEheUA1pvVWIEDf6iQfG1Qr7prD2ec2OXB0FIre8Wr7T61fZCQ7Ei3cLQ/t0Ya4833J7eTVFDufXMpbNn8w+IBGx9n2XA+ifLHIrvJDAqzWeunJlSwi4/Ch850dsZFkn6RZg/co4xJHJuL4Pu4pUvRffbQQXvy14Clpp2/ONmV4EyUjjZ2btsQwqezapdNao5N1ReVB2jqJnD/hYxpKuEkRp ada lovelace";
    const ECDSA: &str = "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAHuY1iWzgh09NAzHbQIY3G/kt4xxkH9IMcdbdEAaN4DjBoj6qKIonkjHhfhCwl74PjDMPwPBWVyhtt1NhxzCHzEoAB/x47xqGN5GDH3EhoYxEH4dmFy+u1Y1405v5j/eiRRGK5h2N4fhkBnS+hIR5gRmDonJlfqhwQKR23krdaam3XgkA==";

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        for (text, comment, md5, sha256) in [
            (
                ED25519,
                "ada@laptop",
                "85:75:d6:f4:32:ef:f0:fc:a3:3f:7a:c9:9b:9a:02:04",
                "SHA256:3JhfXqNga2++t6NYwmLgr5X0DdpuBt5k7/Xkd/2sLKY",
            ),
            (
                RSA,
                "ada lovelace",
                "0c:d9:85:88:f6:a3:b3:0e:c3:5a:c4:f4:57:0b:17:b3",
                "SHA256:ngUJKjdfQo5GslMw0pO1FuzENISAKPvhpoPwyKb4lrM",
            ),
            (
                ECDSA,
                "",
                "36:2f:2c:7b:b4:c7:7e:2a:f9:f8:d6:2a:cd:0e:da:46",
                "SHA256:JEB+fGuneKXjjazSlUhfyntVjGP8YefNIHzeFlAuY9M",
            ),
        ] {
            let key: SshKey = format!("  {text}\n").parse().unwrap();
            assert_eq!(key.public_key, text);
            assert_eq!(
                (key.comment.as_str(), key.md5.as_str(), key.sha256.as_str()),
                (comment, md5, sha256)
            );
        }
    }

    #[test]
    fn what_is_no_whole_public_key_is_refused_in_words() {
        let refusal = |text: &str| text.parse::<SshKey>().unwrap_err();
        assert_eq!(
            refusal("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"),
            SshKeyError::Private
        );
        let two = format!("{ED25519}\n{ED25519}");
        for bad in [
            "",
            "ssh-ed25519",
            "hello world",
            "ssh-ed25519 !!!!",
            "ssh-rsa AAAA",
            &two,
        ] {
            assert_eq!(refusal(bad), SshKeyError::NotAKey, "{bad:?}");
        }
        // The bytes say what they are; the word in front may not say otherwise.
        assert_eq!(
            refusal(&ED25519.replace("ssh-ed25519", "ssh-rsa")),
            SshKeyError::NotAKey
        );
        let encoded = |fields: &[&[u8]]| {
            let mut blob = Vec::new();
            for field in fields {
                blob.extend(u32::try_from(field.len()).unwrap().to_be_bytes());
                blob.extend(*field);
            }
            BASE64_STANDARD.encode(blob)
        };
        let short = encoded(&[b"ssh-ed25519", &[7; 31]]);
        let long = encoded(&[b"ssh-ed25519", &[7; 32], b"more"]);
        for damaged in [short, long] {
            assert_eq!(refusal(&format!("ssh-ed25519 {damaged}")), SshKeyError::Damaged);
        }
        let weak = encoded(&[b"ssh-rsa", &[1, 0, 1], &[0x7f; 128]]);
        assert_eq!(refusal(&format!("ssh-rsa {weak}")), SshKeyError::Weak(1023));
        let old = encoded(&[b"ssh-dss", b"x"]);
        assert_eq!(
            refusal(&format!("ssh-dss {old}")),
            SshKeyError::Algorithm("ssh-dss".to_owned())
        );
    }
}

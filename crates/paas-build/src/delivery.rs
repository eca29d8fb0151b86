//! What a build hands over: tars on its standard output, one behind the other. What people read is on standard error.
//!
//! ```text
//! result/…    first, however the build has ended: what `bin/build` has to say
//! app/…       of a build that succeeded: what seldom changes, unless that is known
//! app/…       and the rest
//! ```
//!
//! So nothing has to be fetched from the container, and an image grows while the container still comes to its end. Nothing
//! in a delivery is believed that could hurt anybody but the app itself: its tars are unpacked in its own image alone, where
//! a `Dockerfile` could do the same.

use std::{collections::BTreeMap, io, path::PathBuf};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use paas_engine::ByteStream;
use tokio::sync::mpsc;

use crate::archive;

const BLOCK: usize = 512;
/// Pieces of a tar on their way.
const QUEUED: usize = 8;
/// Far more than any build has to say.
const MAXIMUM_RESULT_BYTES: u64 = 256 * 1024;

/// Takes the bytes of a delivery, and opens a stream for each of its tars.
#[derive(Debug)]
pub(crate) struct Courier {
    boundary: Boundary,
    tars: mpsc::Sender<mpsc::Receiver<io::Result<Bytes>>>,
    open: Option<mpsc::Sender<io::Result<Bytes>>>,
    is_broken: bool,
}

/// The tars of a delivery, in order.
#[derive(Debug)]
pub(crate) struct Delivery(mpsc::Receiver<mpsc::Receiver<io::Result<Bytes>>>);

/// The files of a result, by their path below `result/`.
pub(crate) type ResultFiles = BTreeMap<PathBuf, Vec<u8>>;

pub(crate) fn delivery() -> (Courier, Delivery) {
    let (tars, receiver) = mpsc::channel(1);
    let courier = Courier {
        boundary: Boundary::default(),
        tars,
        open: None,
        is_broken: false,
    };
    (courier, Delivery(receiver))
}

impl Courier {
    pub(crate) async fn take(&mut self, mut bytes: Bytes) {
        while !bytes.is_empty() && !self.is_broken {
            let (length, is_end) = match self.boundary.find(&bytes) {
                Ok(found) => found,
                Err(error) => return self.break_off(error).await,
            };
            let piece = bytes.split_to(length);
            if self.open.is_none() {
                let (open, tar) = mpsc::channel(QUEUED);
                // Nobody may want this one, nor those behind it.
                let _ = self.tars.send(tar).await;
                self.open = Some(open);
            }
            if let Some(open) = &self.open {
                let _ = open.send(Ok(piece)).await;
            }
            if is_end {
                self.open = None;
            }
        }
    }

    /// The end of the bytes.
    pub(crate) async fn finish(mut self) {
        self.break_off(io::ErrorKind::UnexpectedEof.into()).await;
    }

    /// A tar without its end must not look like one.
    async fn break_off(&mut self, error: io::Error) {
        self.is_broken = true;
        if let Some(open) = self.open.take() {
            let _ = open.send(Err(error)).await;
        }
    }
}

impl Delivery {
    /// The next tar; `None` when there is no other.
    pub(crate) async fn next(&mut self) -> Option<ByteStream> {
        let tar = self.0.recv().await?;
        let pieces = stream::unfold(tar, |mut tar| async move { Some((tar.recv().await?, tar)) });
        Some(pieces.boxed())
    }

    /// The first tar of all; `None` when nothing came.
    pub(crate) async fn result(&mut self) -> Option<io::Result<ResultFiles>> {
        let tar = self.next().await?;
        Some(read_result(tar).await)
    }
}

pub(crate) async fn read_result(mut tar: ByteStream) -> io::Result<ResultFiles> {
    let mut bytes = Vec::new();
    while let Some(piece) = tar.try_next().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > MAXIMUM_RESULT_BYTES {
            return Err(io::Error::other("it is larger than it may be"));
        }
    }
    let files = archive::read_files(&bytes, MAXIMUM_RESULT_BYTES)?;
    let below = |(path, content): (PathBuf, _)| Some((path.strip_prefix("result").ok()?.to_owned(), content));
    Ok(files.into_iter().filter_map(below).collect())
}

/// Where one tar ends and the next one begins: behind two blocks of zeros.
#[derive(Debug, Default)]
struct Boundary {
    /// Of a header that has not come whole yet.
    header: BytesMut,
    /// Of an entry's content, with what fills its last block.
    content_bytes: u64,
    zero_blocks: u8,
}

impl Boundary {
    /// How many of these bytes belong to the tar that they begin in, and whether that ends with them.
    fn find(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            if self.content_bytes > 0 {
                let passed = usize::try_from(self.content_bytes).map_or(rest.len(), |left| left.min(rest.len()));
                self.content_bytes -= passed as u64;
                at += passed;
                continue;
            }
            let wanted = (BLOCK - self.header.len()).min(rest.len());
            self.header.extend_from_slice(&rest[..wanted]);
            at += wanted;
            if self.header.len() == BLOCK {
                let header = self.header.split();
                if header.iter().all(|byte| *byte == 0) {
                    self.zero_blocks += 1;
                    if self.zero_blocks == 2 {
                        self.zero_blocks = 0;
                        return Ok((at, true));
                    }
                } else {
                    self.zero_blocks = 0;
                    let bytes = tar::Header::from_byte_slice(&header).entry_size()?;
                    self.content_bytes = bytes
                        .checked_next_multiple_of(BLOCK as u64)
                        .ok_or(io::ErrorKind::InvalidData)?;
                }
            }
        }
        Ok((at, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::MemoryTar;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut tar = MemoryTar::new();
        for (path, content) in files {
            tar.file(path, 0o644, content);
        }
        tar.finish()
    }

    async fn deliver(bytes: &[u8], piece: usize) -> Vec<io::Result<Vec<u8>>> {
        let (mut courier, mut delivery) = delivery();
        let send = async {
            for piece in bytes.chunks(piece) {
                courier.take(Bytes::copy_from_slice(piece)).await;
            }
            courier.finish().await;
        };
        let receive = async {
            let mut tars = Vec::new();
            while let Some(tar) = delivery.next().await {
                tars.push(tar.map_ok(|piece| piece.to_vec()).try_concat().await);
            }
            tars
        };
        tokio::join!(send, receive).1
    }

    #[tokio::test]
    async fn tars_come_apart_wherever_their_bytes_are_cut() {
        let tars = [
            tar(&[("result/description", b"Test\n")]),
            tar(&[("app/zeros", &[0; 3000]), ("app/empty", b""), ("app/block", &[1; 512])]),
            tar(&[]),
        ];
        for piece in [1, 511, 512, 513, 100_000] {
            let found = deliver(&tars.concat(), piece).await;
            let found: Vec<_> = found.into_iter().map(Result::unwrap).collect();
            assert_eq!(found, tars, "in pieces of {piece} bytes");
        }
    }

    #[tokio::test]
    async fn a_tar_that_breaks_off_is_none() {
        let whole = tar(&[("app/a", &[1; 5000])]);
        let found = deliver(&whole[..4000], 512).await;
        assert!(matches!(&found[..], [Err(_)]), "{found:?}");
    }

    #[tokio::test]
    async fn what_is_no_tar_ends_the_delivery() {
        let found = deliver("words of a program ".repeat(100).as_bytes(), 100).await;
        assert!(matches!(&found[..], [] | [Err(_)]), "{found:?}");
    }

    #[tokio::test]
    async fn a_result_is_read_up_to_its_limit() {
        let read = async |content: &[u8]| {
            let (mut courier, mut delivery) = delivery();
            let bytes = Bytes::from(tar(&[("result/release", content)]));
            let send = async {
                courier.take(bytes).await;
                courier.finish().await;
            };
            tokio::join!(send, delivery.result()).1.unwrap()
        };
        assert_eq!(read(b"---").await.unwrap()[&PathBuf::from("release")], b"---");
        assert!(read(&vec![b'x'; 300 * 1024]).await.is_err());
    }
}

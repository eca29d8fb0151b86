//! The body of a request on its way into git.

use std::{
    io::{self, Write},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use futures_util::StreamExt;
use tokio::{io::AsyncWriteExt, process::ChildStdin, time::timeout};

/// A client that sends nothing for so long is gone.
const IDLE: Duration = Duration::from_mins(1);

/// Compressed bytes at a time, so that a bomb of zeros becomes a few megabytes here and not a gigabyte.
const COMPRESSED_BYTES: usize = 4 * 1024;

/// What is still read when git has stopped reading: a client that is cut off in its upload never sees why.
const REST_BYTES: usize = 64 * 1024 * 1024;

pub(super) struct Upload {
    body: BodyDataStream,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    stdin: Option<ChildStdin>,
}

impl Upload {
    pub(super) fn new(body: Body, is_gzip: bool, stdin: ChildStdin) -> Self {
        Self {
            body: body.into_data_stream(),
            decoder: is_gzip.then(|| MultiGzDecoder::new(Vec::new())),
            stdin: Some(stdin),
        }
    }

    /// Until the body has ended or broken off; git then reads end of file and judges for itself.
    pub(super) async fn run(mut self) {
        let mut rest_bytes = REST_BYTES;
        while let Ok(Some(Ok(chunk))) = timeout(IDLE, self.body.next()).await {
            if let Some(stdin) = &mut self.stdin {
                if feed(stdin, &mut self.decoder, chunk).await.is_err() {
                    self.stdin = None;
                }
            } else {
                rest_bytes = rest_bytes.saturating_sub(chunk.len());
                if rest_bytes == 0 {
                    return;
                }
            }
        }
        if let (Some(stdin), Some(decoder)) = (&mut self.stdin, &mut self.decoder)
            && decoder.try_finish().is_ok()
        {
            let _ = stdin.write_all(decoder.get_ref()).await;
        }
    }
}

async fn feed(stdin: &mut ChildStdin, decoder: &mut Option<MultiGzDecoder<Vec<u8>>>, chunk: Bytes) -> io::Result<()> {
    let Some(decoder) = decoder else {
        return stdin.write_all(&chunk).await;
    };
    for compressed in chunk.chunks(COMPRESSED_BYTES) {
        decoder.write_all(compressed)?;
        stdin.write_all(decoder.get_ref()).await?;
        decoder.get_mut().clear();
    }
    Ok(())
}

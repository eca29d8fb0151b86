//! A pushed image as the archive that an engine loads (`docker save`), made while it is read.

use std::{io, path::PathBuf};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use paas_engine::ByteStream;
use serde_json::json;
use tokio_util::io::ReaderStream;

use super::{manifest::Pushed, store::Store};

const CHUNK_BYTES: usize = 128 * 1024;
const BLOCK_BYTES: u64 = 512;

struct File {
    name: String,
    bytes: u64,
    content: Content,
}

enum Content {
    Bytes(Bytes),
    Blob(PathBuf),
}

/// The image under one tag. Its layers go as they were pushed: the engine inflates them, and checks what comes out.
pub(crate) fn archive(store: &Store, image: &Pushed, tag: &str) -> ByteStream {
    let config = format!("{}.json", image.config.digest.hex());
    let layer = |hex: &str| format!("{hex}.tar");
    let layers: Vec<_> = image.layers.iter().map(|part| layer(part.digest.hex())).collect();
    let manifest = json!([{ "Config": config, "RepoTags": [tag], "Layers": layers }]).to_string();
    let mut files = vec![File {
        name: config,
        bytes: image.config.bytes,
        content: Content::Blob(store.blob(&image.config.digest)),
    }];
    // An empty layer may come many times.
    let mut parts = image.layers.clone();
    parts.sort_by(|one, other| one.digest.cmp(&other.digest));
    parts.dedup_by(|one, other| one.digest == other.digest);
    files.extend(parts.iter().map(|part| File {
        name: layer(part.digest.hex()),
        bytes: part.bytes,
        content: Content::Blob(store.blob(&part.digest)),
    }));
    files.push(File {
        name: "manifest.json".to_owned(),
        bytes: manifest.len() as u64,
        content: Content::Bytes(manifest.into()),
    });
    let end = stream::once(std::future::ready(Ok(Bytes::from_static(&[0; 1024]))));
    stream::iter(files).then(whole).try_flatten().chain(end).boxed()
}

/// Header, content and padding of one file.
async fn whole(file: File) -> io::Result<ByteStream> {
    let mut header = tar::Header::new_gnu();
    header.set_path(&file.name)?;
    header.set_size(file.bytes);
    header.set_mode(0o644);
    header.set_cksum();
    let content: ByteStream = match file.content {
        Content::Bytes(bytes) => stream::once(std::future::ready(Ok(bytes))).boxed(),
        Content::Blob(path) => {
            let file = tokio::fs::File::open(path).await?;
            ReaderStream::with_capacity(file, CHUNK_BYTES).boxed()
        }
    };
    let padding = usize::try_from(file.bytes.next_multiple_of(BLOCK_BYTES) - file.bytes).unwrap_or_default();
    let header = Bytes::copy_from_slice(header.as_bytes());
    let around = |bytes: Bytes| stream::once(std::future::ready(Ok(bytes)));
    Ok(around(header)
        .chain(content)
        .chain(around(vec![0; padding].into()))
        .boxed())
}

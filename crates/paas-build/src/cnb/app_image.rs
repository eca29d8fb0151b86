//! The image of an app: the layers of a lifecycle's export on the run image.
//!
//! Made by the engine's builder, which every engine has: `ADD` unpacks a layer as it is, owners included, and an unchanged
//! layer is found in the builder's cache and shared by all images of the app.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use paas_core::ImageRef;
use paas_engine::{ByteStream, ContainerId, Engine, ImageConfig};

use super::layout::{self, Config, Exported};
use crate::archive::MemoryTar;

const BLOCK: usize = 512;

/// The Dockerfile of the image: the run image by its id, so that nobody can change what is meant.
pub(super) fn dockerfile(run_image: &ImageRef, run: &ImageConfig, exported: &Exported) -> String {
    let Config {
        env,
        entrypoint,
        working_dir,
        labels: _,
    } = &exported.config.config;
    let mut text = format!("FROM {run_image}\n");
    for layer in &exported.layers {
        let _ = writeln!(text, "ADD {layer} /");
    }
    // What the run image says already is inherited; each instruction of its own would be a step of the builder.
    let own = env.iter().flatten().filter(|own| !run.environment.contains(own));
    let own = own.filter_map(|assignment| assignment.split_once('='));
    // What cannot be written in one line is nothing that a builder of images can say.
    let can_be_said = |text: &str| !text.contains(['\n', '\r', '\0']);
    let mut variables: Vec<_> = own
        .filter(|(name, value)| is_name(name) && can_be_said(value))
        .collect();
    if !working_dir.is_empty() && can_be_said(working_dir) {
        let _ = writeln!(text, "WORKDIR {}", quoted(working_dir));
        // The user of dynos has no home in the run image. Where the app is it may write.
        variables.push(("HOME", working_dir));
    }
    let variables: Vec<_> = variables
        .iter()
        .map(|(name, value)| format!("{name}={}", quoted(value)))
        .collect();
    if !variables.is_empty() {
        let _ = writeln!(text, "ENV {}", variables.join(" "));
    }
    let words = entrypoint.as_deref().unwrap_or_default();
    let _ = writeln!(text, "ENTRYPOINT {}", serde_json::json!(words));
    text
}

/// The context: each layer once, then the Dockerfile, which nothing can come after.
pub(super) fn context(
    engine: &Arc<dyn Engine>,
    container: &ContainerId,
    folder: &str,
    exported: &Exported,
    dockerfile: &str,
) -> ByteStream {
    let layers: BTreeSet<_> = exported.layers.iter().cloned().collect();
    let (engine, container, folder) = (Arc::clone(engine), container.clone(), folder.to_owned());
    let layers = stream::iter(layers).then(move |layer| {
        let (engine, container) = (Arc::clone(&engine), container.clone());
        let path = layout::blob(&folder, &layer);
        async move {
            match engine.archive(&container, &path).await {
                Ok(Some(tar)) => Ok(entries(tar)),
                Ok(None) => Err(io::Error::other("a layer of the app's image is missing")),
                Err(error) => Err(io::Error::other(error)),
            }
        }
    });
    let mut last = MemoryTar::new();
    last.file("Dockerfile", 0o644, dockerfile.as_bytes());
    let last = stream::once(std::future::ready(Ok(Bytes::from(last.finish()))));
    layers.try_flatten().chain(last).boxed()
}

/// The labels that come along: what a client of the API shows of such images, as long as it fits into a request.
pub(super) fn labels(config: &Config, processes: &[&str]) -> BTreeMap<String, String> {
    const MOST_BYTES: usize = 12 * 1024;
    let kept = ["io.buildpacks.build.metadata", "io.buildpacks.project.metadata"];
    let own = config.labels.iter().flatten();
    let kept = own.filter(|(key, value)| kept.contains(&key.as_str()) && value.len() <= MOST_BYTES);
    let mut labels: BTreeMap<_, _> = kept.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.insert(super::process::PROCESSES.to_owned(), processes.join(" "));
    labels
}

/// The entries of a tar without the blocks that end it, so that others can follow.
fn entries(tar: ByteStream) -> ByteStream {
    let pieces = stream::unfold((tar, Cut::default()), |(mut tar, mut cut)| async move {
        if cut.has_ended {
            return None;
        }
        let next = match tar.next().await? {
            Ok(bytes) => cut.pass(&bytes),
            Err(error) => {
                cut.has_ended = true;
                Err(error)
            }
        };
        Some((next, (tar, cut)))
    });
    pieces.boxed()
}

/// Where in a tar its stream has come to.
#[derive(Default)]
struct Cut {
    /// Of the entry that is passed on, its last block filled up.
    left: u64,
    /// The part of a header that has come.
    header: Vec<u8>,
    has_ended: bool,
}

impl Cut {
    fn pass(&mut self, mut bytes: &[u8]) -> io::Result<Bytes> {
        let mut passed = Vec::with_capacity(bytes.len());
        while !bytes.is_empty() && !self.has_ended {
            if self.left > 0 {
                let length = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                passed.extend_from_slice(&bytes[..length]);
                self.left -= length as u64;
                bytes = &bytes[length..];
                continue;
            }
            let length = bytes.len().min(BLOCK - self.header.len());
            self.header.extend_from_slice(&bytes[..length]);
            bytes = &bytes[length..];
            if self.header.len() < BLOCK {
                continue;
            }
            if self.header.iter().all(|byte| *byte == 0) {
                self.has_ended = true;
                continue;
            }
            let size = tar::Header::from_byte_slice(&self.header).entry_size();
            let size = size.inspect_err(|_| self.has_ended = true)?;
            let blocks = size.checked_next_multiple_of(BLOCK as u64);
            self.left = blocks
                .ok_or(io::ErrorKind::InvalidData)
                .inspect_err(|_| self.has_ended = true)?;
            passed.append(&mut self.header);
        }
        Ok(passed.into())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// A word of a Dockerfile that means itself.
fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', r"\\").replace('"', "\\\"").replace('$', r"\$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tar(name: &str, content: &[u8]) -> Vec<u8> {
        let mut tar = MemoryTar::new();
        tar.file(name, 0o644, content);
        tar.finish()
    }

    #[tokio::test]
    async fn tars_that_lost_their_ends_are_one_tar_whatever_pieces_they_come_in() {
        for piece in [1, 7, 511, 512, 4096] {
            let mut whole = Vec::new();
            for (name, content) in [("one", vec![1; 700]), ("two", Vec::new()), ("three", vec![3; 512])] {
                let bytes = tar(name, &content);
                let pieces: Vec<_> = bytes
                    .chunks(piece)
                    .map(|piece| Ok(Bytes::copy_from_slice(piece)))
                    .collect();
                let cut = entries(stream::iter(pieces).boxed());
                let cut: Vec<Bytes> = cut.try_collect().await.unwrap();
                whole.extend(cut.concat());
            }
            whole.extend(tar("last", b"x"));
            let mut archive = tar::Archive::new(whole.as_slice());
            let found = archive.entries().unwrap().map(|entry| {
                let entry = entry.unwrap();
                (entry.path().unwrap().display().to_string(), entry.size())
            });
            let wanted = [("one", 700), ("two", 0), ("three", 512), ("last", 1)];
            assert_eq!(
                found.collect::<Vec<_>>(),
                wanted.map(|(name, size)| (name.to_owned(), size)),
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn the_image_is_configured_as_it_was_exported() {
        let exported: Exported = Exported {
            layers: vec!["aa".to_owned(), "bb".to_owned()],
            config: serde_json::from_str(
                r#"{ "rootfs": { "diff_ids": [] }, "config": { "WorkingDir": "/workspace",
                    "Entrypoint": ["/cnb/process/web"], "Env": ["LANG=C", "PATH=/cnb/process:/bin", "X=a \"$b\" \\", "BAD=1\n2", "no"] } }"#,
            )
            .unwrap(),
        };
        let run = ImageConfig {
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            layers: Vec::new(),
            environment: vec!["LANG=C".to_owned()],
        };
        insta::assert_snapshot!(dockerfile(&ImageRef::new("sha256:00"), &run, &exported), @r#"
        FROM sha256:00
        ADD aa /
        ADD bb /
        WORKDIR "/workspace"
        ENV PATH="/cnb/process:/bin" X="a \"\$b\" \\" HOME="/workspace"
        ENTRYPOINT ["/cnb/process/web"]
        "#);
    }
}

//! The source of a build: a tar on disk, looked through once.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use futures_util::StreamExt as _;
use paas_core::Procfile;
use paas_engine::{ByteStream, Input};
use tokio::sync::mpsc;
use tokio_util::io::ReaderStream;

use crate::BuildError;

/// A source archive, plain or gzipped, with the app at its root.
///
/// Only names are read here, and the Procfile. The archive may come from anybody: it is unpacked nowhere but in a build
/// container.
#[derive(Debug, Clone)]
pub struct Source {
    path: PathBuf,
    pub(crate) is_gzipped: bool,
    pub(crate) has_dockerfile: bool,
    /// The text of its `heroku.yml`, read when something is to be built from it.
    pub(crate) heroku_yml: Option<String>,
    /// The text of its `project.toml`, read when buildpacks of a builder build it.
    pub(crate) project_toml: Option<String>,
    /// `None` when the source has no Procfile.
    pub(crate) procfile: Option<Procfile>,
    /// What the source's own `.buildpacks` names, in order (the convention of heroku-buildpack-multi).
    pub buildpacks: Vec<String>,
    /// The names at the root, for the message that nothing was recognised.
    pub(crate) root: Vec<String>,
}

/// No sensible Procfile or manifest comes near it.
const MAXIMUM_PROCFILE_BYTES: u64 = 64 * 1024;
/// How much of a file goes to a container at once.
const CHUNK_BYTES: usize = 128 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

impl Source {
    /// Looks through the tar (or tar.gz) at `path`, and refuses it at once when nothing could be built from it: an empty
    /// source, a broken archive, a Procfile with a bad line.
    pub async fn open(path: impl Into<PathBuf>) -> Result<Self, BuildError> {
        let path = path.into();
        tokio::task::spawn_blocking(move || scan(path))
            .await
            .map_err(|source| BuildError::ReadSource {
                source: io::Error::other(source),
            })?
    }

    /// The whole archive as it is, for the builder of a Dockerfile, which unzips by itself.
    pub(crate) async fn stream(&self) -> Result<ByteStream, BuildError> {
        stream(&self.path).await
    }

    /// The files below a directory of the archive, as if it were the root: a Docker context cannot say that by itself.
    pub(crate) async fn stream_below(&self, directory: &str) -> Result<ByteStream, BuildError> {
        if directory.is_empty() {
            return self.stream().await;
        }
        let (path, is_gzipped, directory) = (self.path.clone(), self.is_gzipped, PathBuf::from(directory));
        let (sender, receiver) = mpsc::channel(8);
        tokio::task::spawn_blocking(move || {
            let pieces = Pieces(sender.clone());
            if let Err(error) = cut_out(&path, is_gzipped, &directory, pieces) {
                // Nobody reads it any more when this fails.
                let _ = sender.blocking_send(Err(error));
            }
        });
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|piece| (piece, receiver))
        });
        Ok(pieces.boxed())
    }

    /// `first`, the files `then`, and the whole archive, for the standard input of a container. When a file breaks off, so
    /// does the input, and `tar` in the container complains.
    pub(crate) async fn input_after(
        &self,
        first: Vec<u8>,
        then: &[PathBuf],
    ) -> Result<futures_util::stream::BoxStream<'static, Input>, BuildError> {
        let mut input = futures_util::stream::once(std::future::ready(Ok(Bytes::from(first)))).boxed();
        for path in then {
            input = input.chain(stream(path).await?).boxed();
        }
        let input = input.chain(self.stream().await?).scan((), |(), chunk| {
            if let Err(error) = &chunk {
                tracing::warn!(%error, "a source archive broke off while it was read");
            }
            std::future::ready(chunk.ok().map(Input::Bytes))
        });
        Ok(input.boxed())
    }
}

/// Where a tar is written that is read elsewhere at the same time.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Ok(Bytes::copy_from_slice(bytes));
        let sent = self.0.blocking_send(piece);
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes what is below a directory of an archive as an archive of its own.
fn cut_out(path: &Path, is_gzipped: bool, directory: &Path, pieces: Pieces) -> io::Result<()> {
    let file = File::open(path)?;
    let reader: Box<dyn io::Read> = if is_gzipped {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let mut tar = tar::Builder::new(io::BufWriter::with_capacity(CHUNK_BYTES, pieces));
    for entry in tar::Archive::new(reader).entries()? {
        let mut entry = entry?;
        let mut header = entry.header().clone();
        let whole: PathBuf = entry
            .path()?
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect();
        let Ok(below) = whole.strip_prefix(directory) else {
            continue;
        };
        let below = below.to_owned();
        if below.as_os_str().is_empty() {
            continue;
        }
        match entry.link_name()? {
            Some(target) if header.entry_type().is_symlink() => {
                let target = target.into_owned();
                tar.append_link(&mut header, &below, target)?;
            }
            // Links to files of the archive, by their whole path: git makes none.
            Some(_) => {}
            None => tar.append_data(&mut header, &below, &mut entry)?,
        }
    }
    tar.into_inner()?
        .into_inner()
        .map(drop)
        .map_err(io::IntoInnerError::into_error)
}

async fn stream(path: &Path) -> Result<ByteStream, BuildError> {
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|source| BuildError::ReadSource { source })?;
    Ok(ReaderStream::with_capacity(file, CHUNK_BYTES).boxed())
}

fn scan(path: PathBuf) -> Result<Source, BuildError> {
    let open = || File::open(&path).map_err(|source| BuildError::ReadSource { source });
    let mut magic = Vec::new();
    open()?
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(|source| BuildError::ReadSource { source })?;
    let is_gzipped = magic == GZIP_MAGIC;
    let file = open()?;
    let found = if is_gzipped {
        look_through(tar::Archive::new(GzDecoder::new(file)).entries())?
    } else {
        // Seeking over contents makes this a matter of milliseconds however large the files are.
        look_through(tar::Archive::new(file).entries_with_seek())?
    };
    if found.root.is_empty() {
        return Err(BuildError::EmptySource);
    }
    let procfile = found.procfile.map(|text| text.parse::<Procfile>()).transpose()?;
    Ok(Source {
        path,
        is_gzipped,
        has_dockerfile: found.has_dockerfile,
        heroku_yml: found.heroku_yml,
        project_toml: found.project_toml,
        procfile,
        buildpacks: found.buildpacks,
        root: found.root,
    })
}

#[derive(Default)]
struct Found {
    root: Vec<String>,
    has_dockerfile: bool,
    heroku_yml: Option<String>,
    project_toml: Option<String>,
    procfile: Option<String>,
    buildpacks: Vec<String>,
}

fn look_through<R: io::Read>(entries: io::Result<tar::Entries<'_, R>>) -> Result<Found, BuildError> {
    let broken = |source| BuildError::BrokenSource { source };
    let mut found = Found::default();
    for entry in entries.map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let path = entry.path().map_err(broken)?.into_owned();
        let Some((first, is_at_root)) = name_at_root(&path) else {
            continue;
        };
        let is_file = is_at_root && kind.is_file();
        if is_file && ["Procfile", ".buildpacks", "heroku.yml", "project.toml"].contains(&&*first) {
            let mut text = Vec::new();
            entry
                .by_ref()
                .take(MAXIMUM_PROCFILE_BYTES)
                .read_to_end(&mut text)
                .map_err(broken)?;
            let text = String::from_utf8_lossy(&text).into_owned();
            match &*first {
                "Procfile" => found.procfile = Some(text),
                "heroku.yml" => found.heroku_yml = Some(text),
                "project.toml" => found.project_toml = Some(text),
                _ => found.buildpacks = names(&text),
            }
        }
        found.has_dockerfile |= is_file && first == "Dockerfile";
        if !found.root.contains(&first) {
            found.root.push(first);
        }
    }
    Ok(found)
}

/// One name a line; empty lines and comments say nothing.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// The first part of a path within the archive, and whether there is no other.
fn name_at_root(path: &Path) -> Option<(String, bool)> {
    let mut parts = path
        .components()
        .filter(|part| matches!(part, std::path::Component::Normal(_)));
    let first = parts.next()?.as_os_str().to_string_lossy().into_owned();
    Some((first, parts.next().is_none()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::MemoryTar;

    async fn open(files: &[(&str, &str)]) -> Result<Source, BuildError> {
        let mut tar = MemoryTar::new();
        for (path, content) in files {
            tar.file(path, 0o644, content.as_bytes());
        }
        open_bytes(&tar.finish()).await
    }

    async fn open_bytes(bytes: &[u8]) -> Result<Source, BuildError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source.tar");
        std::fs::write(&path, bytes).unwrap();
        Source::open(path).await
    }

    #[tokio::test]
    async fn only_files_at_the_root_count() {
        let source = open(&[("app.py", ""), ("docs/Dockerfile", ""), ("docs/Procfile", "web: x")])
            .await
            .unwrap();
        assert!(!source.has_dockerfile && source.procfile.is_none());
        assert_eq!(source.root, ["app.py", "docs"]);

        let source = open(&[("./Dockerfile", "FROM scratch")]).await.unwrap();
        assert!(source.has_dockerfile);
    }

    #[tokio::test]
    async fn a_directory_of_the_source_can_be_a_context_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("source.tar");
        let mut tar = MemoryTar::new();
        for (name, content) in [
            ("Dockerfile", "root"),
            ("worker/Dockerfile", "its"),
            ("worker/bin/run", "x"),
            ("workers/a", "y"),
        ] {
            tar.file(name, 0o755, content.as_bytes());
        }
        std::fs::write(&path, tar.finish()).unwrap();
        let source = Source::open(path).await.unwrap();
        let pieces: Vec<_> = source.stream_below("worker").await.unwrap().collect().await;
        let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
        let mut archive = tar::Archive::new(&*bytes);
        let found: Vec<_> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().display().to_string(), text)
            })
            .collect();
        assert_eq!(
            found,
            [
                ("Dockerfile".to_owned(), "its".to_owned()),
                ("bin/run".to_owned(), "x".to_owned())
            ]
        );
    }

    #[tokio::test]
    async fn buildpacks_that_the_source_names_are_read() {
        let named = "# for images\nhttps://example.com/x#main\n\n  heroku/python\r\n";
        let source = open(&[(".buildpacks", named), ("deep/.buildpacks", "x")])
            .await
            .unwrap();
        assert_eq!(source.buildpacks, ["https://example.com/x#main", "heroku/python"]);
        assert!(open(&[("app.py", "")]).await.unwrap().buildpacks.is_empty());
    }

    #[tokio::test]
    async fn a_source_without_files_is_refused() {
        assert!(matches!(open(&[]).await, Err(BuildError::EmptySource)));
        assert!(matches!(open_bytes(b"").await, Err(BuildError::EmptySource)));
    }

    #[tokio::test]
    async fn a_bad_procfile_is_refused_with_its_line() {
        let result = open(&[("Procfile", "web: ./serve\nno colon here\n")]).await;
        assert!(matches!(result, Err(BuildError::Procfile(error)) if error.line == 2));
    }

    #[tokio::test]
    async fn what_is_no_archive_is_refused() {
        let page = "<html>not a tar</html>\n".repeat(100);
        assert!(matches!(
            open_bytes(page.as_bytes()).await,
            Err(BuildError::BrokenSource { .. })
        ));
    }

    #[tokio::test]
    async fn a_gzipped_source_is_as_good() {
        use std::io::Write as _;
        let mut tar = MemoryTar::new();
        tar.file("Dockerfile", 0o644, b"FROM scratch");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar.finish()).unwrap();
        let source = open_bytes(&gzip.finish().unwrap()).await.unwrap();
        assert!(source.is_gzipped && source.has_dockerfile);
    }
}

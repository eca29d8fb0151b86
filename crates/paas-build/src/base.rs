//! The base of our stack: Debian 12, pulled where a registry answers, made by `debootstrap` where none does.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
};

use futures_util::StreamExt as _;
use paas_core::ImageRef;
use paas_engine::Engine;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use tokio_util::io::ReaderStream;

use crate::{StackError, output::Console};

const OFFICIAL: &str = "debian:bookworm-slim";
const OURS: &str = "paas/stack-12:base";
const SUITE: &str = "bookworm";
/// Plain HTTP, as in Debian's own sources: packages are checked by their signatures. It needs no certificate authority
/// before there is one.
const MIRROR: &str = "http://deb.debian.org/debian";
const SECURITY_MIRROR: &str = "http://deb.debian.org/debian-security";
/// What a container has no use for.
const LEFT_OUT: [&str; 5] = [
    "./dev/*",
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*",
    "./usr/share/doc/*",
    "./usr/share/man/*",
];

/// A base image that is here: the official one, or one made now or earlier.
pub(crate) async fn ensure(engine: &dyn Engine, work_dir: &Path, console: &Console) -> Result<ImageRef, StackError> {
    let [ours, official] = [OURS, OFFICIAL].map(ImageRef::new);
    for image in [&official, &ours] {
        if engine.image(image).await?.is_some() {
            return Ok(image.clone());
        }
    }
    console.header(&format!("Fetching {OFFICIAL}")).await;
    match engine.pull(&official).await {
        Ok(_) => return Ok(official),
        Err(error) => {
            tracing::info!(%error, "no registry has the base image");
            console
                .detail("No registry has it; making it with debootstrap instead")
                .await;
        }
    }
    let folder = tempfile::Builder::new()
        .prefix("debootstrap-")
        .tempdir_in(work_dir)
        .map_err(|source| file_error("making a folder", work_dir, source))?;
    let root = folder.path().join("root");
    debootstrap(&root, console).await?;
    import(engine, &root, &ours).await?;
    tokio::task::spawn_blocking(move || folder.close())
        .await
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| file_error("removing a folder", work_dir, source))?;
    Ok(ours)
}

async fn debootstrap(root: &Path, console: &Console) -> Result<(), StackError> {
    console.header(&format!("Making Debian 12 from {MIRROR}")).await;
    let mut command = Command::new("debootstrap");
    command.args(["--variant=minbase", "--include=ca-certificates", SUITE]);
    command.arg(root).arg(MIRROR);
    let mut child = start(&mut command).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => StackError::NoDebootstrap,
        _ => file_error("starting debootstrap", root, source),
    })?;
    let mut last_words = String::new();
    if let Some(output) = child.stdout.take() {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            // Two hundred packages one by one are too much to read.
            if let Some(step) = line.strip_prefix("I: ")
                && ![
                    "Retrieving ",
                    "Validating ",
                    "Extracting ",
                    "Unpacking ",
                    "Configuring ",
                ]
                .iter()
                .any(|word| step.starts_with(word))
            {
                console.detail(step).await;
            }
            last_words = line;
        }
    }
    let status = child
        .wait()
        .await
        .map_err(|source| file_error("waiting for debootstrap", root, source))?;
    if !status.success() {
        return Err(failed(status, last_words));
    }
    let sources = format!(
        "deb {MIRROR} {SUITE} main\n\
         deb {MIRROR} {SUITE}-updates main\n\
         deb {SECURITY_MIRROR} {SUITE}-security main\n"
    );
    let path = root.join("etc/apt/sources.list");
    std::fs::write(&path, sources).map_err(|source| file_error("writing", &path, source))
}

async fn import(engine: &dyn Engine, root: &Path, tag: &ImageRef) -> Result<(), StackError> {
    let mut command = Command::new("tar");
    command.arg("-C").arg(root).arg("--numeric-owner");
    command.args(LEFT_OUT.map(|pattern| format!("--exclude={pattern}")));
    command.args(["-c", "."]);
    let mut child = start(&mut command).map_err(|source| file_error("starting tar", root, source))?;
    let output = child.stdout.take().expect("start asked for a pipe");
    let rootfs = ReaderStream::with_capacity(output, 256 * 1024).boxed();
    engine.import_image(tag, &BTreeMap::new(), rootfs).await?;
    let status = child
        .wait()
        .await
        .map_err(|source| file_error("waiting for tar", root, source))?;
    if status.success() {
        return Ok(());
    }
    // Half a Debian is worse than none.
    engine.remove_image(tag).await?;
    Err(failed(status, "tar could not read what debootstrap made".to_owned()))
}

/// Starts a program with its output in a pipe. It dies with us: nobody would read on.
fn start(command: &mut Command) -> io::Result<Child> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn failed(status: ExitStatus, last_words: String) -> StackError {
    StackError::Debootstrap {
        status: status.to_string(),
        last_words,
    }
}

fn file_error(doing: &'static str, path: &Path, source: io::Error) -> StackError {
    StackError::File {
        doing,
        path: PathBuf::from(path),
        source,
    }
}

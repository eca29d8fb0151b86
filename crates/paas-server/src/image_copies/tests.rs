use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

const FAST: Pace = Pace {
    bytes_per_second: u64::MAX,
};

/// A tar as engines write them: folders, files, a link.
fn image(files: &[(&str, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o755);
    header.set_size(0);
    tar.append_data(&mut header, "abc/", std::io::empty()).unwrap();
    for (name, content) in files {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        tar.append_data(&mut header, name, content.as_bytes()).unwrap();
    }
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "abc/link", "../other/layer.tar").unwrap();
    tar.into_inner().unwrap()
}

fn sent(bytes: &[u8]) -> ByteStream {
    let pieces: Vec<_> = bytes
        .chunks(700)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)))
        .collect();
    stream::iter(pieces).boxed()
}

async fn whole(stream: ByteStream) -> Vec<u8> {
    let pieces: Vec<Bytes> = stream.try_collect().await.unwrap();
    pieces.concat()
}

/// Names, kinds and contents.
fn listed(tar: &[u8]) -> Vec<(String, EntryType, String)> {
    let mut archive = tar::Archive::new(tar);
    let mut entries = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        std::io::Read::read_to_string(&mut entry, &mut content).unwrap();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        entries.push((name, entry.header().entry_type(), content));
    }
    entries
}

fn blobs(folder: &TempDir) -> usize {
    read_dir(&folder.path().join("blobs")).unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_comes_out_as_it_went_in_and_what_images_share_is_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let copies = Arc::new(ImageCopies::new(folder.path().to_owned()));
    let [one, two] = ["sha256:one", "sha256:two"].map(ImageRef::new);
    let base = "the stack ".repeat(10_000);
    let first = image(&[("abc/layer.tar", &base), ("one.json", "{}"), ("1/layer.tar", "the app")]);
    let second = image(&[
        ("abc/layer.tar", &base),
        ("two.json", "{}"),
        ("2/layer.tar", "the app, changed"),
    ]);
    copies.keep(&one, None, sent(&first), FAST).await.unwrap();
    copies.keep(&two, None, sent(&second), FAST).await.unwrap();
    assert!(copies.has(&one) && copies.has(&two));
    assert_eq!(blobs(&folder), 4);
    let sizes: Vec<_> = copies.sizes().unwrap().iter().map(|copy| copy.bytes).collect();
    assert!(sizes[1] < sizes[0], "what both have is the older one's: {sizes:?}");

    let again = whole(copies.archive(&one).unwrap().unwrap()).await;
    assert_eq!(listed(&again), listed(&first));
    assert!(copies.archive(&ImageRef::new("sha256:three")).unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_kept_image_needs_goes_and_a_rehearsal_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let copies = Arc::new(ImageCopies::new(folder.path().to_owned()));
    let [one, two] = ["sha256:one", "sha256:two"].map(ImageRef::new);
    for (name, content) in [(&one, "first"), (&two, "second")] {
        let archive = image(&[("abc/layer.tar", "shared"), ("own", content)]);
        copies.keep(name, None, sent(&archive), FAST).await.unwrap();
    }
    let kept = HashSet::from([two.clone()]);
    let told = copies.retain(copies.turn().await, kept.clone(), true).await.unwrap();
    assert!(told > 0 && copies.has(&one) && blobs(&folder) == 3);
    assert_eq!(copies.retain(copies.turn().await, kept, false).await.unwrap(), told);
    assert!(!copies.has(&one) && copies.has(&two));
    assert_eq!(blobs(&folder), 2);
    assert!(copies.archive(&two).unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_breaks_off_leaves_no_copy() {
    let folder = tempfile::tempdir().unwrap();
    let copies = Arc::new(ImageCopies::new(folder.path().to_owned()));
    let one = ImageRef::new("sha256:one");
    let archive = image(&[("abc/layer.tar", &"x".repeat(5000))]);
    let start = Bytes::copy_from_slice(&archive[..3000]);
    let broken = stream::iter([Ok(start), Err(io::Error::other("the engine went away"))]).boxed();
    assert!(copies.keep(&one, None, broken, FAST).await.is_err());
    assert!(!copies.has(&one));
    assert_eq!(blobs(&folder), 0, "what was written of it is gone");
    copies.keep(&one, None, sent(&archive), FAST).await.unwrap();
    assert!(copies.has(&one));
}

/// A stop of the platform drops whoever copies, and not the work in its own thread.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_nobody_waits_for_any_more_never_passes_for_a_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let copies = Arc::new(ImageCopies::new(folder.path().to_owned()));
    let one = ImageRef::new("sha256:one");
    let archive = image(&[("abc/layer.tar", &"x".repeat(5000))]);
    // Cut between two files, and within one: an archive ends well only where whoever sends it says so.
    for cut in [512, 3000] {
        let start = Bytes::copy_from_slice(&archive[..cut]);
        let (begun, reached) = tokio::sync::oneshot::channel();
        let stalls = stream::once(async move {
            begun.send(()).unwrap();
            Ok(start)
        });
        let stalls = stalls.chain(stream::pending()).boxed();
        tokio::select! {
            kept = copies.keep(&one, None, stalls, FAST) => panic!("it cannot end: {kept:?}"),
            reached = reached => reached.unwrap(),
        }
        // Whoever comes next waits for the thread.
        let turn = copies.turn().await;
        assert!(!copies.has(&one) && copies.archive(&one).unwrap().is_none());
        copies.retain(turn, HashSet::new(), false).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_cannot_be_read_is_none_and_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let copies = Arc::new(ImageCopies::new(folder.path().to_owned()));
    let [one, two] = ["sha256:one", "sha256:two"].map(ImageRef::new);
    let archive = image(&[("abc/layer.tar", "content")]);
    copies.keep(&one, None, sent(&archive), FAST).await.unwrap();
    std::fs::write(folder.path().join("one.json"), "{\"image\":").unwrap();
    assert!(copies.archive(&one).unwrap().is_none());
    assert!(!copies.has(&one));
    copies.keep(&one, None, sent(&archive), FAST).await.unwrap();
    std::fs::write(folder.path().join("one.json"), "").unwrap();
    copies.keep(&two, None, sent(&archive), FAST).await.unwrap();
    assert_eq!(copies.sizes().unwrap().len(), 1, "the others do not suffer from it");
}

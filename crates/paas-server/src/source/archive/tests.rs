use std::{fmt::Write as _, io::Write as _};

use flate2::{Compression, write::GzEncoder};

use super::*;

/// An entry as a hostile archive has it: the library's own setters refuse such names.
fn entry(tar: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &str) {
    let mut header = Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(if path.ends_with("run") { 0o4777 } else { 0o600 });
    header.set_mtime(1_700_000_000);
    let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
    if is_link {
        header.as_gnu_mut().unwrap().linkname[..content.len()].copy_from_slice(content.as_bytes());
    }
    let content = if is_link { "" } else { content };
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content.as_bytes()).unwrap();
}

fn tar(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (path, kind, content) in entries {
        entry(&mut tar, path, *kind, content);
    }
    tar.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// What the tar holds that an archive becomes: `mode path content`, and that nothing else is left on the disk.
fn unpacked_with(archive: &[u8], checksum: Option<&str>) -> Result<Vec<String>, ArchiveError> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("archive"), archive).unwrap();
    let result = unpack(&path("archive"), checksum, &path("scratch"), &path("tar"));
    let left = std::fs::read_dir(directory.path()).unwrap().count();
    assert_eq!(left, 1 + usize::from(result.is_ok()));
    result?;
    let mut tar = Archive::new(File::open(path("tar")).unwrap());
    let entries = tar.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        if let Some(target) = entry.link_name().unwrap() {
            content = format!("-> {}", target.display());
        }
        let mode = entry.header().mode().unwrap();
        format!("{mode:o} {} {content}", entry.path().unwrap().display())
            .trim_end()
            .to_owned()
    });
    Ok(entries.collect())
}

fn unpacked(entries: &[(&str, EntryType, &str)]) -> Result<Vec<String>, ArchiveError> {
    unpacked_with(&gzip(&tar(entries)), None)
}

const FILE: EntryType = EntryType::Regular;
const LINK: EntryType = EntryType::Symlink;
const FOLDER: EntryType = EntryType::Directory;

#[test]
fn a_folder_around_everything_is_left_out() {
    let expected = [
        "644 Procfile web: ./run",
        "755 bin",
        "755 bin/run hello",
        "777 latest -> bin/run",
    ];
    for prefix in ["", "./", "hello-1a2b3c/", "./hello-1a2b3c/"] {
        let path = |name: &str| format!("{prefix}{name}");
        let (procfile, bin, run, link) = (path("Procfile"), path("bin/"), path("bin/run"), path("latest"));
        let entries = [
            (procfile.as_str(), FILE, "web: ./run"),
            (&bin, FOLDER, ""),
            (&run, FILE, "hello"),
            (&link, LINK, "bin/run"),
        ];
        assert_eq!(unpacked(&entries).unwrap(), expected, "{prefix:?}");
        assert_eq!(
            unpacked_with(&tar(&entries), None).unwrap(),
            expected,
            "{prefix:?} without gzip"
        );
    }
}

#[test]
fn a_lone_folder_of_programs_stays_where_it_is() {
    let entries = [("bin/", FOLDER, ""), ("bin/run", FILE, "hello")];
    assert_eq!(unpacked(&entries).unwrap(), ["755 bin", "755 bin/run hello"]);
}

#[test]
fn a_second_name_of_a_file_is_a_second_file() {
    let entries = [("a", FILE, "same"), ("b/c", EntryType::Link, "./a")];
    assert_eq!(unpacked(&entries).unwrap(), ["644 a same", "755 b", "644 b/c same"]);
}

#[test]
fn what_would_leave_the_source_is_refused() {
    for entries in [
        &[("/etc/passwd", FILE, "x")][..],
        &[("../x", FILE, "x")],
        &[("a/../../x", FILE, "x")],
        &[(".git/config", FILE, "x")],
        &[("a", LINK, "/etc/passwd")],
        &[("a", LINK, "../x"), ("b", FILE, "x")],
        // Inside of the archive, but not of the source.
        &[("top/a", LINK, "../top/b"), ("top/b", FILE, "x")],
        &[("a", LINK, "b"), ("a/x", FILE, "x")],
        &[("a/x", FILE, "x"), ("a", LINK, "b")],
        &[("a", EntryType::Link, "/etc/passwd")],
        &[("a", EntryType::Link, "../x")],
        &[("a", EntryType::Char, "")],
        &[("a", EntryType::Fifo, "")],
        &[("a", LINK, "")],
    ] {
        let refused = unpacked(entries).unwrap_err();
        assert!(
            matches!(
                refused,
                ArchiveError::Rule(_) | ArchiveError::Clash { .. } | ArchiveError::BadKind { .. }
            ),
            "{entries:?}: {refused}"
        );
    }
}

#[test]
fn what_is_no_archive_or_an_empty_one_is_refused() {
    assert!(matches!(unpacked(&[]), Err(ArchiveError::Empty)));
    assert!(matches!(unpacked(&[("a", FOLDER, "")]), Err(ArchiveError::Empty)));
    let whole = gzip(&tar(&[("a", FILE, "x")]));
    for bytes in [&b"no archive"[..], &whole[..whole.len() / 2], b"\x1f\x8b"] {
        assert!(
            matches!(unpacked_with(bytes, None), Err(ArchiveError::Broken(_))),
            "{bytes:?}"
        );
    }
}

#[test]
fn a_source_has_the_checksum_that_was_named() {
    let archive = gzip(&tar(&[("a", FILE, "x")]));
    let digest = Sha256::digest(&archive);
    let digest = digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    for good in [format!("SHA256:{digest}"), digest.clone(), digest.to_uppercase()] {
        unpacked_with(&archive, Some(&good)).unwrap();
    }
    let other = format!("SHA256:{}", "0".repeat(64));
    assert!(matches!(
        unpacked_with(&archive, Some(&other)),
        Err(ArchiveError::Checksum)
    ));
    assert!(matches!(
        unpacked_with(&archive, Some("md5")),
        Err(ArchiveError::BadChecksum)
    ));
}

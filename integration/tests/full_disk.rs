//! The disk is full: pushes are refused with the reason, what runs goes on, and nothing that was there is lost.

use std::{
    fs::{self, File, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use paas_integration::{Options, Output, Platform, within};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(40);

/// A disk of its own for a data directory, small enough to be filled.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("paas-disk-")
            .tempdir()
            .expect("a folder can be made");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=256m,mode=711", "tmpfs"])
            .arg(folder.path());
        Output::of(&mut mount, "").expect_success();
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it up, but for this many MiB, until the file that is returned goes.
    fn fill_but(&self, left: usize) -> PathBuf {
        let filler = self.path().join("filler");
        let mut file = File::create(&filler).expect("there is still room");
        let piece = vec![1; 1024 * 1024];
        while file.write_all(&piece).is_ok() {}
        let length = file.metadata().expect("the file is there").len();
        file.set_len(length.saturating_sub((left * piece.len()) as u64))
            .expect("a file can be shortened");
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let mut umount = Command::new("umount");
        // Lazily: after a failure something of the platform may still look at it.
        Output::of(umount.arg("--lazy").arg(self.path()), "");
    }
}

#[test]
#[ignore = "needs docker"]
fn a_source_that_does_not_fit_is_refused_and_nothing_is_lost() {
    let disk = SmallDisk::mount();
    let platform = Platform::with(Options {
        data_dir: Some(disk.path().to_owned()),
        ..Options::default()
    });
    let app = platform.app("hello");
    app.push().expect_success();
    let (pushed, releases) = (app.pushed(), app.releases());

    // Small in git, large when it is unpacked.
    let filler = disk.fill_but(30);
    app.says("two").write("zeros", &"0".repeat(100 * 1024 * 1024));
    let refused = app.push();
    refused
        .expect_code(1)
        .expect("The platform's disk is full: nothing was deployed, and what runs goes on.")
        .expect("free some space, then push again");
    assert_eq!((app.pushed(), app.releases()), (pushed.clone(), releases.clone()));
    assert_eq!(app.page("/"), "hello one");

    // Not a byte is left: what runs does not need one.
    fs::remove_file(&filler).unwrap();
    let filler = disk.fill_but(0);
    app.remove("zeros");
    let refused = app.push();
    assert_ne!(refused.code, 0, "{refused:?}");
    assert_eq!(app.page("/"), "hello one");

    fs::remove_file(&filler).unwrap();
    let deployed = within(SOON, || Some(app.push()).filter(|pushed| pushed.code == 0));
    assert!(deployed.is_some(), "{:?}", app.push());
    assert_eq!(app.page("/"), "hello two");
    let kept = app.releases();
    assert!(
        releases.iter().all(|old| kept.iter().any(|new| new["id"] == old["id"])),
        "{kept:?}"
    );
    let sources = fs::read_dir(disk.path().join("sources")).unwrap().count();
    assert_eq!(sources, 0, "no source is left over");
}

#[test]
#[ignore = "needs docker"]
fn a_build_that_finds_no_room_says_so_and_changes_nothing() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    let (pushed, current) = (app.pushed(), app.current());
    // The hook of a Python app, on a disk that is really full: the build container's own /dev/shm.
    app.write(
        "bin/pre_compile",
        "#!/bin/bash\nset -e\ndd if=/dev/zero of=/dev/shm/filler bs=1M\n",
    );
    fs::set_permissions(app.tree().join("bin/pre_compile"), Permissions::from_mode(0o755)).unwrap();
    let refused = app.says("two").push();
    refused
        .expect_code(1)
        .expect("No space left on device")
        .expect("The platform's disk is full.")
        .expect("push again when there is space");
    assert_eq!((app.pushed(), app.current()), (pushed, current));
    assert_eq!(app.page("/"), "hello one");
    app.remove("bin/pre_compile").push().expect_success();
    assert_eq!(app.page("/"), "hello two");
}

//! Named places where a test lets the process die, to prove that the next start carries on from any of them.

use std::{process, sync::OnceLock};

use anyhow::{Result, ensure};

use paas_build::Checkpoint;

static ARMED: OnceLock<String> = OnceLock::new();

/// Every fail point: of a deploy, in the order in which a deploy passes them, then of a backup, of its way back, of a copy
/// and of a backup's way into the bucket, then of an archive, of a fork and of an upgrade.
pub(crate) const NAMES: [&str; 40] = [
    "receive.before",
    "receive.after",
    "build.before",
    "build.after",
    "image.before",
    "image.after",
    "release-row.before",
    "release-row.after",
    "start.before",
    "start.after",
    "probe.before",
    "probe.after",
    "swap.before",
    "swap.after",
    "drain.before",
    "drain.after",
    "stop.before",
    "stop.after",
    "capture.before",
    "capture.after",
    "restore.before",
    "restore.after",
    "copy.amid",
    "upload.before",
    "upload.after",
    "segment.before",
    "segment.after",
    "base.before",
    "base.after",
    "rollback.before",
    "rollback.after",
    "rollback.amid",
    "fork.before",
    "fork.after",
    "dry-run.before",
    "dry-run.after",
    "upgrade-dump.before",
    "upgrade-dump.after",
    "upgrade-swap.before",
    "upgrade-swap.after",
];

/// Arms one fail point for the life of this process. One that does not exist would never fire, and a test would pass.
pub(crate) fn arm(name: String) -> Result<()> {
    ensure!(NAMES.contains(&name.as_str()), "there is no fail point {name}");
    // Arming twice is a mistake of the caller's that changes nothing: the first one stands.
    let _ = ARMED.set(name);
    Ok(())
}

/// Ends the process on the spot, without unwinding or flushing, if `name` is armed.
pub(crate) fn hit(name: &'static str) {
    debug_assert!(NAMES.contains(&name), "{name} is not a fail point");
    if ARMED.get().is_some_and(|armed| armed == name) {
        process::abort();
    }
}

/// The fail points that a build passes without knowing of them.
pub(crate) fn hit_in_build(checkpoint: Checkpoint) {
    hit(match checkpoint {
        Checkpoint::BeforeImage => "image.before",
        Checkpoint::AfterImage => "image.after",
    });
}

//! Builds that would take the whole machine if they got it.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::App;

/// One kind of greed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hostile {
    pub name: &'static str,
    /// What it runs before the app is built.
    script: &'static str,
    /// What its pusher reads; `None`: it ends by itself, and well.
    pub verdict: Option<&'static str>,
    /// What its pusher is told to change.
    pub advice: &'static str,
}

/// All kinds. They expect limits of 1.5 GB of memory and 600 MB of disk.
pub const HOSTILE: [Hostile; 5] = [
    Hostile {
        name: "a fork bomb",
        script: "bomb() { bomb | bomb & }\nbomb\nfor turn in {1..2000}; do sleep 60 & done\nwait\n",
        verdict: Some("The build started too many processes."),
        advice: "make -j4",
    },
    Hostile {
        name: "a build that wants more memory than there is",
        script: "head -c 20G /dev/zero | tail -n 1\n",
        verdict: Some("The build ran out of memory."),
        advice: "PAAS_BUILD_MEMORY",
    },
    Hostile {
        name: "a build that fills the disk",
        script: "dd if=/dev/zero of=/tmp/filler bs=1M count=100000\n",
        verdict: Some("The build wrote too much to the disk."),
        advice: "PAAS_BUILD_DISK",
    },
    Hostile {
        name: "a build that keeps every processor busy",
        script: "for turn in {1..8}; do timeout 6 bash -c 'while :; do :; done' & done\nwait\n",
        verdict: None,
        advice: "",
    },
    Hostile {
        name: "a build that writes the same file again and again",
        script: "timeout 6 bash -c 'while :; do dd if=/dev/zero of=/tmp/hammer bs=64K count=1600 conv=fsync 2>/dev/null; done' \
                 || true\n",
        verdict: None,
        advice: "",
    },
];

impl Hostile {
    /// What its pusher reads when it is at its work.
    pub const BEGINS: &'static str = "it begins";

    /// What its pusher reads when it is done with that.
    pub fn end(&self) -> &'static str {
        self.verdict.unwrap_or("it ends")
    }

    /// Makes this the build of an app.
    #[track_caller]
    pub fn infest(&self, app: &App<'_>) {
        let path = "bin/pre_compile";
        app.write(
            path,
            &format!(
                "#!/bin/bash\nset -e\necho {}\n{}echo it ends\n",
                Self::BEGINS,
                self.script
            ),
        );
        fs::set_permissions(app.tree().join(path), fs::Permissions::from_mode(0o755))
            .expect("a file that was just written is there");
    }
}

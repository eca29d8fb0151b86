//! How `buildpacks/bin/build` and `bin/cnb` end: the same numbers stand there.

pub(crate) const NOT_DETECTED: i32 = 20;
pub(crate) const COMPILE_FAILED: i32 = 21;
pub(crate) const OUT_OF_MEMORY: i32 = 22;
pub(crate) const DISK_FULL: i32 = 23;
pub(crate) const BROKEN_SOURCE: i32 = 24;
pub(crate) const RELEASE_FAILED: i32 = 25;
pub(crate) const NO_BUILDPACK: i32 = 26;
pub(crate) const OTHER_LANGUAGE: i32 = 27;
pub(crate) const NO_TESTS: i32 = 28;
/// Of `buildpacks/bin/cnb` alone.
pub(crate) const LIFECYCLE_FAILED: i32 = 29;

//! Where the programs under test are.

use std::{env, path::PathBuf};

/// The program of this name that was built with the tests: it is next to the folder of the test executables.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own file");
    let path = test
        .ancestors()
        .nth(2)
        .expect("tests are in target/<profile>/deps")
        .join(name);
    assert!(
        path.is_file(),
        "there is no {}: cargo build -p paas-server -p paas-cli",
        path.display()
    );
    path
}

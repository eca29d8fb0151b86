//! Where the programs under test are.

use std::{env, path::PathBuf};

/// The program of this name that was built with this one: it is next to a benchmark, or to the folder of a test.
#[track_caller]
pub fn binary(name: &str) -> PathBuf {
    let this = env::current_exe().expect("a program knows its own file");
    // target/<profile>/<benchmark>, target/<profile>/deps/<test>
    let mut folders = this.ancestors().skip(1).take(2);
    let found = folders.find_map(|folder| Some(folder.join(name)).filter(|path| path.is_file()));
    found.unwrap_or_else(|| {
        let this = this.display();
        panic!("no {name} was built with {this}: cargo build -p paas-server -p paas-cli")
    })
}

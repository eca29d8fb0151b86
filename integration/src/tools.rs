//! Programs that tests install for themselves, each in a folder of its own below `target/tools`.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// Makes a folder once, whoever comes first; everybody else waits for it. `wanted` says what is in it: another wish makes it
/// anew.
pub(crate) fn once(name: &str, wanted: &str, make: impl FnOnce(&Path)) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate is in the workspace")
        .join("target/tools");
    let folder = tools.join(name);
    fs::create_dir_all(&tools).expect("a folder for the tools");
    let lock = File::create(tools.join(format!("{name}.lock"))).expect("a lock");
    lock.lock().expect("the lock");
    let done = folder.join("done");
    if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("what is half made can be removed");
    }
    fs::create_dir(&folder).expect("a folder for the tool");
    make(&folder);
    fs::write(done, wanted).expect("a note that it is done");
    folder
}

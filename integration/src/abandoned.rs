//! What a story that was killed has left behind: nobody else knows whose it is.

use std::{fs, path::Path, time::Duration};

use rustix::process::Signal;

use crate::{Engine, process, server, within};

const LIMIT: Duration = Duration::from_secs(20);

/// Ends the processes of a platform whose story is gone, and takes away what has its label.
pub(crate) fn sweep(data_dir: &Path) {
    end_processes(data_dir);
    // What does not end in time keeps its ports, and the slot stays unused.
    let _ = within(LIMIT, || process::of(data_dir).is_empty().then_some(()));
    if let Ok(id) = fs::read_to_string(data_dir.join("platform-id")) {
        // Whose story it was cannot be told any more; a slot whose addresses stay taken fails the next one in words.
        let _ = Engine::new(id.trim().to_owned(), None).clear();
    }
    // Only what a story made for itself: a data directory of another place belongs to whoever made it.
    let folder = data_dir.parent().filter(|_| data_dir.ends_with("data"));
    if let Some(folder) = folder {
        // It may be half gone already.
        let _ = fs::remove_dir_all(folder);
    }
}

/// Ends everything that works on a data directory.
pub(crate) fn end_processes(data_dir: &Path) {
    for process in process::of(data_dir) {
        let is_postgres = process.arguments[0].ends_with("postgres");
        // Postgres takes its children with it when it is asked; nobody else has any.
        let signal = if is_postgres { Signal::QUIT } else { Signal::KILL };
        server::send(process.id, signal);
    }
}

//! Processes as the kernel lists them.

use std::{fs, path::Path};

/// A process and how it was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub id: u32,
    pub arguments: Vec<String>,
}

/// All processes of this machine that are alive: a zombie has no arguments any more.
pub fn processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let id = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let arguments: Vec<String> = line
                .split(|byte| *byte == 0)
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect();
            (!line.is_empty()).then_some(Process { id, arguments })
        })
        .collect()
}

/// Those that work on this data directory.
pub(crate) fn of(data_dir: &Path) -> Vec<Process> {
    let is_inside = |word: &String| Path::new(word).starts_with(data_dir);
    let mut found = processes();
    found.retain(|process| process.arguments.iter().any(is_inside));
    found
}

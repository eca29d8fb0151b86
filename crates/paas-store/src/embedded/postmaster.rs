//! Which process, if any, serves a cluster.

use std::{fs, path::Path};

/// What `postmaster.pid` and `/proc` say together.
///
/// The file alone proves nothing: its process may be dead, dead and not reaped, or by now another program of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Postmaster {
    None,
    Running(u32),
    /// Dead, but its parent has not reaped it; PostgreSQL takes it for alive, so wait.
    Zombie,
    /// The number belongs to another program now, and no process of the old server is left.
    Stale,
}

impl Postmaster {
    pub(super) fn of(data: &Path) -> Self {
        let Ok(text) = fs::read_to_string(data.join("postmaster.pid")) else {
            return Self::None;
        };
        let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else {
            return Self::None;
        };
        match process_state(pid) {
            None => Self::None,
            Some('Z' | 'X') => Self::Zombie,
            Some(_) if works_in(pid, data) => Self::Running(pid),
            // Backends that outlived their postmaster still write: the file protects them.
            Some(_) if somebody_works_in(data) => Self::Zombie,
            Some(_) => Self::Stale,
        }
    }
}

/// Whether this process is alive and serves this cluster.
pub(super) fn is_running(pid: u32, data: &Path) -> bool {
    process_state(pid).is_some_and(|state| !matches!(state, 'Z' | 'X')) && works_in(pid, data)
}

/// The state letter of proc(5), *stat*: after the name, which may hold spaces and parentheses.
fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// A postmaster and its children work in the directory of their cluster.
fn works_in(pid: u32, data: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data)
}

fn somebody_works_in(data: &Path) -> bool {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.into_iter().any(|pid| is_running(pid, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn postmaster_pid(text: &str) -> Postmaster {
        let data = tempfile::tempdir().unwrap();
        fs::write(data.path().join("postmaster.pid"), text).unwrap();
        Postmaster::of(data.path())
    }

    #[test]
    fn a_pid_file_is_not_believed_on_its_own() {
        assert_eq!(postmaster_pid(""), Postmaster::None);
        assert_eq!(postmaster_pid("no number\n"), Postmaster::None);
        assert_eq!(
            postmaster_pid("4194305\n"),
            Postmaster::None,
            "no process has this number"
        );
        let ours = format!("{}\n", std::process::id());
        assert_eq!(
            postmaster_pid(&ours),
            Postmaster::Stale,
            "the number of a program that is no server"
        );
    }

    #[test]
    fn a_dead_server_that_was_not_reaped_is_waited_for() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let text = format!("{}\n", child.id());
        while process_state(child.id()) != Some('Z') {
            std::thread::yield_now();
        }
        assert_eq!(postmaster_pid(&text), Postmaster::Zombie);
        child.wait().unwrap();
        assert_eq!(postmaster_pid(&text), Postmaster::None);
    }
}

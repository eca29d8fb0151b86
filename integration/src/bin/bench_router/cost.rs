//! What a proxy and its children have used.

use std::{collections::BTreeSet, fs, time::Duration};

/// `USER_HZ` is 100 on every Linux of today (`proc(5)`).
const TICKS_PER_SECOND: u32 = 100;

/// Processor time of a process and all its descendants.
pub(crate) fn processor_time(root: u32) -> Duration {
    let ticks: u32 = tree(root)
        .into_iter()
        .filter_map(|id| Some(Stat::read(id)?.ticks))
        .sum();
    Duration::from_secs(1) * ticks / TICKS_PER_SECOND
}

/// Memory that would be free without a process and its descendants.
pub(crate) fn proportional_kib(root: u32) -> u64 {
    let proportional = |id| {
        let rollup = fs::read_to_string(format!("/proc/{id}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    };
    tree(root).into_iter().filter_map(proportional).sum()
}

fn tree(root: u32) -> BTreeSet<u32> {
    let all: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, Stat::read(id)?.parent)))
        .collect();
    let mut tree = BTreeSet::from([root]);
    loop {
        let before = tree.len();
        let children = all.iter().filter(|(_, parent)| tree.contains(parent));
        let children: Vec<u32> = children.map(|(id, _)| *id).collect();
        tree.extend(children);
        if tree.len() == before {
            return tree;
        }
    }
}

struct Stat {
    parent: u32,
    ticks: u32,
}

impl Stat {
    /// `proc_pid_stat(5)`: the name may hold spaces and parentheses, so it is cut off first.
    fn read(id: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u32>().ok();
        Some(Self {
            parent: number(1)?,
            ticks: number(11)? + number(12)?,
        })
    }
}

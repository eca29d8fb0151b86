//! Threads that come before all others of the machine.

use std::{fs, process::Command};

/// Among themselves, too: 1 to 99.
pub(crate) type Priority = u8;

/// Makes this thread a real-time one (sched(7), `SCHED_FIFO`): it runs as soon as it can, and until it waits.
pub(crate) fn become_first(priority: Priority) {
    run(Command::new("chrt").args(["--fifo", "--pid", &priority.to_string()]));
}

/// Holds this thread on one processor.
pub(crate) fn stay_on(processor: usize) {
    run(Command::new("taskset").args(["--cpu-list", "--pid", &processor.to_string()]));
}

/// The number of this thread comes behind what is there.
fn run(command: &mut Command) {
    let thread = fs::read_link("/proc/thread-self").expect("the kernel knows this thread");
    command.arg(thread.file_name().expect("it has a number"));
    let done = command.output().expect("util-linux is installed");
    assert!(
        done.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

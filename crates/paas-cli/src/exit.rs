//! The end of another command, as our own.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use crate::error::{Error, Result};

/// Passes an exit code on; a signal is 128 and its number, as shells have it.
pub(crate) fn pass_on(status: ExitStatus) -> Result<()> {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    match code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1) {
        0 => Ok(()),
        code => Err(Error::Exit(code)),
    }
}

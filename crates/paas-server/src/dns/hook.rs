//! A program of the operator's that makes DNS records: for whoever's DNS has no support of its own here.
//!
//! `PROGRAM present NAME VALUE` makes a TXT record, beside others of the name; `PROGRAM cleanup NAME VALUE` takes it away.
//! The same is in `PAAS_DNS_ACTION`, `PAAS_DNS_NAME` and `PAAS_DNS_VALUE`. No shell is between. Exit status 0 says that it is
//! done; what the program wrote to standard error otherwise says why not.

use std::{io, path::PathBuf, process::ExitStatus, process::Stdio, time::Duration};

use futures_util::FutureExt;
use tokio::{
    io::AsyncReadExt,
    process::{Child, ChildStderr, Command},
    time::timeout,
};

/// Some providers take a minute to answer.
const LIMIT: Duration = Duration::from_mins(3);
/// A background process that keeps standard error open is not waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);
const MAXIMUM_WORDS: u64 = 4 * 1024;
/// The server's own PATH is not asked.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Debug, thiserror::Error)]
pub(crate) enum HookError {
    #[error("starting the DNS hook {}: {reason}\nhint: --dns-hook names a program that paasd may execute", program.display())]
    Start { program: PathBuf, reason: io::Error },
    #[error("waiting for the DNS hook {}", program.display())]
    Wait { program: PathBuf, source: io::Error },
    #[error("the DNS hook {} {action} {name} failed ({status}): {words}", program.display())]
    Failed {
        program: PathBuf,
        action: &'static str,
        name: String,
        status: ExitStatus,
        words: String,
    },
    #[error("the DNS hook {} {action} {name} did not end within {} seconds and was killed", program.display(), limit.as_secs())]
    Late {
        program: PathBuf,
        action: &'static str,
        name: String,
        limit: Duration,
    },
}

#[derive(Debug, Clone)]
pub(crate) struct Hook {
    program: PathBuf,
    pub(super) limit: Duration,
}

impl Hook {
    pub(crate) fn new(program: PathBuf) -> Self {
        Self { program, limit: LIMIT }
    }

    pub(super) async fn present(&self, name: &str, value: &str) -> Result<(), HookError> {
        self.run("present", name, value).await
    }

    pub(super) async fn clean_up(&self, name: &str, value: &str) -> Result<(), HookError> {
        self.run("cleanup", name, value).await
    }

    async fn run(&self, action: &'static str, name: &str, value: &str) -> Result<(), HookError> {
        let program = || self.program.clone();
        let mut child = Command::new(&self.program)
            .args([action, name, value])
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C.UTF-8")
            .env("PAAS_DNS_ACTION", action)
            .env("PAAS_DNS_NAME", name)
            .env("PAAS_DNS_VALUE", value)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Whatever it starts dies with it when it takes too long.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|reason| HookError::Start {
                program: program(),
                reason,
            })?;
        let group = child.id();
        let Ok(ended) = timeout(self.limit, end(&mut child)).await else {
            kill_group(group);
            return Err(HookError::Late {
                program: program(),
                action,
                name: name.to_owned(),
                limit: self.limit,
            });
        };
        let (status, words) = ended.map_err(|source| HookError::Wait {
            program: program(),
            source,
        })?;
        if status.success() {
            return Ok(());
        }
        Err(HookError::Failed {
            program: program(),
            action,
            name: name.to_owned(),
            status,
            words,
        })
    }
}

/// Waits for a program, and has the beginning of what it said.
async fn end(child: &mut Child) -> io::Result<(ExitStatus, String)> {
    let mut words = Vec::new();
    let stderr = child.stderr.take();
    let mut reading = Box::pin(read(stderr, &mut words).fuse());
    let status = tokio::select! {
        status = child.wait() => status?,
        // It has closed its standard error, and may go on.
        () = &mut reading => child.wait().await?,
    };
    // What it wrote before it ended is in the pipe already.
    let _ = timeout(LAST_WORDS, reading).await;
    // These words reach terminals and web pages.
    let words = String::from_utf8_lossy(&words).replace(char::is_control, " ");
    let words = words.trim().to_owned();
    Ok((
        status,
        if words.is_empty() {
            "it says nothing".to_owned()
        } else {
            words
        },
    ))
}

async fn read(stderr: Option<ChildStderr>, words: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let _ = (&mut stderr).take(MAXIMUM_WORDS).read_to_end(words).await;
    // The rest is read too, or the program would wait for it.
    let _ = tokio::io::copy(&mut stderr, &mut tokio::io::sink()).await;
}

fn kill_group(group: Option<u32>) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let pid = group.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // Gone already is as good.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    fn script(directory: &Path, body: &str) -> Hook {
        let program = directory.join("a hook");
        let new = directory.join("new");
        fs::write(&new, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &program).unwrap();
        Hook::new(program)
    }

    #[tokio::test]
    async fn a_hook_gets_arguments_and_a_clean_environment() {
        let directory = tempfile::tempdir().unwrap();
        let out = directory.path().join("out");
        let hook = script(
            directory.path(),
            &format!(
                "{{ printf '%s|' \"$0\" \"$@\"; printf '\\n'; env | grep -v -E '^(PWD|_|SHLVL|OLDPWD)=' | sort; }} >> '{}'",
                out.display()
            ),
        );
        hook.present("_acme-challenge.example.com", "$(touch x) 'v'")
            .await
            .unwrap();
        hook.clean_up("_acme-challenge.example.com", "v").await.unwrap();
        let program = hook.program.display();
        assert_eq!(
            fs::read_to_string(out).unwrap(),
            format!(
                "{program}|present|_acme-challenge.example.com|$(touch x) 'v'|\n\
                 LC_ALL=C.UTF-8\nPAAS_DNS_ACTION=present\nPAAS_DNS_NAME=_acme-challenge.example.com\n\
                 PAAS_DNS_VALUE=$(touch x) 'v'\nPATH={PATH}\n\
                 {program}|cleanup|_acme-challenge.example.com|v|\n\
                 LC_ALL=C.UTF-8\nPAAS_DNS_ACTION=cleanup\nPAAS_DNS_NAME=_acme-challenge.example.com\n\
                 PAAS_DNS_VALUE=v\nPATH={PATH}\n"
            )
        );
    }

    #[tokio::test]
    async fn the_words_of_a_failed_hook_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let hook = script(
            directory.path(),
            "echo out; printf 'zone\\033[31m not\\nfound\\n' >&2; exit 3",
        );
        let error = hook.present("_acme-challenge.example.com", "v").await.unwrap_err();
        let words = error.to_string();
        assert!(
            words.ends_with("present _acme-challenge.example.com failed (exit status: 3): zone [31m not found"),
            "{words}"
        );
    }

    #[tokio::test]
    async fn endless_words_are_cut_and_do_not_block() {
        let directory = tempfile::tempdir().unwrap();
        let hook = script(directory.path(), "head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
        let HookError::Failed { words, .. } = hook.present("a", "v").await.unwrap_err() else {
            panic!("it failed otherwise");
        };
        assert_eq!(words.len() as u64, MAXIMUM_WORDS);
    }

    #[tokio::test]
    async fn a_hook_that_hangs_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let mut hook = script(
            directory.path(),
            &format!("sleep 1000 & echo $! > '{}'; wait", pid_file.display()),
        );
        let mut pid = String::new();
        // A machine that is held up takes longer to start it.
        for limit in [500, 5_000, 50_000] {
            hook.limit = Duration::from_millis(limit);
            assert!(matches!(hook.present("a", "v").await, Err(HookError::Late { .. })));
            pid = fs::read_to_string(&pid_file).unwrap_or_default();
            if !pid.trim().is_empty() {
                break;
            }
        }
        let stat = format!("/proc/{}/stat", pid.trim());
        // Dead, or a zombie that nobody has reaped yet.
        let is_gone = || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        timeout(Duration::from_secs(30), async {
            while !is_gone() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
    }

    #[tokio::test]
    async fn a_process_left_behind_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let hook = script(directory.path(), "sleep 60 & exit 0");
        timeout(Duration::from_secs(30), hook.present("a", "v"))
            .await
            .unwrap()
            .unwrap();
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let error = Hook::new(PathBuf::from("/no/such/program"))
            .present("a", "v")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("/no/such/program"));
    }
}

//! The same server on the host: no container, no platform.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Result, ensure};
use paas_integration::eventually;
use tempfile::TempDir;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Postgres does not run as root.
const USER: &str = "postgres";
const LIMIT: Duration = Duration::from_mins(1);

pub(crate) struct Bare {
    folder: TempDir,
    server: Child,
}

impl Bare {
    /// With these settings, each as `name=value`, and a script that keeps its log; without one the log is thrown away.
    pub(crate) fn start(settings: &[String], archive_script: Option<&str>) -> Result<Self> {
        // Where the volumes of Docker are by default: the same disk.
        let folder = tempfile::Builder::new().prefix("bench-data.").tempdir_in("/var/lib")?;
        let path = folder.path().display().to_string();
        ensure!(Command::new("chown").args([USER, &path]).status()?.success());
        let cluster = format!("{path}/cluster");
        let made = as_user("initdb")
            .args([
                "-D",
                &cluster,
                "-E",
                "UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
                "--auth=trust",
            ])
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "initdb failed");
        let mut archive_command = "/bin/true".to_owned();
        if let Some(script) = archive_script {
            let (file, spool) = (folder.path().join("archive"), folder.path().join("spool"));
            fs::write(&file, script.replace("/data/spool", &spool.display().to_string()))?;
            fs::create_dir(&spool)?;
            ensure!(
                Command::new("chown")
                    .args([USER])
                    .args([&file, &spool])
                    .status()?
                    .success()
            );
            archive_command = format!("/bin/sh {} \"%p\" \"%f\"", file.display());
        }
        let mut command = as_user("postgres");
        // What the script asks for: more room than it fills.
        command.env("LINEAGE", "bare").env("ADDON_SPOOL_MIB", "100000");
        command.args(["-D", &cluster, "-c", "listen_addresses=", "-c"]);
        command.arg(format!("unix_socket_directories={path}"));
        for setting in settings {
            command.arg("-c").arg(setting);
        }
        let server = command
            .args(["-c", &format!("archive_command={archive_command}")])
            .stderr(Stdio::null())
            .spawn()?;
        let bare = Self { folder, server };
        eventually("the bare server answers", LIMIT, || {
            bare.run("pg_isready", &["-q"]).is_ok()
        });
        Ok(bare)
    }

    pub(crate) fn pgbench(&self, arguments: &[&str]) -> Result<String> {
        self.run("pgbench", &[arguments, &["bench"]].concat())
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = as_user(program).arg("-h").arg(self.socket()).args(arguments).output()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{program} failed: {words}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn socket(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let cluster = self.folder.path().join("cluster");
        let stopped = as_user("pg_ctl")
            .arg("-D")
            .arg(cluster)
            .args(["stop", "-m", "fast", "-s"])
            .status();
        // A benchmark that ends has nothing else to say of it.
        let _ = (stopped, self.server.wait());
    }
}

fn as_user(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    let path = PathBuf::from(PROGRAMS).join(program);
    command
        .args(["--reuid", USER, "--regid", USER, "--clear-groups", "--"])
        .arg(path)
        .current_dir("/");
    command
}

//! The Postgres add-on, seen from inside its container.

use std::{fs::File, path::Path, process::Command, time::Duration};

use paas_integration::{App, Output, Platform, eventually};

/// The first platform of a machine makes the image.
const LIMIT: Duration = Duration::from_mins(8);
const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
/// Where it listens and what it tells whom; all else is what makes it quick or slow. Its command for the log has paths of its own.
const OF_THE_PLACE: &str = "select name || '=' || current_setting(name) from pg_settings where source = 'command line' and \
                            name not in ('listen_addresses', 'unix_socket_directories', 'archive_command', 'ssl', 'config_file', \
                            'hba_file', 'ident_file', 'data_directory')";

pub(crate) struct Addon {
    container: String,
    database: String,
}

impl Addon {
    pub(crate) fn create(platform: &Platform, app: &App<'_>, plan: &str) -> Self {
        app.paas(&["addons:create", plan]).expect_success();
        eventually("the add-on is there", LIMIT, || {
            let addons = app.paas(&["addons", "--json"]).expect_success().json();
            addons[0]["state"] == "provisioned"
        });
        let containers = platform.engine().containers();
        let container = containers.into_iter().find(|container| container.role == "addon");
        let config = app.paas(&["config", "--json"]).expect_success().json();
        let url = config["DATABASE_URL"].as_str().expect("it is attached");
        let (_, database) = url.rsplit_once('/').expect("an address has a path");
        Self {
            container: container.expect("its server runs").id,
            database: database.to_owned(),
        }
    }

    /// How the platform has set its server, each as `name=value`.
    pub(crate) fn settings(&self) -> Vec<String> {
        let said = self.run(&[
            "psql",
            "-qXAt",
            "-h",
            "/run/addon",
            "-U",
            "postgres",
            "-c",
            OF_THE_PLACE,
        ]);
        said.stdout.lines().map(str::to_owned).collect()
    }

    /// What it does with each segment of its log.
    pub(crate) fn archive_script(&self) -> String {
        self.run(&["cat", "/run/addon/archive"]).stdout
    }

    /// Waits until the platform has taken the log of all that was done before.
    pub(crate) fn settle(&self) {
        eventually("the spool is empty", LIMIT, || {
            self.run(&["ls", "/data/spool"]).stdout.trim().is_empty()
        });
    }

    pub(crate) fn pgbench(&self, arguments: &[&str]) -> String {
        let program = format!("{PROGRAMS}/pgbench");
        let whole = [
            &[program.as_str(), "-h", "/run/addon", "-U", "postgres"],
            arguments,
            &["bench"],
        ]
        .concat();
        self.run(&whole).stdout
    }

    /// `pg_dump` into a file, and no more.
    pub(crate) fn dump(&self, file: &Path) {
        let mut docker = self.docker(&["pg_dump", "-h", "/run/addon", "-U", "postgres", "-Fc", &self.database]);
        let file = File::create(file).expect("the folder of the platform can be written to");
        assert!(docker.stdout(file).status().expect("docker runs").success());
    }

    /// `pg_restore` out of a file into an empty database, and no more.
    pub(crate) fn restore(&self, file: &Path) {
        let own = ["-h", "/run/addon", "-U", "postgres"];
        self.run(&[&["dropdb"], &own[..], &["--if-exists", "plain"]].concat());
        self.run(&[&["createdb"], &own[..], &["plain"]].concat());
        let mut docker = self.docker(&[&["pg_restore"], &own[..], &["-d", "plain"]].concat());
        let file = File::open(file).expect("it was dumped");
        assert!(docker.stdin(file).status().expect("docker runs").success());
        self.run(&[&["dropdb"], &own[..], &["plain"]].concat());
    }

    #[track_caller]
    pub(crate) fn run(&self, command: &[&str]) -> Output {
        let output = Output::of(&mut self.docker(command), "");
        output.expect_success();
        output
    }

    fn docker(&self, command: &[&str]) -> Command {
        let mut docker = Command::new("docker");
        // How the platform's own connections are is nothing for others.
        docker
            .args(["exec", "-i", "-e", "PGOPTIONS=", &self.container])
            .args(command);
        docker
    }
}

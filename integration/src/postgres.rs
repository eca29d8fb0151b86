//! A Postgres of a story's own, where an app can reach it: beside its dynos.

use std::time::Duration;

use crate::{App, Engine, within};

const START_LIMIT: Duration = Duration::from_mins(1);
/// Trusted by nobody: it lives as long as the story, and listens on the app's network alone.
const PASSWORD: &str = "p%40ss";

/// A running Postgres. Dropping it takes it and its data away.
pub struct Postgres {
    engine: Engine,
    container: String,
    address: String,
}

impl Postgres {
    /// Starts this machine's Postgres in a container on the network of an app that has been deployed.
    ///
    /// The container sees the machine's files, which are the same Debian as those of the stack, and writes to its own memory.
    #[track_caller]
    pub fn beside(app: &App<'_>) -> Self {
        let engine = app.platform().engine();
        let networks = engine.networks();
        let path = format!("/apps/{}", app.name());
        let id = app.platform().call("GET", &path, "").expect_status(200).json()["id"].clone();
        let id = id.as_str().expect("an app has an id");
        let network = networks.iter().find(|network| network.ends_with(id));
        let network = network.unwrap_or_else(|| panic!("{id} has no network yet, only {networks:?} are there"));
        let script = "chroot /host chown postgres /var/lib/postgresql && exec chroot --userspec=postgres /host bash -euc '\
             bin=$(echo /usr/lib/postgresql/*/bin) && cd /var/lib/postgresql && echo p@ss > password && \
             $bin/initdb --no-sync -U shop -A scram-sha-256 --pwfile=password -D data > initdb.log && \
             echo host all all all scram-sha-256 >> data/pg_hba.conf && \
             exec $bin/postgres -D data -c listen_addresses=* -c unix_socket_directories= -c fsync=off \
             -c dynamic_shared_memory_type=mmap -c max_connections=40'";
        let started = engine.docker(&[
            "run",
            "--detach",
            "--user=root",
            &format!("--network={network}"),
            "--volume=/:/host:ro",
            "--tmpfs=/host/var/lib/postgresql",
            "--tmpfs=/host/run",
            "--tmpfs=/host/tmp",
            "paas/stack-12:run",
            "bash",
            "-euc",
            script,
        ]);
        let container = started.expect_success().stdout.trim().to_owned();
        let address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let address = engine.docker(&["inspect", "--format", address, &container]);
        let postgres = Self {
            address: address.expect_success().stdout.trim().to_owned(),
            engine,
            container,
        };
        let mut said = String::new();
        let is_ready = within(START_LIMIT, || {
            said = postgres.engine.docker(&["logs", &postgres.container]).text();
            said.contains("ready to accept connections").then_some(())
        });
        assert!(
            is_ready.is_some(),
            "Postgres is not ready within {START_LIMIT:?}: {said}"
        );
        postgres
    }

    /// What an app is told as `DATABASE_URL`.
    pub fn url(&self) -> String {
        format!("postgres://shop:{PASSWORD}@{}:5432/postgres", self.address)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // The network cannot go before it.
        self.engine.docker(&["rm", "--force", "--volumes", &self.container]);
    }
}

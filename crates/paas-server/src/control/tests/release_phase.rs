//! Release phases: run once, whatever happens around them.

use paas_core::{ReleaseFailure, ReleaseStatus};
use paas_engine::{Behaviour, Container, Role};
use paas_store::{app::AppRow, release::ReleaseRow};

use super::{
    super::{boot::Verdict, start_release_phase, sweep::resume_release_phases},
    server::{Server, is_dyno, is_release, uuid_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_release_phase_that_fails_rejects_its_release() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let old = router.get(&app).await;

    let failure = Behaviour::exits(4).saying("no such table");
    server.engine.teach_command("./migrate", failure);
    let pushed = server.push(&app, "web: ./serve\nrelease: ./migrate").await;
    assert_eq!(pushed.verdict, Verdict::Rejected, "{}", pushed.output);
    for line in [
        "-----> Running release command\n       no such table\n",
        " !     Release command failed: v4 is not live, and what ran before still runs\n",
    ] {
        assert!(pushed.output.contains(line), "{}", pushed.output);
    }
    let why = ReleaseFailure::ReleasePhase;
    assert_eq!(server.status(&app, 4).await, ReleaseStatus::Failed { why });
    let log = server.log(&app).await;
    for line in [
        "heroku[release.4]: Starting process with command `./migrate`",
        "app[release.4]: no such table",
        "heroku[release.4]: Process exited with status 4",
        "app[api]: Release v4 failed: its release command exited with status 4",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
    assert_eq!(server.all_containers(&app, is_release).await, []);
    assert_eq!(router.get(&app).await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_live_after_its_release_phase() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server
        .engine
        .teach_command("./migrate", Behaviour::runs().saying("one"));
    let pushing = server.submit(&app, "web: ./serve\nrelease: ./migrate").await;
    let migration = server.container(&app, is_release).await;
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Pending);
    assert_eq!(server.all_containers(&app, is_dyno).await, []);
    server
        .engine
        .say(&migration.id, paas_engine::OutputStream::Stdout, "two");
    server.engine.crash(&migration.id, 0);
    let pushed = server.end_of(pushing).await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    assert!(pushed.output.contains("       one\n       two\n"), "{}", pushed.output);
    assert_eq!(router.get(&app).await, server.container(&app, is_dyno).await.name);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_away_does_not_fail_a_release_phase() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server
        .engine
        .teach_command("./migrate", Behaviour::runs().saying("one"));
    let pushing = server.submit(&app, "web: ./serve\nrelease: ./migrate").await;
    let migration = server.container(&app, is_release).await;
    server.logs(&app, "app[release.3]: one").await;
    let says_so = async || {
        let output = server.output_so_far(uuid_of(pushing.build)).await;
        output.contains("       one\n")
    };
    assert!(server.becomes(says_so).await);

    server.engine.go_down();
    server.engine.come_back();
    server
        .engine
        .say(&migration.id, paas_engine::OutputStream::Stdout, "two");
    server.engine.crash(&migration.id, 0);
    let pushed = server.end_of(pushing).await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    assert_eq!(pushed.output.matches("       one\n").count(), 1, "{}", pushed.output);
    assert_eq!(pushed.output.matches("       two\n").count(), 1, "{}", pushed.output);
    let log = server.log(&app).await;
    assert_eq!(log.matches("app[release.3]: one").count(), 1, "{log}");
    assert_eq!(
        log.matches("Starting process with command `./migrate`").count(),
        1,
        "{log}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_phase_that_outlived_its_server_is_gone_on_with_and_not_started_again() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    server
        .engine
        .teach_command("./migrate", Behaviour::runs().saying("one"));
    let release = server.pending_release(&app).await;
    let migration = server.left_by_a_dead_server(&app, &release).await;
    let router = server.router().await;
    server.run().await;

    server.logs(&app, "app[release.3]: one").await;
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Pending);
    let running = server.all_containers(&app, is_release).await;
    assert_eq!(running, std::slice::from_ref(&migration));
    server.engine.crash(&migration.id, 0);
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Succeeded);
    assert_eq!(router.get(&app).await, server.container(&app, is_dyno).await.name);
    let gone = server.becomes(async || server.all_containers(&app, is_release).await.is_empty());
    assert!(gone.await);
    assert_eq!(server.output(uuid_of(release.release.id)).await, "one\n");
    let log = server.log(&app).await;
    assert!(!log.contains("Starting process with command `./migrate`"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_of_a_release_phase_that_was_decided_is_removed_and_not_run_again() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    server.engine.teach_command("./migrate", Behaviour::exits(0));
    let release = server.pending_release(&app).await;
    server.left_by_a_dead_server(&app, &release).await;
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    paas_store::release::succeed(&mut connection, release.release.id, now)
        .await
        .unwrap();
    drop(connection);
    let _router = server.router().await;
    server.run().await;
    let gone = server.becomes(async || server.all_containers(&app, is_release).await.is_empty());
    assert!(gone.await);
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_phase_that_nobody_runs_is_found_and_has_one_task_however_many_ask() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server
        .engine
        .teach_command("./migrate", Behaviour::runs().saying("one"));
    // As when the request that made it was broken off.
    let release = server.pending_release(&app).await;
    let now = server.platform.clock.now();
    resume_release_phases(&server.platform, now).await.unwrap();
    start_release_phase(&server.platform, release.clone()).await;
    resume_release_phases(&server.platform, now).await.unwrap();
    let migration = server.container(&app, is_release).await;
    server.logs(&app, "app[release.3]: one").await;
    server.engine.crash(&migration.id, 0);
    server.settles(&app, &["web.1 v3 up"]).await;
    // Who comes too late does not run it again.
    start_release_phase(&server.platform, release).await;
    let gone = server.becomes(async || server.all_containers(&app, is_release).await.is_empty());
    assert!(gone.await);
    let log = server.log(&app).await;
    for line in ["Starting process with command `./migrate`", "app[release.3]: one"] {
        assert_eq!(log.matches(line).count(), 1, "{log}");
    }
}

impl Server {
    /// A release whose server died before its release phase ended.
    async fn pending_release(&self, app: &AppRow) -> ReleaseRow {
        let release = self.release(app, &[("web", "./serve"), ("release", "./migrate")]).await;
        assert_eq!(release.release.status, ReleaseStatus::Pending);
        release
    }

    /// The container of its release phase.
    async fn left_by_a_dead_server(&self, app: &AppRow, release: &ReleaseRow) -> Container {
        let role = Role::Release {
            app: app.app.id,
            release: release.release.id,
            version: release.release.version,
        };
        let name = format!("paas-release-{}", release.release.id);
        self.left_container(name, role, "./migrate").await
    }
}

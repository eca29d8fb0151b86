//! Deploys: from a source to a release that serves, or to the reason why not.

use paas_core::{BuildFailure, BuildStatus, ReleaseFailure, ReleaseStatus};
use paas_engine::Behaviour;
use paas_store::build;

use super::{
    super::{boot::Verdict, cancel},
    server::{Server, is_build, is_build_role, is_dyno, is_release, uuid_of},
};
use crate::output::Outputs;

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_boots_beside_the_old_release_then_takes_over_and_the_old_one_goes() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;

    let first = server.push(&app, "web: ./serve").await;
    assert_eq!(first.verdict, Verdict::Accepted, "{}", first.output);
    assert!(first.output.contains("-----> Launching..."), "{}", first.output);
    let url = "       http://hello.example.test:8080/ deployed\n";
    assert!(first.output.ends_with(url), "{}", first.output);
    let old = server.container(&app, is_dyno).await;
    assert_eq!(router.get(&app).await, old.name);

    let second = server.push(&app, "web: ./serve").await;
    assert_eq!(second.verdict, Verdict::Accepted, "{}", second.output);
    // What the pusher was told is so at once.
    let new = router.get(&app).await;
    assert_ne!(new, old.name);
    server.settles(&app, &["web.1 v4 up"]).await;
    assert_eq!(server.container(&app, is_dyno).await.name, new);
    assert_eq!(server.status(&app, 4).await, ReleaseStatus::Succeeded);

    server.logs(&app, "State changed from up to down").await;
    let log = server.log(&app).await;
    let place = |text: &str| {
        log.rfind(text)
            .unwrap_or_else(|| panic!("{text:?} is not in the log:\n{log}"))
    };
    let created = place("Release v4 created by user ada@example.com");
    let up = place("State changed from starting to up");
    let stopped = place("Stopping all processes with SIGTERM");
    let exited = place("Process exited with status 143");
    assert!(created < up && up < stopped && stopped < exited, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_exits_at_boot_is_rejected_and_the_old_one_serves() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let old = router.get(&app).await;

    let crash = Behaviour::exits(7).saying("KeyError: 'SECRET'");
    server.engine.teach_command("./crash", crash);
    let pushed = server.push(&app, "web: ./crash").await;
    assert_eq!(pushed.verdict, Verdict::Rejected, "{}", pushed.output);
    for line in [
        " !     v4 did not boot: what ran before still serves\n",
        "       app[web.1]: KeyError: 'SECRET'\n",
        "       heroku[web.1]: Process exited with status 7\n",
    ] {
        assert!(pushed.output.contains(line), "{}", pushed.output);
    }
    let why = ReleaseFailure::Boot;
    assert_eq!(server.status(&app, 4).await, ReleaseStatus::Failed { why });
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(router.get(&app).await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_never_binds_is_rejected_after_a_minute() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let old = router.get(&app).await;

    server.engine.teach_command("./hang", Behaviour::runs());
    let deploy = server.submit(&app, "web: ./hang").await;
    assert!(
        server
            .becomes(async || server.containers(&app, is_dyno).await.len() == 2)
            .await
    );
    assert_eq!(router.get(&app).await, old);
    // Its time begins when it is first seen to run.
    let is_seen = async || server.dyno_rows(&app).await.iter().all(|dyno| dyno.container.is_some());
    assert!(server.becomes(is_seen).await);
    server.wait(60);
    let pushed = server.end_of(deploy).await;
    assert_eq!(pushed.verdict, Verdict::Rejected, "{}", pushed.output);
    assert!(pushed.output.contains("Error R10 (Boot timeout)"), "{}", pushed.output);
    server.settles(&app, &["web.1 v3 up"]).await;
    assert_eq!(router.get(&app).await, old);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_that_crashes_is_accepted_and_says_so() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    let crash = Behaviour::exits(3).saying("no database");
    server.engine.teach_command("./crash", crash);
    let pushed = server.push(&app, "web: ./crash").await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    for line in [
        " !     web.1 of v3 crashed: it exited with status 3\n",
        "       app[web.1]: no database\n",
        "paas config:set -a hello",
    ] {
        assert!(pushed.output.contains(line), "{}", pushed.output);
    }
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Succeeded);

    // Setting what is missing is the cure.
    server.engine.teach_command("./crash", Behaviour::answers());
    server.set_config(&app, "DATABASE_URL", "postgres://db").await;
    server.settles(&app, &["web.1 v4 up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_change_overtakes_a_deploy_that_boots() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    server.engine.teach_command("./hang", Behaviour::runs());
    let deploy = server.submit(&app, "web: ./hang").await;
    assert!(
        server
            .becomes(async || server.containers(&app, is_dyno).await.len() == 2)
            .await
    );

    server.engine.teach_command("./hang", Behaviour::answers());
    server.set_config(&app, "COLOUR", "blue").await;
    let pushed = server.end_of(deploy).await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    let line = "       v5 has overtaken v4 before it was live\n";
    assert!(pushed.output.contains(line), "{}", pushed.output);
    server.settles(&app, &["web.1 v5 up"]).await;
    let serving = server.container(&app, is_dyno).await;
    assert_eq!(router.get(&app).await, serving.name);
    let environment = server.engine.spec(&serving.id).unwrap().environment;
    assert!(
        environment
            .iter()
            .any(|(key, value)| (key, value) == ("COLOUR", "blue"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_fails_changes_nothing() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.push(&app, "web: ./serve").await;
    let old = router.get(&app).await;
    server
        .engine
        .teach(is_build, Behaviour::exits(21).complaining("no such package"));
    let deploy = server.submit(&app, "web: ./serve").await;
    let build = deploy.build;
    let pushed = server.end_of(deploy).await;
    assert_eq!(pushed.verdict, Verdict::Rejected);
    assert!(pushed.output.contains("no such package"), "{}", pushed.output);
    assert_eq!(server.build_status(&app, build).await, failed(BuildFailure::Rejected));
    server.logs(&app, "app[api]: Build failed").await;
    assert_eq!(router.get(&app).await, old);
    assert!(server.sources().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_ends_with_all_of_it() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.engine.teach(is_build, Behaviour::runs());
    let deploy = server.submit(&app, "web: ./serve").await;
    let build = deploy.build;
    server.container(&app, is_build_role).await;
    assert!(cancel(&server.platform, build));
    let pushed = server.end_of(deploy).await;
    assert_eq!(pushed.verdict, Verdict::Rejected);
    assert_eq!(server.build_status(&app, build).await, failed(BuildFailure::Cancelled));
    assert_eq!(server.all_containers(&app, is_build_role).await, []);
    assert!(server.sources().is_empty());
    assert!(!cancel(&server.platform, build));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_deploys_of_one_app_take_turns() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.engine.teach_command("./migrate", Behaviour::runs());
    let first = server.submit(&app, "web: ./one\nrelease: ./migrate").await;
    let migration = server.container(&app, is_release).await;
    let second = server.submit(&app, "web: ./two").await;
    let waits = async || {
        let output = server.output_so_far(uuid_of(second.build)).await;
        output.contains("Waiting for another deploy of this app")
    };
    assert!(server.becomes(waits).await);
    assert_eq!(server.containers(&app, is_build_role).await, []);

    server.engine.crash(&migration.id, 0);
    let first = server.end_of(first).await;
    assert_eq!(first.verdict, Verdict::Accepted, "{}", first.output);
    let second = server.end_of(second).await;
    assert_eq!(second.verdict, Verdict::Accepted, "{}", second.output);
    server.settles(&app, &["web.1 v4 up"]).await;
    let serving = server.container(&app, is_dyno).await;
    assert_eq!(router.get(&app).await, serving.name);
    let command = server.engine.spec(&serving.id).unwrap().command;
    assert!(command.iter().any(|word| word == "./two"), "{command:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pusher_saw_is_still_there_for_the_next_server() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    let deploy = server.submit(&app, "web: ./serve").await;
    let build = deploy.build;
    let pushed = server.end_of(deploy).await;
    assert!(pushed.output.contains("deployed"), "{}", pushed.output);
    let outputs = Outputs::new(server.platform.settings.outputs());
    let kept = outputs.follow(uuid_of(build)).await.unwrap().unwrap();
    let kept: Vec<bytes::Bytes> = futures_util::TryStreamExt::try_collect(kept).await.unwrap();
    assert_eq!(kept.concat(), pushed.output.as_bytes());
}

fn failed(why: BuildFailure) -> BuildStatus {
    BuildStatus::Failed { why }
}

impl Server {
    pub(super) async fn build_status(
        &self,
        app: &paas_store::app::AppRow,
        id: paas_core::Id<paas_core::Build>,
    ) -> BuildStatus {
        let mut connection = self.platform.store.connection().await.unwrap();
        let row = build::get(&mut connection, app.app.id, id).await.unwrap();
        row.unwrap().build.status
    }

    /// Source archives that are still there.
    pub(super) fn sources(&self) -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(self.platform.settings.sources()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

//! What a dead server leaves behind.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::StreamExt;
use paas_core::{BuildFailure, BuildStatus, Id, ImageRef};
use paas_engine::{Behaviour, Engine, Environment, LayerSpec, Role};
use paas_store::{app::AppRow, build, new_id};

use super::{
    super::boot::Verdict,
    server::{Server, built, is_build, is_build_role, uuid_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_builds_of_a_dead_server_fail_and_leave_nothing() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let build = server.abandoned_build(&app).await;
    let source = server.platform.settings.sources().join("dead.tar");
    aged_file(&source);
    let upload = source.with_file_name("waiting.upload");
    aged_file(&upload);
    let _router = server.router().await;
    server.run().await;

    let failed = BuildStatus::Failed {
        why: BuildFailure::LeaseExpired,
    };
    assert_eq!(server.build_status(&app, build).await, failed);
    server
        .logs(&app, "app[api]: Build failed: the server ended while it was building")
        .await;
    let output = server.output(uuid_of(build)).await;
    assert!(output.contains("The server ended while it was building"), "{output}");
    let nothing_is_left = async || {
        let images = server.engine.images().await.unwrap();
        server.all_containers(&app, is_build_role).await.is_empty()
            && images.iter().all(|image| image.app != Some(app.app.id))
            && !source.exists()
    };
    assert!(server.becomes(nothing_is_left).await);
    assert!(upload.exists(), "an upload waits for its build");

    let pushed = server.push(&app, "web: ./serve").await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_under_way_is_not_taken_for_dead_however_late_its_heartbeat_is() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.engine.teach(is_build, Behaviour::runs());
    let deploy = server.submit(&app, "web: ./serve").await;
    let build = deploy.build;
    server.container(&app, is_build_role).await;
    // As after an hour without a database.
    server.platform.clock.advance(TimeDelta::hours(1));
    super::super::sweep::expire_leases(&server.platform, server.platform.clock.now())
        .await
        .unwrap();
    assert_eq!(server.build_status(&app, build).await, BuildStatus::Pending);
    assert!(super::super::cancel(&server.platform, build));
    assert_eq!(server.end_of(deploy).await.verdict, Verdict::Rejected);
}

impl Server {
    /// The row, the container and the image of a build whose server died.
    async fn abandoned_build(&self, app: &AppRow) -> Id<paas_core::Build> {
        let stamp = self.stamp();
        let id = new_id(stamp.at);
        let new = build::NewBuild {
            id,
            app: app.app.id,
            commit: None,
            description: None,
            buildpacks: None,
            source: None,
            lease_expires_at: stamp.at + TimeDelta::seconds(25),
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        build::create(&mut connection, new, stamp).await.unwrap();
        drop(connection);

        self.engine.teach(is_build, Behaviour::runs());
        let role = Role::Build {
            app: app.app.id,
            build: id,
        };
        self.left_container(format!("paas-build-{id}"), role, "build").await;
        let layer = LayerSpec {
            base: ImageRef::new("debian:bookworm-slim"),
            tag: ImageRef::new(format!("paas/app-{}:{id}", app.app.id)),
            app: Some(app.app.id),
            labels: BTreeMap::new(),
            environment: Environment::new(),
            working_dir: "/app".to_owned(),
            user: "10001:10001".to_owned(),
        };
        let tar = futures_util::stream::once(async { Ok(Bytes::from_static(b"tar")) });
        self.engine.commit_layer(&layer, tar.boxed()).await.unwrap();
        self.engine.teach(is_build, built());
        id
    }
}

fn aged_file(path: &std::path::Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::fs::File::create(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_hours(2)).unwrap();
}

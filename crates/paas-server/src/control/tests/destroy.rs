//! The end of an app.

use paas_engine::{Behaviour, Engine};
use paas_store::app::{self, AppRow};

use super::{
    super::boot::Verdict,
    server::{Server, is_build, is_build_role, is_release, uuid_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn destroying_an_app_removes_all_of_it() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    let other = server.app("other").await;
    server.push(&other, "web: ./serve").await;
    let deploy = server.submit(&app, "web: ./serve\nworker: ./work").await;
    let build = deploy.build;
    server.end_of(deploy).await;
    server.scale(&app, "worker", 1).await;
    server.settles(&app, &["web.1 v3 up", "worker.1 v3 up"]).await;

    server.destroy(&app).await;
    assert_eq!(server.left_of(&app).await, Vec::<String>::new());
    assert!(server.platform.outputs.follow(uuid_of(build)).await.unwrap().is_none());
    assert!(router.get(&app).await.contains("no"), "{}", router.get(&app).await);
    server.settles(&other, &["web.1 v3 up"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_destroyed_while_it_is_being_built() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.engine.teach(is_build, Behaviour::runs());
    let deploy = server.submit(&app, "web: ./serve").await;
    server.container(&app, is_build_role).await;
    server.destroy(&app).await;
    assert_eq!(server.left_of(&app).await, Vec::<String>::new());
    assert_eq!(deploy.verdict.await, Ok(Verdict::Rejected));
    assert!(server.sources().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_can_be_destroyed_during_its_release_phase() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.engine.teach_command("./migrate", Behaviour::runs());
    let deploy = server.submit(&app, "web: ./serve\nrelease: ./migrate").await;
    server.container(&app, is_release).await;
    server.destroy(&app).await;
    assert_eq!(server.left_of(&app).await, Vec::<String>::new());
    assert_eq!(deploy.verdict.await, Ok(Verdict::Rejected));
}

impl Server {
    async fn destroy(&self, app: &AppRow) {
        let mut connection = self.platform.store.connection().await.unwrap();
        app::begin_destroy(&mut connection, app.app.id, self.stamp())
            .await
            .unwrap();
        drop(connection);
        let is_gone = async || {
            let mut connection = self.platform.store.connection().await.unwrap();
            app::by_id(&mut connection, app.app.id).await.unwrap().is_none()
        };
        assert!(self.becomes(is_gone).await, "{:?}", self.left_of(app).await);
    }

    /// What there still is of an app.
    async fn left_of(&self, app: &AppRow) -> Vec<String> {
        let id = Some(app.app.id);
        let engine = &self.engine;
        let mut left: Vec<String> = Vec::new();
        let containers = self.all_containers(app, |_| true).await;
        left.extend(containers.into_iter().map(|container| container.name));
        let images = engine.images().await.unwrap();
        left.extend(
            images
                .iter()
                .filter(|image| image.app == id)
                .map(|image| image.id.to_string()),
        );
        let networks = engine.networks().await.unwrap();
        left.extend(
            networks
                .into_iter()
                .filter(|it| it.app == id)
                .map(|network| network.name),
        );
        let volumes = engine.volumes().await.unwrap();
        left.extend(volumes.into_iter().filter(|it| it.app == id).map(|volume| volume.name));
        let settings = &self.platform.settings;
        let log = settings.logs().join(app.app.id.to_string());
        let repository = settings.repositories().join(format!("{}.git", app.app.id));
        let files = [log, repository].into_iter().filter(|path| path.exists());
        left.extend(files.map(|path| path.display().to_string()));
        left
    }
}

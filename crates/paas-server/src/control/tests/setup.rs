//! App setups, from the source to the script that runs last.

use std::collections::BTreeMap;

use paas_engine::{Behaviour, ContainerSpec, Role};
use paas_store::{
    app::AppRow,
    app_setup::{self, AppSetup, SetupStatus},
    formation, release,
};

use super::{
    super::{BuildSource, NewSetup, abandon_builds, start_setup},
    server::{Server, is_build},
};

const MANIFEST: &str = r#"{
    "env": { "GIVEN": "1", "SECRET": { "generator": "secret" }, "NEEDED": { "required": true } },
    "formation": { "worker": { "quantity": 2, "size": "Standard-2X" } },
    "buildpacks": [{ "url": "heroku/python" }],
    "scripts": { "postdeploy": "./seed" },
    "success_url": "/welcome",
    "addons": ["heroku-redis:mini"]
}"#;

fn is_script(spec: &ContainerSpec) -> bool {
    matches!(&spec.role, Role::Task { purpose } if purpose == "postdeploy")
}

impl Server {
    async fn begun(&self, app: &AppRow) -> paas_core::Id<AppSetup> {
        let stamp = self.stamp();
        let id = paas_store::new_id(stamp.at);
        let mut connection = self.platform.store.connection().await.unwrap();
        app_setup::create(&mut connection, id, app.app.id, stamp).await.unwrap();
        id
    }

    async fn seen(&self, id: paas_core::Id<AppSetup>) -> AppSetup {
        let mut connection = self.platform.store.connection().await.unwrap();
        app_setup::get(&mut connection, id).await.unwrap().unwrap()
    }

    /// Sets an app up from these files, and waits for the end of it.
    async fn set_up(&self, app: &AppRow, files: &[(&str, &str)]) -> AppSetup {
        let id = self.begun(app).await;
        let new = NewSetup {
            id,
            app: app.app.clone(),
            actor: self.account.clone(),
            source: BuildSource::Tar(self.source_of(files)),
            version: Some("v1".to_owned()),
            env: BTreeMap::from([("NEEDED".parse().unwrap(), "two".to_owned())]),
            buildpacks: None,
        };
        start_setup(&self.platform, new);
        let ended = self.becomes(async || self.seen(id).await.status != SetupStatus::Pending);
        assert!(ended.await, "the setup has no end:\n{}", self.log(app).await);
        self.seen(id).await
    }
}

#[tokio::test]
async fn an_app_is_set_up_as_its_manifest_says() {
    let (server, _router) = Server::start().await;
    server.engine.teach(is_script, Behaviour::exits(0).saying("seeded"));
    let app = server.app("hello").await;
    let files = [("app.json", MANIFEST), ("Procfile", "web: ./web\nworker: ./work\n")];
    let setup = server.set_up(&app, &files).await;
    assert_eq!(setup.status, SetupStatus::Succeeded, "{setup:?}");
    let url = setup.resolved_success_url.unwrap();
    assert!(
        url.starts_with("http://hello.example.test") && url.ends_with("/welcome"),
        "{url}"
    );
    let postdeploy = setup.postdeploy.unwrap();
    assert_eq!((postdeploy.exit_code, postdeploy.output.as_str()), (0, "seeded\n"));

    let mut connection = server.platform.store.connection().await.unwrap();
    let row = paas_store::app::by_id(&mut connection, app.app.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(row.buildpacks, ["heroku/python"]);
    let current = release::current(&mut connection, app.app.id).await.unwrap().unwrap();
    let sealer = &server.platform.store.sealer;
    let config = release::config(&mut connection, sealer, current.release.id)
        .await
        .unwrap();
    assert_eq!((config.get("GIVEN"), config.get("NEEDED")), (Some("1"), Some("two")));
    assert_eq!(config.get("SECRET").map(str::len), Some(64));
    assert!(config.get("REDIS_URL").unwrap().starts_with("redis://:p"));
    let formation = formation::list(&mut connection, app.app.id).await.unwrap();
    let scales: Vec<_> = formation
        .iter()
        .map(|row| format!("{}={}:{}", row.process_type, row.scale.quantity, row.scale.size))
        .collect();
    assert_eq!(scales, ["web=1:Standard-1X", "worker=2:Standard-2X"]);
}

#[tokio::test]
async fn a_script_that_fails_fails_the_setup_and_is_told() {
    let (server, _router) = Server::start().await;
    server
        .engine
        .teach(is_script, Behaviour::exits(3).complaining("no database"));
    let app = server.app("hello").await;
    let files = [("app.json", MANIFEST), ("Procfile", "web: ./web\nworker: ./work\n")];
    let setup = server.set_up(&app, &files).await;
    let message = "The postdeploy script exited with status 3".to_owned();
    assert_eq!(setup.status, SetupStatus::Failed { message });
    let postdeploy = setup.postdeploy.unwrap();
    assert_eq!((postdeploy.exit_code, postdeploy.output.as_str()), (3, "no database\n"));
}

#[tokio::test]
async fn what_is_wrong_with_a_manifest_is_told_before_anything_is_built() {
    let (server, _router) = Server::start().await;
    for (manifest, words) in [
        (None, "There is no app.json"),
        (Some("{"), "not valid JSON"),
        (Some(r#"{"env":{"MISSING":{"required":true}}}"#), "MISSING is required"),
        (
            Some(r#"{"buildpacks":[{"url":"heroku/cobol"}]}"#),
            "there is no buildpack",
        ),
    ] {
        let app = server
            .app(&format!("app-{}", uuid::Uuid::new_v4().simple())[..30])
            .await;
        let mut files = vec![("Procfile", "web: ./web\n")];
        files.extend(manifest.map(|manifest| ("app.json", manifest)));
        let setup = server.set_up(&app, &files).await;
        assert!(matches!(setup.status, SetupStatus::Failed { .. }), "{setup:?}");
        assert!(setup.manifest_errors.join("; ").contains(words), "{setup:?}");
        assert_eq!(setup.build, None);
    }
}

#[tokio::test]
async fn a_build_that_fails_fails_the_setup() {
    let (server, _router) = Server::start().await;
    server.engine.teach(is_build, Behaviour::exits(21));
    let app = server.app("hello").await;
    let setup = server
        .set_up(&app, &[("app.json", "{}"), ("Procfile", "web: ./web\n")])
        .await;
    assert!(
        matches!(&setup.status, SetupStatus::Failed { message } if message.contains("output of the build")),
        "{setup:?}"
    );
    assert!(setup.build.is_some());
}

#[tokio::test]
async fn a_setup_of_a_dead_server_has_failed_at_the_next_start() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let id = server.begun(&app).await;
    abandon_builds(&server.platform).await.unwrap();
    let setup = server.seen(id).await;
    assert!(
        matches!(&setup.status, SetupStatus::Failed { message } if message.contains("The server ended")),
        "{setup:?}"
    );
}

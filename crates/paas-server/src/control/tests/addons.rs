//! Add-ons on an engine in memory: made, lost, moved, replaced, destroyed.

use paas_core::{AddonState, CredentialName, Id};
use paas_engine::{Container, Engine, Role};
use paas_store::{
    addon::{self, AddonRow},
    addon_attachment::{self, NewAttachment},
    addon_credential,
    app::AppRow,
    new_id, release,
};

use super::server::Server;
use crate::{addon::Credentials, api, source::AddonOrder};

impl Server {
    pub(super) async fn addon(&self, app: &AppRow, plan: &str) -> AddonRow {
        let order = AddonOrder {
            plan: plan.to_owned(),
            attachment: None,
        };
        let made = api::order_addon(&self.platform, app.app.id, &order, self.stamp()).await;
        made.unwrap().0
    }

    pub(super) async fn row(&self, id: Id<paas_core::Addon>) -> Option<AddonRow> {
        let mut connection = self.platform.store.connection().await.unwrap();
        addon::by_id(&mut connection, id).await.unwrap()
    }

    pub(super) async fn containers_of(&self, id: Id<paas_core::Addon>) -> Vec<Container> {
        let mut listed = self.engine.list().await.unwrap();
        listed.retain(|container| matches!(container.role, Some(Role::Addon { addon, .. }) if addon == id));
        listed
    }

    pub(super) async fn is_provisioned(&self, id: Id<paas_core::Addon>) -> bool {
        let is_there = async || {
            let row = self.row(id).await;
            row.is_some_and(|row| row.addon.state == AddonState::Provisioned)
        };
        self.becomes(is_there).await
    }

    async fn config_of(&self, app: &AppRow, key: &str) -> Option<String> {
        let mut connection = self.platform.store.connection().await.unwrap();
        let head = release::head(&mut connection, app.app.id).await.unwrap().unwrap();
        let sealer = &self.platform.store.sealer;
        let config = release::config(&mut connection, sealer, head.release.id).await.unwrap();
        config.get(key).map(str::to_owned)
    }
}

#[tokio::test]
async fn an_addon_gets_a_volume_and_no_secret_where_docker_shows_it() {
    let server = Server::new().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-postgresql").await;
    assert_eq!(made.addon.state, AddonState::Provisioning);
    assert!(server.is_provisioned(made.addon.id).await);
    let url = server.config_of(&app, "DATABASE_URL").await.unwrap();
    assert!(url.starts_with("postgres://u"), "{url}");
    let [container] = &server.containers_of(made.addon.id).await[..] else {
        panic!("one container");
    };
    let spec = server.engine.spec(&container.id).unwrap();
    let password = url.split([':', '@']).nth(2).unwrap();
    assert!(password.len() > 40, "{url}");
    let shown = format!(
        "{:?} {:?} {:?}",
        spec,
        spec.command,
        spec.environment.iter().collect::<Vec<_>>()
    );
    assert!(!shown.contains(password), "a password is in what Docker shows");
    let volumes = server.engine.volumes().await.unwrap();
    let volume = volumes.iter().find(|volume| volume.name == spec.volumes[0].volume);
    // What carries an app's label goes with the app.
    assert_eq!(volume.unwrap().app, None);
}

#[tokio::test]
async fn a_lost_container_is_made_again_on_its_volume() {
    let server = Server::new().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-redis:mini").await;
    assert!(server.is_provisioned(made.addon.id).await);
    let [first] = &server.containers_of(made.addon.id).await[..] else {
        panic!("one container");
    };
    let volume = server.engine.spec(&first.id).unwrap().volumes;
    for crashes in [true, false] {
        let [before] = &server.containers_of(made.addon.id).await[..] else {
            panic!("one container");
        };
        if crashes {
            server.engine.crash(&before.id, 137);
        } else {
            server.engine.vanish(&before.id);
        }
        let is_back = async || {
            let now = server.containers_of(made.addon.id).await;
            let is_another = now.len() == 1 && now[0].id != before.id && now[0].is_running();
            // It answers: what is lost before that is a failure, and followed by a rest.
            is_another && server.row(made.addon.id).await.is_some_and(|row| row.failures == 0)
        };
        assert!(server.becomes(is_back).await, "it is not made again");
    }
    let [last] = &server.containers_of(made.addon.id).await[..] else {
        panic!("one container");
    };
    assert_eq!(server.engine.spec(&last.id).unwrap().volumes, volume);
}

#[tokio::test]
async fn an_addon_is_on_the_networks_of_its_apps_and_no_others() {
    let server = Server::new().await;
    server.run().await;
    let (one, two) = (server.app("one").await, server.app("two").await);
    let made = server.addon(&one, "heroku-redis").await;
    assert!(server.is_provisioned(made.addon.id).await);
    let networks = async || {
        let [container] = &server.containers_of(made.addon.id).await[..] else {
            return Vec::new();
        };
        container.networks.clone()
    };
    let of = |apps: &[&AppRow]| {
        let mut names: Vec<_> = apps.iter().map(|app| format!("paas-app-{}", app.app.id)).collect();
        names.sort();
        names
    };
    assert_eq!(networks().await, of(&[&one]));
    let store = &server.platform.store;
    let new = NewAttachment {
        addon: made.addon.id,
        app: two.app.id,
        name: "CACHE".parse().unwrap(),
        namespace: None,
    };
    let mut connection = store.connection().await.unwrap();
    let (attached, _) = addon_attachment::create(&mut connection, &store.sealer, new, server.stamp())
        .await
        .unwrap();
    assert!(server.becomes(async || networks().await == of(&[&one, &two])).await);
    assert!(server.config_of(&two, "CACHE_URL").await.is_some());
    addon_attachment::delete(&mut connection, &store.sealer, attached.attachment.id, server.stamp())
        .await
        .unwrap();
    assert!(server.becomes(async || networks().await == of(&[&one])).await);
}

#[tokio::test]
async fn another_plan_is_another_container_on_the_same_volume() {
    let server = Server::new().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-postgresql:mini").await;
    assert!(server.is_provisioned(made.addon.id).await);
    let mut connection = server.platform.store.connection().await.unwrap();
    addon::set_plan(&mut connection, made.addon.id, "standard-0", server.stamp())
        .await
        .unwrap();
    let is_larger = async || {
        let now = server.containers_of(made.addon.id).await;
        let [container] = &now[..] else { return false };
        let spec = server.engine.spec(&container.id).unwrap();
        spec.limits.memory_bytes == 4 << 30 && container.is_running()
    };
    assert!(server.becomes(is_larger).await);
}

#[tokio::test]
async fn a_rotation_reaches_servers_that_are_told_and_those_that_start_anew() {
    let server = Server::new().await;
    server.run().await;
    let app = server.app("hello").await;
    server.engine.add_image("docker.io/axllent/mailpit:latest");
    for (plan, key, is_replaced) in [
        ("heroku-redis:mini", "REDIS_URL", false),
        ("mailtrap:free", "MAILTRAP_SMTP_PASSWORD", true),
    ] {
        let made = server.addon(&app, plan).await;
        let (id, stamp) = (made.addon.id, server.stamp());
        assert!(server.is_provisioned(id).await, "{plan}");
        let before = server.config_of(&app, key).await;
        let containers = server.containers_of(id).await;
        let store = &server.platform.store;
        let mut connection = store.connection().await.unwrap();
        let credentials = addon::secret(&mut connection, &store.sealer, id).await.unwrap();
        let credentials = Credentials::from_values(credentials).rotated();
        let learns = server.platform.catalogue.service(&made.addon.service).unwrap().learns();
        let secret = (credentials.values(), learns);
        addon::begin_rotation(&mut connection, &store.sealer, id, secret, stamp)
            .await
            .unwrap();
        server.platform.wake_addons.notify_one();
        let is_told = async || {
            let row = server.row(id).await.unwrap();
            !row.is_rotating && server.config_of(&app, key).await != before
        };
        assert!(server.becomes(is_told).await, "{plan}");
        let now = server.containers_of(id).await;
        assert_eq!((now.len(), now[0].id != containers[0].id), (1, is_replaced), "{plan}");
    }
}

#[tokio::test]
async fn a_server_learns_of_other_credentials_and_settings_and_forgets_what_is_revoked() {
    let server = Server::new().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-postgresql").await;
    let id = made.addon.id;
    assert!(server.is_provisioned(id).await);
    let (store, stamp) = (&server.platform.store, server.stamp());
    let mut connection = store.connection().await.unwrap();
    let name: CredentialName = "reader".parse().unwrap();
    let new = addon_credential::NewCredential {
        id: new_id(stamp.at),
        addon: id,
        secret: Credentials::invent_user(&name),
        name: name.clone(),
    };
    let reader = addon_credential::create(&mut connection, &store.sealer, new, stamp)
        .await
        .unwrap();
    addon::choose(
        &mut connection,
        id,
        &[("colour".to_owned(), "red".to_owned())].into(),
        stamp,
    )
    .await
    .unwrap();
    server.platform.wake_addons.notify_one();
    let config = async || {
        let mut connection = store.connection().await.unwrap();
        addon_credential::config(&mut connection, &store.sealer, reader.id)
            .await
            .unwrap()
    };
    assert!(server.becomes(async || config().await.is_some()).await);
    let url = config().await.unwrap()["URL"].clone();
    let own = server.config_of(&app, "DATABASE_URL").await.unwrap();
    let rest = |url: &str| url.split_once('@').unwrap().1.to_owned();
    assert!(
        url.starts_with("postgres://reader:p") && rest(&url) == rest(&own),
        "{url}"
    );
    let is_settled = async || {
        let mut connection = store.connection().await.unwrap();
        addon::unsettled(&mut connection).await.unwrap().is_empty()
    };
    assert!(server.becomes(is_settled).await);
    let reader = addon_credential::find(&mut connection, id, "reader")
        .await
        .unwrap()
        .unwrap();
    addon_credential::revoke(&mut connection, &reader, stamp).await.unwrap();
    server.platform.wake_addons.notify_one();
    let is_forgotten = async || {
        let mut connection = store.connection().await.unwrap();
        addon_credential::list(&mut connection, id).await.unwrap().is_empty()
    };
    assert!(server.becomes(is_forgotten).await);
}

#[tokio::test]
async fn nothing_is_left_of_an_addon_that_was_destroyed_nor_of_an_apps() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    let (one, two) = (
        server.addon(&app, "memcachier").await,
        server.addon(&app, "heroku-redis").await,
    );
    assert!(server.is_provisioned(one.addon.id).await && server.is_provisioned(two.addon.id).await);
    let store = &server.platform.store;
    let mut connection = store.connection().await.unwrap();
    addon::begin_destroy(&mut connection, &store.sealer, one.addon.id, server.stamp())
        .await
        .unwrap();
    let volumes = async |addon: &AddonRow| {
        let volumes = server.engine.volumes().await.unwrap();
        volumes
            .iter()
            .any(|volume| volume.name.contains(&addon.addon.id.to_string()))
    };
    assert!(server.becomes(async || server.row(one.addon.id).await.is_none()).await);
    assert!(server.containers_of(one.addon.id).await.is_empty() && !volumes(&one).await);
    assert!(volumes(&two).await);
    paas_store::app::begin_destroy(&mut connection, app.app.id, server.stamp())
        .await
        .unwrap();
    let is_gone = async || {
        let mut connection = store.connection().await.unwrap();
        paas_store::app::by_id(&mut connection, app.app.id)
            .await
            .unwrap()
            .is_none()
    };
    assert!(server.becomes(is_gone).await);
    assert!(server.containers_of(two.addon.id).await.is_empty() && !volumes(&two).await);
}

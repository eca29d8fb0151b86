//! Exposed add-ons: by which address they are reached, and how they are taken back.

use std::net::SocketAddr;

use chrono::TimeDelta;
use paas_core::AllowList;
use paas_engine::Engine;
use paas_store::{
    Stamp,
    account::Account,
    addon::AddonRow,
    addon_attachment::{self, NewAttachment},
    addon_exposure as exposures,
};
use tokio::net::{TcpListener, TcpStream};

use super::{super::exposure, server::Server};
use crate::testing::{own_loopback, person};

impl Server {
    async fn expose(&self, addon: &AddonRow, by: &Account) {
        let stamp = Stamp {
            by: by.id,
            ..self.stamp()
        };
        let allowed = AllowList::parse(["127.0.0.1"]).unwrap();
        let wanted = (&allowed, stamp.at + TimeDelta::hours(1));
        let ports = self.platform.settings.addon_ports.unwrap();
        let mut connection = self.platform.store.connection().await.unwrap();
        let set = exposures::set(&mut connection, addon.addon.id, wanted, ports, stamp).await;
        assert!(set.unwrap().is_some());
        self.platform.wake.notify_one();
    }
}

/// A port that is free, most likely for a while.
async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((own_loopback(), 0)).await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn an_exposure_ends_with_the_right_of_whoever_made_it() {
    let ports = free_port().await.to_string();
    let server = Server::with(&["--addon-ports", &ports]).await;
    let _router = server.router().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-redis").await;
    assert!(server.is_provisioned(made.addon.id).await);
    // Nothing says what this account may do with the app: it was a collaborator.
    let former = person(&server.platform, "eve@example.com").await;
    server.expose(&made, &former).await;
    let is_forgotten = async || {
        let mut connection = server.platform.store.connection().await.unwrap();
        exposures::find(&mut connection, made.addon.id).await.unwrap().is_none()
    };
    assert!(server.becomes(is_forgotten).await, "it stays");
    server
        .logs(&app, "who made it may not change the add-on any more")
        .await;
}

#[tokio::test]
async fn an_exposure_is_taken_back_while_docker_is_away() {
    let address = free_port().await;
    let server = Server::with(&["--addon-ports", &address.to_string()]).await;
    let _router = server.router().await;
    server.run().await;
    let app = server.app("hello").await;
    let made = server.addon(&app, "heroku-redis").await;
    assert!(server.is_provisioned(made.addon.id).await);
    server.expose(&made, &server.account).await;
    let is_open = async || TcpStream::connect(address).await.is_ok();
    assert!(server.becomes(is_open).await, "no door opens");

    server.engine.go_down();
    let mut connection = server.platform.store.connection().await.unwrap();
    assert!(
        exposures::remove(&mut connection, made.addon.id, server.stamp())
            .await
            .unwrap()
    );
    server.platform.wake.notify_one();
    let is_closed = server.becomes(async || !is_open().await).await;
    server.engine.come_back();
    assert!(is_closed, "the door stays open");
}

#[tokio::test]
async fn an_exposed_add_on_is_reached_by_the_network_of_its_own_app() {
    let server = Server::with(&["--addon-ports", "20000"]).await;
    server.run().await;
    // Whichever of their networks comes first by name.
    let apps = [server.app("one").await, server.app("two").await];
    for (owner, other) in [(0, 1), (1, 0)] {
        let (owner, other) = (&apps[owner], &apps[other]);
        let made = server.addon(owner, "heroku-redis:mini").await;
        assert!(server.is_provisioned(made.addon.id).await);
        let (store, stamp) = (&server.platform.store, server.stamp());
        let mut connection = store.connection().await.unwrap();
        let new = NewAttachment {
            addon: made.addon.id,
            app: other.app.id,
            name: "CACHE".parse().unwrap(),
            namespace: None,
        };
        addon_attachment::create(&mut connection, &store.sealer, new, stamp)
            .await
            .unwrap();
        let container = async || {
            let mut containers = server.containers_of(made.addon.id).await;
            containers.pop().filter(|container| container.addresses.len() == 2)
        };
        assert!(server.becomes(async || container().await.is_some()).await);
        server.expose(&made, &server.account).await;
        let listed = server.engine.list().await.unwrap();
        let entries = exposure::entries(&server.platform, &listed).await.unwrap();
        let entry = entries.iter().find(|entry| entry.addon == *made.addon.id.as_uuid());
        let reached = entry.unwrap().server.as_ref().unwrap().address.ip();
        let container = container().await.unwrap();
        assert_eq!(reached, container.addresses[&format!("paas-app-{}", owner.app.id)]);
        // A small plan's few connections are not all for those outside.
        assert_eq!(entry.unwrap().connections, 5);
        exposures::remove(&mut connection, made.addon.id, stamp).await.unwrap();
    }
}

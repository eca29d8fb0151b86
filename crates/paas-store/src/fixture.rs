//! What the tests of every noun begin with: a database, an account, and words for what happens in between.

use chrono::{DateTime, TimeDelta, Utc};
use paas_core::{App, Build, ConfigKey, Hostname, Id, ImageRef, Release, ReleaseVersion, Slug};

use crate::{
    Connection, Stamp, Store,
    account::Account,
    addon::{self, AddonRow, NewAddon},
    app::{self, NewApp},
    build::{self, NewBuild},
    deploy::{Deploy, deploy},
    new_id,
    release::{self, ReleaseRow},
    testing::{TestDatabase, database, noon},
};

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) ann: Id<Account>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = database().await;
        let ann = database.account("ann").await;
        Self { database, ann }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.database.store
    }

    pub(crate) async fn conn(&self) -> Connection {
        self.store().connection().await.unwrap()
    }

    /// Ann, at noon.
    pub(crate) fn stamp(&self) -> Stamp {
        Stamp {
            by: self.ann,
            at: noon(),
        }
    }

    pub(crate) async fn app(&self, name: &str) -> Id<App> {
        let new = NewApp {
            id: new_id(noon()),
            name: name.parse().unwrap(),
            stack: "paas-12".to_owned(),
        };
        let row = app::create(&mut *self.conn().await, &self.store().sealer, new, self.stamp())
            .await
            .unwrap();
        row.app.id
    }

    pub(crate) fn new_build(app: Id<App>) -> NewBuild {
        NewBuild {
            id: new_id(noon()),
            app,
            commit: Some("1a2b3c4d".to_owned()),
            description: Some("Say hello".to_owned()),
            buildpacks: None,
            source: None,
            lease_expires_at: seconds(30),
        }
    }

    /// A database on its way, whose password is `hunter2`.
    pub(crate) async fn addon(&self, app: Id<App>, name: &str, attachment: &str) -> AddonRow {
        let new = NewAddon {
            id: new_id(seconds(0)),
            app,
            name: name.parse().unwrap(),
            service: "heroku-postgresql".to_owned(),
            plan: "mini".to_owned(),
            version: "15".to_owned(),
            suffixes: vec!["URL".to_owned()],
            secret: addon::Values::from([("PASSWORD".to_owned(), "hunter2".to_owned())]),
            attachment: attachment.parse().unwrap(),
        };
        let (mut conn, sealer) = (self.conn().await, &self.store().sealer);
        let made = addon::create(&mut conn, sealer, new, self.stamp()).await;
        made.unwrap().0
    }

    pub(crate) async fn build(&self, app: Id<App>) -> Id<Build> {
        build::create(&mut *self.conn().await, Self::new_build(app), self.stamp())
            .await
            .unwrap()
            .build
            .id
    }

    /// A build that ends well, with these process types.
    pub(crate) async fn deploy(&self, app: Id<App>, process_types: &[&str]) -> ReleaseRow {
        let build = self.build(app).await;
        let slug = slug(app, process_types);
        let made = Deploy::new(build, slug, "Deploy 1a2b3c4d");
        deploy(&mut *self.conn().await, &self.store().sealer, made, self.stamp())
            .await
            .unwrap()
    }

    pub(crate) async fn set(&self, app: Id<App>, changes: &[(&str, Option<&str>)]) -> Option<ReleaseRow> {
        let change =
            |(key, value): &(&str, Option<&str>)| (key.parse::<ConfigKey>().unwrap(), value.map(str::to_owned));
        let changes = changes.iter().map(change).collect();
        let sealer = &self.store().sealer;
        release::set_config(&mut *self.conn().await, sealer, app, changes, self.stamp())
            .await
            .unwrap()
    }

    /// The config of a release: `A=1 B=2`.
    pub(crate) async fn config(&self, release: Id<Release>) -> String {
        let config = release::config(&mut *self.conn().await, &self.store().sealer, release)
            .await
            .unwrap();
        config
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// The version of the current release.
    pub(crate) async fn current(&self, app: Id<App>) -> u32 {
        release::current(&mut *self.conn().await, app)
            .await
            .unwrap()
            .unwrap()
            .release
            .version
            .number()
    }
}

pub(crate) fn slug(app: Id<App>, process_types: &[&str]) -> Slug {
    let id = new_id(noon());
    Slug {
        id,
        app,
        image: ImageRef::new(format!("paas/{id}")),
        images: std::collections::BTreeMap::new(),
        process_types: process_types
            .iter()
            .map(|name| (name.parse().unwrap(), format!("run-{name}")))
            .collect(),
        commit: Some("1a2b3c4d".to_owned()),
        buildpack_provided_description: Some("Python".to_owned()),
        size_bytes: 94_000_000,
        created_at: noon(),
    }
}

/// So many seconds after noon.
pub(crate) fn seconds(seconds: i64) -> DateTime<Utc> {
    noon() + TimeDelta::seconds(seconds)
}

pub(crate) fn version(number: u32) -> ReleaseVersion {
    ReleaseVersion::new(number).unwrap()
}

pub(crate) fn domain() -> Hostname {
    "example.com".parse().unwrap()
}

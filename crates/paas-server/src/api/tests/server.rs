//! A platform of one test, and a client of its API.

use std::{collections::BTreeMap, sync::Arc};

use axum::body::Body;
use chrono::{DateTime, TimeDelta, Utc};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use paas_core::{DynoName, DynoState, Endpoint, Id, ImageRef, ProcessType, Slug};
use paas_engine::FakeEngine;
use paas_store::{
    Stamp,
    account::{self, Account},
    app::AppRow,
    authorization::{self, NewAuthorization, Token},
    build,
    deploy::{self, Deploy},
    dyno,
    release::ReleaseRow,
};
use serde_json::Value;
use tempfile::TempDir;

use super::shape;
use crate::{
    api,
    platform::Platform,
    testing::{self, TestPlatform, person},
};

pub(super) const EMAIL: &str = "ada@example.com";
pub(super) const PASSWORD: &str = "correct horse";

pub(super) struct Server {
    pub(super) platform: Arc<Platform>,
    pub(super) account: Account,
    pub(super) token: String,
    pub(super) engine: FakeEngine,
    service: TowerToHyperService<axum::Router>,
    _directory: TempDir,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

/// A platform with one person who has one token.
pub(super) async fn server() -> Server {
    server_with(&[]).await
}

/// One with settings of its own.
pub(super) async fn server_with(flags: &[&str]) -> Server {
    let TestPlatform {
        platform,
        engine,
        directory,
    } = testing::platform_with(flags).await;
    let account = person(&platform, EMAIL).await;
    let token = token(&platform, &account).await;
    Server {
        service: TowerToHyperService::new(api::router(Arc::clone(&platform))),
        platform,
        account,
        token,
        engine,
        _directory: directory,
    }
}

pub(super) async fn token(platform: &Platform, account: &Account) -> String {
    let token = Token::generate();
    let now = platform.clock.now();
    let new = NewAuthorization {
        account: account.id,
        token_hash: token.hash(),
        description: "test".to_owned(),
        scope: vec!["global".to_owned()],
        expires_at: None,
    };
    let mut connection = platform.store.connection().await.unwrap();
    authorization::create(&mut connection, new, now).await.unwrap();
    token.as_str().to_owned()
}

impl Server {
    pub(super) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub(super) async fn get_range(&self, path: &str, range: &str) -> Answer {
        let mut request = self.request(Method::GET, path);
        request.headers_mut().insert(header::RANGE, range.parse().unwrap());
        self.send(request).await
    }

    pub(super) async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::POST, path, body).await
    }

    pub(super) async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send_json(Method::PATCH, path, body).await
    }

    pub(super) async fn send_json(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.request(method.clone(), path);
        let answer = self.send(request.map(|_| Body::from(body.to_string()))).await;
        if answer.status.is_success() {
            shape::hold_request(&method, path, &body);
        }
        answer
    }

    /// A request with the person's token.
    pub(super) fn request(&self, method: Method, path: &str) -> Request<Body> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "api.example.test")
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Body::empty())
            .unwrap()
    }

    /// Every answer is held against the shape of its route.
    pub(super) async fn send(&self, request: Request<Body>) -> Answer {
        let disguise = request.headers().get("x-http-method-override");
        let method = disguise.map_or_else(
            || request.method().clone(),
            |method| method.to_str().unwrap().parse().unwrap(),
        );
        let path = request.uri().path().to_owned();
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        shape::hold(&method, &path, &answer);
        answer
    }

    /// An answer whose body is still to be read.
    pub(super) async fn open(&self, request: Request<Body>) -> axum::response::Response {
        self.service.call(request).await.unwrap()
    }

    /// The path of one of our own absolute URLs.
    pub(super) fn path_of(url: &Value) -> String {
        let url = url.as_str().unwrap();
        url.strip_prefix("http://api.example.test").unwrap().to_owned()
    }

    /// Gives the person [`PASSWORD`].
    pub(super) async fn set_password(&self) {
        let hash = api::hash_password(paas_api::Secret::new(PASSWORD)).await.unwrap();
        let mut connection = self.platform.store.connection().await.unwrap();
        let now = self.platform.clock.now();
        account::set_password(&mut connection, self.account.id, &hash, now)
            .await
            .unwrap();
    }

    /// Somebody else, with a token of their own.
    pub(super) async fn stranger(&self, email: &str) -> String {
        let account = person(&self.platform, email).await;
        token(&self.platform, &account).await
    }

    pub(super) async fn app(&self, name: &str) -> AppRow {
        let answer = self.post("/apps", serde_json::json!({ "name": name })).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let mut connection = self.platform.store.connection().await.unwrap();
        paas_store::app::find(&mut connection, name).await.unwrap().unwrap()
    }

    /// Deploys a slug with these process types, as a build would.
    pub(super) async fn deploy(&self, app: &AppRow, process_types: &[(&str, &str)]) -> ReleaseRow {
        let now = self.tick();
        let stamp = Stamp {
            by: self.account.id,
            at: now,
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        let new = build::NewBuild {
            id: paas_store::new_id(now),
            app: app.app.id,
            commit: Some("0123456789abcdef".to_owned()),
            description: Some("Say hello".to_owned()),
            buildpacks: None,
            source: None,
            lease_expires_at: now + TimeDelta::minutes(1),
        };
        let build = build::create(&mut connection, new, stamp).await.unwrap();
        let slug = Slug {
            id: paas_store::new_id(now),
            app: app.app.id,
            image: ImageRef::new("paas/hello"),
            images: std::collections::BTreeMap::new(),
            process_types: process_types
                .iter()
                .map(|(name, command)| (name.parse().unwrap(), (*command).to_owned()))
                .collect::<BTreeMap<ProcessType, String>>(),
            commit: Some("0123456789abcdef".to_owned()),
            buildpack_provided_description: Some("Python".to_owned()),
            size_bytes: 1234,
            created_at: now,
        };
        let new = Deploy::new(build.build.id, slug, "Deploy 01234567");
        let sealer = &self.platform.store.sealer;
        deploy::deploy(&mut connection, sealer, new, stamp).await.unwrap()
    }

    /// A dyno of a release that is up, as the controller would have it.
    pub(super) async fn dyno(&self, release: &ReleaseRow, name: &str) -> Id<paas_core::Dyno> {
        let now = self.tick();
        let name: DynoName = name.parse().unwrap();
        let new = dyno::NewDyno {
            id: paas_store::new_id(now),
            app: release.release.app,
            name: name.clone(),
            release: release.release.id,
            size: paas_core::DynoSize::default(),
        };
        let id = new.id;
        let mut connection = self.platform.store.connection().await.unwrap();
        dyno::insert(&mut connection, new, now).await.unwrap();
        let found = dyno::find(&mut connection, release.release.app, &id.to_string())
            .await
            .unwrap();
        let up = paas_core::Dyno {
            state: DynoState::Up {
                since: now,
                endpoint: name.process_type.is_web().then(|| Endpoint {
                    container: "c1".to_owned(),
                    address: "10.0.0.1:5000".parse().unwrap(),
                }),
            },
            ..found.unwrap()
        };
        assert!(dyno::update(&mut connection, &up, now).await.unwrap());
        id
    }

    /// The log of an app, as text.
    pub(super) async fn log(&self, app: &AppRow) -> String {
        let tail = self
            .platform
            .logs
            .tail(app.app.id, 1000, &crate::logs::Filter::default())
            .await;
        let lines = tail.unwrap().lines;
        lines
            .iter()
            .map(|stored| stored.line.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// A second passes.
    pub(super) fn tick(&self) -> DateTime<Utc> {
        self.platform.clock.advance(TimeDelta::seconds(1));
        self.platform.clock.now()
    }
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        let content_type = &self.headers[header::CONTENT_TYPE];
        assert_eq!(content_type, "application/json", "{}", self.text);
        serde_json::from_str(&self.text).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// The items of a list, by one of their fields.
    pub(super) fn column(&self, field: &str) -> Vec<Value> {
        let list = self.json();
        list.as_array()
            .unwrap()
            .iter()
            .map(|item| item[field].clone())
            .collect()
    }

    /// Asserts a success and reads it.
    pub(super) fn ok(&self) -> Value {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self.json()
    }
}

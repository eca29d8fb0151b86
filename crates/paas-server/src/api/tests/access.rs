//! Who may do what: every role and every scope try every endpoint, and one removal ends everything at once.

use std::{sync::Arc, time::Duration};

use axum::{
    Router, middleware,
    routing::{MethodFilter, on},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Method, StatusCode, header};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use paas_core::{Permissions, Role, Scope, Standing};
use paas_store::{
    account::Account,
    authorization::{self, NewAuthorization, Token},
};
use serde_json::{Value, json};

use super::server::{Answer, EMAIL, Server, server};
use crate::{
    api::{
        access::{Need, admit},
        needs::NEEDS,
        state::Api,
    },
    sessions::Holder,
};

const NONE: Permissions = Permissions::NONE;
const VIEW: Permissions = Permissions::VIEW;

/// A request of somebody else.
pub(super) async fn call(server: &Server, token: &str, method: Method, path: &str, body: Value) -> Answer {
    let mut request = server.request(method, path);
    let bearer = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, bearer);
    server.send(request.map(|_| body.to_string().into())).await
}

/// A token of the server's own person, of some scope.
async fn scoped(server: &Server, scope: Scope) -> String {
    let token = Token::generate();
    let new = NewAuthorization {
        account: server.account.id,
        token_hash: token.hash(),
        description: scope.as_str().to_owned(),
        scope: vec![scope.as_str().to_owned()],
        expires_at: None,
    };
    let mut connection = server.platform.store.connection().await.unwrap();
    let now = server.platform.clock.now();
    authorization::create(&mut connection, new, now).await.unwrap();
    token.as_str().to_owned()
}

/// The gate with every endpoint of the table behind it, each of which only says that it was reached.
fn gate(server: &Server) -> TowerToHyperService<Router> {
    let api = Arc::new(Api::new(Arc::clone(&server.platform)));
    let mut router = Router::new();
    for (route, _) in NEEDS {
        let (method, path) = route.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let reached = on(MethodFilter::try_from(method).unwrap(), || async {
            StatusCode::NO_CONTENT
        });
        router = router.route(path, reached);
    }
    let layer = middleware::from_fn_with_state(Arc::clone(&api), admit);
    TowerToHyperService::new(router.route_layer(layer))
}

/// Whether a token gets through the gate on an app and a team.
async fn passes(gate: &TowerToHyperService<Router>, token: &str, route: &str, app: &str, team: &str) -> bool {
    let (method, path) = route.split_once(' ').unwrap();
    let path = path.replace("{app}", app).replace("{team}", team);
    // A client of `ps:exec` names the app in its credentials.
    let credentials = if path.starts_with("/api/v2") {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{app}:{token}")))
    } else {
        format!("Bearer {token}")
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path.replace(['{', '}'], ""))
        .header(header::AUTHORIZATION, credentials)
        .body(axum::body::Body::empty())
        .unwrap();
    let status = gate.call(request).await.unwrap().status();
    assert!(
        matches!(status, StatusCode::NO_CONTENT | StatusCode::FORBIDDEN),
        "{route}: {status}"
    );
    status == StatusCode::NO_CONTENT
}

/// A person, and what they get to be.
struct Person {
    name: &'static str,
    token: String,
    /// On `mine`, `ours` and `locked`.
    permissions: [Permissions; 3],
    role: Option<Role>,
}

async fn person(
    server: &Server,
    name: &'static str,
    (role, given): (Option<Role>, Option<&[&str]>),
    permissions: [Permissions; 3],
) -> Person {
    let email = format!("{name}@example.com");
    let token = server.stranger(&email).await;
    if let Some(role) = role.filter(|role| *role != Role::Collaborator) {
        let body = json!({ "email": email, "role": role.as_str() });
        server.send_json(Method::PUT, "/teams/acme/members", body).await.ok();
    }
    for app in ["ours", "locked"] {
        if let Some(given) = given {
            let body = json!({ "user": email, "permissions": given });
            server
                .post(&format!("/teams/apps/{app}/collaborators"), body)
                .await
                .ok();
        }
    }
    Person {
        name,
        token,
        permissions,
        role,
    }
}

#[tokio::test]
async fn every_role_gets_through_to_what_the_table_lets_it_and_to_nothing_else() {
    let server = server().await;
    server.app("mine").await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    for (app, locked) in [("ours", false), ("locked", true)] {
        let body = json!({ "name": app, "team": "acme", "locked": locked });
        server.post("/teams/apps", body).await.ok();
    }
    let deploy = VIEW.with(Permissions::DEPLOY);
    let operate = VIEW.with(Permissions::OPERATE);
    let helper = Standing::COLLABORATOR.with(Permissions::SHARE);
    let people = [
        Person {
            name: "owner",
            token: server.token.clone(),
            permissions: [Permissions::ALL; 3],
            role: Some(Role::Admin),
        },
        person(
            &server,
            "admin",
            (Some(Role::Admin), None),
            [NONE, Permissions::ALL, Permissions::ALL],
        )
        .await,
        person(&server, "member", (Some(Role::Member), None), [NONE, VIEW, NONE]).await,
        person(
            &server,
            "developer",
            (Some(Role::Member), Some(&["deploy"])),
            [NONE, deploy, deploy],
        )
        .await,
        person(&server, "viewer", (Some(Role::Viewer), None), [NONE, VIEW, NONE]).await,
        person(
            &server,
            "operator",
            (Some(Role::Collaborator), Some(&["operate"])),
            [NONE, operate, operate],
        )
        .await,
        person(&server, "helper", (None, None), [helper, NONE, NONE]).await,
        person(&server, "stranger", (None, None), [NONE; 3]).await,
    ];
    let body = json!({ "user": "helper@example.com" });
    server.post("/apps/mine/collaborators", body).await.ok();
    let gate = gate(&server);
    let mut tried = 0;
    for (route, need) in NEEDS {
        for person in &people {
            for (app, permissions) in ["mine", "ours", "locked"].into_iter().zip(person.permissions) {
                let expected = match *need {
                    Need::App(any_of, _) => permissions.any_of(any_of),
                    Need::Team(action, _) => person.role.is_some_and(|role| role.may(action)),
                    Need::Public | Need::Login | Need::Free(_) | Need::Account(_) | Need::Addon(_) => true,
                };
                let passes = passes(&gate, &person.token, route, app, "acme").await;
                assert_eq!(passes, expected, "{route} of {app} by {}", person.name);
                tried += 1;
                if !matches!(need, Need::App(..)) {
                    break;
                }
            }
        }
    }
    assert!(tried > 1000, "{tried}");
}

#[tokio::test]
async fn every_scope_gets_through_to_what_it_covers_and_to_nothing_else() {
    let server = server().await;
    server.app("mine").await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    let gate = gate(&server);
    for scope in Scope::ALL {
        let token = scoped(&server, scope).await;
        for (route, need) in NEEDS {
            let expected = match *need {
                Need::Public | Need::Login => true,
                Need::Free(needed)
                | Need::Account(needed)
                | Need::Addon(needed)
                | Need::App(_, needed)
                | Need::Team(_, needed) => scope.covers(needed),
            };
            let passes = passes(&gate, &token, route, "mine", "acme").await;
            assert_eq!(passes, expected, "{route} with {scope:?}");
        }
    }
}

#[tokio::test]
async fn a_narrow_token_makes_no_wider_one() {
    let server = server().await;
    for scope in Scope::ALL.into_iter().filter(|scope| *scope != Scope::Global) {
        let token = scoped(&server, scope).await;
        let answer = call(&server, &token, Method::POST, "/oauth/authorizations", json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{scope:?}");
        assert!(answer.text.contains("scope"), "{}", answer.text);
    }
}

/// What the body of a request asks for may want more than its endpoint.
#[tokio::test]
async fn changes_of_an_app_want_the_permission_for_what_they_change() {
    let server = server().await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    server
        .post("/teams/apps", json!({ "name": "ours", "team": "acme" }))
        .await
        .ok();
    let token = server.stranger("ann@example.com").await;
    let refused = async |body: Value| {
        let answer = call(&server, &token, Method::PATCH, "/apps/ours", body).await;
        answer.status == StatusCode::FORBIDDEN
    };
    let collaborator = "/teams/apps/ours/collaborators";
    server
        .post(
            collaborator,
            json!({ "user": "ann@example.com", "permissions": ["deploy"] }),
        )
        .await
        .ok();
    assert!(!refused(json!({ "maintenance": true })).await);
    assert!(refused(json!({ "name": "theirs" })).await);
    assert!(refused(json!({ "build_stack": "paas-12" })).await);
    let path = format!("{collaborator}/ann@example.com");
    server.patch(&path, json!({ "permissions": ["manage"] })).await.ok();
    assert!(refused(json!({ "maintenance": false })).await);
    assert!(!refused(json!({ "name": "theirs" })).await);
}

/// A log and the output of a build that somebody follows, and the end of their access.
async fn ends_with_access(server: &Server, token: &str, app: &str, remove: impl AsyncFnOnce()) {
    let path = format!("/apps/{app}/log-sessions");
    let session = call(server, token, Method::POST, &path, json!({ "tail": true }))
        .await
        .ok();
    let url = Server::path_of(&session["logplex_url"]);
    let open = async || server.open(server.request(Method::GET, &url)).await;
    let followed = open().await;
    assert_eq!(followed.status(), StatusCode::OK);
    let idle = call(server, token, Method::POST, &path, json!({ "tail": true }))
        .await
        .ok();
    let unopened = Server::path_of(&idle["logplex_url"]);
    let row = {
        let mut connection = server.platform.store.connection().await.unwrap();
        paas_store::app::find(&mut connection, app).await.unwrap().unwrap()
    };
    server.deploy(&row, &[("web", "./web")]).await;
    let builds = call(server, token, Method::GET, &format!("/apps/{app}/builds"), Value::Null).await;
    let build = &builds.json()[0];
    let mut building = server
        .platform
        .outputs
        .write(build["id"].as_str().unwrap().parse().unwrap())
        .await
        .unwrap();
    building.line("-----> Building").await.unwrap();
    let output = Server::path_of(&build["output_stream_url"]);
    let read = async || server.open(server.request(Method::GET, &output)).await;
    let reading = read().await;
    assert_eq!(reading.status(), StatusCode::OK);
    let own = &server.get(&format!("/apps/{app}/builds")).await.json()[0];
    let own = Server::path_of(&own["output_stream_url"]);

    remove().await;
    for (stream, what) in [(followed, "log"), (reading, "output")] {
        let end = tokio::time::timeout(Duration::from_secs(30), stream.into_body().collect()).await;
        assert!(end.is_ok(), "the followed {what} goes on");
    }
    assert_eq!(
        read().await.status(),
        StatusCode::NOT_FOUND,
        "the output is taken up again"
    );
    let others = server.open(server.request(Method::GET, &own)).await;
    assert_eq!(others.status(), StatusCode::OK, "others lose their output, too");
    assert_eq!(
        open().await.status(),
        StatusCode::NOT_FOUND,
        "the log is taken up again"
    );
    let late = server.get(&unopened).await;
    assert_eq!(late.status, StatusCode::NOT_FOUND, "a session from before is opened");
    let answer = call(server, token, Method::GET, &format!("/apps/{app}"), Value::Null).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_collaborator_who_is_removed_follows_nothing() {
    let server = server().await;
    server.app("mine").await;
    let token = server.stranger("ann@example.com").await;
    let body = json!({ "user": "ann@example.com" });
    server.post("/apps/mine/collaborators", body).await.ok();
    ends_with_access(&server, &token, "mine", async || {
        server.delete("/apps/mine/collaborators/ann@example.com").await.ok();
    })
    .await;
}

/// A team with an app, and the token of a member.
async fn team_with_a_member() -> (Server, String) {
    let server = server().await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    let app = json!({ "name": "ours", "team": "acme" });
    server.post("/teams/apps", app).await.ok();
    let token = server.stranger("ann@example.com").await;
    let member = json!({ "email": "ann@example.com", "role": "member" });
    server.send_json(Method::PUT, "/teams/acme/members", member).await.ok();
    (server, token)
}

#[tokio::test]
async fn a_member_who_is_removed_follows_nothing_of_any_app_of_the_team() {
    let (server, token) = team_with_a_member().await;
    ends_with_access(&server, &token, "ours", async || {
        server.delete("/teams/acme/members/ann@example.com").await.ok();
    })
    .await;
}

#[tokio::test]
async fn what_a_member_holds_open_ends_when_they_may_only_look_from_then_on() {
    let (server, token) = team_with_a_member().await;
    server.post("/teams", json!({ "name": "other" })).await.ok();
    let viewer = json!({ "email": "ann@example.com", "role": "viewer" });
    server.send_json(Method::PUT, "/teams/other/members", viewer).await.ok();
    let session = call(
        &server,
        &token,
        Method::POST,
        "/apps/ours/log-sessions",
        json!({ "tail": true }),
    );
    let url = Server::path_of(&session.await.ok()["logplex_url"]);
    let followed = server.open(server.request(Method::GET, &url)).await;
    server.patch("/teams/apps/ours", json!({ "owner": "other" })).await.ok();
    let end = tokio::time::timeout(Duration::from_secs(30), followed.into_body().collect()).await;
    assert!(end.is_ok(), "the followed log goes on");
    call(&server, &token, Method::GET, "/apps/ours", Value::Null).await.ok();
}

#[tokio::test]
async fn members_follow_nothing_of_an_app_that_is_locked_against_them() {
    let (server, token) = team_with_a_member().await;
    ends_with_access(&server, &token, "ours", async || {
        server.patch("/teams/apps/ours", json!({ "locked": true })).await.ok();
    })
    .await;
}

/// Shells and one-off dynos are registered sessions like this one.
#[tokio::test]
async fn whoever_loses_a_permission_loses_what_they_hold_open() {
    let server = server().await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    server
        .post("/teams/apps", json!({ "name": "ours", "team": "acme" }))
        .await
        .ok();
    server.stranger("ann@example.com").await;
    let body = json!({ "user": "ann@example.com", "permissions": ["deploy"] });
    server.post("/teams/apps/ours/collaborators", body).await.ok();
    let held = hold(&server, "ann@example.com", "ours").await;
    let own = hold(&server, EMAIL, "ours").await;
    let path = "/teams/apps/ours/collaborators/ann@example.com";
    server
        .patch(path, json!({ "permissions": ["deploy", "operate"] }))
        .await
        .ok();
    assert!(!held.ended().is_cancelled());
    server.patch(path, json!({ "permissions": ["operate"] })).await.ok();
    assert!(held.ended().is_cancelled());
    assert!(!own.ended().is_cancelled());
}

async fn hold(server: &Server, email: &str, app: &str) -> crate::sessions::Session {
    let mut connection = server.platform.store.connection().await.unwrap();
    let (account, _): (Account, _) = paas_store::account::by_email(&mut connection, email)
        .await
        .unwrap()
        .unwrap();
    let token = authorization::list(&mut connection, account.id, server.platform.clock.now())
        .await
        .unwrap()
        .remove(0);
    let row = paas_store::app::find(&mut connection, app).await.unwrap().unwrap();
    server.platform.sessions.begin(Holder {
        account: account.id,
        authorization: token.id,
        app: row.app.id,
    })
}

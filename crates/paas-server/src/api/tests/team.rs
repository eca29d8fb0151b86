//! Collaborators, teams and transfers, as a client sees them.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{
    access::call,
    server::{EMAIL, Server, server},
};

async fn team(server: &Server) {
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    server
        .post("/teams/apps", json!({ "name": "ours", "team": "acme" }))
        .await
        .ok();
}

async fn member(server: &Server, name: &str, role: &str) -> String {
    let email = format!("{name}@example.com");
    let token = server.stranger(&email).await;
    let body = json!({ "email": email, "role": role });
    server.send_json(Method::PUT, "/teams/acme/members", body).await.ok();
    token
}

#[tokio::test]
async fn collaborators_are_added_listed_and_removed() {
    let server = server().await;
    server.app("mine").await;
    let token = server.stranger("ann@example.com").await;
    let added = server
        .post(
            "/apps/mine/collaborators",
            json!({ "user": "ANN@example.com", "silent": true }),
        )
        .await;
    assert_eq!(added.status, StatusCode::CREATED);
    assert_eq!(added.ok()["role"], "collaborator");
    let list = server.get("/apps/mine/collaborators").await;
    let people: Vec<_> = list.column("user").iter().map(|user| user["email"].clone()).collect();
    assert_eq!(people, [EMAIL, "ann@example.com"]);
    assert_eq!(list.column("role"), ["owner", "collaborator"]);
    let names = |value: &Value| -> Vec<String> {
        let permissions = value["permissions"].as_array().unwrap();
        permissions
            .iter()
            .map(|permission| permission["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&list.json()[1]), ["deploy", "operate", "view"]);

    let again = server
        .post("/apps/mine/collaborators", json!({ "user": "ann@example.com" }))
        .await;
    assert_eq!(again.status, StatusCode::UNPROCESSABLE_ENTITY);
    let own = server.post("/apps/mine/collaborators", json!({ "user": "~" })).await;
    assert_eq!(own.status, StatusCode::UNPROCESSABLE_ENTITY);
    let nobody = server
        .post("/apps/mine/collaborators", json!({ "user": "nobody@example.com" }))
        .await;
    assert_eq!(
        (nobody.status, nobody.json()["resource"].clone()),
        (StatusCode::NOT_FOUND, json!("user"))
    );

    let apps = call(&server, &token, Method::GET, "/users/~/apps", Value::Null).await;
    assert_eq!(apps.column("name"), ["mine"]);
    assert_eq!(apps.json()[0]["owner"]["email"], EMAIL);
    let id = added.json()["id"].as_str().unwrap().to_owned();
    for name in ["ann@example.com", &id] {
        let found = server.get(&format!("/apps/mine/collaborators/{name}")).await.ok();
        assert_eq!(found["user"]["email"], "ann@example.com");
    }
    // Collaborators share, but do not give away.
    let other = server.stranger("bob@example.com").await;
    let body = json!({ "user": "bob@example.com" });
    call(&server, &token, Method::POST, "/apps/mine/collaborators", body)
        .await
        .ok();
    for (path, body) in [
        ("/apps/mine", Some(json!({ "name": "theirs" }))),
        ("/apps/mine", None),
        ("/teams/apps/mine", Some(json!({ "owner": "bob@example.com" }))),
    ] {
        let method = if body.is_some() { Method::PATCH } else { Method::DELETE };
        let answer = call(&server, &token, method, path, body.unwrap_or_default()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}: {}", answer.text);
    }
    let owner = format!("/apps/mine/collaborators/{EMAIL}");
    let answer = call(&server, &token, Method::DELETE, &owner, Value::Null).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);

    // One leaves, one is removed.
    let path = "/apps/mine/collaborators/bob@example.com";
    call(&server, &other, Method::DELETE, path, Value::Null).await.ok();
    server.delete("/apps/mine/collaborators/ann@example.com").await.ok();
    assert_eq!(
        server.delete("/apps/mine/collaborators/ann@example.com").await.status,
        StatusCode::NOT_FOUND
    );
    let apps = call(&server, &token, Method::GET, "/apps", Value::Null).await.ok();
    assert_eq!(apps, json!([]));
}

#[tokio::test]
async fn a_team_has_members_with_roles_and_always_an_admin() {
    let server = server().await;
    let made = server
        .post("/teams", json!({ "name": "acme", "card_number": "4111" }))
        .await;
    assert_eq!(
        (made.status, made.ok()["role"].clone()),
        (StatusCode::CREATED, json!("admin"))
    );
    let taken = server.post("/teams", json!({ "name": "acme" })).await;
    assert!(taken.text.contains("already taken"), "{}", taken.text);
    let ann = member(&server, "ann", "member").await;
    let members = server.get("/teams/acme/members").await;
    assert_eq!(members.column("email"), [EMAIL, "ann@example.com"]);
    assert_eq!(members.column("role"), ["admin", "member"]);

    let again = json!({ "email": "ann@example.com", "role": "viewer" });
    let answer = server.post("/teams/acme/members", again).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let body = json!({ "email": "ann@example.com", "role": "owner" });
    assert_eq!(
        server.patch("/teams/acme/members", body).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    server.stranger("bob@example.com").await;
    let body = json!({ "email": "bob@example.com", "role": "admin" });
    assert_eq!(
        server.patch("/teams/acme/members", body).await.status,
        StatusCode::NOT_FOUND
    );

    // The last admin stays, in whatever way they try to go.
    let body = json!({ "email": EMAIL, "role": "member" });
    let answer = server.patch("/teams/acme/members", body).await;
    assert!(answer.text.contains("always has an admin"), "{}", answer.text);
    let answer = server.delete(&format!("/teams/acme/members/{EMAIL}")).await;
    assert!(answer.text.contains("always has an admin"), "{}", answer.text);

    // A member looks and leaves, and changes nothing.
    let refused = call(
        &server,
        &ann,
        Method::DELETE,
        &format!("/teams/acme/members/{EMAIL}"),
        Value::Null,
    )
    .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let path = "/teams/acme/members/~";
    call(&server, &ann, Method::DELETE, path, Value::Null).await.ok();
    let gone = call(&server, &ann, Method::GET, "/teams/acme", Value::Null).await;
    assert!(
        gone.text.contains("You do not have access to the team acme."),
        "{}",
        gone.text
    );

    let body = json!({ "name": "acme-widgets" });
    assert_eq!(server.patch("/teams/acme", body).await.ok()["name"], "acme-widgets");
    server
        .post("/teams/apps", json!({ "name": "ours", "team": "acme-widgets" }))
        .await
        .ok();
    let answer = server.delete("/teams/acme-widgets").await;
    assert!(answer.text.contains("still owns apps"), "{}", answer.text);
    server.patch("/teams/apps/ours", json!({ "owner": "~" })).await.ok();
    server.delete("/teams/acme-widgets").await.ok();
    assert_eq!(server.get("/teams").await.ok(), json!([]));
    assert_eq!(server.get("/teams/acme-widgets").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_team_owns_apps_that_members_see_and_join_until_they_are_locked() {
    let server = server().await;
    team(&server).await;
    let app = server.get("/apps/ours").await.ok();
    assert_eq!(app["owner"]["email"], "acme@herokumanager.com");
    assert_eq!(app["team"]["name"], "acme");
    let ann = member(&server, "ann", "member").await;
    let joined = async |token: &str| {
        let apps = call(&server, token, Method::GET, "/teams/acme/apps", Value::Null).await;
        apps.column("joined")
    };
    assert_eq!(joined(&ann).await, [false]);
    let config = async |token: &str| {
        let answer = call(&server, token, Method::GET, "/apps/ours/config-vars", Value::Null).await;
        answer.status
    };
    assert_eq!(config(&ann).await, StatusCode::FORBIDDEN);
    // A member adds nobody else, and cannot choose what joining gives.
    server.stranger("bob@example.com").await;
    let path = "/teams/apps/ours/collaborators";
    let body = json!({ "user": "bob@example.com", "permissions": ["view"] });
    assert_eq!(
        call(&server, &ann, Method::POST, path, body).await.status,
        StatusCode::FORBIDDEN
    );
    let body = json!({ "user": "ann@example.com", "permissions": ["manage"] });
    let own = call(&server, &ann, Method::POST, path, body).await.ok();
    assert_eq!(own["role"], "member");
    assert!(!own["permissions"].to_string().contains("manage"), "{own}");
    assert_eq!(joined(&ann).await, [true]);
    assert_eq!(config(&ann).await, StatusCode::OK);
    let list = call(&server, &ann, Method::GET, "/users/~/apps", Value::Null).await;
    assert_eq!(list.column("name"), ["ours"]);

    let late = member(&server, "late", "member").await;
    assert_eq!(
        server.patch("/teams/apps/ours", json!({ "locked": true })).await.ok()["locked"],
        true
    );
    assert_eq!(joined(&late).await, Vec::<Value>::new());
    let body = json!({ "user": "~" });
    assert_eq!(
        call(&server, &late, Method::POST, path, body.clone()).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(config(&ann).await, StatusCode::OK);
    let path = "/apps/ours/collaborators/ann@example.com";
    call(&server, &ann, Method::DELETE, path, Value::Null).await.ok();
    assert_eq!(joined(&ann).await, Vec::<Value>::new());
    server.patch("/teams/apps/ours", json!({ "locked": false })).await.ok();
    assert_eq!(joined(&late).await, [false]);
    let viewer = member(&server, "viewer", "viewer").await;
    let path = "/teams/apps/ours/collaborators";
    assert_eq!(
        call(&server, &viewer, Method::POST, path, body).await.status,
        StatusCode::FORBIDDEN
    );
    let body = json!({ "name": "another", "team": "acme" });
    assert_eq!(
        call(&server, &viewer, Method::POST, "/teams/apps", body).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_outside_collaborator_is_one_of_the_team_and_sees_nothing_else_of_it() {
    let server = server().await;
    team(&server).await;
    server
        .post("/teams/apps", json!({ "name": "other", "team": "acme" }))
        .await
        .ok();
    let token = server.stranger("ann@example.com").await;
    let body = json!({ "user": "ann@example.com", "permissions": ["operate"] });
    server.post("/teams/apps/ours/collaborators", body).await.ok();
    let teams = call(&server, &token, Method::GET, "/teams", Value::Null).await;
    assert_eq!(teams.column("role"), ["collaborator"]);
    let apps = call(&server, &token, Method::GET, "/teams/acme/apps", Value::Null).await;
    assert_eq!(apps.column("name"), ["ours"]);
    let members = call(&server, &token, Method::GET, "/teams/acme/members", Value::Null).await;
    assert_eq!(members.status, StatusCode::FORBIDDEN);
    assert_eq!(
        server.get("/teams/acme/members").await.column("role"),
        ["admin", "collaborator"]
    );
    server.delete("/teams/acme/members/ann@example.com").await.ok();
    let gone = call(&server, &token, Method::GET, "/apps/ours", Value::Null).await;
    assert_eq!(gone.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_offered_app_changes_its_owner_when_it_is_accepted() {
    let server = server().await;
    server.app("mine").await;
    let ann = server.stranger("ann@example.com").await;
    let bob = server.stranger("bob@example.com").await;
    let offer = json!({ "app": "mine", "recipient": "ann@example.com" });
    let made = server.post("/account/app-transfers", offer.clone()).await;
    assert_eq!(
        (made.status, made.ok()["state"].clone()),
        (StatusCode::CREATED, json!("pending"))
    );
    let path = format!("/account/app-transfers/{}", made.json()["id"].as_str().unwrap());
    let twice = server.post("/account/app-transfers", offer).await;
    assert_eq!(twice.status, StatusCode::UNPROCESSABLE_ENTITY);

    // An offer gives nothing yet, and concerns two people.
    let early = call(&server, &ann, Method::GET, "/apps/mine", Value::Null).await;
    assert_eq!(early.status, StatusCode::FORBIDDEN);
    let accept = json!({ "state": "accepted" });
    assert_eq!(server.patch(&path, accept.clone()).await.status, StatusCode::FORBIDDEN);
    let answer = call(&server, &bob, Method::PATCH, &path, accept.clone()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(
        call(&server, &ann, Method::DELETE, &path, Value::Null).await.status,
        StatusCode::FORBIDDEN
    );

    let named = "/account/app-transfers/mine";
    let accepted = call(&server, &ann, Method::PATCH, named, accept.clone()).await.ok();
    assert_eq!(accepted["state"], "accepted");
    let app = call(&server, &ann, Method::GET, "/apps/mine", Value::Null).await.ok();
    assert_eq!(app["owner"]["email"], "ann@example.com");
    assert_eq!(
        server.patch("/apps/mine", json!({ "name": "still" })).await.status,
        StatusCode::FORBIDDEN
    );
    server.get("/apps/mine/config-vars").await.ok();
    let again = call(&server, &ann, Method::PATCH, &path, accept).await;
    assert_eq!(again.status, StatusCode::CONFLICT);

    // Back again: declined, then taken back.
    server.tick();
    let offer = json!({ "app": "mine", "recipient": EMAIL });
    call(&server, &ann, Method::POST, "/account/app-transfers", offer.clone())
        .await
        .ok();
    assert_eq!(
        server.patch(named, json!({ "state": "declined" })).await.ok()["state"],
        "declined"
    );
    call(&server, &ann, Method::POST, "/account/app-transfers", offer)
        .await
        .ok();
    call(&server, &ann, Method::DELETE, named, Value::Null).await.ok();
    let late = server.patch(named, json!({ "state": "accepted" })).await;
    assert_eq!(late.status, StatusCode::CONFLICT);
    let not_mine = json!({ "app": "mine", "recipient": "bob@example.com" });
    assert_eq!(
        server.post("/account/app-transfers", not_mine).await.status,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn an_app_moves_into_a_team_at_once_and_out_of_it_without_its_collaborators() {
    let server = server().await;
    server.app("mine").await;
    server.post("/teams", json!({ "name": "acme" })).await.ok();
    let ann = member(&server, "ann", "member").await;
    server.app("other").await;
    let offer = json!({ "app": "mine", "recipient": "ann@example.com" });
    server.post("/account/app-transfers", offer).await.ok();
    assert_eq!(
        server.patch("/teams/apps/mine", json!({ "owner": "acme" })).await.ok()["team"]["name"],
        "acme"
    );
    // What was offered before is off.
    let accept = json!({ "state": "accepted" });
    let answer = call(&server, &ann, Method::PATCH, "/account/app-transfers/mine", accept).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    server.get("/teams/acme/apps").await.ok();
    call(&server, &ann, Method::GET, "/apps/mine", Value::Null).await.ok();

    server.stranger("bob@example.com").await;
    let body = json!({ "user": "bob@example.com", "permissions": ["view"] });
    server.post("/teams/apps/mine/collaborators", body).await.ok();
    let outsider = server.stranger("eve@example.com").await;
    let answer = server
        .patch("/teams/apps/mine", json!({ "owner": "eve@example.com" }))
        .await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let answer = call(
        &server,
        &outsider,
        Method::PATCH,
        "/teams/apps/mine",
        json!({ "owner": "~" }),
    )
    .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    server.patch("/teams/apps/mine", json!({ "owner": EMAIL })).await.ok();
    let app = server.get("/apps/mine").await.ok();
    assert_eq!(
        (app["owner"]["email"].clone(), app["team"].clone()),
        (json!(EMAIL), Value::Null)
    );
    assert_eq!(server.get("/apps/mine/collaborators").await.column("role"), ["owner"]);
    // Nobody brings an app into a team of others.
    let theirs = call(&server, &outsider, Method::POST, "/apps", json!({ "name": "theirs" })).await;
    theirs.ok();
    let answer = call(
        &server,
        &outsider,
        Method::PATCH,
        "/teams/apps/theirs",
        json!({ "owner": "acme" }),
    )
    .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

/// The client holds each against its shape.
#[tokio::test]
async fn all_that_can_be_asked_about_teams_is_answered() {
    let server = server().await;
    team(&server).await;
    server.app("mine").await;
    member(&server, "ann", "member").await;
    let offer = json!({ "app": "mine", "recipient": "ann@example.com" });
    server.post("/account/app-transfers", offer).await.ok();
    let added = json!({ "user": "ann@example.com", "permissions": ["deploy"] });
    server.post("/teams/apps/ours/collaborators", added).await.ok();
    for path in [
        "/teams",
        "/teams/acme",
        "/teams/acme/members",
        "/teams/acme/members/ann@example.com/apps",
        "/teams/acme/apps",
        "/teams/acme/features",
        "/teams/acme/features/org-access-controls",
        "/teams/apps/ours",
        "/teams/apps/ours/collaborators",
        "/teams/apps/ours/collaborators/ann@example.com",
        "/account/app-transfers",
        "/account/app-transfers/mine",
        "/apps/ours",
    ] {
        assert_ne!(server.get(path).await.ok(), json!([]), "{path}");
    }
    assert_eq!(server.get("/teams/acme/invitations").await.ok(), json!([]));
    assert_eq!(
        server.get("/teams/permissions").await.column("name"),
        ["deploy", "manage", "operate", "view"]
    );
}

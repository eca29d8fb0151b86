use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{account, app},
    platform::Paas,
};

const ID: &str = "01234567-89ab-7def-8123-456789abcdef";
const TIME: &str = "2026-01-02T03:04:05Z";

fn collaborator(email: &str, role: &str, permissions: &[&str]) -> Value {
    let permissions: Vec<_> = permissions
        .iter()
        .map(|name| json!({ "description": "", "name": name }))
        .collect();
    json!({
        "app": { "id": ID, "name": "hello" }, "created_at": TIME, "id": ID, "permissions": permissions, "role": role,
        "updated_at": TIME, "user": { "email": email, "federated": false, "id": ID }
    })
}

fn team(name: &str, role: &str) -> Value {
    json!({
        "created_at": TIME, "credit_card_collections": false, "default": false, "enterprise_account": null, "id": ID,
        "identity_provider": null, "membership_limit": null, "name": name, "pipeline_cost_consent_at": null,
        "pipeline_cost_consent_user_email": null, "provisioned_licenses": false, "role": role, "type": "team",
        "updated_at": TIME
    })
}

fn member(email: &str, role: &str) -> Value {
    json!({
        "created_at": TIME, "email": email, "federated": false, "id": ID, "identity_provider": null, "role": role,
        "two_factor_authentication": false, "updated_at": TIME, "user": { "email": email, "id": ID, "name": null }
    })
}

fn team_app(locked: bool) -> Value {
    let mut app = app("hello");
    app["generation"] = "cedar".into();
    app["joined"] = true.into();
    app["locked"] = locked.into();
    app["team"] = json!({ "name": "acme" });
    app
}

fn owned_by_team() -> Value {
    let mut app = app("hello");
    app["owner"]["email"] = "acme@herokumanager.com".into();
    app["team"] = json!({ "id": ID, "name": "acme" });
    app
}

fn transfer(state: &str) -> Value {
    json!({
        "app": { "id": ID, "name": "hello" }, "created_at": TIME, "id": ID,
        "owner": { "email": "dev@example.com", "id": ID }, "recipient": { "email": "ann@example.com", "id": ID },
        "state": state, "updated_at": TIME
    })
}

#[test]
fn access_to_an_app_of_ones_own() {
    let ann = collaborator("ann@example.com", "collaborator", &["view", "deploy", "operate"]);
    let paas = Paas::new()
        .on("GET /apps/hello", app("hello"))
        .on(
            "GET /apps/hello/collaborators",
            json!([
                collaborator("dev@example.com", "owner", &["deploy", "manage", "operate", "view"]),
                ann
            ]),
        )
        .on("POST /apps/hello/collaborators", ann.clone())
        .on("DELETE /apps/hello/collaborators/ann%40example.com", ann);
    assert_snapshot!(paas.run("access -a hello"), @r"
    exit: 0
    --- stdout
      email             role           permissions
     ────────────────────────────────────────────────────────────────
      ann@example.com   collaborator   deploy, operate, view
      dev@example.com   owner          deploy, manage, operate, view

    --- requests
    GET /apps/hello
    GET /apps/hello/collaborators | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("access:add ann@example.com -a hello"), @r#"
    exit: 0
    --- stderr
    Adding ann@example.com access to the app hello... done
    --- requests
    GET /apps/hello
    POST /apps/hello/collaborators | {"user":"ann@example.com"}
    "#);
    assert_snapshot!(paas.run("access:update ann@example.com -a hello --permissions deploy"), @r"
    exit: 1
    --- stderr
     !    cannot update permissions. The app hello is not owned by a team
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("access:remove ann@example.com -a hello"), @r"
    exit: 0
    --- stderr
    Removing ann@example.com access from the app hello... done
    --- requests
    DELETE /apps/hello/collaborators/ann%40example.com
    ");
}

#[test]
fn access_to_the_app_of_a_team() {
    let ann = collaborator("ann@example.com", "member", &["deploy", "view"]);
    let paas = Paas::new()
        .on("GET /apps/hello", owned_by_team())
        .on(
            "GET /apps/hello/collaborators",
            json!([collaborator("acme@herokumanager.com", "owner", &["manage"]), ann]),
        )
        .on(
            "GET /teams/acme/members",
            json!([member("dev@example.com", "admin"), member("ann@example.com", "member")]),
        )
        .on(
            "GET /teams/permissions",
            json!([{ "description": "", "name": "deploy" }, { "description": "", "name": "manage" }]),
        )
        .on("POST /teams/apps/hello/collaborators", ann.clone())
        .on("PATCH /teams/apps/hello/collaborators/ann%40example.com", ann.clone())
        .on("GET /account", account())
        .on("DELETE /apps/hello/collaborators/dev%40example.com", ann);
    assert_snapshot!(paas.run("access -a hello"), @r"
    exit: 0
    --- stdout
      email             role     permissions
     ───────────────────────────────────────────
      ann@example.com   member   deploy, view
      dev@example.com   admin    deploy, manage

    --- requests
    GET /apps/hello
    GET /apps/hello/collaborators | range=id ..; max=1000
    GET /teams/acme/members | range=id ..; max=1000
    GET /teams/permissions
    ");
    assert_snapshot!(paas.run("access:add ann@example.com -a hello"), @r"
    exit: 2
    --- stderr
     !    The app of a team takes permissions: add --permissions deploy,operate
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("access:add ann@example.com -a hello --permissions operate,deploy"), @r#"
    exit: 0
    --- stderr
    Adding ann@example.com access to the app hello with deploy, operate, view permissions... done
    --- requests
    GET /apps/hello
    POST /teams/apps/hello/collaborators | {"permissions":["deploy","operate","view"],"user":"ann@example.com"}
    "#);
    assert_snapshot!(paas.run("access:update ann@example.com -a hello -p deploy"), @r#"
    exit: 0
    --- stderr
    Updating ann@example.com in application hello with deploy,view permissions... done
    --- requests
    GET /apps/hello
    PATCH /teams/apps/hello/collaborators/ann%40example.com | {"permissions":["deploy","view"]}
    "#);
    assert_snapshot!(paas.run("apps:join -a hello"), @r#"
    exit: 0
    --- stderr
    Joining hello... done
    --- requests
    GET /account
    POST /teams/apps/hello/collaborators | {"user":"dev@example.com"}
    "#);
    assert_snapshot!(paas.run("apps:leave -a hello"), @r"
    exit: 0
    --- stderr
    Leaving hello... done
    --- requests
    GET /account
    DELETE /apps/hello/collaborators/dev%40example.com
    ");
}

#[test]
fn teams_and_their_members() {
    let paas = Paas::new()
        .on("GET /teams", json!([team("widgets", "member"), team("acme", "admin")]))
        .on("POST /teams", team("acme", "admin"))
        .on("DELETE /teams/acme", team("acme", "admin"))
        .on(
            "GET /teams/acme/members",
            json!([member("dev@example.com", "admin"), member("ann@example.com", "member")]),
        )
        .on("PUT /teams/acme/members", member("ann@example.com", "member"))
        .on("PATCH /teams/acme/members", member("ann@example.com", "admin"))
        .on(
            "DELETE /teams/acme/members/ann%40example.com",
            member("ann@example.com", "admin"),
        );
    assert_snapshot!(paas.run("teams"), @r"
    exit: 0
    --- stdout
      Team      Role
     ──────────────────
      acme      admin
      widgets   member

    --- requests
    GET /teams | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("teams:create acme"), @r#"
    exit: 0
    --- stderr
    Creating team acme... done
    --- requests
    POST /teams | {"name":"acme"}
    "#);
    assert_snapshot!(paas.run("teams:destroy acme --confirm acme"), @r"
    exit: 0
    --- stderr
    Destroying team acme... done
    --- requests
    DELETE /teams/acme
    ");
    assert_snapshot!(paas.run("members --team acme"), @r"
    exit: 0
    --- stdout
      email             role
     ──────────────────────────
      ann@example.com   member
      dev@example.com   admin

    --- requests
    GET /teams/acme/members | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("members --team acme --role viewer"), @r"
    exit: 0
    --- stdout
    No members in acme with role viewer
    --- requests
    GET /teams/acme/members | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("members:add ann@example.com --role member --team acme"), @r#"
    exit: 0
    --- stderr
    Adding ann@example.com to acme as member... done
    --- requests
    PUT /teams/acme/members | {"email":"ann@example.com","role":"member"}
    "#);
    assert_snapshot!(paas.run("members:set ann@example.com --role admin -t acme"), @r#"
    exit: 0
    --- stderr
    Adding ann@example.com to acme as admin... done
    --- requests
    PATCH /teams/acme/members | {"email":"ann@example.com","role":"admin"}
    "#);
    assert_snapshot!(paas.run("members:remove ann@example.com -t acme"), @r"
    exit: 0
    --- stderr
    Removing ann@example.com from acme... done
    --- requests
    DELETE /teams/acme/members/ann%40example.com
    ");
}

#[test]
fn apps_are_locked_and_change_hands() {
    let paas = Paas::new()
        .on("GET /teams/apps/hello", team_app(false))
        .on("PATCH /teams/apps/hello", team_app(true))
        .on("GET /apps/hello", app("hello"))
        .on("POST /account/app-transfers", transfer("pending"))
        .on("GET /account/app-transfers", json!([transfer("pending")]))
        .on("PATCH /account/app-transfers/hello", transfer("accepted"))
        .on("DELETE /account/app-transfers/hello", transfer("pending"));
    assert_snapshot!(paas.run("apps:lock -a hello"), @r#"
    exit: 0
    --- stderr
    Locking hello... done
    --- requests
    GET /teams/apps/hello
    PATCH /teams/apps/hello | {"locked":true}
    "#);
    assert_snapshot!(paas.run("apps:unlock -a hello"), @r"
    exit: 1
    --- stderr
     !    cannot unlock hello.
     !    This app is not locked.
    --- requests
    GET /teams/apps/hello
    ");
    assert_snapshot!(paas.run("apps:transfer acme -a hello --locked"), @r#"
    exit: 0
    --- stderr
    Transferring hello to acme... done
    Locking hello... done
    --- requests
    GET /apps/hello
    PATCH /teams/apps/hello | {"owner":"acme"}
    GET /teams/apps/hello
    PATCH /teams/apps/hello | {"locked":true}
    "#);
    assert_snapshot!(paas.run("apps:transfer ann@example.com -a hello"), @r#"
    exit: 0
    --- stderr
    Initiating transfer of hello to ann@example.com... done
    ann@example.com owns it from when they run: paas apps:transfers:accept hello
    --- requests
    GET /apps/hello
    POST /account/app-transfers | {"app":"hello","recipient":"ann@example.com"}
    "#);
    assert_snapshot!(paas.run("apps:transfers"), @r"
    exit: 0
    --- stdout
      app     from              to                state
     ─────────────────────────────────────────────────────
      hello   dev@example.com   ann@example.com   pending

    --- requests
    GET /account/app-transfers | range=id ..; max=1000
    ");
    assert_snapshot!(paas.run("apps:transfers:accept hello"), @r#"
    exit: 0
    --- stderr
    Accepting the transfer of hello... done
    --- requests
    PATCH /account/app-transfers/hello | {"state":"accepted"}
    "#);
    assert_snapshot!(paas.run("apps:transfers:decline hello"), @r#"
    exit: 0
    --- stderr
    Declining the transfer of hello... done
    --- requests
    PATCH /account/app-transfers/hello | {"state":"declined"}
    "#);
    assert_snapshot!(paas.run("apps:transfers:cancel hello"), @r"
    exit: 0
    --- stderr
    Cancelling the transfer of hello... done
    --- requests
    DELETE /account/app-transfers/hello
    ");
}

#[test]
fn an_app_is_made_for_a_team() {
    let mut made = team_app(true);
    made["owner"]["email"] = "acme@herokumanager.com".into();
    let paas = Paas::new()
        .on("POST /teams/apps", made)
        .on("GET /apps/hello", owned_by_team());
    assert_snapshot!(paas.run("create hello --team acme --locked"), @r#"
    exit: 0
    --- stdout
    http://hello.localhost:8080/ | http://127.0.0.1:5050/hello.git
    --- stderr
    Creating hello... done
    --- requests
    POST /teams/apps | {"locked":true,"name":"hello","team":"acme"}
    GET /apps/hello
    "#);
    let paas = Paas::new();
    assert_snapshot!(paas.run("create hello --locked"), @r"
    exit: 2
    --- stderr
     !    the following required arguments were not provided: --team <TEAM>

    hint: write `paas create --team <TEAM> --locked <NAME>`
    ");
}

#[test]
fn the_apps_of_others_and_of_a_team_are_listed_apart() {
    let paas = Paas::new()
        .on("GET /users/~/apps", json!([owned_by_team(), app("mine")]))
        .on("GET /account", account());
    assert_snapshot!(paas.run("apps"), @r"
    exit: 0
    --- stdout
    === dev@example.com Apps

    mine

    Collaborated Apps

      Name    Email
     ────────────────────────────────
      hello   acme@herokumanager.com

    --- requests
    GET /users/~/apps | range=id ..; max=1000
    GET /account
    ");
    let paas = Paas::new().on("GET /teams/acme/apps", json!([team_app(true)]));
    assert_snapshot!(paas.run("apps --team acme"), @r"
    exit: 0
    --- stdout
    === Apps in team acme

    hello [locked]
    --- requests
    GET /teams/acme/apps | range=id ..; max=1000
    ");
    let paas = Paas::new().on("GET /teams/acme/apps", json!([]));
    assert_snapshot!(paas.run("apps -t acme"), @r"
    exit: 0
    --- stdout
    There are no apps in team acme.
    --- requests
    GET /teams/acme/apps | range=id ..; max=1000
    ");
}

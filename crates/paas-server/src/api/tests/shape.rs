//! Every answer has every field of the published schema, with its type, and no other.

use paas_api::Time;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    people::KEY,
    server::{Server, server},
};

/// The shapes, in the words of the published schema: `name type`, `?` where null is allowed, `|` for one of several.
const SHAPES: [(&str, &str); 39] = [
    (
        "account",
        "allow_tracking bool; beta bool; created_at time; email email; federated bool; id uuid; identity_provider \
         {id:uuid, name:str, team:{name:str}, organization:{name:str}, owner:{id:uuid, name:str, \
         type:enum(team/enterprise-account)}}?; last_login time?; name str?; sms_number str?; suspended_at time?; \
         delinquent_at time?; two_factor_authentication bool; updated_at time; verified bool; country_of_residence str?; \
         default_organization {id:uuid, name:str}?; default_team {id:uuid, name:str}?; eco_dynos_enabled bool; \
         eco_dynos_shutdown_at time?; pipeline_cost_consent_at time?; acknowledged_msa bool; acknowledged_msa_at time?; \
         italian_customer_terms str?; italian_partner_terms str?; mfa_enabled bool; mfa_exemption bool; \
         mfa_exemption_reason str?; mfa_experience enum(vaas/legacy)",
    ),
    (
        "app",
        "acm bool; archived_at time?; buildpack_provided_description str?; build_stack {id:uuid, name:str}; created_at \
         time; generation {id:uuid, name:str}; git_url str; id uuid; internal_routing bool?; maintenance bool; name str; \
         owner {email:email, id:uuid}; organization {id:uuid, name:str}?; team {id:uuid, name:str}?; region {id:uuid, \
         name:str}; released_at time?; repo_size int?; slug_size int?; space {id:uuid, name:str, shield:bool}?; stack \
         {id:uuid, name:str}; updated_at time; web_url uri?; base_image_name str?; buildpacks [{id:str, version:str, \
         homepage:str}]?; current_build_architecture [str]",
    ),
    (
        "build",
        "app {id:uuid}; buildpacks [{url:str, name:str}]?; created_at time; generation str; id uuid; output_stream_url \
         str; source_blob {checksum:str?, url:str, version:str?, version_description:str?}; release {id:uuid}?; slug \
         {id:uuid}?; stack str; status enum(failed/pending/succeeded); updated_at time; user {id:uuid, email:email}; labs \
         obj",
    ),
    (
        "release",
        "addon_plan_names [str]; artifacts [{type:str, id:uuid}]; app {name:str, id:uuid}; created_at time; description \
         str; id uuid; updated_at time; slug {id:uuid}?; status enum(failed/pending/succeeded/expired); user {id:uuid, \
         email:email}; version int; current bool; output_stream_url str?; eligible_for_rollback bool; oci_image {id:uuid}?",
    ),
    (
        "slug",
        "blob {method:str, url:str}; buildpack_provided_description str?; checksum str?; commit str?; commit_description \
         str?; created_at time; id uuid; process_types obj; size int?; stack {id:uuid, name:str}; updated_at time; \
         deleted_at time?",
    ),
    (
        "app-setup",
        "id uuid; created_at time; updated_at time; status enum(failed/pending/succeeded); failure_message str?; app {id:uuid, \
         name:str}; build {id:uuid, status:enum(failed/pending/succeeded), output_stream_url:str}?; manifest_errors [str]; \
         postdeploy {output:str, exit_code:int}?; resolved_success_url str?",
    ),
    (
        "build-result",
        "build {id:uuid, output_stream_url:str, status:enum(failed/succeeded)}; exit_code int; lines [{line:str, stream:str}]",
    ),
    (
        "registry-buildpack",
        "blob_url str; category str; created_at time; description str; id uuid; logo str?; name str; namespace str; source \
         {type:str}; support {address:str, method:str}; two_factor_authentication bool; updated_at time",
    ),
    ("source", "source_blob {get_url:str, put_url:str}"),
    (
        "collaborator",
        "app {name:str, id:uuid}; created_at time; id uuid; permissions [{name:str, description:str}]; role \
         enum(admin/collaborator/member/owner)?; updated_at time; user {email:email, federated:bool, id:uuid}",
    ),
    (
        "team",
        "id uuid; created_at time; credit_card_collections bool; default bool; enterprise_account {id:uuid, name:str}?; \
         identity_provider {id:uuid, name:str, owner:{id:uuid, name:str, type:enum(team/enterprise-account)}}?; \
         membership_limit num?; name str; provisioned_licenses bool; role enum(admin/collaborator/member/owner)?; type \
         enum(enterprise/team); updated_at time; pipeline_cost_consent_at time?; pipeline_cost_consent_user_email str?",
    ),
    (
        "team-app",
        "archived_at time?; buildpack_provided_description str?; build_stack {id:uuid, name:str}; created_at time; git_url \
         str; id uuid; internal_routing bool?; joined bool; locked bool; maintenance bool; name str; team {name:str}?; owner \
         {email:email, id:uuid}?; region {id:uuid, name:str}; released_at time?; repo_size int?; slug_size int?; space \
         {id:uuid, name:str}?; stack {id:uuid, name:str}; updated_at time; web_url uri?; base_image_name str?; buildpacks \
         [{id:str, version:str, homepage:str}]?; current_build_architecture [str]; generation str",
    ),
    (
        "team-member",
        "created_at time; email str; federated bool; id uuid; identity_provider {id:uuid, name:str, redacted:bool, \
         owner:{id:uuid, name:str, type:enum(team/enterprise-account)}}?; role enum(admin/collaborator/member/owner)?; \
         two_factor_authentication bool; updated_at time; user {email:email, id:uuid, name:str?}",
    ),
    (
        "team-feature",
        "created_at time; description str; doc_url str; enabled bool; id uuid; name str; state str; updated_at time; \
         display_name str; feedback_email str",
    ),
    (
        "app-transfer",
        "app {name:str, id:uuid}; created_at time; id uuid; owner {email:email, id:uuid}; recipient {email:email, id:uuid}; \
         state enum(pending/accepted/declined); updated_at time",
    ),
    (
        "domain",
        "acm_status str?; acm_status_reason str?; addresses [str]; app {name:str, id:uuid}; cname str?; created_at time; hostname str; id \
         uuid; kind enum(heroku/custom); updated_at time; status str; sni_endpoint {name:str, id:uuid}?",
    ),
    (
        "dyno",
        "attach_url str?; command str; created_at time; id uuid; name str; release {id:uuid, version:int}; app {name:str, \
         id:uuid}; size str; state str; type str; updated_at time",
    ),
    (
        "dyno-size",
        "architecture str; compute int; cost obj?; dedicated bool; precise_dyno_units num; generation {id:uuid, name:str}; \
         id uuid; memory num; name str; private_space_only bool; can_autoscale bool; infrastructure_tier str; \
         product_dyno_tier str",
    ),
    (
        "formation",
        "app {name:str, id:uuid}; command str; created_at time; dyno_size {id:uuid, name:str}; id uuid; quantity int; size \
         str; type str; updated_at time",
    ),
    (
        "log-drain",
        "addon {id:uuid, name:str, app:{id:uuid, name:str}}?; app {id:uuid, name:str}?; created_at time; id uuid; token str; \
         updated_at time; url str",
    ),
    (
        "webhook",
        "app {id:uuid, name:str}; created_at time; id uuid; include [str]; level enum(notify/sync); updated_at time; url uri",
    ),
    (
        "webhook-delivery",
        "created_at time; event {id:uuid, include:str}; id uuid; last_attempt {id:uuid, code:int?, error_class:str?, \
         status:enum(scheduled/succeeded/failed), created_at:time, updated_at:time}?; next_attempt_at time?; num_attempts \
         int; status enum(pending/scheduled/retrying/failed/succeeded); updated_at time; webhook {id:uuid, \
         level:enum(notify/sync)}",
    ),
    (
        "webhook-event",
        "created_at time; id uuid; include str; payload {action:str, actor:{email:email, id:uuid}, data:obj, \
         previous_data:obj, published_at:time, resource:str, version:str}; updated_at time",
    ),
    (
        "log-session",
        "created_at time; id uuid; logplex_url str; updated_at time",
    ),
    (
        "oauth-authorization",
        "access_token {expires_in:int?, id:uuid, token:str}?; client {id:uuid, name:str, redirect_uri:str}?; created_at \
         time; description str; grant {code:str, expires_in:int, id:uuid}?; id uuid; refresh_token {expires_in:int?, \
         id:uuid, token:str}?; scope [str]; session {id:uuid}?; updated_at time; user {id:uuid, email:email, \
         full_name:str?}",
    ),
    (
        "oauth-client",
        "created_at time; id uuid; ignores_delinquent bool?; name str; redirect_uri str; secret str; updated_at time",
    ),
    (
        "session",
        "created_at time; description str; expires_in int?; id uuid; updated_at time",
    ),
    (
        "key",
        "comment str; created_at time; email str; fingerprint str; id uuid; public_key str; updated_at time",
    ),
    ("rate-limit", "remaining int"),
    (
        "region",
        "country str; created_at time; description str; id uuid; locale str; name str; private_capable bool; provider \
         {name:str, region:enum(ap-south-1/eu-west-1/ap-southeast-1/ap-southeast-2/eu-central-1/eu-west-2/ap-northeast-2/\
         ap-northeast-1/us-east-1/sa-east-1/us-west-1/us-west-2/ca-central-1)}; updated_at time",
    ),
    (
        "stack",
        "default bool; created_at time; id uuid; name str; state str; updated_at time",
    ),
    ("buildpack-installation", "ordinal int; buildpack {url:str, name:str}"),
    (
        "sni-endpoint",
        "certificate_chain str; created_at time; id uuid; name str; updated_at time; display_name str?; domains [uuid]; app \
         {id:uuid, name:str}; ssl_cert {acm:bool, ca_signed?:bool, cert_domains:[str], expires_at:time, issuer:str, \
         self_signed?:bool, starts_at:time, subject:str, id:uuid}",
    ),
    (
        "app-feature",
        "created_at time; description str; doc_url str; enabled bool; id uuid; name str; state str; updated_at time; \
         display_name str; feedback_email str",
    ),
    (
        "acm",
        "attempts int; expires_at time?; hostname str; last_try_at time?; next_try_at time?; reason str?; status str?",
    ),
    (
        "routing",
        "app {id:uuid, name:str}; boot_timeout_seconds int?; hsts_seconds int?; https_redirect bool; idle_timeout_seconds \
         int?; response_timeout_seconds int?; session_affinity bool; sleep_after_seconds int?",
    ),
    ("error", "id str; message str"),
    ("missing", "id str; message str; resource str"),
    ("nothing", ""),
];

#[tokio::test]
async fn clients_and_keys_have_the_shape_of_the_published_schema() {
    let server = server().await;
    let client = json!({ "name": "Amazing", "redirect_uri": "https://example.com/" });
    for (path, body, shape) in [
        ("/oauth/clients", client, "oauth-client"),
        ("/account/keys", json!({ "public_key": KEY }), "key"),
    ] {
        check(path, shape, &server.post(path, body).await.ok());
        check(path, shape, &server.get(path).await.ok());
    }
}

#[tokio::test]
async fn every_answer_has_the_shape_of_the_published_schema() {
    let server = server().await;
    let app = server.app("hello").await;
    let release = server.deploy(&app, &[("web", "./web"), ("release", "./migrate")]).await;
    let release = finish(&server, release).await;
    let dyno = server.dyno(&release, "web.1").await;
    let builds = server.get("/apps/hello/builds").await.column("id");
    let build = builds[0].as_str().unwrap();
    let slug = release.release.slug.unwrap();
    let authorizations = server.get("/oauth/authorizations").await.column("id");
    let authorization = authorizations[0].as_str().unwrap();

    let domain = json!({ "hostname": "www.example.com", "sni_endpoint": null });
    let domain = server.post("/apps/hello/domains", domain).await.ok();
    check("/apps/hello/domains", "domain", &domain);

    let drain = json!({ "url": "https://logs.example.com" });
    let drain = server.post("/apps/hello/log-drains", drain).await.ok();
    check("/apps/hello/log-drains", "log-drain", &drain);
    let drain = drain["token"].as_str().unwrap();

    for (path, shape) in [
        ("/account", "account"),
        ("/users/~", "account"),
        ("/account/rate-limits", "rate-limit"),
        ("/apps", "app"),
        ("/users/~/apps", "app"),
        ("/apps/hello", "app"),
        (&format!("/apps/{}", app.app.id), "app"),
        ("/apps/hello/builds", "build"),
        (&format!("/apps/hello/builds/{build}"), "build"),
        (&format!("/apps/hello/builds/{build}/result"), "build-result"),
        ("/apps/hello/releases", "release"),
        ("/apps/hello/releases/3", "release"),
        (&format!("/apps/hello/slugs/{slug}"), "slug"),
        ("/apps/hello/collaborators", "collaborator"),
        ("/apps/hello/domains", "domain"),
        ("/apps/hello/domains/hello.example.test", "domain"),
        ("/apps/hello/domains/www.example.com", "domain"),
        ("/apps/hello/log-drains", "log-drain"),
        (&format!("/apps/hello/log-drains/{drain}"), "log-drain"),
        ("/apps/hello/acm", "acm"),
        ("/apps/hello/features", "app-feature"),
        ("/apps/hello/features/hsts", "app-feature"),
        ("/apps/hello/routing", "routing"),
        ("/apps/hello/dynos", "dyno"),
        ("/apps/hello/dynos/web.1", "dyno"),
        (&format!("/apps/hello/dynos/{dyno}"), "dyno"),
        ("/dyno-sizes", "dyno-size"),
        ("/dyno-sizes/standard-1x", "dyno-size"),
        ("/apps/hello/formation", "formation"),
        ("/apps/hello/formation/web", "formation"),
        ("/oauth/authorizations", "oauth-authorization"),
        (&format!("/oauth/authorizations/{authorization}"), "oauth-authorization"),
        ("/regions", "region"),
        ("/regions/us", "region"),
        ("/stacks", "stack"),
        ("/stacks/paas-12", "stack"),
        ("/apps/hello/available-stacks", "stack"),
        ("/apps/hello/available-dyno-sizes", "dyno-size"),
    ] {
        check(path, shape, &server.get(path).await.ok());
    }
    for (path, body, shape) in [
        ("/apps", json!({}), "app"),
        ("/apps/hello/log-sessions", json!({ "lines": 5 }), "log-session"),
        ("/sources", json!({}), "source"),
        ("/apps/hello/sources", json!({}), "source"),
        (
            "/apps/hello/slugs",
            json!({ "process_types": { "web": "./web" } }),
            "slug",
        ),
        (
            "/oauth/authorizations",
            json!({ "description": "ci", "expires_in": 60 }),
            "oauth-authorization",
        ),
        ("/apps/hello/releases", json!({ "release": "v3" }), "release"),
        (
            "/filters/apps",
            json!({ "in": { "id": [app.app.id.to_string()] } }),
            "app",
        ),
    ] {
        check(path, shape, &server.post(path, body).await.ok());
    }
    for (path, body, shape) in [
        ("/apps/hello", json!({ "maintenance": true }), "app"),
        (
            "/apps/hello/formation",
            json!({ "updates": [{ "type": "web", "quantity": "2" }] }),
            "formation",
        ),
        ("/apps/hello/formation/web", json!({ "quantity": 1 }), "formation"),
    ] {
        check(path, shape, &server.patch(path, body).await.ok());
    }
    check("/nowhere", "error", &server.get("/nowhere").await.json());
    check("/apps/none", "missing", &server.get("/apps/none").await.json());
    let accepted = server.delete("/apps/hello/dynos").await.ok();
    check("/apps/hello/dynos", "nothing", &accepted);
}

#[tokio::test]
async fn lists_of_what_the_platform_does_not_have_are_empty() {
    let server = server().await;
    server.app("hello").await;
    for path in [
        "/apps/hello/addons",
        "/apps/hello/addon-attachments",
        "/apps/hello/buildpack-installations",
        "/apps/hello/log-drains",
        "/apps/hello/telemetry-drains",
        "/account/features",
        "/addons",
        "/addon-attachments",
        "/addon-services",
        "/users/~/addons",
        "/apps/hello/oci-images",
        "/pipelines",
        "/pipeline-couplings",
        "/users/~/pipeline-couplings",
        "/spaces",
        "/teams",
        "/account/app-transfers",
    ] {
        assert_eq!(server.get(path).await.ok(), json!([]), "{path}");
    }
}

/// Heroku's command goes on without these, if they are told in its way.
#[tokio::test]
async fn what_the_platform_does_not_have_is_not_found_by_its_name() {
    let server = server().await;
    server.app("hello").await;
    for (path, resource) in [
        ("/addons/redis-round-1", "add_on"),
        ("/addons/redis-round-1/addon-attachments", "add_on"),
        ("/apps/hello/addons/redis", "add_on"),
        ("/addon-attachments/REDIS", "add_on attachment"),
        ("/apps/hello/addon-attachments/REDIS", "add_on attachment"),
        ("/addon-services/heroku-redis", "add_on_service"),
        ("/addon-services/heroku-redis/plans", "add_on_service"),
        ("/apps/hello/pipeline-couplings", "pipeline coupling"),
        ("/apps/hello/review-app", "review app"),
        ("/pipelines/hello", "pipeline"),
        ("/spaces/mars", "space"),
        ("/accounts/~/actions/get-quota", "quota"),
    ] {
        let answer = server.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["resource"]),
            (404, &json!(resource)),
            "{path}"
        );
    }
    for (path, resource) in [
        ("/actions/addons/resolve", "add_on"),
        ("/actions/addon-attachments/resolve", "add_on attachment"),
    ] {
        let answer = server.post(path, json!({ "addon": "DATABASE", "app": "hello" })).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["resource"]),
            (404, &json!(resource)),
            "{path}"
        );
    }
    let plan = json!({ "plan": "heroku-redis:mini" });
    assert_eq!(server.post("/apps/hello/addons", plan).await.status.as_u16(), 422);
    let status = server.get("/api/v4/current-status").await.ok();
    assert_eq!(status["status"][0], json!({ "system": "Apps", "status": "green" }));
}

/// What Heroku's command crashes on.
#[tokio::test]
async fn an_app_is_complete_enough_for_herokus_command() {
    let server = server().await;
    server.app("hello").await;
    let app = server.get("/apps/hello").await.ok();
    assert_eq!(app["repo_size"], json!(0));
    assert_eq!(app["slug_size"], json!(0));
    assert_eq!(app["generation"]["name"], "cedar");
    assert_eq!(app["web_url"], "http://hello.example.test:8080/");
    assert_eq!(app["git_url"], "http://git.example.test:8080/hello.git");
}

async fn finish(server: &Server, release: paas_store::release::ReleaseRow) -> paas_store::release::ReleaseRow {
    let now = server.tick();
    let mut connection = server.platform.store.connection().await.unwrap();
    assert!(
        paas_store::release::succeed(&mut connection, release.release.id, now)
            .await
            .unwrap()
    );
    release
}

pub(super) fn check(path: &str, shape: &str, answer: &Value) {
    let (_, schema) = SHAPES.iter().find(|(name, _)| *name == shape).unwrap();
    let mut problems = Vec::new();
    match answer {
        Value::Array(items) => {
            assert!(!items.is_empty(), "{path}: nothing to look at");
            for item in items {
                object(schema, ';', ' ', item, path, &mut problems);
            }
        }
        one => object(schema, ';', ' ', one, path, &mut problems),
    }
    assert!(problems.is_empty(), "{path}: {}\n{answer:#}", problems.join("\n"));
}

/// Holds an object against `name type; name type` or `name:type, name:type`.
fn object(schema: &str, between: char, after_name: char, value: &Value, path: &str, problems: &mut Vec<String>) {
    let Some(fields) = value.as_object() else {
        problems.push(format!("{path} is no object"));
        return;
    };
    let mut known = Vec::new();
    for field in split(schema, between) {
        let (name, kind) = field.trim().split_once(after_name).unwrap();
        known.push(name.to_owned());
        match fields.get(name) {
            Some(value) => fits(kind.trim(), value, &format!("{path}.{name}"), problems),
            None => problems.push(format!("{path}.{name} is missing")),
        }
    }
    let extra = fields.keys().filter(|name| !known.contains(name));
    problems.extend(extra.map(|name| format!("{path}.{name} is not in the schema")));
}

fn fits(kind: &str, value: &Value, path: &str, problems: &mut Vec<String>) {
    if let Some(kind) = kind.strip_suffix('?') {
        if !value.is_null() {
            fits(kind, value, path, problems);
        }
        return;
    }
    if let Some(fields) = kind.strip_prefix('{') {
        object(fields.strip_suffix('}').unwrap(), ',', ':', value, path, problems);
        return;
    }
    if let Some(item) = kind.strip_prefix('[') {
        match value.as_array() {
            Some(items) => items
                .iter()
                .for_each(|value| fits(item.strip_suffix(']').unwrap(), value, path, problems)),
            None => problems.push(format!("{path} is no list")),
        }
        return;
    }
    let text = value.as_str();
    let fits = match kind {
        "bool" => value.is_boolean(),
        "int" => value.is_i64() || value.is_u64(),
        "num" => value.is_number(),
        "obj" => value.is_object(),
        "str" => text.is_some(),
        "email" => text.is_some_and(|text| text.contains('@')),
        "uri" => text.is_some_and(|text| text.starts_with("http")),
        "uuid" => text.is_some_and(|text| Uuid::parse_str(text).is_ok()),
        "time" => text.is_some_and(|text| {
            text.len() == "2026-01-02T03:04:05Z".len() && serde_json::from_value::<Time>(value.clone()).is_ok()
        }),
        other => match other.strip_prefix("enum(").and_then(|rest| rest.strip_suffix(')')) {
            Some(words) => text.is_some_and(|text| words.split('/').any(|word| word == text)),
            None => panic!("{other} is no kind of value"),
        },
    };
    if !fits {
        problems.push(format!("{path} is no {kind}: {value}"));
    }
}

/// Splits at a character that is not inside brackets.
fn split(text: &str, between: char) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut depth = 0;
    for character in text.chars() {
        match character {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if character == between && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(character);
        }
    }
    parts.push(part);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

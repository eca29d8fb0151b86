//! Answers of a platform with one app, in the shape of the Platform API.

use serde_json::{Value, json};

use crate::platform::Answer;

const ID: &str = "01234567-89ab-7def-8123-456789abcdef";
pub(crate) const DOMAIN_ID: &str = "01234567-89ab-7def-8123-0000000000d0";
const TIME: &str = "2026-01-02T03:04:05Z";

pub(crate) fn account() -> Value {
    json!({
        "acknowledged_msa": false, "acknowledged_msa_at": null, "allow_tracking": false, "beta": false,
        "country_of_residence": null, "created_at": TIME, "default_organization": null, "default_team": null,
        "delinquent_at": null, "eco_dynos_enabled": false, "eco_dynos_shutdown_at": null, "email": "dev@example.com",
        "federated": false, "id": ID, "identity_provider": null, "italian_customer_terms": null,
        "italian_partner_terms": null, "last_login": null, "mfa_enabled": false, "mfa_exemption": false,
        "mfa_exemption_reason": null, "mfa_experience": "legacy", "name": null, "pipeline_cost_consent_at": null,
        "sms_number": null, "suspended_at": null, "two_factor_authentication": false, "updated_at": TIME,
        "verified": true
    })
}

pub(crate) fn app(name: &str) -> Value {
    json!({
        "acm": false, "archived_at": null, "base_image_name": null, "build_stack": named("paas-12"),
        "buildpack_provided_description": "Python", "buildpacks": null, "created_at": TIME,
        "current_build_architecture": [], "generation": named("cedar"),
        "git_url": format!("http://git.localhost:8080/{name}.git"), "id": ID, "internal_routing": null,
        "maintenance": false, "name": name, "organization": null, "owner": user(), "region": named("local"),
        "released_at": TIME, "repo_size": 2048, "slug_size": 31_000_000, "space": null, "stack": named("paas-12"),
        "team": null, "updated_at": TIME, "web_url": format!("http://{name}.localhost:8080/")
    })
}

pub(crate) fn in_maintenance(name: &str) -> Value {
    let mut app = app(name);
    app["maintenance"] = true.into();
    app
}

pub(crate) fn dyno(name: &str, command: &str, state: &str) -> Value {
    let (process_type, _) = name.split_once('.').unwrap();
    json!({
        "app": named("hello"), "attach_url": null, "command": command, "created_at": TIME, "id": ID, "name": name,
        "release": { "id": ID, "version": 3 }, "size": "Standard-1X", "state": state, "type": process_type,
        "updated_at": TIME
    })
}

pub(crate) fn formation(process_type: &str, quantity: u32, size: &str) -> Value {
    json!({
        "app": named("hello"), "command": "./run", "created_at": TIME, "dyno_size": named(size), "id": ID,
        "quantity": quantity, "size": size, "type": process_type, "updated_at": TIME
    })
}

pub(crate) fn release(version: u32, description: &str) -> Value {
    json!({
        "addon_plan_names": [], "app": named("hello"), "artifacts": [], "created_at": TIME, "current": false,
        "description": description, "eligible_for_rollback": true, "id": format!("00000000-0000-0000-0000-{version:012}"),
        "oci_image": null, "output_stream_url": null, "slug": { "id": ID }, "status": "succeeded", "updated_at": TIME,
        "user": user(), "version": version
    })
}

/// The same with other values for some of its keys.
pub(crate) fn but(mut value: Value, changes: &Value) -> Value {
    value
        .as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    value
}

pub(crate) fn current(release: Value) -> Value {
    but(release, &json!({ "current": true }))
}

pub(crate) fn own_domain() -> Value {
    json!({
        "acm_status": null, "acm_status_reason": null, "addresses": [], "app": named("hello"), "cname": null,
        "created_at": TIME, "hostname": "hello.apps.example.com", "id": ID, "kind": "heroku", "sni_endpoint": null,
        "status": "none", "updated_at": TIME
    })
}

/// A custom domain without a certificate.
pub(crate) fn domain(hostname: &str) -> Value {
    let custom = json!({
        "addresses": ["203.0.113.7"], "cname": "hello.apps.example.com", "hostname": hostname, "id": DOMAIN_ID,
        "kind": "custom", "status": "pending"
    });
    but(own_domain(), &custom)
}

pub(crate) fn sni_endpoint(name: &str, names: &[&str]) -> Value {
    json!({
        "app": named("hello"), "certificate_chain": "-----BEGIN CERTIFICATE-----", "created_at": TIME,
        "display_name": null, "domains": [], "id": ID, "name": name, "ssl_cert": {
            "acm": false, "ca_signed?": true, "cert_domains": names, "expires_at": "2026-04-02T03:04:05Z", "id": ID,
            "issuer": "C=US, O=Example CA, CN=E1", "self_signed?": false, "starts_at": TIME, "subject": "CN=leaf"
        },
        "updated_at": TIME
    })
}

pub(crate) fn feature(name: &str, enabled: bool) -> Value {
    json!({
        "created_at": TIME, "description": format!("About {name}"), "display_name": name,
        "doc_url": "https://example.com/docs", "enabled": enabled, "feedback_email": "dev@example.com", "id": ID,
        "name": name, "state": "general", "updated_at": TIME
    })
}

pub(crate) fn log_drain(url: &str) -> Value {
    json!({
        "addon": null, "app": named("hello"), "created_at": TIME, "id": ID, "token": "d.9e5c1e5a", "updated_at": TIME,
        "url": url
    })
}

pub(crate) fn routing() -> Value {
    json!({
        "app": named("hello"), "boot_timeout_seconds": null, "hsts_seconds": null, "https_redirect": false,
        "idle_timeout_seconds": null, "response_timeout_seconds": null, "session_affinity": false,
        "sleep_after_seconds": null
    })
}

pub(crate) fn build(status: &str) -> Value {
    json!({
        "app": { "id": ID }, "buildpacks": null, "created_at": TIME, "generation": "cedar", "id": ID, "labs": {},
        "output_stream_url": "http://127.0.0.1:5050/streams/build", "release": null, "slug": null,
        "source_blob": {
            "checksum": null, "url": "http://127.0.0.1:5050/sources/x", "version": "4f1e2d3c4b5a69788796a5b4c3d2e1f001234567",
            "version_description": null
        },
        "stack": "paas-12", "status": status, "updated_at": TIME, "user": user()
    })
}

pub(crate) fn log_session() -> Answer {
    let url = "http://127.0.0.1:5050/streams/log";
    Answer::json(
        201,
        &json!({ "created_at": TIME, "id": ID, "logplex_url": url, "updated_at": TIME }),
    )
}

pub(crate) fn authorization(token: &str) -> Value {
    json!({
        "access_token": { "expires_in": null, "id": ID, "token": token }, "client": null, "created_at": TIME,
        "description": "test", "grant": null, "id": ID, "refresh_token": null, "scope": ["global"], "session": null,
        "updated_at": TIME, "user": { "email": "dev@example.com", "full_name": null, "id": ID }
    })
}

pub(crate) fn session(description: &str) -> Value {
    json!({ "created_at": TIME, "description": description, "expires_in": 60, "id": ID, "updated_at": TIME })
}

pub(crate) fn oauth_client() -> Value {
    json!({
        "created_at": TIME, "id": ID, "ignores_delinquent": null, "name": "Amazing",
        "redirect_uri": "https://example.com/callback", "secret": "the-secret", "updated_at": TIME
    })
}

pub(crate) fn key(comment: &str) -> Value {
    json!({
        "comment": comment, "created_at": TIME, "email": "dev@example.com", "fingerprint": "0a:1b", "id": ID,
        "public_key": format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII4qoFY4J3uNg3WHSC8QX {comment}"), "updated_at": TIME
    })
}

pub(crate) fn region() -> Value {
    json!({
        "country": "Here", "created_at": TIME, "description": "This machine", "id": ID, "locale": "Here", "name": "local",
        "private_capable": false, "provider": { "name": "self", "region": "local" }, "updated_at": TIME
    })
}

pub(crate) fn stack(name: &str, default: bool) -> Value {
    json!({ "created_at": TIME, "default": default, "id": ID, "name": name, "state": "public", "updated_at": TIME })
}

fn named(name: &str) -> Value {
    json!({ "id": ID, "name": name })
}

fn user() -> Value {
    json!({ "id": ID, "email": "dev@example.com" })
}

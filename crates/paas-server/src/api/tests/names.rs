//! Domains, certificates, features and routing: what an app answers to, and how.

use std::fmt::Write;

use http::{Method, StatusCode};
use insta::{assert_json_snapshot, assert_snapshot};
use paas_core::{Acm, DomainName};
use paas_store::{
    acm,
    certificate::{self, Material},
};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::{Value, json};

use super::server::{Answer, Server, server};

/// A self-signed certificate and its key, valid in the year that tests begin in.
fn pair(names: &[&str]) -> (String, String) {
    let names: Vec<_> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

impl Server {
    async fn add(&self, hostname: &str) -> Answer {
        let body = json!({ "hostname": hostname, "sni_endpoint": null });
        self.post("/apps/hello/domains", body).await
    }

    async fn upload(&self, names: &[&str]) -> Value {
        let (chain, key) = pair(names);
        let body = json!({ "certificate_chain": chain, "private_key": key });
        self.post("/apps/hello/sni-endpoints", body).await.ok()
    }
}

fn message(answer: &Answer) -> String {
    let body = answer.json();
    format!("{} {}", answer.status.as_u16(), body["message"].as_str().unwrap())
}

#[tokio::test]
async fn a_domain_says_which_records_to_create() {
    let server = server().await;
    let app = server.app("hello").await;
    server.tick();
    let made = server.add("WWW.Example.com.").await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_json_snapshot!(made.json(), { ".id" => "[id]", ".app.id" => "[id]" }, @r#"
    {
      "acm_status": null,
      "acm_status_reason": null,
      "addresses": [
        "203.0.113.7"
      ],
      "app": {
        "id": "[id]",
        "name": "hello"
      },
      "cname": "203.0.113.7",
      "created_at": "2026-01-02T03:04:06Z",
      "hostname": "www.example.com",
      "id": "[id]",
      "kind": "custom",
      "sni_endpoint": null,
      "status": "pending",
      "updated_at": "2026-01-02T03:04:06Z"
    }
    "#);
    server.tick();
    server.add("*.bücher.example").await.ok();
    let list = server.get_range("/apps/hello/domains", "id ..; max=1000;").await;
    assert_eq!(
        list.column("hostname"),
        ["hello.example.test", "www.example.com", "*.xn--bcher-kva.example"]
    );
    assert_eq!(list.column("kind"), ["heroku", "custom", "custom"]);
    let found = server.get("/apps/hello/domains/*.B%C3%BCcher.example").await.ok();
    assert_eq!(found["hostname"], "*.xn--bcher-kva.example");
    let log = server.log(&app).await;
    assert!(
        log.contains("Add domain www.example.com by user ada@example.com"),
        "{log}"
    );
}

#[tokio::test]
async fn names_that_an_app_cannot_have_are_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    server.app("other").await;
    server.add("www.example.com").await.ok();
    server
        .post("/apps/other/domains", json!({ "hostname": "www.example.org" }))
        .await
        .ok();
    let mut refusals = String::new();
    for name in [
        "",
        "192.0.2.1",
        "intranet",
        "https://www.example.com/",
        "a_b.example.com",
        "example.test",
        "other.example.test",
        "*.example.test",
        "a.other.example.test",
        "www.example.com",
        "www.example.org",
    ] {
        _ = writeln!(refusals, "{name:?}: {}", message(&server.add(name).await));
    }
    assert_snapshot!(refusals, @r#"
    "": 422 Domain name must be labels of letters, digits and dashes, joined by dots
    "192.0.2.1": 422 Domain name must be a name, not an IP address: add the name, and let its A record point to the address
    "intranet": 422 Domain name must have at least two labels, such as example.com
    "https://www.example.com/": 422 Domain name must be the name alone, such as www.example.com: without https:// and without a path
    "a_b.example.com": 422 Domain name must be labels of letters, digits and dashes, joined by dots
    "example.test": 422 example.test belongs to this platform, which gives each app a name below example.test by itself. Add a name of a domain of your own.
    "other.example.test": 422 other.example.test belongs to this platform, which gives each app a name below example.test by itself. Add a name of a domain of your own.
    "*.example.test": 422 *.example.test belongs to this platform, which gives each app a name below example.test by itself. Add a name of a domain of your own.
    "a.other.example.test": 422 a.other.example.test belongs to this platform, which gives each app a name below example.test by itself. Add a name of a domain of your own.
    "www.example.com": 422 www.example.com is already a domain of this app.
    "www.example.org": 422 www.example.org is currently in use by another app.
    "#);
    let odd = server
        .post("/apps/hello/domains", json!({ "name": "www.example.net" }))
        .await;
    assert_eq!(odd.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_domain_is_removed_but_not_the_apps_own() {
    let server = server().await;
    let app = server.app("hello").await;
    server.add("www.example.com").await.ok();
    let removed = server.delete("/apps/hello/domains/www.example.com").await.ok();
    assert_eq!(removed["hostname"], "www.example.com");
    let again = server.delete("/apps/hello/domains/www.example.com").await;
    assert_eq!(
        (again.status, &again.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("domain"))
    );
    for name in ["hello.example.test", &app.app.id.to_string()] {
        let own = server.delete(&format!("/apps/hello/domains/{name}")).await;
        assert_eq!(
            message(&own),
            "422 hello.example.test comes and goes with the app. To change it, rename the app."
        );
    }
}

#[tokio::test]
async fn a_name_that_is_taken_does_not_say_by_whom() {
    let server = server().await;
    server.app("hello").await;
    server.add("*.example.com").await.ok();
    let token = server.stranger("eve@example.com").await;
    let send = async |path: &str, body: Value| {
        let mut request = server.request(Method::POST, path);
        let bearer = format!("Bearer {token}").parse().unwrap();
        request.headers_mut().insert("authorization", bearer);
        server.send(request.map(|_| body.to_string().into())).await
    };
    send("/apps", json!({ "name": "eves" })).await.ok();
    let refused = send("/apps/eves/domains", json!({ "hostname": "www.example.com" })).await;
    assert_eq!(
        message(&refused),
        "422 www.example.com is currently in use by another app."
    );
    let foreign = send("/apps/hello/domains", json!({ "hostname": "www.example.net" })).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn an_uploaded_certificate_is_shown_without_its_key() {
    let server = server().await;
    server.app("hello").await;
    let made = server.upload(&["www.example.com", "*.example.net"]).await;
    assert_json_snapshot!(
        made,
        {
            ".id" => "[id]", ".app.id" => "[id]", ".ssl_cert.id" => "[id]", ".name" => "[name]",
            ".certificate_chain" => "[pem]",
        },
        @r#"
        {
          "app": {
            "id": "[id]",
            "name": "hello"
          },
          "certificate_chain": "[pem]",
          "created_at": "2026-01-02T03:04:05Z",
          "display_name": null,
          "domains": [],
          "id": "[id]",
          "name": "[name]",
          "ssl_cert": {
            "acm": false,
            "ca_signed?": false,
            "cert_domains": [
              "www.example.com",
              "*.example.net"
            ],
            "expires_at": "2027-01-01T00:00:00Z",
            "id": "[id]",
            "issuer": "CN=rcgen self signed cert",
            "self_signed?": true,
            "starts_at": "2026-01-01T00:00:00Z",
            "subject": "CN=rcgen self signed cert"
          },
          "updated_at": "2026-01-02T03:04:05Z"
        }
        "#
    );
    let name = made["name"].as_str().unwrap();
    for path in [
        "/apps/hello/sni-endpoints",
        &format!("/apps/hello/sni-endpoints/{name}"),
    ] {
        let shown = server.get(path).await;
        shown.ok();
        assert!(!shown.text.contains("PRIVATE KEY"), "{path}");
    }
    let missing = server.get("/apps/hello/sni-endpoints/none").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn pairs_that_cannot_be_served_are_refused_in_words() {
    let server = server().await;
    server.app("hello").await;
    let (chain, key) = pair(&["www.example.com"]);
    let (_, stranger) = pair(&["www.example.com"]);
    let mut refusals = String::new();
    for (what, chain, key) in [
        ("swapped", &key, &chain),
        ("no key", &chain, &String::new()),
        ("another key", &chain, &stranger),
        ("nothing", &String::new(), &key),
    ] {
        let body = json!({ "certificate_chain": chain, "private_key": key });
        let refused = server.post("/apps/hello/sni-endpoints", body).await;
        _ = writeln!(refusals, "{what}: {}", message(&refused));
        assert!(!refused.text.contains("BEGIN PRIVATE KEY-----\\n"), "{what}");
    }
    server.platform.clock.advance(chrono::TimeDelta::days(365));
    let body = json!({ "certificate_chain": chain, "private_key": key });
    let refused = server.post("/apps/hello/sni-endpoints", body).await;
    _ = writeln!(refusals, "late: {}", message(&refused));
    assert_snapshot!(refusals, @r"
    swapped: 422 The certificate was not kept: the file of the certificate has a private key in it; give chain and key in two files.
    no key: 422 The certificate was not kept: there is no private key in it; a PEM file begins with -----BEGIN PRIVATE KEY-----.
    another key: 422 The certificate was not kept: the private key does not belong to the certificate; find the key that its request was made with.
    nothing: 422 The certificate was not kept: there is no certificate in it; a PEM file begins with -----BEGIN CERTIFICATE-----.
    late: 422 The certificate was not kept: the certificate expired on 2027-01-01 00:00 UTC; ask its issuer for a new one.
    ");
}

#[tokio::test]
async fn a_domain_takes_a_certificate_that_covers_it() {
    let server = server().await;
    server.app("hello").await;
    server.add("www.example.com").await.ok();
    let good = server.upload(&["*.example.com"]).await;
    let other = server.upload(&["www.example.net"]).await;
    let path = "/apps/hello/domains/www.example.com";
    let refused = server.patch(path, json!({ "sni_endpoint": other["name"] })).await;
    assert_eq!(
        message(&refused),
        "422 The certificate does not cover www.example.com, only www.example.net. Choose or upload one that does."
    );
    let missing = server.patch(path, json!({ "sni_endpoint": "none" })).await;
    assert_eq!(
        (missing.status, &missing.json()["resource"]),
        (StatusCode::NOT_FOUND, &json!("certificate"))
    );
    assert_eq!(
        server.patch(path, json!({})).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );

    let chosen = server.patch(path, json!({ "sni_endpoint": good["name"] })).await.ok();
    assert_eq!(chosen["sni_endpoint"]["id"], good["id"]);
    assert_eq!(
        (&chosen["status"], &chosen["acm_status"]),
        (&json!("none"), &Value::Null)
    );
    let shown = server
        .get(&format!("/apps/hello/sni-endpoints/{}", good["id"].as_str().unwrap()))
        .await
        .ok();
    assert_eq!(shown["domains"], json!([chosen["id"]]));

    // Another certificate in its place must cover what the domains need.
    let path_of_good = format!("/apps/hello/sni-endpoints/{}", good["name"].as_str().unwrap());
    let (chain, key) = pair(&["www.example.net"]);
    let body = json!({ "certificate_chain": chain, "private_key": key });
    let refused = server.patch(&path_of_good, body).await;
    assert_eq!(
        message(&refused),
        "422 The certificate was not kept: the certificate does not cover www.example.com, only www.example.net."
    );
    let (chain, key) = pair(&["www.example.com"]);
    let body = json!({ "certificate_chain": chain, "private_key": key });
    let updated = server.patch(&path_of_good, body).await.ok();
    assert_eq!(updated["name"], good["name"]);
    assert_eq!(updated["ssl_cert"]["cert_domains"], json!(["www.example.com"]));

    server.delete(&path_of_good).await.ok();
    let domain = server.get(path).await.ok();
    assert_eq!(
        (&domain["sni_endpoint"], &domain["status"]),
        (&Value::Null, &json!("pending"))
    );
    server.patch(path, json!({ "sni_endpoint": null })).await.ok();
}

#[tokio::test]
async fn managed_certificates_are_turned_off_and_on() {
    let server = server().await;
    let app = server.app("hello").await;
    server.add("www.example.com").await.ok();
    assert_eq!(server.get("/apps/hello").await.ok()["acm"], true);
    let off = server.delete("/apps/hello/acm").await.ok();
    assert_eq!((&off["acm"], &off["name"]), (&json!(false), &json!("hello")));
    assert_eq!(
        server.get("/apps/hello/domains/www.example.com").await.ok()["status"],
        "none"
    );
    assert_eq!(server.get("/apps/hello/acm").await.ok(), json!([]));
    let refused = server.patch("/apps/hello/acm", json!({ "acm_refresh": true })).await;
    assert_eq!(
        message(&refused),
        "422 Automated Certificate Management is off for this app. Turn it on first."
    );
    assert_eq!(server.post("/apps/hello/acm", json!({})).await.ok()["acm"], true);
    server
        .patch("/apps/hello/acm", json!({ "acm_refresh": true }))
        .await
        .ok();
    assert_eq!(
        server.get("/apps/hello/acm").await.column("hostname"),
        ["www.example.com"]
    );
    let log = server.log(&app).await;
    for line in ["Disable ACM by user", "Enable ACM by user", "Refresh ACM by user"] {
        assert!(log.contains(line), "{log}");
    }
}

#[tokio::test]
async fn a_feature_is_a_rule_of_the_apps_requests() {
    let server = server().await;
    let app = server.app("hello").await;
    for name in ["hsts", "http-session-affinity", "https-redirect"] {
        let path = format!("/apps/hello/features/{name}");
        assert_eq!(server.get(&path).await.ok()["enabled"], false);
        let on = server.patch(&path, json!({ "enabled": true })).await.ok();
        assert_eq!((&on["enabled"], &on["state"]), (&json!(true), &json!("general")));
    }
    let routing = server.get("/apps/hello/routing").await.ok();
    assert_eq!(routing["hsts_seconds"], 31_536_000);
    assert_eq!(
        (&routing["https_redirect"], &routing["session_affinity"]),
        (&json!(true), &json!(true))
    );
    let off = server
        .patch("/apps/hello/features/hsts", json!({ "enabled": false }))
        .await
        .ok();
    assert_eq!(off["enabled"], false);
    assert_eq!(
        server.get("/apps/hello/routing").await.ok()["hsts_seconds"],
        Value::Null
    );
    // `labs:enable` tries the account first, and goes on to the app when it hears of nothing.
    let account = server.get("/account/features/hsts").await;
    assert_eq!(account.status, StatusCode::NOT_FOUND);
    let log = server.log(&app).await;
    assert!(
        log.contains("Enable feature https-redirect by user ada@example.com"),
        "{log}"
    );
}

#[tokio::test]
async fn routing_is_changed_rule_by_rule() {
    let server = server().await;
    server.app("hello").await;
    let path = "/apps/hello/routing";
    let set = json!({ "response_timeout_seconds": 120, "sleep_after_seconds": 1800, "https_redirect": true });
    server.patch(path, set).await.ok();
    let after = server
        .patch(
            path,
            json!({ "sleep_after_seconds": null, "idle_timeout_seconds": 600 }),
        )
        .await
        .ok();
    assert_json_snapshot!(after, { ".app.id" => "[id]" }, @r#"
    {
      "app": {
        "id": "[id]",
        "name": "hello"
      },
      "boot_timeout_seconds": null,
      "hsts_seconds": null,
      "https_redirect": true,
      "idle_timeout_seconds": 600,
      "response_timeout_seconds": 120,
      "session_affinity": false,
      "sleep_after_seconds": null
    }
    "#);
    assert_eq!(server.get(path).await.ok(), after);
    let mut refusals = String::new();
    for bad in [
        json!({ "idle_timeout_seconds": 0 }),
        json!({ "response_timeout_seconds": 86_401 }),
        json!({ "hsts_seconds": -1 }),
        json!({ "sleep": 5 }),
    ] {
        _ = writeln!(refusals, "{}", message(&server.patch(path, bad).await));
    }
    assert_snapshot!(refusals, @r"
    422 idle_timeout_seconds must be between 1 and 86400, or null for Heroku's rule.
    422 response_timeout_seconds must be between 1 and 86400, or null for Heroku's rule.
    422 The request body does not fit: a value is not u64.
    422 The request body does not fit: unknown field `sleep`, expected one of `boot_timeout_seconds`, `hsts_seconds`, `https_redirect`, `idle_timeout_seconds`, `response_timeout_seconds`, `session_affinity`, `sleep_after_seconds`.
    ");
}

#[tokio::test]
async fn a_managed_certificate_shows_how_it_is_doing() {
    let server = server().await;
    let app = server.app("hello").await;
    server.add("www.example.com").await.ok();
    let hostname: DomainName = "www.example.com".parse().unwrap();
    let now = server.tick();
    let mut connection = server.platform.store.connection().await.unwrap();
    acm::manage(&mut connection, &hostname, Some(app.app.id), &Acm::new(now), now)
        .await
        .unwrap();
    let domain = server.get("/apps/hello/domains/www.example.com").await.ok();
    assert_eq!(
        (&domain["acm_status"], &domain["status"]),
        (&json!("pending"), &json!("pending"))
    );
    assert_eq!(
        server.get("/apps/hello/acm").await.ok(),
        json!([{
            "attempts": 0, "expires_at": null, "hostname": "www.example.com", "last_try_at": null,
            "next_try_at": "2026-01-02T03:04:06Z", "reason": null, "status": "pending",
        }])
    );

    let (chain_pem, key_pem) = pair(&["www.example.com"]);
    let material = Material {
        hostnames: &[hostname],
        chain_pem: &chain_pem,
        key_pem: &key_pem,
        not_before: now,
        not_after: now + chrono::TimeDelta::days(90),
    };
    let sealer = &server.platform.store.sealer;
    certificate::issued_by_acme(&mut connection, sealer, material, now)
        .await
        .unwrap();
    let endpoints = server.get("/apps/hello/sni-endpoints").await.ok();
    assert_eq!(endpoints[0]["ssl_cert"]["acm"], true);
    assert_eq!(endpoints[0]["domains"], json!([domain["id"]]));
    let name = endpoints[0]["name"].as_str().unwrap();
    assert!(name.starts_with("acm-"), "{name}");
    let path = format!("/apps/hello/sni-endpoints/{name}");
    assert_eq!(server.get(&path).await.ok()["id"], endpoints[0]["id"]);
    assert_eq!(
        message(&server.delete(&path).await),
        format!(
            "422 {name} comes by itself and cannot be chosen, replaced or removed. Upload a certificate of your own, or turn \
             Automated Certificate Management off."
        )
    );
    // Heroku's command asks which one to use when it sees several.
    server.upload(&["www.example.net"]).await;
    let chosen_from = server.get("/apps/hello/sni-endpoints").await.ok();
    assert_eq!(chosen_from[0]["ssl_cert"]["acm"], false);
    let all = server.get("/apps/hello/sni-endpoints?all=true").await.ok();
    assert_eq!(
        (chosen_from.as_array().unwrap().len(), all.as_array().unwrap().len()),
        (1, 2)
    );
    let domain = server.get("/apps/hello/domains/www.example.com").await.ok();
    assert_eq!(domain["status"], "succeeded");
    // What no domain uses is not shown.
    server.delete("/apps/hello/acm").await.ok();
    let all = server.get("/apps/hello/sni-endpoints?all=true").await.ok();
    assert_eq!(all, chosen_from);
    server.post("/apps/hello/acm", json!({})).await.ok();
    assert_eq!(
        server.get("/apps/hello/acm").await.column("expires_at"),
        ["2026-04-02T03:04:06Z"]
    );
}

use std::fs;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::{
    answers::{app, but, domain, own_domain, sni_endpoint},
    platform::{Answer, Paas},
};

fn managed(hostname: &str, changes: &Value) -> Value {
    let fresh = json!({
        "attempts": 0, "expires_at": null, "hostname": hostname, "last_try_at": null, "next_try_at": null,
        "reason": null, "status": null
    });
    but(fresh, changes)
}

fn with_files(paas: Paas) -> Paas {
    fs::write(paas.directory().join("server.crt"), "the chain").unwrap();
    fs::write(paas.directory().join("server.key"), "the key").unwrap();
    paas
}

#[test]
fn certificates_are_listed() {
    let by_itself = json!({ "acm": true, "ca_signed?": true, "self_signed?": false, "cert_domains": ["shop.example.com"],
        "expires_at": "2026-04-02T03:04:05Z", "id": "01234567-89ab-7def-8123-456789abcdef", "issuer": "CN=E1",
        "starts_at": "2026-01-02T03:04:05Z", "subject": "" });
    let paas = Paas::new().on(
        "GET /apps/hello/sni-endpoints?all=true",
        json!([
            sni_endpoint("quiet-river-1", &["www.example.com", "example.com"]),
            but(sni_endpoint("acm-1a2b3c4d", &[]), &json!({ "ssl_cert": by_itself })),
        ]),
    );
    assert_snapshot!(paas.run("certs -a hello"), @r"
    exit: 0
    --- stdout
      Name            Common Name(s)                 Expires                Type       Domains
     ──────────────────────────────────────────────────────────────────────────────────────────
      acm-1a2b3c4d    shop.example.com               2026-04-02 03:04 UTC   auto       0
      quiet-river-1   www.example.com, example.com   2026-04-02 03:04 UTC   uploaded   0

    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    ");
    let none = Paas::new().on("GET /apps/hello/sni-endpoints?all=true", json!([]));
    assert_snapshot!(none.run("certs -a hello"), @r"
    exit: 0
    --- stderr
    hello has no certificates. They come by themselves for its domains; to bring your own, run `paas certs:add CRT KEY`.
    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    ");
    assert_snapshot!(none.run("certs:info -a hello"), @r"
    exit: 1
    --- stderr
     !    hello has no certificate

    hint: run `paas certs:add CRT KEY -a hello` to bring one
    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    ");
}

#[test]
fn an_uploaded_certificate_is_used_for_the_domains_that_it_covers() {
    let endpoint = sni_endpoint("quiet-river-1", &["*.example.com"]);
    let taken = json!({ "sni_endpoint": { "id": "01234567-89ab-7def-8123-456789abcdef", "name": "old-sea-2" } });
    let paas = with_files(
        Paas::new()
            .on("POST /apps/hello/sni-endpoints", Answer::json(201, &endpoint))
            .on(
                "GET /apps/hello/domains",
                json!([
                    own_domain(),
                    domain("www.example.com"),
                    domain("example.com"),
                    but(domain("api.example.com"), &taken),
                ]),
            )
            .on("PATCH /apps/hello/domains/www.example.com", domain("www.example.com")),
    );
    assert_snapshot!(paas.run("certs:add server.crt server.key -a hello"), @r#"
    exit: 0
    --- stdout
    Common Name(s): *.example.com
    Expires At:     2026-04-02 03:04 UTC
    Issuer:         C=US, O=Example CA, CN=E1
    Starts At:      2026-01-02 03:04 UTC
    Subject:        CN=leaf
    Trust:          signed by an authority
    --- stderr
    Adding certificate to hello... done, quiet-river-1
    Using it for www.example.com... done
    --- requests
    POST /apps/hello/sni-endpoints | {"certificate_chain":"the chain","private_key":"the key"}
    GET /apps/hello/domains | range=id ..; max=1000
    PATCH /apps/hello/domains/www.example.com | {"sni_endpoint":"quiet-river-1"}
    "#);
    assert_snapshot!(paas.run("certs:add missing.crt server.key -a hello"), @r"
    exit: 1
    --- stderr
     !    missing.crt: No such file or directory (os error 2)
    ");
}

#[test]
fn a_certificate_is_updated_and_removed() {
    let endpoint = sni_endpoint("quiet-river-1", &["www.example.com"]);
    let path = "/apps/hello/sni-endpoints/quiet-river-1";
    let paas = with_files(
        Paas::new()
            .on("GET /apps/hello/sni-endpoints?all=true", json!([endpoint]))
            .on(&format!("PATCH {path}"), endpoint.clone())
            .on(&format!("GET {path}"), endpoint.clone())
            .on(&format!("DELETE {path}"), endpoint),
    );
    assert_snapshot!(paas.run("certs:update server.crt server.key -a hello --confirm hello"), @r#"
    exit: 0
    --- stdout
    Common Name(s): www.example.com
    Expires At:     2026-04-02 03:04 UTC
    Issuer:         C=US, O=Example CA, CN=E1
    Starts At:      2026-01-02 03:04 UTC
    Subject:        CN=leaf
    Trust:          signed by an authority
    --- stderr
    Updating certificate quiet-river-1 for hello... done
    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    PATCH /apps/hello/sni-endpoints/quiet-river-1 | {"certificate_chain":"the chain","private_key":"the key"}
    "#);
    assert_snapshot!(paas.run("certs:remove --name quiet-river-1 -a hello"), @r"
    exit: 1
    --- stderr
     !    Warning: this removes the certificate quiet-river-1 with its key from hello
          To proceed, type hello, or run again with --confirm hello
     !    There is no terminal to ask on for a confirmation

    hint: pass `--confirm APP`
    --- requests
    GET /apps/hello/sni-endpoints/quiet-river-1
    ");
    assert_snapshot!(paas.run("certs:remove -a hello --confirm hello"), @r"
    exit: 0
    --- stderr
    Removing certificate quiet-river-1 from hello... done
    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    DELETE /apps/hello/sni-endpoints/quiet-river-1
    ");
}

#[test]
fn of_several_certificates_one_is_named() {
    let names = ["www.example.com"];
    let paas = Paas::new().on(
        "GET /apps/hello/sni-endpoints?all=true",
        json!([sni_endpoint("quiet-river-1", &names), sni_endpoint("old-sea-2", &names)]),
    );
    assert_snapshot!(paas.run("certs:remove -a hello --confirm hello"), @r"
    exit: 2
    --- stderr
     !    There are several certificates: quiet-river-1, old-sea-2

    hint: choose one with `--name NAME`
    --- requests
    GET /apps/hello/sni-endpoints?all=true | range=id ..; max=1000
    ");
}

#[test]
fn managed_certificates_show_tries_and_the_authoritys_words() {
    let failing = json!({
        "attempts": 3, "last_try_at": "2026-01-02T03:04:05Z", "next_try_at": "2026-01-02T05:04:05Z",
        "reason": "No valid IP addresses found for www.example.com", "status": "failing"
    });
    let issued = json!({
        "expires_at": "2026-04-02T03:04:05Z", "last_try_at": "2026-01-02T03:04:05Z",
        "next_try_at": "2026-03-01T03:04:05Z", "status": "cert issued"
    });
    let paas = Paas::new()
        .on("GET /apps/hello", but(app("hello"), &json!({ "acm": true })))
        .on(
            "GET /apps/hello/acm",
            json!([
                managed("shop.example.com", &issued),
                managed("www.example.com", &failing),
                managed("new.example.com", &json!({})),
            ]),
        );
    assert_snapshot!(paas.run("certs:auto -a hello"), @r"
    exit: 0
    --- stdout
    === Automatic Certificate Management is enabled on hello

      Domain             Status                         Expires                Last Try                    Next Try
     ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
      shop.example.com   issued                         2026-04-02 03:04 UTC   2026/01/02 03:04:05 +0000   2026/03/01 03:04:05 +0000
      www.example.com    failing, will be tried again                          2026/01/02 03:04:05 +0000   2026/01/02 05:04:05 +0000
      new.example.com    waiting

    www.example.com: No valid IP addresses found for www.example.com
    --- requests
    GET /apps/hello
    GET /apps/hello/acm
    ");
    let off = Paas::new()
        .on("GET /apps/hello", app("hello"))
        .on("GET /apps/hello/acm", json!([]));
    assert_snapshot!(off.run("certs:auto -a hello"), @r"
    exit: 0
    --- stdout
    === Automatic Certificate Management is disabled on hello

    --- requests
    GET /apps/hello
    GET /apps/hello/acm
    ");
    assert_snapshot!(off.run("certs:auto -a hello --json"), @r#"
    exit: 0
    --- stdout
    {
      "acm": false,
      "domains": []
    }
    --- requests
    GET /apps/hello
    GET /apps/hello/acm
    "#);
}

#[test]
fn managed_certificates_are_switched_and_asked_for_again() {
    let issued = json!({ "acm_status": "cert issued", "status": "succeeded" });
    let paas = Paas::new()
        .on("POST /apps/hello/acm", app("hello"))
        .on("DELETE /apps/hello/acm", app("hello"))
        .on("PATCH /apps/hello/acm", app("hello"))
        .on(
            "GET /apps/hello/domains",
            json!([own_domain(), but(domain("www.example.com"), &issued)]),
        );
    assert_snapshot!(paas.run("certs:auto:enable -a hello"), @r"
    exit: 0
    --- stderr
    Enabling Automatic Certificate Management... done
    See how it is doing with: paas certs:auto -a hello
    --- requests
    POST /apps/hello/acm | {}
    ");
    assert_snapshot!(paas.run("certs:auto:refresh --wait -a hello"), @r#"
    exit: 0
    --- stderr
    Refreshing Automatic Certificate Management... done
    www.example.com: certificate issued, https://www.example.com/ is ready
    --- requests
    PATCH /apps/hello/acm | {"acm_refresh":true}
    GET /apps/hello/domains | range=id ..; max=1000
    "#);
    assert_snapshot!(paas.run("certs:auto:disable -a hello --confirm hello"), @r"
    exit: 0
    --- stderr
    Disabling Automatic Certificate Management... done
    --- requests
    DELETE /apps/hello/acm
    ");
    assert_snapshot!(paas.run("certs:auto:disable -a hello"), @r"
    exit: 1
    --- stderr
     !    Warning: without certificates of your own (`paas certs:add`), browsers will refuse the domains of hello over HTTPS
          To proceed, type hello, or run again with --confirm hello
     !    There is no terminal to ask on for a confirmation

    hint: pass `--confirm APP`
    ");
}

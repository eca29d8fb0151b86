use insta::assert_snapshot;
use serde_json::json;

use crate::{
    answers::{DOMAIN_ID, but, domain, own_domain},
    platform::{Answer, Paas},
};

#[test]
fn domains_are_listed_with_their_records_and_certificates() {
    let named = json!({ "id": DOMAIN_ID, "name": "quiet-river-1" });
    let uploaded = json!({ "sni_endpoint": named, "status": "none", "addresses": [], "cname": "203.0.113.7" });
    let paas = Paas::new().on(
        "GET /apps/hello/domains",
        json!([
            own_domain(),
            but(
                domain("www.example.com"),
                &json!({ "acm_status": "cert issued", "status": "succeeded" })
            ),
            but(
                domain("api.example.com"),
                &json!({ "acm_status": "pending", "addresses": [] })
            ),
            but(domain("example.com"), &uploaded),
        ]),
    );
    assert_snapshot!(paas.run("domains -a hello"), @r"
    exit: 0
    --- stdout
    === hello Heroku Domain

    hello.apps.example.com


    === hello Custom Domains

      Domain Name       DNS Record Type   DNS Target               Certificate
     ────────────────────────────────────────────────────────────────────────────────────
      www.example.com   A                 203.0.113.7              auto: issued
      api.example.com   CNAME             hello.apps.example.com   auto: waiting for DNS
      example.com       A                 203.0.113.7              quiet-river-1

    --- requests
    GET /apps/hello/domains | range=id ..; max=1000
    ");
    let alone = Paas::new().on("GET /apps/hello/domains", json!([own_domain()]));
    assert_snapshot!(alone.run("domains -a hello"), @r"
    exit: 0
    --- stdout
    === hello Heroku Domain

    hello.apps.example.com
    --- requests
    GET /apps/hello/domains | range=id ..; max=1000
    ");
}

#[test]
fn adding_a_domain_says_exactly_which_record_to_create() {
    let paas = Paas::new().on(
        "POST /apps/hello/domains",
        Answer::json(201, &domain("www.example.com")),
    );
    assert_snapshot!(paas.run("domains:add www.example.com -a hello"), @r#"
    exit: 0
    --- stdout
    Create this record with the DNS provider of the domain:

      A      www.example.com → 203.0.113.7

    or, in its place:

      CNAME  www.example.com → hello.apps.example.com
    --- stderr
    Adding www.example.com to hello... done

    Its certificate comes by itself, as soon as that can be seen from the internet. To watch it come, run:
    paas domains:wait www.example.com -a hello
    --- requests
    POST /apps/hello/domains | {"hostname":"www.example.com","sni_endpoint":null}
    "#);

    let both = json!({ "addresses": ["203.0.113.7", "2001:db8::7"], "cname": "203.0.113.7", "status": "none" });
    let apex = but(domain("example.com"), &both);
    let paas = Paas::new().on("POST /apps/hello/domains", Answer::json(201, &apex));
    assert_snapshot!(paas.run("domains:add example.com --cert quiet-river-1 -a hello"), @r#"
    exit: 0
    --- stdout
    Create these records with the DNS provider of the domain:

      A      example.com → 203.0.113.7
      AAAA   example.com → 2001:db8::7
    --- stderr
    Adding example.com to hello... done
    --- requests
    POST /apps/hello/domains | {"hostname":"example.com","sni_endpoint":"quiet-river-1"}
    "#);

    let unknown = but(domain("www.example.com"), &json!({ "addresses": [] }));
    let paas = Paas::new().on("POST /apps/hello/domains", Answer::json(201, &unknown));
    assert_snapshot!(paas.run("domains:add www.example.com -a hello"), @r#"
    exit: 0
    --- stdout
    Create this record with the DNS provider of the domain:

      CNAME  www.example.com → hello.apps.example.com
    --- stderr
    Adding www.example.com to hello... done

    Its certificate comes by itself, as soon as that can be seen from the internet. To watch it come, run:
    paas domains:wait www.example.com -a hello
    --- requests
    POST /apps/hello/domains | {"hostname":"www.example.com","sni_endpoint":null}
    "#);
}

#[test]
fn a_name_that_another_app_has_is_told_in_the_platforms_words() {
    let words = "www.example.com is currently in use by another app.";
    let paas = Paas::new().on("POST /apps/hello/domains", Answer::error(422, "invalid_params", words));
    assert_snapshot!(paas.run("domains:add www.example.com -a hello"), @r#"
    exit: 1
    --- stderr
    Adding www.example.com to hello... !
     !    www.example.com is currently in use by another app.
    --- requests
    POST /apps/hello/domains | {"hostname":"www.example.com","sni_endpoint":null}
    "#);
}

#[test]
fn waiting_tells_each_change_once_and_ends_with_the_certificate() {
    let stale = "www.example.com points here by IPv4, but not by IPv6, which is tried first. Remove the AAAA record \
                 2001:db8::1 of www.example.com.";
    let pending = but(
        domain("www.example.com"),
        &json!({ "acm_status": "pending", "acm_status_reason": stale }),
    );
    let verified = but(domain("www.example.com"), &json!({ "acm_status": "dns-verified" }));
    let issued = but(
        domain("www.example.com"),
        &json!({ "acm_status": "cert issued", "status": "succeeded" }),
    );
    let paas = Paas::new()
        .on("GET /apps/hello/domains/www.example.com", domain("www.example.com"))
        .on("GET /apps/hello/domains", json!([own_domain(), pending]))
        .on("GET /apps/hello/domains", json!([own_domain(), verified]))
        .on("GET /apps/hello/domains", json!([own_domain(), issued]));
    assert_snapshot!(paas.run("domains:wait www.example.com -a hello"), @r"
    exit: 0
    --- stderr
    www.example.com: waiting
    www.example.com: waiting for DNS: www.example.com points here by IPv4, but not by IPv6, which is tried first. Remove the AAAA record 2001:db8::1 of www.example.com.
    www.example.com: DNS leads here
    www.example.com: certificate issued, https://www.example.com/ is ready
    --- requests
    GET /apps/hello/domains/www.example.com
    GET /apps/hello/domains | range=id ..; max=1000
    GET /apps/hello/domains | range=id ..; max=1000
    GET /apps/hello/domains | range=id ..; max=1000
    ");
}

#[test]
fn a_domain_that_fails_says_why_and_what_to_do() {
    let words = "CAA record for example.com prevents issuance";
    let failed = json!({ "acm_status": "failed", "acm_status_reason": words, "status": "failed" });
    let paas = Paas::new().on(
        "GET /apps/hello/domains/www.example.com",
        but(domain("www.example.com"), &failed),
    );
    assert_snapshot!(paas.run("domains:wait www.example.com -a hello"), @r"
    exit: 1
    --- stderr
    www.example.com: failed: CAA record for example.com prevents issuance
     !    www.example.com did not get its certificate: CAA record for example.com prevents issuance

    hint: set that right, then run `paas certs:auto:refresh --wait -a hello`
    --- requests
    GET /apps/hello/domains/www.example.com
    ");
    let paas = Paas::new().on("GET /apps/hello/domains", json!([own_domain()]));
    assert_snapshot!(paas.run("domains:wait -a hello"), @r"
    exit: 0
    --- stderr
    Nothing is missing of the domains of hello.
    --- requests
    GET /apps/hello/domains | range=id ..; max=1000
    ");
}

#[test]
fn a_domain_is_shown_changed_and_removed() {
    let chosen = json!({ "sni_endpoint": { "id": DOMAIN_ID, "name": "quiet-river-1" }, "status": "none" });
    let path = "/apps/hello/domains/%2A.example.com";
    let paas = Paas::new()
        .on(&format!("GET {path}"), domain("*.example.com"))
        .on(&format!("PATCH {path}"), but(domain("*.example.com"), &chosen))
        .on(&format!("DELETE {path}"), domain("*.example.com"))
        .on(
            "GET /apps/hello/domains",
            json!([own_domain(), domain("*.example.com")]),
        )
        .on(
            &format!("DELETE /apps/hello/domains/{DOMAIN_ID}"),
            domain("*.example.com"),
        );
    assert_snapshot!(paas.run("domains:info *.example.com -a hello"), @r"
    exit: 0
    --- stdout
    === *.example.com

    App:         hello
    Kind:        custom
    DNS Record:  A 203.0.113.7
                 or CNAME hello.apps.example.com
    Certificate: auto: waiting
    Status:      pending
    --- requests
    GET /apps/hello/domains/%2A.example.com
    ");
    assert_snapshot!(paas.run("domains:update *.example.com --cert quiet-river-1 -a hello"), @r#"
    exit: 0
    --- stderr
    Updating *.example.com to use quiet-river-1 certificate... done
    --- requests
    PATCH /apps/hello/domains/%2A.example.com | {"sni_endpoint":"quiet-river-1"}
    "#);
    assert_snapshot!(paas.run("domains:update *.example.com --auto -a hello"), @r#"
    exit: 0
    --- stderr
    Updating *.example.com to use the certificate that comes by itself... done
    --- requests
    PATCH /apps/hello/domains/%2A.example.com | {"sni_endpoint":null}
    "#);
    assert_snapshot!(paas.run("domains:remove *.example.com -a hello"), @r"
    exit: 0
    --- stderr
    Removing *.example.com from hello... done
    --- requests
    DELETE /apps/hello/domains/%2A.example.com
    ");
    assert_snapshot!(paas.run("domains:clear -a hello"), @r"
    exit: 0
    --- stderr
    Removing all domains from hello... done, 1 removed
    --- requests
    GET /apps/hello/domains | range=id ..; max=1000
    DELETE /apps/hello/domains/01234567-89ab-7def-8123-0000000000d0
    ");
}

#[test]
fn an_unknown_domain_leads_to_the_list() {
    let missing = json!({ "id": "not_found", "message": "Couldn't find that domain.", "resource": "domain" });
    let paas = Paas::new().on(
        "DELETE /apps/hello/domains/www.example.com",
        Answer::json(404, &missing),
    );
    assert_snapshot!(paas.run("domains:remove www.example.com -a hello"), @r"
    exit: 1
    --- stderr
    Removing www.example.com from hello... !
     !    Couldn't find that domain.

    hint: run `paas domains` to see the app's domains
    --- requests
    DELETE /apps/hello/domains/www.example.com
    ");
}

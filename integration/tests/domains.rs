//! An app's own domain: added, served over HTTPS, given a certificate of its own, moved to another app.

use std::{fs, time::Duration};

use paas_integration::{Platform, Visitor, eventually};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

const SOON: Duration = Duration::from_mins(1);
/// A name that no public authority can validate.
const DOMAIN: &str = "www.shop.test";

/// A root that nobody knows, and a certificate below it with its key.
struct Bought {
    root: String,
    chain: String,
    key: String,
}

fn buy(name: &str) -> Bought {
    let mut root = CertificateParams::default();
    root.distinguished_name.push(DnType::CommonName, "A root of the story");
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().expect("a key");
    let root_pem = root.self_signed(&root_key).expect("a root").pem();
    let issuer = Issuer::new(root, root_key);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new([name.to_owned()]).expect("a name");
    let leaf = leaf.signed_by(&key, &issuer).expect("a certificate");
    Bought {
        root: root_pem,
        chain: leaf.pem(),
        key: key.serialize_pem(),
    }
}

fn serves(visitor: &Visitor, page: &str) {
    eventually(
        &format!("{DOMAIN} serves {page:?} with a certificate that holds"),
        SOON,
        || {
            visitor
                .visit(DOMAIN)
                .is_ok_and(|visit| visit.status == 200 && visit.body == page)
        },
    );
}

#[test]
#[ignore = "needs docker"]
fn a_domain_is_served_with_the_certificate_that_was_chosen_and_moves_without_a_wrong_answer() {
    let platform = Platform::start();
    let app = platform.app("hello");
    app.push().expect_success();
    app.serves("hello one", SOON);

    let added = app.paas(&["domains:add", DOMAIN, "--wait"]).expect_success().clone();
    assert!(added.stdout.contains(&format!("{DOMAIN} → ")), "{}", added.stdout);
    let root = platform.data_dir().join("local-ca/root.pem");
    let root = fs::read_to_string(root).expect("the local authority has a root");
    let local = Visitor::new(platform.https(), &root);
    serves(&local, "hello one");

    let bought = buy("*.shop.test");
    let folder = platform.work();
    let (chain, key) = (folder.join("server.crt"), folder.join("server.key"));
    fs::write(&chain, &bought.chain).expect("the folder can be written");
    fs::write(&key, &bought.key).expect("the folder can be written");
    let files = [chain.display().to_string(), key.display().to_string()];
    app.paas(&["certs:add", &files[0], &files[1]]).expect_success();
    let own = Visitor::new(platform.https(), &bought.root);
    serves(&own, "hello one");
    let swapped = app.paas(&["certs:update", &files[1], &files[0]]);
    assert!(
        swapped.stderr.contains("give chain and key in two files"),
        "{}",
        swapped.stderr
    );

    app.paas(&["features:enable", "https-redirect"]).expect_success();
    eventually("plain HTTP is redirected", SOON, || {
        platform.get(DOMAIN, "/").is_some_and(|answer| answer.status == 301)
    });

    app.paas(&["certs:remove", "--confirm", "hello"]).expect_success();
    serves(&local, "hello one");

    // One that signs itself is good enough for whoever trusts it.
    let generated = app.paas(&["certs:generate", DOMAIN, "--selfsigned", "--now"]);
    let expected = format!("$ paas certs:add {DOMAIN}.crt {DOMAIN}.key");
    assert!(generated.expect_success().stderr.contains(&expected), "{generated:?}");
    let again = app.paas(&["certs:generate", DOMAIN, "--selfsigned", "--now"]);
    assert_eq!(again.code, 1, "a key is never overwritten: {again:?}");
    let crt = format!("{DOMAIN}.crt");
    app.paas(&["certs:add", &crt, &format!("{DOMAIN}.key")])
        .expect_success();
    let crt = fs::read_to_string(platform.home().join(crt)).expect("the certificate was written");
    serves(&Visitor::new(platform.https(), &crt), "hello one");
    app.paas(&["certs:remove", "--confirm", "hello"]).expect_success();

    // The name goes to another app: from then on it never answers with the page of the first.
    let other = platform.app("other");
    other.says("other").push().expect_success();
    other.serves("hello other", SOON);
    let refused = other.paas(&["domains:add", DOMAIN]);
    assert!(
        refused.stderr.contains("is currently in use by another app"),
        "{}",
        refused.stderr
    );
    app.paas(&["domains:remove", DOMAIN]).expect_success();
    other.paas(&["domains:add", DOMAIN]).expect_success();
    serves(&local, "hello other");
    for _ in 0..50 {
        let visit = local.visit(DOMAIN).expect("the name is served");
        assert_eq!((visit.status, visit.body.as_str()), (200, "hello other"));
    }
    other.paas(&["domains:clear"]).expect_success();
    eventually("the name is nobody's", SOON, || {
        platform.get(DOMAIN, "/").is_some_and(|answer| answer.status == 404)
    });
}

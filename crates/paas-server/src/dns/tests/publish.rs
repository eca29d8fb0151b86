//! Proofs in the DNS: where they go, and when all have them.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use super::server::{Dns, cname, txt};
use crate::dns::{DnsPublisher, hook::Hook};

const CHALLENGE: &str = "_acme-challenge.example.com";
const LIMIT: Duration = Duration::from_secs(10);

/// A publisher whose hook writes down what it is asked.
fn publisher(dns: &Dns, directory: &Path) -> DnsPublisher {
    let program = directory.join("hook");
    let new = directory.join("new");
    let log = directory.join("log").display().to_string();
    fs::write(&new, format!("#!/bin/sh\necho \"$*\" >> '{log}'\n[ \"$3\" != bad ]\n")).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(new, &program).unwrap();
    DnsPublisher::with_hook(Hook::new(program), dns.client.clone())
}

fn logged(directory: &Path) -> String {
    fs::read_to_string(directory.join("log")).unwrap()
}

fn values(values: &[&str]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[tokio::test]
async fn every_value_is_published_and_every_value_is_taken_away() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(&dns, directory.path());
    publisher.publish(CHALLENGE, &values(&["one", "two"])).await.unwrap();
    // The failure of one does not keep the other.
    publisher.remove(CHALLENGE, &values(&["bad", "two"])).await.unwrap_err();
    assert_eq!(
        logged(directory.path()),
        format!("present {CHALLENGE} one\npresent {CHALLENGE} two\ncleanup {CHALLENGE} bad\ncleanup {CHALLENGE} two\n")
    );
}

#[tokio::test]
async fn a_challenge_goes_where_its_alias_leads() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0]);
    dns.delegate("proofs.example", &[1]);
    dns.zone(0).add(CHALLENGE, cname("abc.proofs.example"));
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(&dns, directory.path());
    publisher.publish(CHALLENGE, &values(&["one"])).await.unwrap();
    assert_eq!(logged(directory.path()), "present abc.proofs.example one\n");
    dns.zone(1).add("abc.proofs.example", txt("one"));
    publisher
        .wait_visible(CHALLENGE, &values(&["one"]), LIMIT)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_proof_is_visible_when_every_server_of_the_zone_has_it() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0, 1]);
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(&dns, directory.path());
    dns.zone(0).add(CHALLENGE, txt("of somebody else"));
    dns.zone(0).add(CHALLENGE, txt("one"));
    let wanted = values(&["one"]);
    let waited = Duration::from_secs(2);
    let error = publisher.wait_visible(CHALLENGE, &wanted, waited).await.unwrap_err();
    assert!(error.to_string().contains("1 of 2 servers"), "{error}");

    let late = async {
        // As soon as the wait has looked once more and seen nothing.
        let before = dns.zone(1).questions();
        while dns.zone(1).questions() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        dns.zone(1).add(CHALLENGE, txt("one"));
    };
    let (seen, ()) = tokio::join!(publisher.wait_visible(CHALLENGE, &wanted, LIMIT), late);
    seen.unwrap();
}

#[tokio::test]
async fn a_resolver_never_hears_of_a_challenge_that_it_could_remember_as_missing() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(&dns, directory.path());
    publisher.publish(CHALLENGE, &values(&["one"])).await.unwrap();
    dns.zone(0).add(CHALLENGE, txt("one"));
    publisher
        .wait_visible(CHALLENGE, &values(&["one"]), LIMIT)
        .await
        .unwrap();
    assert!(!dns.resolver.was_asked(CHALLENGE));
    assert!(dns.zone(0).was_asked(CHALLENGE));
}

#[tokio::test]
async fn what_is_no_name_is_refused_before_anything_is_run() {
    let dns = Dns::start(0).await;
    let directory = tempfile::tempdir().unwrap();
    let publisher = publisher(&dns, directory.path());
    publisher.publish("a..b", &values(&["one"])).await.unwrap_err();
    assert!(!directory.path().join("log").exists());
}

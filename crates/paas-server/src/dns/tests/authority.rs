//! Checks against servers that hold zones, and a resolver that remembers.

use std::net::{IpAddr, Ipv4Addr};

use hickory_resolver::proto::rr::RecordType;

use super::server::{Dns, a, caa, cname};
use crate::dns::{AddressSource, Finding, PublicAddresses, Verdict};

const OURS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const THEIRS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
const WWW: &str = "www.example.com";
const ISSUERS: [&str; 1] = ["letsencrypt.org"];

async fn check(dns: &Dns, name: &str) -> Verdict {
    let ours = PublicAddresses {
        addresses: vec![IpAddr::V4(OURS)],
        source: AddressSource::Settings,
    };
    dns.client.check(&name.parse().unwrap(), &ours, &ISSUERS).await
}

/// The one finding that a check has.
async fn finding(dns: &Dns, name: &str) -> Finding {
    match check(dns, name).await {
        Verdict::Wait(findings) if findings.len() == 1 => findings.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_servers_of_the_zone_are_believed_and_not_the_memory_of_a_resolver() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    dns.resolver.add(WWW, a(THEIRS));
    dns.zone(0).add(WWW, a(OURS));
    assert_eq!(check(&dns, WWW).await, Verdict::PointsHere);

    dns.zone(0).remove(WWW, RecordType::A);
    assert!(matches!(finding(&dns, WWW).await, Finding::NoRecord { .. }));
    // What the resolver has never heard of is there as soon as the zone's servers have it.
    dns.zone(0).add("new.example.com", a(OURS));
    assert_eq!(check(&dns, "new.example.com").await, Verdict::PointsHere);
}

#[tokio::test]
async fn a_resolver_has_to_do_where_the_servers_of_the_zone_cannot_be_reached() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0, 1]);
    dns.zone(0).be_silent();
    dns.zone(1).be_silent();
    dns.resolver.add(WWW, a(OURS));
    assert_eq!(check(&dns, WWW).await, Verdict::PointsHere);
}

#[tokio::test]
async fn one_silent_server_of_a_zone_is_passed_over() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0, 1]);
    dns.zone(0).be_silent();
    dns.zone(1).add(WWW, a(OURS));
    assert_eq!(check(&dns, WWW).await, Verdict::PointsHere);
}

#[tokio::test]
async fn a_zone_that_the_resolver_does_not_know_of_yet_is_found_by_referral() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0]);
    dns.zone(0).refer("shop.example.com", 1);
    dns.zone(1).add("www.shop.example.com", a(OURS));
    assert_eq!(check(&dns, "www.shop.example.com").await, Verdict::PointsHere);
}

#[tokio::test]
async fn aliases_are_followed_from_zone_to_zone() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0]);
    dns.delegate("platform.example", &[1]);
    dns.zone(0).add(WWW, cname("app.platform.example"));
    assert_eq!(
        finding(&dns, WWW).await,
        Finding::DanglingAlias {
            name: WWW.parse().unwrap(),
            target: "app.platform.example".to_owned()
        }
    );
    dns.zone(1).add("app.platform.example", a(OURS));
    assert_eq!(check(&dns, WWW).await, Verdict::PointsHere);
}

#[tokio::test]
async fn an_alias_that_leads_back_is_named() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0]);
    dns.delegate("example.net", &[1]);
    dns.zone(0).add(WWW, cname("a.example.net"));
    dns.zone(1).add("a.example.net", cname(WWW));
    let found = finding(&dns, WWW).await;
    assert!(matches!(found, Finding::CnameLoop { .. }));
    let words = found.to_string();
    assert!(
        words.contains("www.example.com → a.example.net → www.example.com"),
        "{words}"
    );
}

#[tokio::test]
async fn what_does_not_fit_a_datagram_comes_over_tcp() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    dns.zone(0).truncate();
    for host in 1..=200 {
        dns.zone(0).add(WWW, a(Ipv4Addr::new(198, 51, 100, host)));
    }
    let Finding::Elsewhere { found, .. } = finding(&dns, WWW).await else {
        panic!("it is elsewhere");
    };
    assert_eq!(found.len(), 200);
}

#[tokio::test]
async fn a_forged_answer_is_passed_over() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    dns.zone(0).forge();
    dns.zone(0).add(WWW, a(OURS));
    assert_eq!(check(&dns, WWW).await, Verdict::PointsHere);
}

#[tokio::test]
async fn caa_is_looked_for_up_the_tree() {
    let dns = Dns::start(2).await;
    dns.delegate("example.com", &[0]);
    dns.delegate("sub.example.com", &[1]);
    dns.zone(1).add("www.sub.example.com", a(OURS));
    assert_eq!(check(&dns, "www.sub.example.com").await, Verdict::PointsHere);

    dns.zone(0).add("example.com", caa("issue", "digicert.com"));
    let found = finding(&dns, "www.sub.example.com").await;
    assert!(
        matches!(&found, Finding::CaaForbids { holder, records, .. }
            if holder == "example.com" && records == &["0 issue \"digicert.com\""]),
        "{found:?}"
    );
    // The nearest records count, alone.
    dns.zone(1).add(
        "sub.example.com",
        caa("issue", "letsencrypt.org; validationmethods=http-01"),
    );
    assert_eq!(check(&dns, "www.sub.example.com").await, Verdict::PointsHere);
    // The zone above still has its own.
    dns.zone(0).add(WWW, a(OURS));
    assert!(matches!(finding(&dns, WWW).await, Finding::CaaForbids { .. }));
}

#[tokio::test]
async fn a_wildcard_needs_leave_and_no_address() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    let domain = "example.com".parse().unwrap();
    assert_eq!(dns.client.check_wildcard(&domain, &ISSUERS).await, Verdict::PointsHere);
    dns.zone(0).add("example.com", caa("issue", "letsencrypt.org"));
    dns.zone(0).add("example.com", caa("issuewild", ";"));
    let Verdict::Wait(findings) = dns.client.check_wildcard(&domain, &ISSUERS).await else {
        panic!("it is forbidden");
    };
    let words = findings[0].to_string();
    assert!(
        words.ends_with("Add the record `example.com CAA 0 issuewild \"letsencrypt.org\"`."),
        "{words}"
    );
}

#[tokio::test]
async fn a_broken_zone_is_neither_good_nor_bad() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    for server in [&dns.resolver, dns.zone(0)] {
        server.refuse(WWW);
    }
    let Verdict::Unknown(words) = check(&dns, WWW).await else {
        panic!("nobody knows");
    };
    assert!(
        words.contains("www.example.com") && words.contains("Server Failure"),
        "{words}"
    );
}

#[tokio::test]
async fn several_findings_come_together() {
    let dns = Dns::start(1).await;
    dns.delegate("example.com", &[0]);
    dns.zone(0).add(WWW, a(THEIRS));
    dns.zone(0).add(WWW, caa("issue", ";"));
    let Verdict::Wait(findings) = check(&dns, WWW).await else {
        panic!("it is wrong");
    };
    assert!(
        matches!(findings[..], [Finding::Elsewhere { .. }, Finding::CaaForbids { .. }]),
        "{findings:?}"
    );
}

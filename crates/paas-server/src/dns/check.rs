//! Whether an order for a name would succeed, asked before it is placed: a failed validation counts against the CA's limits.

use std::{net::IpAddr, time::Duration};

use hickory_resolver::proto::rr::{Name, RData, RecordType, rdata::CAA};
use paas_core::Hostname;
use tokio::time::timeout;

use super::{
    Finding, PublicAddresses, Resolver, Verdict,
    caa::{self, Coverage},
    cloudflare,
    resolver::{Found, Look, LookError, shown},
    words,
};

/// A check that takes longer says nothing.
const LIMIT: Duration = Duration::from_secs(20);

impl Resolver {
    /// Whether a CA would reach us under a name (HTTP-01, TLS-ALPN-01), and may issue for it.
    ///
    /// `issuers` are the names that our CAs have in CAA records; with none of them, CAA is not looked at.
    pub(crate) async fn check(&self, name: &Hostname, ours: &PublicAddresses, issuers: &[&str]) -> Verdict {
        if !ours.is_known() {
            return Verdict::Unknown(ours.why_unknown());
        }
        let check = async {
            let look = self.look()?;
            let dns_name = to_name(name);
            // Found once, for the three that follow.
            look.zone_of(&dns_name).await;
            let (v4, v6, caa) = tokio::join!(
                look.find(&dns_name, RecordType::A),
                look.find(&dns_name, RecordType::AAAA),
                find_caa(&look, &dns_name, issuers),
            );
            let mut findings = Vec::new();
            match (v4, v6) {
                (Err(LookError::AliasLoop { chain }), _) | (_, Err(LookError::AliasLoop { chain })) => {
                    // CAA runs into the same loop.
                    let name = name.clone();
                    return Ok(vec![Finding::CnameLoop { name, chain }]);
                }
                (v4, v6) => findings.extend(judge(name, &[v4?, v6?], ours)),
            }
            findings.extend(judge_caa(name, caa?, Coverage::Name, issuers));
            Ok(findings)
        };
        verdict(timeout(LIMIT, check).await)
    }

    /// Whether a CA may issue a wildcard certificate for the names under one. DNS-01 needs no address.
    pub(crate) async fn check_wildcard(&self, domain: &Hostname, issuers: &[&str]) -> Verdict {
        let check = async {
            let found = find_caa(&self.look()?, &to_name(domain), issuers).await?;
            Ok(judge_caa(domain, found, Coverage::Wildcard, issuers)
                .into_iter()
                .collect())
        };
        verdict(timeout(LIMIT, check).await)
    }
}

fn verdict<E>(findings: Result<Result<Vec<Finding>, LookError>, E>) -> Verdict {
    match findings {
        Ok(Ok(findings)) if findings.is_empty() => Verdict::PointsHere,
        Ok(Ok(findings)) => Verdict::Wait(findings),
        Ok(Err(error)) => Verdict::Unknown(words(&error)),
        Err(_) => Verdict::Unknown(format!(
            "the DNS did not answer within {} seconds: look at this machine's /etc/resolv.conf",
            LIMIT.as_secs()
        )),
    }
}

/// A hostname as an absolute DNS name.
pub(super) fn to_name(hostname: &Hostname) -> Name {
    absolute(hostname.as_str()).expect("a Hostname obeys stricter rules than a DNS name")
}

pub(super) fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// What the addresses of a name say: nothing when all of them are ours.
fn judge(name: &Hostname, found: &[Found; 2], ours: &PublicAddresses) -> Option<Finding> {
    let all: Vec<IpAddr> = found
        .iter()
        .flat_map(|found| &found.records)
        .filter_map(RData::ip_addr)
        .collect();
    let (right, wrong): (Vec<IpAddr>, Vec<IpAddr>) = all.iter().partition(|address| ours.lead_here(**address));
    let name = name.clone();
    let target = found.iter().find_map(|found| found.alias_of.as_ref());
    let (found, ours) = (wrong.clone(), ours.addresses.clone());
    if all.is_empty() {
        return Some(match target {
            Some(target) => Finding::DanglingAlias {
                name,
                target: shown(target),
            },
            None => Finding::NoRecord { name, ours },
        });
    }
    if wrong.is_empty() {
        return None;
    }
    Some(if right.is_empty() {
        if wrong.iter().all(|address| cloudflare::is_proxy(*address)) {
            Finding::OrangeCloud { name, found }
        } else if wrong.iter().all(|address| !super::address::is_public(*address)) {
            Finding::Private { name, found, ours }
        } else {
            Finding::Elsewhere { name, found, ours }
        }
    } else if wrong.iter().all(IpAddr::is_ipv6) && right.iter().all(IpAddr::is_ipv4) {
        Finding::StaleAaaa { name, found, ours }
    } else {
        Finding::PartlyElsewhere { name, found }
    })
}

/// The CAA records that count for a name, and whose they are.
struct Relevant {
    holder: Name,
    records: Vec<CAA>,
}

/// The records of the name itself, or of the nearest name above that has any (RFC 8659 §3).
async fn find_caa(look: &Look, name: &Name, issuers: &[&str]) -> Result<Option<Relevant>, LookError> {
    let mut holder = name.clone();
    while !holder.is_root() && !issuers.is_empty() {
        let found = look.find(&holder, RecordType::CAA).await?;
        let records: Vec<CAA> = found
            .records
            .into_iter()
            .filter_map(|record| match record {
                RData::CAA(caa) => Some(caa),
                _ => None,
            })
            .collect();
        if !records.is_empty() {
            let holder = found.alias_of.unwrap_or(holder);
            return Ok(Some(Relevant { holder, records }));
        }
        // Above an alias the tree of the name itself counts, not that of its target.
        holder = holder.base_name();
    }
    Ok(None)
}

fn judge_caa(name: &Hostname, relevant: Option<Relevant>, coverage: Coverage, issuers: &[&str]) -> Option<Finding> {
    let Relevant { holder, records } = relevant?;
    if caa::allows(&records, coverage, issuers) {
        return None;
    }
    Some(Finding::CaaForbids {
        name: name.clone(),
        holder: shown(&holder),
        records: records.iter().map(caa::text).collect(),
        needed: caa::needed(coverage, &records, issuers.first()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::AddressSource;

    fn judged(found: &[&str], ours: &[&str]) -> Option<Finding> {
        let parse = |texts: &[&str]| -> Vec<IpAddr> { texts.iter().map(|text| text.parse().unwrap()).collect() };
        let ours = PublicAddresses {
            addresses: parse(ours),
            source: AddressSource::Settings,
        };
        let record = |address| match address {
            IpAddr::V4(address) => RData::A(address.into()),
            IpAddr::V6(address) => RData::AAAA(address.into()),
        };
        let found = Found {
            records: parse(found).into_iter().map(record).collect(),
            alias_of: None,
        };
        judge(&"www.example.com".parse().unwrap(), &[found, Found::default()], &ours)
    }

    #[test]
    fn every_address_has_to_be_ours() {
        let both = ["203.0.113.7", "2001:db8::7"];
        assert_eq!(judged(&["203.0.113.7"], &both), None);
        assert_eq!(judged(&["2001:db8::7"], &both), None);
        assert_eq!(judged(&both, &both), None);
        assert!(matches!(judged(&[], &both), Some(Finding::NoRecord { .. })));
        assert!(matches!(
            judged(&["203.0.113.7", "198.51.100.1"], &both),
            Some(Finding::PartlyElsewhere { found, .. }) if found == ["198.51.100.1".parse::<IpAddr>().unwrap()]
        ));
        assert!(matches!(
            judged(&["203.0.113.7", "2001:db8::1"], &both),
            Some(Finding::StaleAaaa { found, .. }) if found == ["2001:db8::1".parse::<IpAddr>().unwrap()]
        ));
        assert!(matches!(
            judged(&["203.0.113.7", "2001:db8::7", "2001:db8::1"], &both),
            Some(Finding::PartlyElsewhere { .. })
        ));
        assert!(matches!(
            judged(&["198.51.100.1", "2001:db8::1"], &both),
            Some(Finding::Elsewhere { .. })
        ));
    }

    #[test]
    fn proxies_and_private_networks_are_named() {
        let ours = ["203.0.113.7"];
        assert!(matches!(
            judged(&["104.21.3.4", "172.67.1.1", "2606:4700:3031::1"], &ours),
            Some(Finding::OrangeCloud { .. })
        ));
        assert!(matches!(judged(&["192.168.1.5"], &ours), Some(Finding::Private { .. })));
        assert!(matches!(
            judged(&["127.0.0.1", "::1"], &ours),
            Some(Finding::Private { .. })
        ));
        assert!(matches!(
            judged(&["192.168.1.5", "198.51.100.1"], &ours),
            Some(Finding::Elsewhere { .. })
        ));
    }

    #[test]
    fn a_load_balancer_or_a_private_address_that_was_set_leads_here() {
        assert_eq!(judged(&["104.21.3.4"], &["104.21.3.4", "203.0.113.7"]), None);
        assert_eq!(judged(&["127.0.0.1"], &["127.0.0.1"]), None);
    }
}

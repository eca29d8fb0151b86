//! Which CAs a domain's owner allows (CAA, RFC 8659). Pure: the records come from `resolver`.
//!
//! Parameters after the CA's name (`accounturi`, `validationmethods`, RFC 8657) are the CA's to judge: the CA is counted as
//! allowed, and its own words tell when it sees that otherwise.

use hickory_resolver::proto::rr::rdata::CAA;

/// Tags that forbid nothing to somebody who issues TLS certificates (IANA's registry of CAA properties).
const HARMLESS: [&str; 5] = ["iodef", "contactemail", "contactphone", "issuemail", "issuevmc"];

/// What kind of name a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coverage {
    Name,
    Wildcard,
}

/// Whether the relevant record set of a name allows one of these CAs to issue for it.
pub(super) fn allows(records: &[CAA], coverage: Coverage, issuers: &[&str]) -> bool {
    let tagged = |tag: &'static str| {
        records
            .iter()
            .filter(move |record| record.tag.eq_ignore_ascii_case(tag))
    };
    // §4.5: whoever does not understand a critical property must not issue.
    let unknown = |record: &CAA| {
        !["issue", "issuewild"]
            .iter()
            .chain(&HARMLESS)
            .any(|known| record.tag.eq_ignore_ascii_case(known))
    };
    if records.iter().any(|record| record.issuer_critical && unknown(record)) {
        return false;
    }
    // §4.3: with a record for wildcards, the others do not count for them.
    let tag = match coverage {
        Coverage::Wildcard if tagged("issuewild").next().is_some() => "issuewild",
        _ => "issue",
    };
    tagged(tag).next().is_none()
        || tagged(tag)
            .filter_map(|record| issuer(&record.value))
            .any(|allowed| issuers.iter().any(|ours| ours.eq_ignore_ascii_case(allowed)))
}

/// The record that would allow an issuer.
pub(super) fn needed(coverage: Coverage, records: &[CAA], issuer: &str) -> String {
    let has_wildcards = records
        .iter()
        .any(|record| record.tag.eq_ignore_ascii_case("issuewild"));
    let tag = match coverage {
        Coverage::Wildcard if has_wildcards => "issuewild",
        _ => "issue",
    };
    format!("0 {tag} \"{issuer}\"")
}

/// A record as a zone file has it; bytes that are no plain text are escaped.
pub(super) fn text(record: &CAA) -> String {
    format!(
        "{} {} \"{}\"",
        record.flags(),
        record.tag.escape_default(),
        record.value.escape_ascii()
    )
}

/// The CA that a value of `issue` names: what stands before the first semicolon (§4.2).
///
/// Nothing, or what is no domain name, allows nobody.
fn issuer(value: &[u8]) -> Option<&str> {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    let name = str::from_utf8(&value[..end]).ok()?.trim_matches([' ', '\t']);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(label).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: [&str; 1] = ["letsencrypt.org"];

    fn record(tag: &str, value: &str) -> CAA {
        let mut record = CAA::new_issue(false, None, Vec::new());
        tag.clone_into(&mut record.tag);
        record.value = value.as_bytes().to_vec();
        record
    }

    fn set(records: &[(&str, &str)]) -> Vec<CAA> {
        records.iter().map(|(tag, value)| record(tag, value)).collect()
    }

    #[test]
    fn owners_choose_their_cas() {
        for (records, name, wildcard) in [
            (&[][..], true, true),
            (&[("issue", "letsencrypt.org")], true, true),
            (&[("ISSUE", "LetsEncrypt.org")], true, true),
            (&[("issue", " letsencrypt.org ; validationmethods=dns-01")], true, true),
            (
                &[("issue", "letsencrypt.org;accounturi=https://acme-v02.example/acct/1")],
                true,
                true,
            ),
            (&[("issue", "digicert.com"), ("issue", "letsencrypt.org")], true, true),
            (&[("issue", "digicert.com")], false, false),
            (&[("issue", ";")], false, false),
            (&[("issue", "")], false, false),
            (&[("issue", "%%%%%")], false, false),
            (&[("issue", "letsencrypt.org."), ("issue", ";")], false, false),
            (&[("issue", "letsencrypt.org.evil.example")], false, false),
            (&[("iodef", "mailto:security@example.com")], true, true),
            (&[("issue", "letsencrypt.org"), ("issuewild", ";")], true, false),
            (&[("issue", ";"), ("issuewild", "letsencrypt.org")], false, true),
            (&[("issuewild", "digicert.com")], true, false),
        ] {
            let set = set(records);
            assert_eq!(allows(&set, Coverage::Name, &OURS), name, "{records:?}");
            assert_eq!(
                allows(&set, Coverage::Wildcard, &OURS),
                wildcard,
                "{records:?}, wildcard"
            );
        }
    }

    #[test]
    fn a_critical_property_that_nobody_knows_forbids() {
        let mut records = set(&[("issue", "letsencrypt.org"), ("tbs", "unknown")]);
        assert!(allows(&records, Coverage::Name, &OURS));
        records[1].issuer_critical = true;
        assert!(!allows(&records, Coverage::Name, &OURS));
        let mut known = set(&[("issue", "letsencrypt.org"), ("iodef", "mailto:a@example.com")]);
        known[0].issuer_critical = true;
        known[1].issuer_critical = true;
        assert!(allows(&known, Coverage::Name, &OURS));
    }

    #[test]
    fn a_record_reads_as_in_a_zone_file() {
        let mut issue = record("issue", "letsencrypt.org; a=\"b\"\n");
        issue.issuer_critical = true;
        assert_eq!(text(&issue), r#"128 issue "letsencrypt.org; a=\"b\"\n""#);
        let wild = set(&[("issuewild", "digicert.com")]);
        assert_eq!(
            needed(Coverage::Wildcard, &wild, OURS[0]),
            "0 issuewild \"letsencrypt.org\""
        );
        assert_eq!(needed(Coverage::Wildcard, &[], OURS[0]), "0 issue \"letsencrypt.org\"");
    }

    proptest! {
        #[test]
        fn what_is_no_name_of_ours_never_allows(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut records = set(&[("issue", "")]);
            let names_us = value.to_ascii_lowercase().windows(OURS[0].len()).any(|part| part == OURS[0].as_bytes());
            records[0].value.clone_from(&value);
            prop_assert!(names_us || !allows(&records, Coverage::Name, &OURS));
            prop_assert!(!text(&records[0]).contains(char::is_control));
        }

        #[test]
        fn parameters_do_not_change_the_issuer(parameters in "[ -~]{0,40}", space in "[ \t]{0,3}") {
            let records = set(&[("issue", &format!("{space}letsencrypt.org{space};{parameters}"))]);
            prop_assert!(allows(&records, Coverage::Name, &OURS));
        }

        #[test]
        fn one_more_allowed_ca_never_takes_an_allowance_away(tags in proptest::collection::vec(("issue|issuewild|iodef", "[a-z.;]{0,12}"), 0..4)) {
            let tags: Vec<_> = tags.iter().map(|(tag, value)| (tag.as_str(), value.as_str())).collect();
            let mut records = set(&tags);
            for coverage in [Coverage::Name, Coverage::Wildcard] {
                let line = needed(coverage, &records, OURS[0]);
                let tag = line.split(' ').nth(1).unwrap();
                records.push(record(tag, OURS[0]));
                prop_assert!(allows(&records, coverage, &OURS), "{line}");
            }
        }
    }
}

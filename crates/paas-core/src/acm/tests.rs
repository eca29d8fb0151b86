use super::*;

const BOTH: Authorities = Authorities {
    has_staging: true,
    has_fallback: true,
};
const ALONE: Authorities = Authorities {
    has_staging: false,
    has_fallback: false,
};
const NAME: &str = "www.example.com";

fn minute(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap() + TimeDelta::minutes(minute)
}

fn days(days: i64) -> i64 {
    days * 24 * 60
}

/// A certificate of ninety days from this minute on.
fn held(from: i64) -> Held {
    Held {
        not_before: minute(from),
        not_after: minute(from + days(90)),
    }
}

fn next(acm: &Acm, held: Option<&Held>, authorities: Authorities, at: i64) -> AcmStep {
    acm.decide(&[NAME.to_owned()], held, &Ledger::default(), authorities, minute(at))
}

fn placed(authority: Authority) -> AcmStep {
    AcmStep::Order {
        authority,
        kind: OrderKind::First,
    }
}

fn failure(authority: Authority, fault: Fault) -> Failure {
    Failure {
        authority,
        fault,
        words: format!("{} said no", authority.as_str()),
    }
}

const DOWN: Fault = Fault::Authority { retry_at: None };

/// A name with DNS in order, at this minute.
fn verified(at: i64) -> Acm {
    Acm::new(minute(at)).dns_checked(DnsVerdict::PointsHere, minute(at))
}

fn ordered(acm: Acm, authority: Authority, at: i64) -> Acm {
    acm.ordered(authority, "https://ca/order/1".to_owned(), minute(at))
}

#[test]
fn a_name_waits_for_dns_and_says_what_it_lacks() {
    let acm = Acm::new(minute(0));
    assert_eq!(next(&acm, None, ALONE, 0), AcmStep::CheckDns);
    assert_eq!((acm.status(false), acm.reason.as_deref()), ("pending", None));
    let acm = acm.dns_checked(DnsVerdict::Wait("No record".to_owned()), minute(0));
    assert_eq!(
        (acm.status(false), acm.reason.as_deref()),
        ("pending", Some("No record"))
    );
    assert_eq!(
        next(&acm, None, ALONE, 0),
        AcmStep::Rest(Some(minute(0) + TimeDelta::seconds(30)))
    );
    let acm = acm.dns_checked(DnsVerdict::Unknown("SERVFAIL".to_owned()), minute(1));
    assert_eq!(next(&acm, None, ALONE, 1), AcmStep::Rest(Some(minute(2))));
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(2));
    assert_eq!((acm.status(false), acm.reason.as_deref()), ("dns-verified", None));
    assert_eq!(next(&acm, None, ALONE, 2), placed(Authority::Production));
    assert_eq!(
        next(&acm, None, ALONE, 13),
        AcmStep::CheckDns,
        "a look at DNS is good for ten minutes"
    );
}

#[test]
fn the_first_order_and_the_first_after_a_failure_are_rehearsals() {
    let acm = verified(0);
    assert_eq!(next(&acm, None, BOTH, 0), placed(Authority::Staging));
    let acm = ordered(acm, Authority::Staging, 0);
    assert_eq!(
        (acm.status(false), next(&acm, None, BOTH, 0)),
        ("in-progress", AcmStep::Pursue)
    );
    let acm = acm.rehearsed(minute(1));
    assert_eq!(next(&acm, None, BOTH, 1), placed(Authority::Production));
    let acm = ordered(acm, Authority::Production, 1);
    let acm = acm.failed(failure(Authority::Production, Fault::Name), false, BOTH, minute(2), 0.0);
    assert_eq!(
        (acm.status(false), acm.reason.as_deref()),
        ("failing", Some("production said no"))
    );
    assert_eq!(next(&acm, None, BOTH, 2), AcmStep::Rest(Some(minute(3))));
    assert_eq!(next(&acm, None, BOTH, 3), AcmStep::CheckDns);
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(3));
    assert_eq!(next(&acm, None, BOTH, 3), placed(Authority::Staging));
    assert_eq!(acm.reason.as_deref(), Some("production said no"), "until it is past");
}

#[test]
fn a_staging_authority_in_trouble_holds_nobody_up() {
    let acm = ordered(verified(0), Authority::Staging, 0);
    let acm = acm.failed(failure(Authority::Staging, DOWN), false, BOTH, minute(0), 0.0);
    assert_eq!(next(&acm, None, BOTH, 1), AcmStep::CheckDns);
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(1));
    assert_eq!(next(&acm, None, BOTH, 1), placed(Authority::Production));
    assert_eq!(acm.outages, 0, "production did nothing wrong");
}

#[test]
fn the_fallback_is_asked_after_three_outages_and_by_turns_from_then_on() {
    let mut acm = Acm {
        is_rehearsed: true,
        ..verified(0)
    };
    let mut asked = Vec::new();
    for at in 0..6 {
        let AcmStep::Order { authority, .. } = next(&acm, None, BOTH, at) else {
            panic!("{acm:?} at {at}");
        };
        asked.push(authority.as_str());
        acm = acm.failed(failure(authority, DOWN), false, BOTH, minute(at), 0.0);
        acm = acm.dns_checked(DnsVerdict::PointsHere, minute(at + 1));
    }
    assert_eq!(
        asked,
        [
            "production",
            "production",
            "production",
            "fallback",
            "production",
            "fallback"
        ]
    );
}

#[test]
fn an_order_outlives_an_outage_of_its_authority() {
    let acm = Acm {
        is_rehearsed: true,
        ..verified(0)
    };
    let mut acm = ordered(acm, Authority::Production, 0);
    for (at, look_at) in [(0, 1), (1, 3), (3, 5), (5, 10)] {
        acm = acm.failed(failure(Authority::Production, DOWN), false, ALONE, minute(at), 0.0);
        assert_eq!(next(&acm, None, ALONE, at), AcmStep::Rest(Some(minute(look_at))));
        assert_eq!(next(&acm, None, ALONE, look_at), AcmStep::Pursue);
    }
    let late = days(5) + 1;
    let acm = acm.failed(failure(Authority::Production, DOWN), false, ALONE, minute(late), 0.0);
    assert!(
        matches!(acm.state, AcmState::Failing { .. }),
        "an order is not pursued for ever"
    );
}

#[test]
fn an_order_waits_for_our_own_part_as_well() {
    let acm = ordered(verified(0), Authority::Production, 0);
    let acm = acm.failed(failure(Authority::Production, Fault::Ours), false, BOTH, minute(0), 0.0);
    assert_eq!(next(&acm, None, BOTH, 1), AcmStep::Pursue);
    assert_eq!(acm.outages, 0, "no other authority would do better");
}

#[test]
fn retry_after_is_obeyed_or_the_fallback_asked() {
    let limited = Fault::Authority {
        retry_at: Some(minute(days(3))),
    };
    let acm = ordered(verified(0), Authority::Production, 0);
    let alone = acm
        .clone()
        .failed(failure(Authority::Production, limited), false, ALONE, minute(0), 0.0);
    assert_eq!(alone.next_at(), Some(minute(days(3))));
    let acm = Acm {
        is_rehearsed: true,
        ..acm.failed(failure(Authority::Production, limited), false, BOTH, minute(0), 0.0)
    };
    assert_eq!(acm.next_at(), Some(minute(1)));
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(1));
    assert_eq!(next(&acm, None, BOTH, 1), placed(Authority::Fallback));
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(days(3)));
    assert_eq!(next(&acm, None, BOTH, days(3)), placed(Authority::Production));
    let never = Fault::Authority {
        retry_at: Some(minute(days(4000))),
    };
    let acm = verified(0).failed(failure(Authority::Production, never), false, ALONE, minute(0), 0.0);
    assert_eq!(acm.next_at(), Some(minute(days(8))));
}

#[test]
fn a_full_ledger_holds_an_order_back_and_says_so() {
    let orders = (0..5).map(|at| LedgerEntry::Order {
        authority: Authority::Production,
        names: vec![NAME.to_owned()],
        kind: OrderKind::First,
        at: minute(at),
        failed_at: None,
        is_invalid: false,
    });
    let ledger = Ledger(orders.collect());
    let names = [NAME.to_owned()];
    let acm = Acm {
        is_rehearsed: true,
        ..verified(5)
    };
    let AcmStep::HoldBack(blocked) = acm.decide(&names, None, &ledger, ALONE, minute(5)) else {
        panic!("not held back");
    };
    let with_fallback = acm.decide(&names, None, &ledger, BOTH, minute(5));
    assert_eq!(
        with_fallback,
        placed(Authority::Fallback),
        "each authority counts for itself"
    );
    let acm = acm.held_back(&blocked, minute(5));
    assert_eq!(next(&acm, None, ALONE, 6), AcmStep::Rest(Some(minute(days(7)))));
    assert_eq!(
        next(&acm, None, ALONE, days(7)),
        AcmStep::CheckDns,
        "which may have changed meanwhile"
    );
    assert!(acm.reason.unwrap().contains("5 certificates in 7 days"));
}

#[test]
fn a_certificate_is_renewed_at_two_thirds_or_when_its_authority_says() {
    let acm = verified(0).issued(Some(Authority::Production), &held(0), minute(0), 0.0);
    assert_eq!(acm.status(true), "cert issued");
    assert_eq!(
        next(&acm, Some(&held(0)), BOTH, days(1)),
        AcmStep::Rest(Some(minute(days(60))))
    );
    assert_eq!(next(&acm, Some(&held(0)), BOTH, days(60)), AcmStep::CheckDns);
    let window = RenewalWindow {
        start: minute(days(10)),
        end: minute(days(20)),
    };
    let acm = acm.advised(window, minute(days(1)), 0.5);
    assert_eq!(acm.next_at(), Some(minute(days(15))));
    let acm = acm.advised(window, minute(days(2)), 0.9);
    assert_eq!(acm.next_at(), Some(minute(days(15))), "one choice per window");
    assert_eq!(next(&acm, Some(&held(0)), BOTH, days(15)), AcmStep::CheckDns);
    let acm = acm.dns_checked(DnsVerdict::Unknown("SERVFAIL".to_owned()), minute(days(15)));
    let exempt = AcmStep::Order {
        authority: Authority::Production,
        kind: OrderKind::Advised,
    };
    assert_eq!(
        next(&acm, Some(&held(0)), BOTH, days(15)),
        exempt,
        "the authority is the judge of a renewal"
    );
    let acm = acm.failed(
        failure(Authority::Production, Fault::Lost),
        true,
        BOTH,
        minute(days(15)),
        0.0,
    );
    let acm = acm.dns_checked(DnsVerdict::PointsHere, minute(days(15)));
    let plain = AcmStep::Order {
        authority: Authority::Production,
        kind: OrderKind::Renewal,
    };
    assert_eq!(next(&acm, Some(&held(0)), BOTH, days(15)), plain);
}

#[test]
fn a_window_after_the_end_of_a_certificate_is_not_waited_for() {
    let acm = verified(0).issued(Some(Authority::Production), &held(0), minute(0), 0.0);
    let window = RenewalWindow {
        start: minute(days(200)),
        end: minute(days(201)),
    };
    let acm = acm.advised(window, minute(0), 0.0);
    assert_eq!(
        next(&acm, Some(&held(0)), BOTH, 0),
        AcmStep::Rest(Some(minute(days(75))))
    );
}

#[test]
fn a_certificate_of_a_minute_is_renewed_within_it() {
    let at = |seconds: i64| minute(0) + TimeDelta::seconds(seconds);
    let held = Held {
        not_before: at(0),
        not_after: at(60),
    };
    let acm = verified(0).issued(Some(Authority::Production), &held, at(2), 0.0);
    let step = |now| acm.decide(&[NAME.to_owned()], Some(&held), &Ledger::default(), ALONE, now);
    assert_eq!(step(at(2)), AcmStep::Rest(Some(at(40))));
    assert_eq!(step(at(40)), AcmStep::CheckDns);
}

#[test]
fn a_renewal_that_dns_prevents_is_failing() {
    let acm = verified(0).issued(Some(Authority::Production), &held(0), minute(0), 0.0);
    let acm = acm.dns_checked(DnsVerdict::Wait("Gone elsewhere".to_owned()), minute(days(60)));
    assert_eq!(
        (acm.status(true), acm.reason.as_deref()),
        ("failing", Some("Gone elsewhere"))
    );
}

#[test]
fn a_name_without_certificate_is_given_up_after_thirty_days_until_asked_again() {
    let acm = verified(0).failed(
        failure(Authority::Production, Fault::Name),
        false,
        ALONE,
        minute(0),
        0.0,
    );
    let late = minute(days(30) + 1);
    let kept = acm
        .clone()
        .failed(failure(Authority::Production, Fault::Name), true, ALONE, late, 0.0);
    assert_eq!(
        kept.status(true),
        "failing",
        "one that has a certificate is not given up"
    );
    let acm = acm.failed(failure(Authority::Production, Fault::Name), false, ALONE, late, 0.0);
    assert_eq!(acm.status(false), "failed");
    assert_eq!(next(&acm, None, ALONE, days(40)), AcmStep::Rest(None));
    let acm = acm.asked_again(minute(days(40)));
    assert_eq!(next(&acm, None, ALONE, days(40)), AcmStep::CheckDns);
    let acm = acm.failed(
        failure(Authority::Production, Fault::Name),
        false,
        ALONE,
        minute(days(40)),
        0.0,
    );
    assert_eq!(acm.status(false), "failing", "patience begins anew");
}

#[test]
fn a_certificate_from_another_time_is_taken_over() {
    let acm = Acm::new(minute(days(10)));
    assert_eq!(next(&acm, Some(&held(0)), BOTH, days(10)), AcmStep::Adopt);
    assert_eq!(next(&acm, Some(&held(0)), BOTH, days(61)), AcmStep::CheckDns);
    let acm = acm.issued(None, &held(0), minute(days(10)), 0.0);
    assert_eq!(acm.next_at(), Some(minute(days(60))));
    assert_eq!(
        next(&acm, None, BOTH, days(11)),
        AcmStep::CheckDns,
        "and missed when it is gone"
    );
}

#[test]
fn a_clock_that_is_set_back_delays_nothing_and_one_that_runs_ahead_orders_once() {
    let acm = verified(days(100)).failed(
        failure(Authority::Production, Fault::Name),
        false,
        ALONE,
        minute(days(100)),
        0.0,
    );
    assert_eq!(next(&acm, None, ALONE, 0), AcmStep::CheckDns);
    // Every certificate seems to have expired; the new one does, too.
    let acm = verified(days(1000)).issued(Some(Authority::Production), &held(0), minute(days(1000)), 0.0);
    assert!(matches!(
        next(&acm, Some(&held(0)), ALONE, days(1000)),
        AcmStep::Rest(Some(_))
    ));
    assert!(matches!(
        next(&acm, Some(&held(0)), ALONE, days(1029)),
        AcmStep::Rest(Some(_))
    ));
    let rest = next(&acm, Some(&held(0)), ALONE, days(1));
    assert_eq!(
        rest,
        AcmStep::Rest(Some(minute(days(60)))),
        "and goes by its dates once the clock is right"
    );
}

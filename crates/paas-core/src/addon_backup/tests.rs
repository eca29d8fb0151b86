//! Schedules in local time, what is kept, and what is alarming.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn now() -> DateTime<Utc> {
    at("2026-07-01T12:00:00Z")
}

fn backup(number: u32, kind: BackupKind, created_at: DateTime<Utc>) -> AddonBackup {
    AddonBackup {
        id: Id::from_uuid(Uuid::from_u128(u128::from(number))),
        addon: Id::from_uuid(Uuid::from_u128(1)),
        addon_name: "postgresql-flat-1".to_owned(),
        copied_from: None,
        copied_from_name: None,
        service: "heroku-postgresql".to_owned(),
        app: Id::from_uuid(Uuid::from_u128(2)),
        app_name: "hello".to_owned(),
        number,
        kind,
        state: BackupState::Succeeded,
        bytes: 1,
        proof: None,
        created_at,
        finished_at: Some(created_at),
    }
}

fn proof(days_ago: i64, is_good: bool) -> BackupProof {
    BackupProof {
        at: now() - TimeDelta::days(days_ago),
        is_good,
        words: String::new(),
    }
}

/// The moments in which a schedule fires while a clock goes from one to the other, minute by minute.
fn firings(schedule: BackupSchedule, from: &str, to: &str) -> Vec<String> {
    let (mut now, end) = (at(from), at(to));
    let mut turn = BackupTurn {
        schedule,
        created_at: now - TimeDelta::days(9),
        last_begun: Some(now),
        last_good: Some(now),
    };
    let mut fired = Vec::new();
    while now < end {
        if turn.is_due(now) {
            fired.push(now.format("%d %H:%M").to_string());
            (turn.last_begun, turn.last_good) = (Some(now), Some(now));
        }
        now += TimeDelta::minutes(1);
    }
    fired
}

#[test]
fn a_schedule_fires_once_a_day_at_its_local_time_whatever_becomes_of_the_clocks() {
    let at_two = BackupSchedule::new(2, "America/Los_Angeles").unwrap();
    // On 8 March 2026 there is no 2:00 to 3:00: it fires at 3:00 PDT.
    let spring = firings(at_two, "2026-03-06T20:00:00Z", "2026-03-10T20:00:00Z");
    assert_eq!(spring, ["07 10:00", "08 10:00", "09 09:00", "10 09:00"]);
    // On 1 November 2026 1:00 to 2:00 comes twice: it fires the first time.
    let at_one = BackupSchedule::new(1, "America/Los_Angeles").unwrap();
    let autumn = firings(at_one, "2026-10-30T20:00:00Z", "2026-11-02T20:00:00Z");
    assert_eq!(autumn, ["31 08:00", "01 08:00", "02 09:00"]);
    let utc = BackupSchedule::new(23, "UTC").unwrap();
    assert_eq!(
        firings(utc, "2026-03-06T23:30:00Z", "2026-03-08T23:30:00Z"),
        ["07 23:00", "08 23:00"]
    );
}

#[test]
fn what_a_person_says_is_checked() {
    assert!(BackupSchedule::new(24, "UTC").is_err());
    assert!(BackupSchedule::new(2, "Mars/Olympus").is_err());
    let schedule = BackupSchedule::new(2, "Europe/Berlin").unwrap();
    assert_eq!((schedule.hour(), schedule.zone()), (2, "Europe/Berlin"));
}

#[test]
fn what_did_not_come_off_is_tried_again_in_an_hour_and_what_was_missed_is_made_up_for() {
    let schedule = BackupSchedule::new(2, "UTC").unwrap();
    let mut turn = BackupTurn {
        schedule,
        created_at: at("2026-06-01T00:00:00Z"),
        last_begun: Some(at("2026-07-01T02:00:00Z")),
        last_good: Some(at("2026-06-30T02:00:00Z")),
    };
    assert!(!turn.is_due(at("2026-07-01T02:59:00Z")));
    assert!(turn.is_due(at("2026-07-01T03:00:00Z")));
    turn.last_begun = None;
    assert!(turn.is_due(at("2026-07-01T15:00:00Z")), "nobody was there at two");
    turn.last_good = Some(at("2026-07-01T15:00:00Z"));
    assert!(!turn.is_due(at("2026-07-02T01:59:00Z")));
    turn.created_at = at("2026-07-01T16:00:00Z");
    turn.last_good = None;
    assert!(!turn.is_due(at("2026-07-01T17:00:00Z")), "it is younger than its time");
}

#[test]
fn quiet_hours_are_in_the_night_and_spread() {
    let times: BTreeSet<_> = (0..500_u128)
        .map(|number| {
            let id = Id::from_uuid(Uuid::from_u128(number * 7919));
            let schedule = BackupSchedule::quiet(id);
            assert!((1..5).contains(&schedule.hour()), "{schedule:?}");
            (schedule.hour(), schedule.minute())
        })
        .collect();
    assert!(times.len() > 100, "{}", times.len());
}

#[test]
fn a_week_of_days_and_four_weeks_are_kept() {
    let backups: Vec<_> = (0..60)
        .map(|day| backup(day, BackupKind::Scheduled, now() - TimeDelta::days(i64::from(day))))
        .collect();
    let surplus: BTreeSet<u32> = surplus_backups(&backups, true, now())
        .iter()
        .map(|backup| backup.number)
        .collect();
    let kept: Vec<u32> = (0..60).filter(|day| !surplus.contains(day)).collect();
    // 1 July 2026 is a Wednesday: the 10th day before it is a Sunday.
    assert_eq!(kept, [0, 1, 2, 3, 4, 5, 6, 7, 10, 17, 24]);
}

#[test]
fn manual_ones_stay_until_there_are_too_many() {
    let backups: Vec<_> = (0..30)
        .map(|number| {
            backup(
                number,
                BackupKind::Manual,
                now() - TimeDelta::days(400 - i64::from(number)),
            )
        })
        .collect();
    let mut gone: Vec<u32> = surplus_backups(&backups, true, now())
        .iter()
        .map(|backup| backup.number)
        .collect();
    gone.sort_unstable();
    assert_eq!(gone, [0, 1, 2, 3, 4]);
}

#[test]
fn one_that_is_no_good_takes_nobodys_place() {
    // A Monday and the Saturday after it, in one week.
    let good = backup(1, BackupKind::Scheduled, at("2026-06-15T02:00:00Z"));
    let mut bad = backup(2, BackupKind::Scheduled, at("2026-06-20T02:00:00Z"));
    bad.proof = Some(proof(7, false));
    let newest = backup(3, BackupKind::Scheduled, now());
    let backups = [good, bad, newest];
    let gone: Vec<_> = surplus_backups(&backups, true, now())
        .iter()
        .map(|backup| backup.number)
        .collect();
    assert_eq!(gone, [2]);

    let mut backups: Vec<_> = (0..30)
        .map(|number| {
            let age = TimeDelta::days(400 - i64::from(number));
            backup(number, BackupKind::Manual, now() - age)
        })
        .collect();
    let gone_when_condemned = |backups: &mut [AddonBackup], days_ago| {
        for bad in &mut backups[10..20] {
            bad.proof = Some(proof(days_ago, false));
        }
        surplus_backups(backups, true, now())
            .iter()
            .map(|backup| backup.number)
            .collect::<BTreeSet<_>>()
    };
    // Whoever is told of them has a week to look, however old they are.
    assert_eq!(gone_when_condemned(&mut backups, 6), BTreeSet::new());
    assert_eq!(gone_when_condemned(&mut backups, 7), (10..20).collect());
}

#[test]
fn the_newest_stays_where_none_is_good() {
    let mut backups: Vec<_> = [40, 20, 30]
        .map(|age| backup(age, BackupKind::Manual, now() - TimeDelta::days(age.into())))
        .into();
    for bad in &mut backups {
        bad.proof = Some(proof(10, false));
    }
    let gone: Vec<_> = surplus_backups(&backups, true, now())
        .iter()
        .map(|backup| backup.number)
        .collect();
    assert_eq!(gone, [30, 40]);
}

#[test]
fn what_is_left_of_a_destroyed_addon_goes_a_week_after_its_end() {
    let backups = [
        backup(1, BackupKind::Manual, now() - TimeDelta::days(300)),
        backup(2, BackupKind::Last, now() - TimeDelta::days(6)),
    ];
    assert!(surplus_backups(&backups, false, now()).is_empty());
    assert_eq!(surplus_backups(&backups, false, now() + TimeDelta::days(1)).len(), 2);
}

#[test]
fn it_is_overdue_after_26_hours_and_a_bad_one_does_not_count() {
    let made = now() - TimeDelta::days(30);
    let mut young = backup(2, BackupKind::Scheduled, now() - TimeDelta::hours(3));
    let old = backup(1, BackupKind::Scheduled, now() - TimeDelta::hours(27));
    assert!(is_backup_overdue(std::slice::from_ref(&old), made, now()));
    assert!(!is_backup_overdue(&[old.clone(), young.clone()], made, now()));
    young.proof = Some(proof(0, false));
    assert!(is_backup_overdue(&[old, young], made, now()));
    assert!(!is_backup_overdue(&[], now() - TimeDelta::hours(25), now()));
    assert!(is_backup_overdue(&[], now() - TimeDelta::hours(27), now()));
}

#[test]
fn the_newest_is_proven_once_a_week_and_sooner_after_a_bad_one() {
    let mut old = backup(1, BackupKind::Scheduled, now() - TimeDelta::days(8));
    let newest = backup(2, BackupKind::Scheduled, now() - TimeDelta::hours(3));
    let chosen = |old: &AddonBackup, newest: &AddonBackup| {
        backup_to_prove(&[old.clone(), newest.clone()], now()).map(|backup| backup.number)
    };
    assert_eq!(chosen(&old, &newest), Some(2));
    old.proof = Some(proof(6, true));
    assert_eq!(chosen(&old, &newest), None);
    old.proof = Some(proof(7, true));
    assert_eq!(chosen(&old, &newest), Some(2));
    old.proof = Some(proof(1, false));
    assert_eq!(chosen(&old, &newest), Some(2));
    let proven = AddonBackup {
        proof: Some(proof(0, true)),
        ..newest
    };
    assert_eq!(chosen(&old, &proven), None);
}

fn any_backup() -> impl Strategy<Value = AddonBackup> {
    let kind = proptest::sample::select(BackupKind::ALL.to_vec());
    let state = prop_oneof![
        Just(BackupState::Running),
        Just(BackupState::Succeeded),
        Just(BackupState::Canceled),
    ];
    (0..100_000_u32, kind, state, 0..90_i64, any::<bool>()).prop_map(|(number, kind, state, days, is_bad)| {
        AddonBackup {
            state,
            proof: is_bad.then(|| proof(0, false)),
            ..backup(number, kind, now() - TimeDelta::days(days))
        }
    })
}

proptest! {
    #[test]
    fn the_newest_good_one_is_never_thrown_away_nor_what_is_running(
        backups in proptest::collection::vec(any_backup(), 0..60),
    ) {
        let newest = newest_good(&backups).map(|backup| backup.id);
        for gone in surplus_backups(&backups, true, now()) {
            prop_assert!(Some(gone.id) != newest);
            prop_assert!(gone.state != BackupState::Running);
        }
    }
}

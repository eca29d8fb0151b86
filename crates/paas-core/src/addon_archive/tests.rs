//! What an archive leads to, whatever is missing in it.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::Id;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_316_400 + minute * 60, 0).unwrap()
}

fn segment(number: u64) -> WalSegment {
    WalSegment { timeline: 1, number }
}

/// Written to its end so many minutes after the start.
fn archived(number: u64, minute: i64) -> ArchiveFile {
    ArchiveFile::Segment(ArchivedSegment {
        segment: segment(number),
        at: at(minute),
    })
}

fn base(from: u64, minute: i64) -> ArchiveFile {
    ArchiveFile::Base(ArchiveBase {
        from: segment(from),
        at: at(minute),
    })
}

fn moments(from: i64, to: i64) -> Moments {
    Moments {
        from: at(from),
        to: at(to),
    }
}

fn quiet() -> BackupSchedule {
    BackupSchedule::quiet(Id::from_uuid(Uuid::from_u128(1)))
}

#[test]
fn names_say_all_there_is_to_say_of_a_file() {
    let name = "00000002000000A1000000FF";
    let parsed: WalSegment = name.parse().unwrap();
    assert_eq!(
        parsed,
        WalSegment {
            timeline: 2,
            number: 0xa1ff
        }
    );
    assert_eq!(parsed.to_string(), name);
    for file in [archived(4, 10), base(300, 11)] {
        assert_eq!(file.to_string().parse(), Ok(file));
    }
    for odd in [
        "",
        "base",
        "base.part",
        "000000010000000000000004.part",
        "00000001000000000000000g.1",
        "../../etc",
    ] {
        assert!(odd.parse::<ArchiveFile>().is_err(), "{odd}");
    }
    assert!("000000010000000000000100".parse::<WalSegment>().is_err());
}

#[test]
fn nothing_is_reached_over_a_gap() {
    let lineage = Lineage::new([
        base(4, 0),
        archived(3, -1),
        archived(4, 1),
        archived(5, 2),
        archived(7, 4),
        archived(8, 6),
        base(8, 5),
        archived(9, 9),
    ]);
    assert_eq!(lineage.moments(), [moments(0, 2), moments(5, 9)]);
    assert_eq!((lineage.earliest(), lineage.is_whole()), (Some(at(5)), true));
    let road = lineage.road_to(at(1)).unwrap();
    assert_eq!((road.base.at, road.segments.len()), (at(0), 2));
    for outside in [-1, 3, 4, 10] {
        assert_eq!(lineage.road_to(at(outside)), None, "{outside}");
    }
    assert!(!lineage.is_base_due(&quiet(), at(10)));
    let broken = Lineage::new([base(4, 0), archived(4, 1), archived(6, 2)]);
    assert!(!broken.is_whole() && broken.is_base_due(&quiet(), at(3)));
    assert_eq!(broken.earliest(), None);
    // The log of the time in which it was made is on its way.
    let fresh = Lineage::new([base(4, 0)]);
    assert!(fresh.is_whole() && fresh.moments().is_empty());
    assert_eq!(fresh.earliest(), Some(at(0)));
}

#[test]
fn what_is_missing_at_the_end_is_known_from_what_the_server_keeps_no_more() {
    let lineage = Lineage::new([base(4, 0), archived(4, 1), archived(5, 2)]);
    assert!(!lineage.lacks(segment(5)) && lineage.lacks(segment(6)));
    // Another base begins behind it.
    let healed = Lineage::new([base(4, 0), archived(4, 1), base(7, 3)]);
    assert!(!healed.lacks(segment(6)) && healed.lacks(segment(7)));
    let fresh = Lineage::new([base(4, 0)]);
    assert!(!fresh.lacks(segment(3)) && fresh.lacks(segment(4)));
    assert!(!Lineage::default().lacks(segment(4)));
}

#[test]
fn another_base_is_made_each_day_in_which_something_was_written() {
    let day = 24 * 60;
    assert!(Lineage::default().is_base_due(&quiet(), at(0)));
    let idle = Lineage::new([base(4, 0), archived(4, -1)]);
    assert!(!idle.is_base_due(&quiet(), at(2 * day)));
    let busy = Lineage::new([base(4, 0), archived(4, 1)]);
    assert!(!busy.is_base_due(&quiet(), at(2)));
    assert!(busy.is_base_due(&quiet(), at(day)));
}

#[test]
fn what_no_moment_of_the_window_needs_goes() {
    let day = 24 * 60;
    let mut files = Vec::new();
    for number in 0..10_u32 {
        let (segment, minute) = (u64::from(number) * 2, i64::from(number) * day);
        files.push(base(segment, minute));
        files.push(archived(segment, minute + 1));
        files.push(archived(segment + 1, minute + 2));
    }
    let lineage = Lineage::new(files);
    let (window, now) = (TimeDelta::days(4), at(9 * day + 60));
    let gone = lineage.surplus(false, window, now);
    assert_eq!(gone.len(), 5 * 3, "{gone:?}");
    assert!(!gone.contains(&base(10, 5 * day)) && gone.contains(&base(8, 4 * day)));
    assert!(gone.contains(&archived(9, 4 * day + 2)) && !gone.contains(&archived(10, 5 * day + 1)));
    assert_eq!(lineage.surplus(true, window, now), gone);
    assert_eq!(lineage.surplus(true, window, at(14 * day)).len(), 30);
    // However old: what goes on needs its last base.
    assert_eq!(lineage.surplus(false, window, at(99 * day)).len(), 27);
}

proptest! {
    /// Whatever was lost or thrown away: each moment that is offered has a base before it and every segment from there on.
    #[test]
    fn each_moment_that_is_offered_can_be_reached(
        lost in prop::collection::btree_set(0_u64..40, 0..8),
        bases in prop::collection::btree_set(0_u64..40, 1..5),
        days in 1_i64..4,
        asked in 0_i64..41_000,
    ) {
        let minute = |number: u64| i64::try_from(number).unwrap() * 1000;
        let segments = (0..40).filter(|number| !lost.contains(number)).map(|number| archived(number, minute(number) + 999));
        let bases = bases.iter().map(|number| base(*number, minute(*number) + 500));
        let all = Lineage::new(segments.chain(bases));
        let now = at(40_000);
        let gone = all.surplus(false, TimeDelta::days(days), now);
        let files = all.bases.iter().copied().map(ArchiveFile::Base).chain(all.segments.iter().copied().map(ArchiveFile::Segment));
        let kept = Lineage::new(files.filter(|file| !gone.contains(file)));
        let asked = at(asked);
        let is_offered = kept.moments().iter().any(|moments| moments.from <= asked && asked <= moments.to);
        let road = kept.road_to(asked);
        prop_assert_eq!(is_offered, road.is_some());
        if let Some(road) = road {
            prop_assert!(road.base.at <= asked);
            prop_assert!(road.segments.last().unwrap().at >= asked);
            for (archived, number) in road.segments.iter().zip(road.base.from.number..) {
                prop_assert_eq!(archived.segment.number, number);
            }
        }
        // Nothing of the window was thrown away.
        if asked >= now - TimeDelta::days(days) {
            prop_assert_eq!(all.road_to(asked).is_some(), kept.road_to(asked).is_some());
        }
    }
}

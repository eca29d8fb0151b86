//! The planner of add-ons, in random worlds and in particular ones.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_323_045, 0).unwrap()
}

fn app(number: u128) -> Id<App> {
    Id::from_uuid(Uuid::from_u128(number))
}

fn wanted(state: AddonState) -> AddonWanted {
    AddonWanted {
        state,
        generation: 1,
        is_to_fill: false,
        is_rotating: false,
        owes_farewell: false,
        has_news: false,
        upgrade: None,
        is_called_off: false,
        is_to_measure: false,
        retry_at: None,
        apps: [app(1)].into(),
    }
}

fn running(generation: u32, is_ready: bool) -> SeenAddon {
    SeenAddon {
        container: format!("c{generation}"),
        generation,
        state: SeenAddonState::Running { is_ready },
        apps: [app(1)].into(),
    }
}

#[test]
fn names_are_read_as_heroku_reads_them() {
    for good in ["postgresql-curved-12345", "a", "My_db-1"] {
        assert_eq!(good.parse::<AddonName>().unwrap().as_str(), good);
    }
    for bad in ["", "1db", "-a", "a b", "a/b", "ä", "a\n"] {
        assert!(bad.parse::<AddonName>().is_err(), "{bad:?}");
    }
    let name: AttachmentName = "heroku-postgresql_red".parse().unwrap();
    assert_eq!(name.as_str(), "HEROKU_POSTGRESQL_RED");
    assert_eq!(name.config_key("URL").unwrap().as_str(), "HEROKU_POSTGRESQL_RED_URL");
    for bad in ["", "1A", "_A", "A B", "A=B"] {
        assert!(bad.parse::<AttachmentName>().is_err(), "{bad:?}");
    }
}

#[test]
fn a_lost_container_is_made_again_once_its_time_has_come() {
    let mut wanted = wanted(AddonState::Provisioned);
    assert_eq!(wanted.decide(&[], now()), AddonStep::Start);
    let later = now() + chrono::TimeDelta::seconds(10);
    wanted.retry_at = Some(later);
    assert_eq!(wanted.decide(&[], now()), AddonStep::Rest(Some(later)));
    assert_eq!(wanted.decide(&[], later), AddonStep::Start);
}

#[test]
fn another_plan_replaces_the_container() {
    let wanted = wanted(AddonState::Provisioned);
    let step = wanted.decide(&[running(0, true)], now());
    let (container, has_crashed) = ("c0".to_owned(), false);
    assert_eq!(step, AddonStep::Remove { container, has_crashed });
}

#[test]
fn what_is_destroyed_loses_its_container_first() {
    let wanted = wanted(AddonState::Deprovisioning);
    let (container, has_crashed) = ("c1".to_owned(), false);
    let removal = AddonStep::Remove { container, has_crashed };
    assert_eq!(wanted.decide(&[running(1, true)], now()), removal);
    assert_eq!(wanted.decide(&[], now()), AddonStep::Delete);
}

#[test]
fn what_is_destroyed_is_backed_up_before_it_goes_even_if_it_has_to_be_started_for_that() {
    let mut wanted = AddonWanted {
        owes_farewell: true,
        ..wanted(AddonState::Deprovisioning)
    };
    let container = || "c1".to_owned();
    let farewell = AddonStep::Farewell { container: container() };
    let preparation = AddonStep::Prepare { container: container() };
    assert_eq!(wanted.decide(&[], now()), AddonStep::Start);
    assert_eq!(wanted.decide(&[running(1, false)], now()), preparation);
    assert_eq!(wanted.decide(&[running(1, true)], now()), farewell);
    let later = now() + chrono::TimeDelta::seconds(10);
    wanted.retry_at = Some(later);
    assert_eq!(wanted.decide(&[running(1, true)], now()), AddonStep::Rest(Some(later)));
    wanted.owes_farewell = false;
    let removal = AddonStep::Remove {
        container: container(),
        has_crashed: false,
    };
    assert_eq!(wanted.decide(&[running(1, true)], now()), removal);
}

#[test]
fn what_is_called_off_is_ended_before_anything_else_is_tried_again() {
    let later = now() + chrono::TimeDelta::seconds(10);
    let mut wanted = AddonWanted {
        upgrade: Some(UpgradeState::Moving),
        is_called_off: true,
        retry_at: Some(later),
        ..wanted(AddonState::Provisioned)
    };
    assert_eq!(wanted.decide(&[], now()), AddonStep::CallOff);
    assert_eq!(wanted.decide(&[running(0, true)], now()), AddonStep::CallOff);
    wanted.state = AddonState::Deprovisioning;
    assert_eq!(wanted.decide(&[], now()), AddonStep::Delete);
}

#[test]
fn a_server_that_does_not_take_its_credentials_is_not_asked_again_at_once() {
    let mut wanted = wanted(AddonState::Provisioned);
    let container = "c1".to_owned();
    let prepare = AddonStep::Prepare { container };
    assert_eq!(wanted.decide(&[running(1, false)], now()), prepare);
    let later = now() + chrono::TimeDelta::seconds(10);
    wanted.retry_at = Some(later);
    assert_eq!(wanted.decide(&[running(1, false)], now()), AddonStep::Rest(Some(later)));
    assert_eq!(wanted.decide(&[running(1, false)], later), prepare);
    // Who may reach it has nothing to do with that.
    wanted.apps.insert(app(2));
    assert!(matches!(
        wanted.decide(&[running(1, false)], now()),
        AddonStep::Join { .. }
    ));
}

#[test]
fn nobody_is_served_while_an_add_on_moves_and_its_old_server_is_back_when_that_ends() {
    let mut wanted = AddonWanted {
        upgrade: Some(UpgradeState::Trying),
        ..wanted(AddonState::Provisioned)
    };
    let container = || "c1".to_owned();
    assert_eq!(wanted.decide(&[], now()), AddonStep::Start);
    let trial = AddonStep::Try { container: container() };
    assert_eq!(wanted.decide(&[running(1, true)], now()), trial);
    wanted.upgrade = Some(UpgradeState::Moving);
    let removal = AddonStep::Remove {
        container: container(),
        has_crashed: false,
    };
    assert_eq!(wanted.decide(&[running(1, true)], now()), removal);
    assert_eq!(wanted.decide(&[], now()), AddonStep::Move);
    wanted.upgrade = Some(UpgradeState::Failed);
    assert_eq!(wanted.decide(&[], now()), AddonStep::Start);
}

fn a_container() -> impl Strategy<Value = SeenAddon> {
    let state = prop_oneof![
        Just(SeenAddonState::Created),
        Just(SeenAddonState::Running { is_ready: false }),
        Just(SeenAddonState::Running { is_ready: true }),
        Just(SeenAddonState::Exited),
    ];
    let apps = proptest::collection::btree_set((1..4_u128).prop_map(app), 0..3);
    (0..1000_u32, 0..3_u32, state, apps).prop_map(|(number, generation, state, apps)| SeenAddon {
        container: format!("c{number}"),
        generation,
        state,
        apps,
    })
}

fn a_wish() -> impl Strategy<Value = AddonWanted> {
    let state = prop_oneof![
        Just(AddonState::Provisioning),
        Just(AddonState::Provisioned),
        Just(AddonState::Deprovisioning),
    ];
    let apps = proptest::collection::btree_set((1..4_u128).prop_map(app), 1..3);
    (state, 0..3_u32, any::<[bool; 8]>(), apps).prop_map(|(state, generation, flags, apps)| AddonWanted {
        state,
        generation,
        is_to_fill: flags[4] && state == AddonState::Provisioning,
        is_rotating: flags[0],
        has_news: flags[1],
        upgrade: match (flags[5], flags[6]) {
            (false, _) => None,
            (true, false) => Some(UpgradeState::Trying),
            (true, true) => Some(UpgradeState::Moving),
        },
        is_called_off: flags[5] && flags[7],
        is_to_measure: flags[2],
        owes_farewell: flags[3] && state == AddonState::Deprovisioning,
        retry_at: None,
        apps,
    })
}

proptest! {
    /// An engine that does each step, and a container that sometimes dies: it comes to rest where it is wanted.
    #[test]
    fn from_every_world_it_comes_to_rest_with_one_container_on_the_right_networks(
        mut wanted in a_wish(),
        mut seen in proptest::collection::vec(a_container(), 0..4),
        deaths in proptest::collection::vec(any::<bool>(), 40),
    ) {
        for (turn, dies) in deaths.into_iter().enumerate() {
            if dies && turn < 10 && let Some(first) = seen.first_mut() {
                first.state = SeenAddonState::Exited;
            }
            let find = |seen: &mut Vec<SeenAddon>, name: &str| {
                seen.iter().position(|seen| seen.container == name).unwrap()
            };
            match wanted.decide(&seen, now()) {
                AddonStep::Rest(_) => break,
                AddonStep::Remove { container, .. } => {
                    let index = find(&mut seen, &container);
                    seen.remove(index);
                }
                AddonStep::Fill => {
                    prop_assert!(seen.is_empty(), "nobody else has the volume");
                    wanted.is_to_fill = false;
                }
                AddonStep::Move => {
                    prop_assert!(seen.is_empty(), "nobody else has the volume");
                    wanted.upgrade = None;
                    wanted.generation += 1;
                }
                AddonStep::Start => {
                    prop_assert!(wanted.upgrade != Some(UpgradeState::Moving) || wanted.state == AddonState::Deprovisioning, "somebody else has the volume");
                    prop_assert!(!wanted.is_to_fill, "it would begin with nothing");
                    prop_assert!(seen.len() <= 1, "never two on one volume");
                    let apps = [*wanted.apps.first().unwrap()].into();
                    let fresh = SeenAddon { apps, ..running(wanted.generation, false) };
                    seen = vec![fresh];
                }
                AddonStep::Join { container, app } => {
                    let index = find(&mut seen, &container);
                    seen[index].apps.insert(app);
                }
                AddonStep::Leave { container, app } => {
                    let index = find(&mut seen, &container);
                    seen[index].apps.remove(&app);
                }
                AddonStep::Prepare { container } => {
                    let index = find(&mut seen, &container);
                    seen[index].state = SeenAddonState::Running { is_ready: true };
                    if wanted.state == AddonState::Provisioning {
                        wanted.state = AddonState::Provisioned;
                    }
                }
                AddonStep::Rotate { .. } => wanted.is_rotating = false,
                AddonStep::Farewell { .. } => wanted.owes_farewell = false,
                AddonStep::Teach { .. } => wanted.has_news = false,
                AddonStep::Try { .. } => wanted.upgrade = Some(UpgradeState::Moving),
                AddonStep::CallOff => {
                    prop_assert_ne!(wanted.state, AddonState::Deprovisioning);
                    (wanted.upgrade, wanted.is_called_off) = (None, false);
                }
                AddonStep::Measure { .. } => wanted.is_to_measure = false,
                AddonStep::Delete => {
                    prop_assert!(seen.is_empty() && !wanted.owes_farewell);
                    return Ok(());
                }
            }
        }
        prop_assert_ne!(wanted.state, AddonState::Deprovisioning);
        prop_assert_eq!(seen.len(), 1);
        prop_assert_eq!(&seen[0].apps, &wanted.apps);
        prop_assert_eq!(seen[0].state, SeenAddonState::Running { is_ready: true });
        prop_assert_eq!(wanted.decide(&seen, now()), AddonStep::Rest(None));
    }
}

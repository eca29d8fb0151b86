//! Thousands of random worlds in which `observe`, `plan` and `routes` run an app, and what must hold in all of them.
//!
//! A world is a store, an engine and a server with delays and losses between them (`world`). Things happen to it at
//! random; then they stop, and it has to settle. Checked after every step (`world`, `store`, `engine`):
//!
//! - no slot of a worker runs twice, no slot is started twice, nothing is stopped or restarted out of turn;
//! - no step of ours leaves web without a dyno that answers, and nothing is killed that requests are sent to;
//! - requests go to verified addresses of one release, which served and did not fail;
//!
//! - an app that sleeps runs nothing, and one that is not told to sleep never stops serving for it;
//!
//! and in the end: what is wanted runs, nothing else is left over, and the planner is quiet.
//!
//! A failing world prints its seed: run it alone with `run(seed, mood)`.

pub(crate) mod dice;
mod engine;
mod store;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    time::Duration,
};

use self::{
    engine::Behaviour,
    store::{Fate, StoredRelease, worker},
    world::World,
};
use crate::{Dyno, DynoSize, ProcessType};

/// What kind of things happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// People deploy, scale and restart, and some code is bad; the machine does what it should.
    Calm,
    /// Besides, everything else goes wrong as well.
    Hostile,
}

const WORLDS_PER_TEST: u64 = 3_000;

/// Longer than the longest back-off, and a boot timeout for each release that may still have to fail.
const SETTLING_MILLISECONDS: i64 = 45 * 60 * 1_000;

#[test]
fn calm_worlds_serve_without_interruption_and_settle() {
    run_many(0, Mood::Calm);
}

#[test]
fn more_calm_worlds_serve_without_interruption_and_settle() {
    run_many(1_000_000, Mood::Calm);
}

#[test]
fn hostile_worlds_keep_the_invariants_and_settle() {
    run_many(2_000_000, Mood::Hostile);
}

#[test]
fn more_hostile_worlds_keep_the_invariants_and_settle() {
    run_many(3_000_000, Mood::Hostile);
}

fn run_many(first_seed: u64, mood: Mood) {
    let (mut settled, mut slept) = (0, 0);
    for seed in first_seed..first_seed + WORLDS_PER_TEST {
        let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, mood)));
        let outcome =
            outcome.unwrap_or_else(|_| panic!("the world run({seed}, Mood::{mood:?}) breaks as printed above"));
        settled += u64::from(outcome.has_settled);
        slept += u64::from(outcome.has_slept);
    }
    // Worlds that end with code that cannot run never settle: they must stay the exception, or nothing is tested.
    assert!(settled * 100 >= WORLDS_PER_TEST * 60, "only {settled} worlds settled");
    assert!(slept * 100 >= WORLDS_PER_TEST * 10, "only {slept} worlds slept");
}

/// How a world ended.
struct Outcome {
    /// It need not when its last code cannot run.
    has_settled: bool,
    has_slept: bool,
}

/// Runs one world to its end.
fn run(seed: u64, mood: Mood) -> Outcome {
    let mut world = World::new(seed);
    world.is_calm = mood == Mood::Calm;
    world.losses = if mood == Mood::Hostile {
        world.dice.between(0, 6)
    } else {
        0
    };
    world.store.sleep_after = world.dice.chance(70).then(|| Duration::from_secs(10));
    deploy(&mut world, mood);
    for _ in 0..world.dice.between(5, 40) {
        if world.dice.chance(40) {
            match mood {
                Mood::Hostile if world.dice.chance(50) => harm(&mut world),
                _ => wish(&mut world, mood),
            }
        }
        let wait = match world.dice.between(1, 20) {
            1 => world.dice.between(20_000, 400_000),
            2..=6 => world.dice.between(2_000, 20_000),
            _ => world.dice.between(1, 2_000),
        };
        world.advance(wait);
        match world.dice.between(1, 100) {
            1..=30 => world.idle(),
            // A request wakes it.
            31..=60 => world.store.is_asleep = false,
            _ => {}
        }
        world.pass();
    }
    world.losses = 0;
    Outcome {
        has_settled: settle(&mut world),
        has_slept: world.sleeps > 0,
    }
}

fn settle(world: &mut World) -> bool {
    let end = world.now + SETTLING_MILLISECONDS;
    while world.now < end {
        let is_quiet = world.pass();
        let exits_by_itself = matches!(world.store.current(), Some((_, release)) if release.behaviour.exits_later());
        if is_quiet && world.is_settled() && !exits_by_itself {
            let rows = world.store.rows.clone();
            for later in [1_000, 600_000, 7_200_000] {
                world.advance(later);
                assert!(
                    world.pass() && world.store.rows == rows,
                    "it is not quiet when all is done"
                );
            }
            return true;
        }
        world.advance(world.next_moment());
    }
    let wants_web = world.store.wanted().web_quantity() > 0;
    let current = world.store.current().map(|(_, release)| release.behaviour);
    let can_settle = match current {
        None => true,
        Some(Behaviour::ExitsLater { .. }) => false,
        Some(behaviour) => behaviour.boots_in_time() || !wants_web,
    };
    assert!(
        !can_settle,
        "it does not settle: {current:?} {:#?}\n{:#?}",
        world.store.rows, world.engine.containers
    );
    check_leftovers(world);
    false
}

/// An app whose code cannot run goes on trying, within its slots.
fn check_leftovers(world: &World) {
    let (_, current) = world.store.current().unwrap();
    for row in &world.store.rows {
        assert!(
            row.release == current.id || row.release_served,
            "an abandoned dyno is left over: {row:?}"
        );
        let twins = world
            .store
            .rows
            .iter()
            .filter(|other| other.name == row.name && other.release == row.release);
        assert!(twins.count() <= 2, "dynos pile up: {:#?}", world.store.rows);
    }
    let serves = |row: &Dyno| row.release != current.id && row.release_served && row.endpoint().is_some();
    assert!(
        current.fate != Fate::New || !world.store.rows.iter().any(serves),
        "a release that does not boot never fails: {:#?}",
        world.store.rows
    );
    for container in &world.engine.containers {
        assert!(
            world.store.rows.iter().any(|row| row.id == container.dyno),
            "{container:?} is left over"
        );
    }
}

/// Something that people do.
fn wish(world: &mut World, mood: Mood) {
    // Whoever changes what is to run means to use it.
    world.store.is_asleep = false;
    match world.dice.between(1, 100) {
        1..=40 => deploy(world, mood),
        41..=65 => {
            let process_type = if world.dice.chance(70) {
                ProcessType::web()
            } else {
                worker()
            };
            let quantity = u32::try_from(world.dice.between(0, 4)).unwrap();
            world.store.formation.entry(process_type).or_default().quantity = quantity;
        }
        66..=72 => {
            let size = if world.dice.chance(50) {
                DynoSize::Standard2X
            } else {
                DynoSize::Standard1X
            };
            world.store.formation.values_mut().for_each(|scale| scale.size = size);
        }
        73..=80 => world.store.rows.iter_mut().for_each(|row| row.is_condemned = true),
        81..=90 => {
            if let Some(index) = world.dice.index(world.store.rows.len()) {
                world.store.rows[index].is_condemned = true;
            }
        }
        91..=98 => world.store.maintenance = !world.store.maintenance,
        _ => world.store.is_destroyed = true,
    }
}

fn deploy(world: &mut World, mood: Mood) {
    world.store.is_asleep = false;
    let behaviour = match world.dice.between(1, 20) {
        1..=2 => Behaviour::ExitsAtBoot {
            after: world.dice.between(10, 70_000),
        },
        3 => Behaviour::NeverBinds,
        4 => Behaviour::Boots {
            after: world.dice.between(61_500, 90_000),
        },
        5 if mood == Mood::Hostile => Behaviour::ExitsLater {
            boots_after: world.dice.between(100, 20_000),
            exits_after: world.dice.between(20_000, 900_000),
        },
        6..=8 => Behaviour::Boots {
            after: world.dice.between(30_000, 50_000),
        },
        _ => Behaviour::Boots {
            after: world.dice.between(100, 10_000),
        },
    };
    let release = StoredRelease {
        id: world.store.next_id(),
        behaviour,
        has_web: world.dice.chance(93),
        has_worker: world.dice.chance(80),
        fate: Fate::New,
    };
    world.store.releases.push(release);
}

/// Something that happens to machines.
fn harm(world: &mut World) {
    let (now, wall) = (world.now, world.wall());
    let container = world.dice.index(world.engine.containers.len());
    let id = container.map(|index| world.engine.containers[index].id.clone());
    match (world.dice.between(1, 100), container, id) {
        (1..=20, _, Some(id)) => world.engine.kill(&id, 137, wall),
        (21..=35, _, Some(id)) => world.engine.remove(&id),
        (36..=45, Some(index), _) => world.engine.restart_by_hand(index, now),
        (46..=55, ..) => {
            let foreign = world.dice.between(0, 6);
            world.engine.reboot(wall, u8::try_from(foreign).unwrap());
        }
        (56..=80, ..) => {
            let away = world.dice.between(0, 90_000);
            world.restart_server(away);
        }
        (81..=88, ..) => world.skew += world.dice.between(-7_200_000, 7_200_000),
        _ => {
            let arrive = world.dice.chance(60);
            world.engine.stir(arrive);
        }
    }
}

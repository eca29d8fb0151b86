//! Starting, seeing, stopping and removing.

use std::time::Duration;

use futures_util::StreamExt as _;
use paas_core::{ImageRef, SeenState};
use paas_engine::{ContainerState, EngineError, VolumeMount};

use crate::{
    contract,
    world::{Program, World},
};

const GRACE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

contract!(
    starting_twice_is_starting_once,
    a_running_container_has_an_address_of_its_network,
    a_container_is_listed_with_its_role_until_it_is_removed,
    a_container_that_ended_is_not_started_again,
    a_command_that_is_not_there_is_an_exit_with_127,
    an_image_that_is_not_there_is_named,
    stopping_is_sigterm_first,
    who_does_not_listen_is_killed_after_the_grace,
    stopping_what_is_gone_is_no_error,
    exceeding_the_memory_limit_is_reported,
    every_change_is_a_hint,
    an_end_is_in_the_list_when_its_hint_comes,
    a_volume_outlives_its_container,
    what_runs_uses_memory_and_what_ended_does_not,
);

async fn starting_twice_is_starting_once(world: &World) {
    let spec = world.spec("twice", Program::Sleep);
    let (one, two) = tokio::join!(world.engine.start(&spec), world.engine.start(&spec));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.id, two.id);
    assert_eq!(world.engine.start(&spec).await.unwrap().id, one.id);
    assert_eq!(world.engine.list().await.unwrap().len(), 1);
}

async fn a_running_container_has_an_address_of_its_network(world: &World) {
    let network = world.make_network().await;
    let mut spec = world.spec("address", Program::Sleep);
    spec.network = Some(network.name.clone());
    let container = world.engine.start(&spec).await.unwrap();
    let SeenState::Running { address } = container.as_seen().unwrap().state else {
        panic!("{container:?} does not run");
    };
    assert_eq!(address.port(), 5000);
    assert_eq!(world.engine.list().await.unwrap()[0].state, container.state);

    spec.name += "-elsewhere";
    spec.network = Some("paas-test-no-such-network".to_owned());
    let error = world.engine.start(&spec).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error}");
}

async fn a_container_is_listed_with_its_role_until_it_is_removed(world: &World) {
    let spec = world.spec("listed", Program::Sleep);
    let container = world.engine.start(&spec).await.unwrap();
    assert!(container.is_running());
    let listed = world.engine.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0], &listed[0].name), (&container, &spec.name));
    assert_eq!(listed[0].role.as_ref(), Some(&spec.role));

    world.engine.remove(&container.id).await.unwrap();
    world.engine.remove(&container.id).await.unwrap();
    assert_eq!(world.engine.list().await.unwrap(), []);
    assert_eq!(world.engine.inspect(&container.id).await.unwrap(), None);
}

async fn a_container_that_ended_is_not_started_again(world: &World) {
    let spec = world.spec("ended", Program::Exit3);
    let id = world.engine.start(&spec).await.unwrap().id;
    let ended = world.until(&id, |container| !container.is_running()).await;
    let ContainerState::Exited(exit) = ended.state else {
        panic!("{ended:?} has not ended");
    };
    assert_eq!((exit.code, exit.out_of_memory), (3, false));
    assert_eq!(world.engine.start(&spec).await.unwrap(), ended);
    assert_eq!(world.engine.list().await.unwrap(), [ended]);
}

async fn a_command_that_is_not_there_is_an_exit_with_127(world: &World) {
    let spec = world.spec("missing", Program::Missing);
    let id = world.engine.start(&spec).await.unwrap().id;
    let ended = world.until(&id, |container| !container.is_running()).await;
    let ContainerState::Exited(exit) = ended.state else {
        panic!("{ended:?} has not ended");
    };
    assert_eq!((exit.code, exit.out_of_memory), (127, false));
}

async fn an_image_that_is_not_there_is_named(world: &World) {
    let mut spec = world.spec("imageless", Program::Sleep);
    spec.image = ImageRef::new("paas-test-no-such:image");
    let error = world.engine.start(&spec).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no image paas-test-no-such:image");
    assert_eq!(world.engine.image(&spec.image).await.unwrap(), None);
}

async fn stopping_is_sigterm_first(world: &World) {
    let container = world
        .engine
        .start(&world.spec("stopped", Program::Sleep))
        .await
        .unwrap();
    let exit = world.engine.stop(&container.id, GRACE).await.unwrap().unwrap();
    assert_eq!((exit.code, exit.out_of_memory), (143, false));
    assert_eq!(world.engine.stop(&container.id, GRACE).await.unwrap(), Some(exit));
}

async fn who_does_not_listen_is_killed_after_the_grace(world: &World) {
    let container = world
        .engine
        .start(&world.spec("stubborn", Program::Stubborn))
        .await
        .unwrap();
    let mut logs = world.engine.logs(&container.id, None);
    assert_eq!(&logs.next().await.unwrap().unwrap().bytes[..], b"ready");
    let exit = world.engine.stop(&container.id, SHORT).await.unwrap().unwrap();
    assert_eq!(exit.code, 137);
}

async fn stopping_what_is_gone_is_no_error(world: &World) {
    let container = world.engine.start(&world.spec("gone", Program::Sleep)).await.unwrap();
    world.engine.remove(&container.id).await.unwrap();
    assert_eq!(world.engine.stop(&container.id, GRACE).await.unwrap(), None);
}

async fn exceeding_the_memory_limit_is_reported(world: &World) {
    let id = world
        .engine
        .start(&world.spec("glutton", Program::Glutton))
        .await
        .unwrap()
        .id;
    let ended = world.until(&id, |container| !container.is_running()).await;
    let SeenState::Exited {
        code, out_of_memory, ..
    } = ended.as_seen().unwrap().state
    else {
        panic!("{ended:?} has not ended");
    };
    assert_eq!((code, out_of_memory), (137, true));
}

async fn every_change_is_a_hint(world: &World) {
    let mut hints = world.engine.hints();
    hints.next().await.unwrap();
    let container = world.engine.start(&world.spec("hinted", Program::Sleep)).await.unwrap();
    // Starting may be more than one change.
    let mut container_is_gone = false;
    hints.next().await.unwrap();
    world.engine.remove(&container.id).await.unwrap();
    while !container_is_gone {
        hints.next().await.unwrap();
        container_is_gone = world.engine.list().await.unwrap().is_empty();
    }
}

async fn an_end_is_in_the_list_when_its_hint_comes(world: &World) {
    let mut hints = world.engine.hints();
    hints.next().await.unwrap();
    world.engine.start(&world.spec("ended", Program::Exit3)).await.unwrap();
    loop {
        let hint = tokio::time::timeout(GRACE, hints.next()).await;
        assert!(hint.is_ok(), "the last hint came too early");
        let listed = world.engine.list().await.unwrap();
        if matches!(listed[0].state, ContainerState::Exited(_)) {
            break;
        }
    }
}

async fn a_volume_outlives_its_container(world: &World) {
    let name = format!("paas-test-{}", world.platform);
    let mut spec = world.spec("volume", Program::Sleep);
    spec.volumes = vec![VolumeMount {
        volume: name.clone(),
        path: "/cache".to_owned(),
    }];
    let container = world.engine.start(&spec).await.unwrap();
    let error = world.engine.remove_volume(&name).await.unwrap_err();
    assert!(matches!(error, EngineError::InUse { .. }), "{error}");

    world.engine.remove(&container.id).await.unwrap();
    let volumes = world.engine.volumes().await.unwrap();
    assert_eq!(volumes.len(), 1);
    assert_eq!((&volumes[0].name, volumes[0].app), (&name, spec.role.app()));
    world.engine.remove_volume(&name).await.unwrap();
    world.engine.remove_volume(&name).await.unwrap();
    assert_eq!(world.engine.volumes().await.unwrap(), []);
}

async fn what_runs_uses_memory_and_what_ended_does_not(world: &World) {
    let running = world.engine.start(&world.spec("uses", Program::Sleep)).await.unwrap();
    let usage = world.engine.usage(&running.id).await.unwrap().unwrap();
    assert!(
        usage.rss_bytes > 0 && usage.cpu > std::time::Duration::ZERO,
        "{usage:?}"
    );
    world.engine.stop(&running.id, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(world.engine.usage(&running.id).await.unwrap(), None);
    world.engine.remove(&running.id).await.unwrap();
    assert_eq!(world.engine.usage(&running.id).await.unwrap(), None);
}

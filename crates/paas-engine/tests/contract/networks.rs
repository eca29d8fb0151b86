//! Networks with our own subnets.

use paas_engine::EngineError;

use crate::{
    contract,
    world::{Program, World},
};

contract!(
    a_network_is_made_once_and_removed_once,
    a_subnet_is_given_only_once,
    a_network_in_use_stays,
);

async fn a_network_is_made_once_and_removed_once(world: &World) {
    let spec = world.make_network().await;
    let (one, two) = tokio::join!(world.engine.ensure_network(&spec), world.engine.ensure_network(&spec));
    one.and(two).unwrap();
    let networks = world.engine.networks().await.unwrap();
    assert_eq!(networks.len(), 1);
    assert_eq!((&networks[0].name, networks[0].app), (&spec.name, spec.app));
    assert_eq!(
        (networks[0].subnet, networks[0].bridge.as_ref()),
        (Some(spec.subnet), Some(&spec.bridge))
    );
    world.engine.remove_network(&spec.name).await.unwrap();
    world.engine.remove_network(&spec.name).await.unwrap();
    assert_eq!(world.engine.networks().await.unwrap(), []);
}

async fn a_subnet_is_given_only_once(world: &World) {
    let mut spec = world.make_network().await;
    spec.name += "-other";
    spec.bridge.replace_range(3..4, "x");
    let error = world.engine.ensure_network(&spec).await.unwrap_err();
    assert!(matches!(error, EngineError::SubnetTaken { .. }), "{error}");
}

async fn a_network_in_use_stays(world: &World) {
    let network = world.make_network().await;
    let mut spec = world.spec("user", Program::Sleep);
    spec.network = Some(network.name.clone());
    let container = world.engine.start(&spec).await.unwrap();
    let error = world.engine.remove_network(&network.name).await.unwrap_err();
    assert!(matches!(error, EngineError::InUse { .. }), "{error}");
    world.engine.remove(&container.id).await.unwrap();
    world.engine.remove_network(&network.name).await.unwrap();
}

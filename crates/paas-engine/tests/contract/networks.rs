//! Networks with our own subnets.

use std::collections::BTreeSet;

use paas_engine::{EngineError, Subnet};

use crate::{
    contract,
    world::{Program, World},
};

contract!(
    a_network_is_made_once_and_removed_once,
    a_subnet_is_given_only_once,
    a_network_in_use_stays,
    a_container_joins_and_leaves_networks_while_it_runs,
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

async fn a_container_joins_and_leaves_networks_while_it_runs(world: &World) {
    let (one, mut two) = (world.make_network().await, world.network.clone());
    two.name += "-two";
    two.bridge.replace_range(3..4, "y");
    let base = two.subnet.base().to_bits() ^ (1 << 6);
    two.subnet = Subnet::new(base.into(), two.subnet.prefix()).unwrap();
    world.engine.ensure_network(&two).await.unwrap();
    let mut spec = world.spec("server", Program::Sleep);
    spec.network = Some(one.name.clone());
    spec.aliases = vec!["server".to_owned()];
    let container = world.engine.start(&spec).await.unwrap();
    assert_eq!(container.networks, [one.name.as_str()]);
    let networks = async || {
        let listed = world.engine.list().await.unwrap();
        let found = listed.into_iter().find(|listed| listed.id == container.id).unwrap();
        assert!(found.is_running());
        let with_address: Vec<_> = found.addresses.keys().cloned().collect();
        assert_eq!(with_address, found.networks);
        let addresses: BTreeSet<_> = found.addresses.values().collect();
        assert_eq!(addresses.len(), found.networks.len(), "one of its own on each");
        found.networks
    };
    for _ in 0..2 {
        world
            .engine
            .join_network(&container.id, &two.name, "server")
            .await
            .unwrap();
        assert_eq!(networks().await, [one.name.as_str(), two.name.as_str()]);
    }
    for _ in 0..2 {
        world.engine.leave_network(&container.id, &one.name).await.unwrap();
        assert_eq!(networks().await, [two.name.as_str()]);
    }
    world.engine.remove_network(&one.name).await.unwrap();
    let error = world.engine.remove_network(&two.name).await.unwrap_err();
    assert!(matches!(error, EngineError::InUse { .. }), "{error}");
    world.engine.remove(&container.id).await.unwrap();
    world.engine.leave_network(&container.id, &two.name).await.unwrap();
    world.engine.remove_network(&two.name).await.unwrap();
}

//! Bridge networks with subnets of our own.

use std::collections::HashMap;

use bollard::{
    errors::Error,
    models::{
        self, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkDisconnectRequest,
    },
    query_parameters::ListNetworksOptionsBuilder,
};

use super::{
    DockerEngine,
    error::{self, Explain as _},
    labels,
};
use crate::{ContainerId, EngineError, Network, NetworkSpec, Result};

const CREATING: &str = "creating a network";
const BRIDGE: &str = "com.docker.network.bridge.name";

impl DockerEngine {
    pub(super) async fn ensure_bridge(&self, spec: &NetworkSpec) -> Result<()> {
        if self.network_exists(&spec.name).await? {
            return Ok(());
        }
        let _alone = self.network.lock().await;
        if self.network_exists(&spec.name).await? {
            return Ok(());
        }
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(spec.is_internal),
            enable_ipv6: Some(false),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(spec.subnet.to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            options: Some(HashMap::from([(BRIDGE.to_owned(), spec.bridge.clone())])),
            labels: Some(self.labels.of([], spec.app)),
            ..NetworkCreateRequest::default()
        };
        match self.docker.create_network(request).await {
            Ok(_) => Ok(()),
            // Someone else made the same one meanwhile: Docker minds the addresses, not the name.
            Err(_) if self.network_exists(&spec.name).await? => Ok(()),
            Err(error) if is_overlap(&error) => Err(EngineError::SubnetTaken {
                subnet: spec.subnet.to_string(),
            }),
            Err(error) => Err(error).explain(self, CREATING),
        }
    }

    /// The networks of ours that also match `filters`.
    pub(super) async fn list_networks(&self, filters: HashMap<String, Vec<String>>) -> Result<Vec<Network>> {
        let mut filters = filters;
        filters.extend(self.labels.filter());
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let listed = self.docker.list_networks(Some(options)).await;
        let networks = listed.explain(self, "listing networks")?;
        Ok(networks.into_iter().filter_map(network).collect())
    }

    pub(super) async fn delete_network(&self, name: &str) -> Result<()> {
        let networks = self.list_networks(named(name)).await?;
        for network in networks.into_iter().filter(|network| network.name == name) {
            match self.docker.remove_network(&network.id).await {
                Err(error)
                    if error::message(&error).is_some_and(|message| message.contains("has active endpoints")) =>
                {
                    return Err(EngineError::InUse {
                        what: format!("network {name}"),
                    });
                }
                other => other.explain_if_found(self, "removing a network").map(drop)?,
            }
        }
        Ok(())
    }

    pub(super) async fn join(&self, id: &ContainerId, network: &str, alias: &str) -> Result<()> {
        const JOINING: &str = "putting a container on a network";
        if self.is_on(id, network).await? {
            return Ok(());
        }
        let request = NetworkConnectRequest {
            container: id.as_str().to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(vec![alias.to_owned()]),
                ..EndpointSettings::default()
            }),
        };
        match self.docker.connect_network(network, request).await {
            Ok(()) => Ok(()),
            // Someone else did it meanwhile.
            Err(_) if self.is_on(id, network).await? => Ok(()),
            Err(error) => Err(error).explain(self, JOINING),
        }
    }

    pub(super) async fn leave(&self, id: &ContainerId, network: &str) -> Result<()> {
        if !self.is_on(id, network).await? {
            return Ok(());
        }
        let request = NetworkDisconnectRequest {
            container: id.as_str().to_owned(),
            force: Some(true),
        };
        match self.docker.disconnect_network(network, request).await {
            Ok(()) => Ok(()),
            Err(_) if !self.is_on(id, network).await? => Ok(()),
            Err(error) => Err(error).explain(self, "taking a container off a network"),
        }
    }

    async fn is_on(&self, id: &ContainerId, network: &str) -> Result<bool> {
        let container = self.inspect_container(id.as_str()).await?;
        Ok(container.is_some_and(|container| container.networks.iter().any(|name| name == network)))
    }

    async fn network_exists(&self, name: &str) -> Result<bool> {
        let options = ListNetworksOptionsBuilder::new().filters(&named(name)).build();
        let listed = self.docker.list_networks(Some(options)).await;
        // The filter finds parts of names, too.
        let found = listed
            .explain(self, "listing networks")?
            .into_iter()
            .find(|network| network.name.as_deref() == Some(name));
        match found {
            Some(network)
                if network
                    .labels
                    .as_ref()
                    .is_some_and(|labels| self.labels.are_ours(labels)) =>
            {
                Ok(true)
            }
            Some(_) => Err(EngineError::Foreign {
                what: format!("network {name}"),
            }),
            None => Ok(false),
        }
    }
}

fn named(name: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("name".to_owned(), vec![name.to_owned()])])
}

/// Docker says it in two ways: for its own networks, and for the machine's routes.
fn is_overlap(error: &Error) -> bool {
    error::message(error).is_some_and(|message| message.to_ascii_lowercase().contains("overlaps with"))
}

fn network(network: models::Network) -> Option<Network> {
    let labels = network.labels.unwrap_or_default();
    let subnets = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    Some(Network {
        id: network.id?,
        name: network.name?,
        app: labels::app(&labels),
        subnet: subnets.into_iter().find_map(|config| config.subnet?.parse().ok()),
        bridge: network.options.and_then(|mut options| options.remove(BRIDGE)),
    })
}

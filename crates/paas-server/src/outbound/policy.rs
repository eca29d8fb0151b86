//! Which addresses may be connected to, for which purpose.

use std::net::IpAddr;

use paas_core::check_drain_address;
use paas_engine::Pool;

use crate::{config::Settings, dns::is_public};

/// Where connections of one purpose may lead.
#[derive(Debug, Clone)]
pub(crate) enum Policy {
    /// Receivers of logs and notifications: private networks too, because that is where they often stand; never this
    /// machine's metadata service, nor the networks of apps, nor, unless its operator allows it, this machine.
    Receivers {
        apps: Pool,
        allows_local: bool,
    },
    /// What the internet has a route to.
    Public,
    Anywhere,
}

impl Policy {
    pub(crate) fn of_receivers(settings: &Settings) -> Self {
        Self::Receivers {
            apps: settings.network_pool,
            allows_local: settings.local_drains,
        }
    }

    pub(crate) fn of_sources(settings: &Settings) -> Self {
        if settings.allows_private_sources {
            Self::Anywhere
        } else {
            Self::Public
        }
    }

    /// Why nothing may be sent to an address; `None` when it may.
    pub(crate) fn closed(&self, address: IpAddr) -> Option<String> {
        // `::ffff:127.0.0.1` is the same place as `127.0.0.1`.
        let address = address.to_canonical();
        match self {
            Self::Receivers { apps, allows_local } => {
                if let IpAddr::V4(address) = address
                    && apps.addresses().contains(address)
                {
                    return Some("is inside of the apps' own networks: use the app's name".to_owned());
                }
                let closed = check_drain_address(address, *allows_local).err();
                closed.map(|closed| closed.to_string())
            }
            Self::Public => (!is_public(address)).then(|| "is inside of a private network".to_owned()),
            Self::Anywhere => None,
        }
    }
}

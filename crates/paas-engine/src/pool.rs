//! Our own addresses, because Docker's default pools give out about 30 networks in all.
//!
//! One pool for a platform, cut into subnets of 64 addresses. The first is for builds, which belong to no app's network;
//! the others go to apps by an index that the store keeps. Two platforms on one machine need two pools.

use paas_core::{App, Id};
use thiserror::Error;

use crate::{NetworkSpec, Subnet};

/// The addresses of one platform's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool(Subnet);

/// 61 addresses for containers: network, gateway and broadcast take the rest.
const SUBNET_PREFIX: u8 = 26;
const APP_NETWORK: &str = "paas-app-";

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PoolError {
    #[error("address pool {pool} is too small: it needs room for two networks, so at most /25")]
    TooSmall { pool: Subnet },
    #[error("address pool {pool} is used up: it has room for the networks of {apps} apps")]
    UsedUp { pool: Subnet, apps: u32 },
}

impl Pool {
    /// What a platform uses unless told otherwise: 2,047 apps.
    pub const DEFAULT: &str = "10.210.0.0/15";

    pub fn new(addresses: Subnet) -> Result<Self, PoolError> {
        if addresses.prefix() >= SUBNET_PREFIX {
            return Err(PoolError::TooSmall { pool: addresses });
        }
        Ok(Self(addresses))
    }

    pub const fn addresses(self) -> Subnet {
        self.0
    }

    /// How many apps it has room for.
    pub fn apps(self) -> u32 {
        (1_u32 << (SUBNET_PREFIX - self.0.prefix())) - 1
    }

    /// The network that builds and other tasks without an app's network are on.
    ///
    /// `platform` keeps its name apart from another platform's.
    pub fn builds(self, platform: &str) -> NetworkSpec {
        NetworkSpec {
            name: format!("paas-build-{platform}"),
            app: None,
            subnet: self.nth(0),
            bridge: bridge(&digest(platform)),
            is_internal: false,
        }
    }

    /// The network of an app, whose index (from 0) nobody else has.
    pub fn app(self, app: Id<App>, index: u32) -> Result<NetworkSpec, PoolError> {
        let apps = self.apps();
        if index >= apps {
            return Err(PoolError::UsedUp { pool: self.0, apps });
        }
        Ok(NetworkSpec {
            name: format!("{APP_NETWORK}{app}"),
            app: Some(app),
            subnet: self.nth(index + 1),
            bridge: bridge(&app.as_uuid().simple().to_string()),
            is_internal: false,
        })
    }

    /// The app whose network has this name.
    pub fn app_of(network: &str) -> Option<Id<App>> {
        network.strip_prefix(APP_NETWORK)?.parse().ok()
    }

    fn nth(self, number: u32) -> Subnet {
        let base = self.0.base().to_bits() + (number << (32 - SUBNET_PREFIX));
        Subnet::new(base.into(), SUBNET_PREFIX).expect("a multiple of the subnet's size has no host bits")
    }
}

/// A bridge's name: `ps-` and the last ten digits, because those of a version 7 UUID are its random ones. The kernel
/// allows 15 characters.
fn bridge(digits: &str) -> String {
    let start = digits.len().saturating_sub(10);
    format!("ps-{}", &digits[start..])
}

/// Sixteen digits that differ wherever names do (FNV-1a): a platform's id may be any word.
fn digest(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn pool(text: &str) -> Pool {
        Pool::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn apps_get_subnets_one_behind_the_other_after_the_builds() {
        let pool = pool(Pool::DEFAULT);
        let app = Id::from_uuid(Uuid::from_u128(0x0123_4567_89ab_cdef));
        assert_eq!(pool.builds("p").subnet.to_string(), "10.210.0.0/26");
        assert_eq!(pool.app(app, 0).unwrap().subnet.to_string(), "10.210.0.64/26");
        assert_eq!(pool.app(app, 2046).unwrap().subnet.to_string(), "10.211.255.192/26");
        assert_eq!(pool.app(app, 0).unwrap().bridge, "ps-6789abcdef");
        assert_eq!(Pool::app_of(&pool.app(app, 0).unwrap().name), Some(app));
        assert_eq!(Pool::app_of(&pool.builds("p").name), None);
        assert!(matches!(pool.app(app, 2047), Err(PoolError::UsedUp { apps: 2047, .. })));
    }

    #[test]
    fn bridges_of_two_platforms_fit_the_kernel_and_differ() {
        let pool = pool(Pool::DEFAULT);
        let (one, two) = (pool.builds("test-1").bridge, pool.builds("test-2").bridge);
        assert_ne!(one, two);
        assert!(one.starts_with("ps-") && one.len() <= 15, "{one}");
    }

    #[test]
    fn a_pool_without_room_for_an_app_is_refused() {
        assert!(Pool::new("10.0.0.0/26".parse().unwrap()).is_err());
        assert_eq!(pool("10.0.0.0/25").apps(), 1);
    }
}

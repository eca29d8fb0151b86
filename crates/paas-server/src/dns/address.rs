//! The addresses under which the world reaches this platform.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::UdpSocket, sync::Mutex, time::Instant};

use super::metadata::Metadata;

/// An address that was looked up is looked up again after so long: an instance gets another one when it is stopped and
/// started, or given an elastic one.
const FRESH: Duration = Duration::from_hours(1);

/// Just after a start the metadata service may not answer yet: what leads nowhere is not believed for long.
const FRESH_IF_UNKNOWN: Duration = Duration::from_mins(1);
/// Whoever has a way to this address has a default route. Nothing is sent to it.
const OUT_THERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)), 53);

/// The kernel's list of IPv6 addresses.
const IF_INET6: &str = "/proc/net/if_inet6";

/// Addresses that lead to this platform's router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicAddresses {
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) source: AddressSource,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressSource {
    /// The operator said so. Load balancers and private addresses count, too.
    Settings,
    /// The cloud's metadata service said so.
    Metadata,
    /// The machine's own addresses.
    Machine,
}

impl PublicAddresses {
    /// Whether any address is one that the world can reach, or that the operator vouches for.
    pub(crate) fn is_known(&self) -> bool {
        self.addresses.iter().any(|address| self.lead_here(*address))
    }

    /// How long a look-up is believed.
    fn good_for(&self) -> Duration {
        if self.is_known() { FRESH } else { FRESH_IF_UNKNOWN }
    }

    /// Whether requests to an address come to us.
    pub(crate) fn lead_here(&self, address: IpAddr) -> bool {
        let counts = self.source == AddressSource::Settings || is_public(address);
        counts && self.addresses.contains(&address)
    }

    /// What to say when no address is known.
    pub(crate) fn why_unknown(&self) -> String {
        let hint = "give this platform's public address: paasd serve --public-address ADDRESS";
        match self.addresses.first() {
            Some(address) => format!("this machine knows its private address {address} only; {hint}"),
            None => format!("this machine has no address that the internet could reach; {hint}"),
        }
    }
}

/// Looks the public addresses up, at most once an hour.
pub(crate) struct AddressFinder {
    given: Vec<IpAddr>,
    metadata: Metadata,
    /// Whether the router takes IPv6 at all: an address that nobody listens on is not ours.
    has_ipv6: bool,
    last: Mutex<Option<(Instant, PublicAddresses)>>,
}

impl AddressFinder {
    /// `given` are the operator's; with any, nothing is looked up.
    pub(crate) fn new(given: Vec<IpAddr>, metadata: Metadata, has_ipv6: bool) -> Self {
        Self {
            given,
            metadata,
            has_ipv6,
            last: Mutex::new(None),
        }
    }

    pub(crate) async fn current(&self) -> PublicAddresses {
        if !self.given.is_empty() {
            return PublicAddresses {
                addresses: self.given.clone(),
                source: AddressSource::Settings,
            };
        }
        // Held over the look-up: others who ask meanwhile wait for the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, addresses)) = &*last
            && at.elapsed() < addresses.good_for()
        {
            return addresses.clone();
        }
        let addresses = self.look().await;
        *last = Some((Instant::now(), addresses.clone()));
        addresses
    }

    async fn look(&self) -> PublicAddresses {
        let (v4, v6) = tokio::join!(self.metadata.address("public-ipv4"), self.metadata.address("ipv6"));
        let told: Vec<IpAddr> = v4.into_iter().chain(v6.filter(|_| self.has_ipv6)).collect();
        if !told.is_empty() {
            return PublicAddresses {
                addresses: told,
                source: AddressSource::Metadata,
            };
        }
        let v6 = if self.has_ipv6 {
            parse_if_inet6(&fs::read_to_string(IF_INET6).unwrap_or_default())
        } else {
            Vec::new()
        };
        PublicAddresses {
            addresses: default_route().await.into_iter().chain(v6).collect(),
            source: AddressSource::Machine,
        }
    }
}

/// Whether the internet could have a route to an address. Those for documentation count: they stand for such.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            // RFC 6598: carriers' own, behind their NAT.
            let is_shared = first == 100 && (64..128).contains(&second);
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || first == 0
                || first >= 240
                || is_shared)
        }
        // RFC 4291: 2000::/3 is what has been given out.
        IpAddr::V6(address) => address.segments()[0] & 0xe000 == 0x2000,
    }
}

/// The address that packets to the internet leave from.
async fn default_route() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.ok()?;
    socket.connect(OUT_THERE).await.ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The lasting public addresses in the kernel's list: address, interface, prefix length, scope, flags, name.
fn parse_if_inet6(text: &str) -> Vec<IpAddr> {
    /// Temporary (RFC 8981), duplicate, deprecated and tentative ones (`linux/if_addr.h`).
    const PASSING: u8 = 0x01 | 0x08 | 0x20 | 0x40;
    let address = |line: &str| {
        let mut fields = line.split_whitespace();
        let bits = u128::from_str_radix(fields.next().filter(|field| field.len() == 32)?, 16).ok()?;
        let flags = u8::from_str_radix(fields.nth(3)?, 16).ok()?;
        let address = IpAddr::V6(Ipv6Addr::from_bits(bits));
        (flags & PASSING == 0 && is_public(address)).then_some(address)
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn some_addresses_cannot_be_reached_from_the_internet() {
        for (address, expected) in [
            ("203.0.113.7", true),
            ("8.8.8.8", true),
            ("10.1.2.3", false),
            ("172.31.0.1", false),
            ("172.32.0.1", true),
            ("192.168.0.1", false),
            ("127.0.0.1", false),
            ("169.254.169.254", false),
            ("100.64.0.1", false),
            ("100.128.0.1", true),
            ("0.0.0.0", false),
            ("255.255.255.255", false),
            ("224.0.0.1", false),
            ("2001:db8::1", true),
            ("::1", false),
            ("fe80::1", false),
            ("fd00::1", false),
            ("::ffff:10.0.0.1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn lasting_ipv6_addresses_are_read_from_the_kernel() {
        let text = "\
            00000000000000000000000000000001 01 80 10 80       lo\n\
            20010db8000000000000000000000007 02 40 00 80     eth0\n\
            20010db8000000001234123412341234 02 40 00 01     eth0\n\
            20010db8000000000000000000000008 02 40 00 20     eth0\n\
            fd000000000000000000000000000001 03 40 00 80  docker0\n\
            fe800000000000000000000000000001 02 40 20 80     eth0\n";
        assert_eq!(parse_if_inet6(text), ["2001:db8::7".parse::<IpAddr>().unwrap()]);
    }

    #[test]
    fn a_private_address_counts_only_when_the_operator_gave_it() {
        let private: IpAddr = "192.168.1.5".parse().unwrap();
        let of = |source| PublicAddresses {
            addresses: vec![private],
            source,
        };
        assert!(of(AddressSource::Settings).is_known());
        let discovered = of(AddressSource::Machine);
        assert!(!discovered.is_known());
        assert!(!discovered.lead_here(private));
        assert!(discovered.why_unknown().contains("--public-address"));
        assert_eq!(discovered.good_for(), FRESH_IF_UNKNOWN);
    }

    proptest! {
        #[test]
        fn any_list_of_addresses_is_read(text in "[0-9a-f \n]{0,200}") {
            prop_assert!(parse_if_inet6(&text).into_iter().all(is_public));
        }
    }
}

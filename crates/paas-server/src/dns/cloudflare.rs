//! Addresses of Cloudflare's proxies: a name that leads there has the orange cloud on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// <https://www.cloudflare.com/ips-v4>, as of 2026-09-13.
const RANGES_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::new(173, 245, 48, 0), 20),
    (Ipv4Addr::new(103, 21, 244, 0), 22),
    (Ipv4Addr::new(103, 22, 200, 0), 22),
    (Ipv4Addr::new(103, 31, 4, 0), 22),
    (Ipv4Addr::new(141, 101, 64, 0), 18),
    (Ipv4Addr::new(108, 162, 192, 0), 18),
    (Ipv4Addr::new(190, 93, 240, 0), 20),
    (Ipv4Addr::new(188, 114, 96, 0), 20),
    (Ipv4Addr::new(197, 234, 240, 0), 22),
    (Ipv4Addr::new(198, 41, 128, 0), 17),
    (Ipv4Addr::new(162, 158, 0, 0), 15),
    (Ipv4Addr::new(104, 16, 0, 0), 13),
    (Ipv4Addr::new(104, 24, 0, 0), 14),
    (Ipv4Addr::new(172, 64, 0, 0), 13),
    (Ipv4Addr::new(131, 0, 72, 0), 22),
];

/// <https://www.cloudflare.com/ips-v6>, as of 2026-09-13.
const RANGES_V6: [(Ipv6Addr, u32); 7] = [
    (Ipv6Addr::new(0x2400, 0xcb00, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2803, 0xf800, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2405, 0xb500, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2405, 0x8100, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2a06, 0x98c0, 0, 0, 0, 0, 0, 0), 29),
    (Ipv6Addr::new(0x2c0f, 0xf248, 0, 0, 0, 0, 0, 0), 32),
];

/// Whether an address is one of Cloudflare's proxies.
pub(super) fn is_proxy(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => RANGES_V4
            .iter()
            .any(|(start, bits)| (address.to_bits() ^ start.to_bits()) >> (32 - bits) == 0),
        IpAddr::V6(address) => RANGES_V6
            .iter()
            .any(|(start, bits)| (address.to_bits() ^ start.to_bits()) >> (128 - bits) == 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_end_where_they_are_published_to_end() {
        for (address, expected) in [
            ("104.15.255.255", false),
            ("104.16.0.0", true),
            ("104.23.255.255", true),
            ("104.24.0.0", true),
            ("104.27.255.255", true),
            ("104.28.0.0", false),
            ("172.63.255.255", false),
            ("172.71.255.255", true),
            ("172.72.0.0", false),
            ("131.0.72.1", true),
            ("131.0.76.0", false),
            ("203.0.113.7", false),
            ("2606:4700::1", true),
            ("2606:4701::", false),
            ("2a06:98c7:ffff::1", true),
            ("2a06:98c8::", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(is_proxy(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn every_range_begins_on_its_own_boundary() {
        for (start, bits) in RANGES_V4 {
            assert_eq!(start.to_bits() << bits, 0, "{start}/{bits}");
        }
        for (start, bits) in RANGES_V6 {
            assert_eq!(start.to_bits() << bits, 0, "{start}/{bits}");
        }
    }
}

//! Where a request comes from, as far as it can be believed.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use paas_core::Network;

use crate::feed::Tls;

pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// The client at the far end of whatever is trusted in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// Where it connected to.
    pub(crate) port: u16,
    pub(crate) tls: Tls,
}

/// The proxies in front of the router that tell the truth.
#[derive(Debug, Clone, Default)]
pub(crate) struct Proxies {
    pub(crate) trusted: Vec<Network>,
    /// They introduce each connection by the PROXY protocol.
    pub(crate) introduce: bool,
}

impl Proxies {
    pub(crate) fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Follows the `X-Forwarded` headers of a trusted proxy to its client: the right-most address that is not trusted. What
    /// stands left of it is the client's own claim, and all that stays in the header.
    pub(crate) fn follow(&self, proxy: Visitor, headers: &mut HeaderMap) -> Visitor {
        let mut visitor = proxy;
        let mut list = words(headers, &X_FORWARDED_FOR);
        while self.trust(visitor.address)
            && let Some(address) = list.last().and_then(|word| address(word))
        {
            visitor.address = address;
            list.pop();
        }
        headers.remove(X_FORWARDED_FOR);
        if let Ok(claims) = HeaderValue::try_from(list.join(", "))
            && !claims.is_empty()
        {
            headers.insert(X_FORWARDED_FOR, claims);
        }
        match words(headers, &X_FORWARDED_PROTO).last().map(String::as_str) {
            Some("https") => (visitor.tls, visitor.port) = (Tls::Elsewhere, 443),
            Some("http") => (visitor.tls, visitor.port) = (Tls::None, 80),
            _ => {}
        }
        let port = words(headers, &X_FORWARDED_PORT)
            .last()
            .and_then(|port| port.parse().ok());
        visitor.port = port.unwrap_or(visitor.port);
        visitor
    }
}

fn words(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let words = values.flat_map(|value| value.split(',')).map(str::trim);
    words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

/// Some proxies add the client's port.
fn address(word: &str) -> Option<IpAddr> {
    let bare = word
        .strip_prefix('[')
        .and_then(|word| word.strip_suffix(']'))
        .unwrap_or(word);
    let address = bare.parse().ok();
    let address = address.or_else(|| word.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(list: &[&'static str]) -> (String, Vec<String>) {
        let proxies = Proxies {
            trusted: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            introduce: false,
        };
        let proxy = Visitor {
            address: "10.0.0.1".parse().unwrap(),
            port: 80,
            tls: Tls::None,
        };
        let mut headers = HeaderMap::new();
        for value in list {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let visitor = proxies.follow(proxy, &mut headers);
        (visitor.address.to_string(), words(&headers, &X_FORWARDED_FOR))
    }

    #[test]
    fn the_client_is_the_right_most_address_that_is_not_trusted() {
        let case = |list: &[&'static str], client: &str, claims: &[&str]| {
            let (address, rest) = follow(list);
            assert_eq!(
                (address.as_str(), rest),
                (client, claims.iter().map(|c| (*c).to_owned()).collect())
            );
        };
        case(&[], "10.0.0.1", &[]);
        case(&["203.0.113.7"], "203.0.113.7", &[]);
        case(&["1.1.1.1, 203.0.113.7"], "203.0.113.7", &["1.1.1.1"]);
        case(
            &["1.1.1.1", "203.0.113.7, 10.9.9.9", "fd00::1"],
            "203.0.113.7",
            &["1.1.1.1"],
        );
        case(&["203.0.113.7:4711, [fd00::1]:80"], "203.0.113.7", &[]);
        case(&["[2001:db8::1]"], "2001:db8::1", &[]);
        // An address that cannot be read belongs to nobody: whoever named it is all that is known.
        case(&["1.1.1.1, unknown, 10.9.9.9"], "10.9.9.9", &["1.1.1.1", "unknown"]);
        case(&["10.9.9.9"], "10.9.9.9", &[]);
    }
}

//! What can be told from a name alone.

/// Top-level domains that no public authority can validate: RFC 6761, RFC 6762, RFC 8375, RFC 9476, and what people use
/// at home and in offices although nobody gave it to them.
const PRIVATE: [&str; 13] = [
    "localhost",
    "local",
    "test",
    "internal",
    "example",
    "invalid",
    "onion",
    "alt",
    "lan",
    "home",
    "corp",
    "intranet",
    "home.arpa",
];

/// Whether a public authority can be asked for a certificate of this name; `*.example.com` counts as its parent.
///
/// No for `localhost` and its like, addresses, and single labels. Whether the name is in DNS is another question.
pub fn is_public_name(name: &str) -> bool {
    let name = name.strip_prefix("*.").unwrap_or(name);
    let is_private = |suffix: &str| {
        name.strip_suffix(suffix)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_address = || name.parse::<std::net::IpAddr>().is_ok();
    name.contains('.') && !is_address() && !PRIVATE.iter().any(|suffix| is_private(suffix))
}

/// The domain that somebody registered, by the public suffix list, which is what Let's Encrypt counts by. Names directly below
/// a suffix that belongs to everybody (`*.github.io`) are registered ones, too; a suffix itself stands for itself.
///
/// The list is as old as this program. Where it is wrong the authority has the last word, and says when to come again.
pub fn registered_domain(name: &str) -> &str {
    let name = name.strip_prefix("*.").unwrap_or(name);
    psl::domain_str(name).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nobody_can_validate_are_known() {
        for public in [
            "example.com",
            "www.example.com",
            "*.example.com",
            "localhost.com",
            "a.b.co.uk",
            "testing.app",
        ] {
            assert!(is_public_name(public), "{public}");
        }
        let private = [
            "localhost",
            "hello.localhost",
            "*.localhost",
            "printer.local",
            "shop.test",
            "db.internal",
            "box",
            "*.box",
            "10.1.2.3",
            "router.lan",
            "nas.home.arpa",
            "x.example",
        ];
        for private in private {
            assert!(!is_public_name(private), "{private}");
        }
    }

    #[test]
    fn names_are_counted_by_the_domain_that_was_registered() {
        for (name, domain) in [
            ("example.com", "example.com"),
            ("a.b.example.com", "example.com"),
            ("*.example.com", "example.com"),
            ("shop.example.co.uk", "example.co.uk"),
            ("co.uk", "co.uk"),
            ("*.co.uk", "co.uk"),
            ("com", "com"),
            ("www.example.io", "example.io"),
            // Rules of the list with a wildcard and an exception, in another alphabet, and of somebody private.
            ("a.b.example.kobe.jp", "b.example.kobe.jp"),
            ("a.city.kobe.jp", "city.kobe.jp"),
            ("www.example.xn--85x722f.xn--55qx5d.cn", "xn--85x722f.xn--55qx5d.cn"),
            ("www.you.github.io", "you.github.io"),
            // A top-level domain that the list does not know.
            ("www.example.nowhere", "example.nowhere"),
        ] {
            assert_eq!(registered_domain(name), domain, "{name}");
        }
    }
}

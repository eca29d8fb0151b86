//! The names that the platform itself answers to.

use paas_core::Hostname;

const LABELS: [&str; 3] = ["api", "git", "registry"];
/// Heroku's own client takes no host but Heroku's, unless this is in its name (`@heroku-cli/command`, `isValidHerokuHost`). Of
/// `HEROKU_HOST=localhost.example.com` it makes `api.` and `registry.` of that: the one way to its `container:*`.
const CLIENT_DOMAIN: &str = "localhost";
const CLIENT_LABELS: [&str; 2] = ["api", "registry"];

/// What Heroku's client takes for the platform's domain, where it does not take that itself.
pub(crate) fn client_domain(domain: &Hostname) -> Option<Hostname> {
    let is_taken = domain.as_str().contains(CLIENT_DOMAIN);
    (!is_taken).then(|| domain.child(CLIENT_DOMAIN))
}

pub(crate) fn platform_hosts(domain: &Hostname) -> Vec<Hostname> {
    let mut hosts: Vec<_> = LABELS.iter().map(|label| domain.child(label)).collect();
    if let Some(client_domain) = client_domain(domain) {
        hosts.extend(CLIENT_LABELS.iter().map(|label| client_domain.child(label)));
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(domain: &str) -> Vec<String> {
        let hosts = platform_hosts(&domain.parse().unwrap());
        hosts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn herokus_client_finds_a_domain_that_it_takes() {
        assert_eq!(
            hosts("example.com"),
            [
                "api.example.com",
                "git.example.com",
                "registry.example.com",
                "api.localhost.example.com",
                "registry.localhost.example.com",
            ]
        );
        assert_eq!(
            hosts("localhost"),
            ["api.localhost", "git.localhost", "registry.localhost"]
        );
    }
}

//! Where the platform answers, and which other hosts are its own.

use std::{fmt, net::IpAddr, str::FromStr};

use ureq::http::Uri;

use crate::error::Error;

const CLIENT_DOMAIN: &str = "localhost";

/// The address of the API: scheme, host and port, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformUrl {
    scheme: String,
    authority: String,
    host: String,
}

impl PlatformUrl {
    /// Whether the API is on this machine; then git answers on the same listener.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether somebody on the way could read the token.
    pub(crate) fn is_exposed(&self) -> bool {
        self.scheme == "http" && !self.is_loopback() && !self.host.ends_with(".localhost")
    }

    /// The names that netrc has for the API and for git. Without ports, because git and curl look for the host alone.
    /// The git host is derived, never taken from an answer: an answer could name a host that is none of ours.
    pub(crate) fn machines(&self) -> Vec<String> {
        let git = self.git_host();
        std::iter::once(self.host.clone()).chain(git).collect()
    }

    /// Host and port of the API.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Host and port of git, for whoever makes remotes.
    pub(crate) fn git_authority(&self) -> String {
        let git = self.authority.strip_prefix("api.").map(|rest| format!("git.{rest}"));
        git.unwrap_or_else(|| self.authority.clone())
    }

    /// Host and port of the registry, as the names of images begin. On loopback Docker needs no TLS for it.
    pub(crate) fn registry_authority(&self) -> String {
        let registry = self
            .authority
            .strip_prefix("api.")
            .map(|rest| format!("registry.{rest}"));
        registry.unwrap_or_else(|| self.authority.clone())
    }

    /// What Heroku's client takes for a domain, and makes `api.` and `registry.` of, both at the usual port. It takes none but
    /// Heroku's that has no `localhost` in it, so the platform has one.
    pub(crate) fn client_domain(&self) -> Option<String> {
        let domain = self.authority.strip_prefix("api.")?;
        if self.scheme != "https" || domain.contains(':') {
            return None;
        }
        Some(if domain.contains(CLIENT_DOMAIN) {
            domain.to_owned()
        } else {
            format!("{CLIENT_DOMAIN}.{domain}")
        })
    }

    /// Whether a remote's URL leads to this platform.
    pub(crate) fn is_git_host(&self, url: &str) -> bool {
        let uri = url.parse::<Uri>().ok();
        // `git@host:path` has no scheme: those are somebody else's.
        let Some(uri) = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https"))) else {
            return false;
        };
        // Without the user name that people write into their remotes.
        let authority = uri
            .authority()
            .map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default());
        let is_api = authority == Some(&self.authority);
        is_api || (self.git_host().is_some() && uri.host() == self.git_host().as_deref())
    }

    /// `git.example.com` beside `api.example.com`.
    fn git_host(&self) -> Option<String> {
        self.host.strip_prefix("api.").map(|domain| format!("git.{domain}"))
    }
}

impl FromStr for PlatformUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let error = || Error::BadUrl(text.to_owned());
        let uri: Uri = text.parse().map_err(|_| error())?;
        let scheme = uri
            .scheme_str()
            .filter(|scheme| matches!(*scheme, "http" | "https"))
            .ok_or_else(error)?;
        let authority = uri.authority().ok_or_else(error)?.as_str();
        if authority.contains('@') || !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(error());
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(error)?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Ok(Self {
            scheme: scheme.to_owned(),
            authority: authority.to_ascii_lowercase(),
            host: host.to_ascii_lowercase(),
        })
    }
}

impl fmt::Display for PlatformUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> PlatformUrl {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_is_a_scheme_a_host_and_nothing_behind_it() {
        assert_eq!(url("http://127.0.0.1:5050/").to_string(), "http://127.0.0.1:5050");
        assert_eq!(url("https://API.example.com").to_string(), "https://api.example.com");
        for bad in [
            "",
            "127.0.0.1:5050",
            "ftp://a",
            "http://",
            "http://me@a",
            "http://a/b",
            "http://a/?b",
            "http://a b",
        ] {
            assert!(bad.parse::<PlatformUrl>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn herokus_client_finds_what_is_at_the_usual_port() {
        let domain = |text| url(text).client_domain();
        let is = |text: &str| Some(text.to_owned());
        assert_eq!(domain("https://api.example.com"), is("localhost.example.com"));
        assert_eq!(domain("https://api.localhost"), is("localhost"));
        for other in [
            "https://api.example.com:8443",
            "http://api.example.com",
            "http://127.0.0.1:5050",
        ] {
            assert_eq!(domain(other), None, "{other}");
        }
    }

    #[test]
    fn machines_have_no_port_and_git_is_a_sibling_of_api() {
        assert_eq!(url("http://127.0.0.1:5050").machines(), ["127.0.0.1"]);
        assert_eq!(url("http://[::1]:5050").machines(), ["::1"]);
        assert_eq!(
            url("https://api.example.com").machines(),
            ["api.example.com", "git.example.com"]
        );
    }

    #[test]
    fn only_remotes_of_the_platform_are_ours() {
        let local = url("http://127.0.0.1:5050");
        assert!(local.is_loopback() && local.is_git_host("http://127.0.0.1:5050/hello.git"));
        assert!(local.is_git_host("http://me:token@127.0.0.1:5050/hello.git"));
        assert!(!local.is_git_host("http://127.0.0.1:5051/hello.git"));
        let far = url("https://api.example.com");
        assert!(!far.is_loopback() && far.is_git_host("https://git.example.com/hello.git"));
        assert!(!far.is_git_host("https://git.example.org/hello.git"));
        assert!(!far.is_git_host("git@git.example.com:hello.git"));
    }

    #[test]
    fn plain_http_to_another_machine_is_exposed() {
        assert!(url("http://api.example.com").is_exposed());
        assert!(!url("https://api.example.com").is_exposed());
        assert!(!url("http://localhost:5050").is_exposed());
        assert!(!url("http://api.localhost:8080").is_exposed());
    }
}

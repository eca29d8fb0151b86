//! Which names are to have a certificate that comes by itself, and from whom.

use paas_core::{App, AppName, DomainName, Hostname, Id, is_public_name};
use paas_store::domain::Domain;

use crate::platform_hosts::{client_domain, platform_hosts};

/// A certificate that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    /// What it is managed as.
    pub(super) hostname: DomainName,
    /// What it is for; this is also `hostname`.
    pub(super) names: Vec<DomainName>,
    /// `None`: the platform itself.
    pub(super) app: Option<Id<App>>,
    pub(super) authority: WantedAuthority,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WantedAuthority {
    Public,
    Local,
}

/// How this platform gets certificates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) domain: &'a Hostname,
    pub(super) has_acme: bool,
    /// Records can be made in the DNS: wildcards can be validated.
    pub(super) has_dns_01: bool,
}

/// The certificates of all names, by name.
pub(super) fn wanted(means: Means<'_>, apps: &[(Id<App>, AppName)], domains: &[Domain]) -> Vec<Wanted> {
    let mut wanted = platform_names(means, apps);
    let managed = domains
        .iter()
        .filter(|domain| domain.acm && domain.certificate.is_none());
    wanted.extend(managed.map(|domain| Wanted {
        hostname: domain.hostname.clone(),
        names: vec![domain.hostname.clone()],
        app: Some(domain.app),
        authority: means.authority(&domain.hostname),
    }));
    wanted
}

/// Wildcards where they can be had; else a certificate for each name.
fn platform_names(means: Means<'_>, apps: &[(Id<App>, AppName)]) -> Vec<Wanted> {
    let domain = DomainName::Exact(means.domain.clone());
    let authority = means.authority(&domain);
    let has_wildcard = match authority {
        WantedAuthority::Public => means.has_dns_01,
        // Clients refuse a wildcard right below the top, such as *.localhost.
        WantedAuthority::Local => means.domain.as_str().contains('.'),
    };
    if has_wildcard {
        // A wildcard stands for one label: that of apps does not reach the names below another domain.
        let names = |domain: Hostname| {
            let wildcard = DomainName::Wildcard(domain.clone());
            Wanted {
                names: vec![wildcard.clone(), DomainName::Exact(domain)],
                hostname: wildcard,
                app: None,
                authority,
            }
        };
        let domains = std::iter::once(means.domain.clone()).chain(client_domain(means.domain));
        return domains.map(names).collect();
    }
    let of_platform = platform_hosts(means.domain).into_iter().map(|host| (None, host));
    let of_apps = apps
        .iter()
        .map(|(id, name)| (Some(*id), means.domain.child(name.as_str())));
    let certificate = |(app, host): (_, Hostname)| {
        let hostname = DomainName::Exact(host);
        Wanted {
            names: vec![hostname.clone()],
            hostname,
            app,
            authority,
        }
    };
    of_platform.chain(of_apps).map(certificate).collect()
}

impl Means<'_> {
    fn authority(self, name: &DomainName) -> WantedAuthority {
        if self.has_acme && is_public_name(name.base().as_str()) {
            WantedAuthority::Public
        } else {
            WantedAuthority::Local
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use paas_store::domain::Chosen;
    use uuid::Uuid;

    use super::*;

    fn app(number: u128, name: &str) -> (Id<App>, AppName) {
        (Id::from_uuid(Uuid::from_u128(number)), name.parse().unwrap())
    }

    fn domain(hostname: &str) -> Domain {
        Domain {
            id: Id::from_uuid(Uuid::nil()),
            app: app(1, "hello").0,
            hostname: hostname.parse().unwrap(),
            certificate: None,
            acm: true,
            created_at: DateTime::<Utc>::UNIX_EPOCH,
            updated_at: DateTime::<Utc>::UNIX_EPOCH,
        }
    }

    fn shown(domain: &str, has_acme: bool, has_dns_01: bool, domains: &[Domain]) -> Vec<String> {
        let domain: Hostname = domain.parse().unwrap();
        let means = Means {
            domain: &domain,
            has_acme,
            has_dns_01,
        };
        let wanted = wanted(means, &[app(1, "hello"), app(2, "world")], domains);
        let show = |wanted: Wanted| {
            assert_eq!(wanted.names[0], wanted.hostname);
            let names: Vec<_> = wanted.names.iter().map(ToString::to_string).collect();
            let whose = if wanted.app.is_some() { "app" } else { "platform" };
            format!("{} {whose} {:?}", names.join("+"), wanted.authority)
        };
        wanted.into_iter().map(show).collect()
    }

    #[test]
    fn a_public_platform_has_a_certificate_per_name_or_one_wildcard() {
        assert_eq!(
            shown("example.com", true, false, &[]),
            [
                "api.example.com platform Public",
                "git.example.com platform Public",
                "registry.example.com platform Public",
                "api.localhost.example.com platform Public",
                "registry.localhost.example.com platform Public",
                "hello.example.com app Public",
                "world.example.com app Public",
            ]
        );
        assert_eq!(
            shown("example.com", true, true, &[]),
            [
                "*.example.com+example.com platform Public",
                "*.localhost.example.com+localhost.example.com platform Public"
            ]
        );
    }

    #[test]
    fn names_that_nobody_can_validate_are_ours() {
        assert_eq!(
            shown("localhost", true, true, &[])[..4],
            [
                "api.localhost platform Local",
                "git.localhost platform Local",
                "registry.localhost platform Local",
                "hello.localhost app Local"
            ]
        );
        assert_eq!(
            shown("box.test", true, true, &[]),
            [
                "*.box.test+box.test platform Local",
                "*.localhost.box.test+localhost.box.test platform Local"
            ]
        );
        assert_eq!(
            shown("example.com", false, true, &[]),
            [
                "*.example.com+example.com platform Local",
                "*.localhost.example.com+localhost.example.com platform Local"
            ]
        );
        let custom = [domain("www.example.com"), domain("shop.test")];
        assert_eq!(
            shown("box.test", true, false, &custom)[2..],
            ["www.example.com app Public", "shop.test app Local"]
        );
    }

    #[test]
    fn names_with_an_uploaded_certificate_or_without_management_are_left_alone() {
        let uploaded = Domain {
            certificate: Some(Chosen {
                id: Id::from_uuid(Uuid::nil()),
                name: "ichthyosaur-33412".to_owned(),
            }),
            ..domain("www.example.com")
        };
        let unmanaged = Domain {
            acm: false,
            ..domain("shop.example.com")
        };
        assert_eq!(shown("box.test", true, false, &[uploaded, unmanaged]).len(), 2);
    }
}

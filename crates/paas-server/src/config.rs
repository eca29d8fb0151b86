//! Settings of the server: a flag, else a `PAAS_*` variable, else `/etc/paas/paasd.toml`, else the default.

mod acme;
mod addon_ports;
mod aws;
mod bucket;
mod build;
mod dns;

use std::{
    fs, io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use paas_core::{AppName, Hostname, ImageRef, PortRange, is_public_name};
use paas_engine::{Pool, Subnet};
use paas_router::Network;
use serde::Deserialize;

use crate::dns::Route53Settings;
use acme::AcmeArgs;
pub(crate) use acme::AcmeSettings;
use addon_ports::addon_ports;
use bucket::BucketArgs;
pub(crate) use bucket::BucketSettings;
use build::{build_memory, cnb_builder, keep_images_after};
use dns::{dns_records, parse_dns_server};

/// Where a machine's settings are kept.
const SETTINGS_FILE: &str = "/etc/paas/paasd.toml";
/// The hosted zone that is looked for by the name.
const ANY_ZONE: &str = "auto";

/// The settings as given; every one may be absent.
#[derive(Debug, Clone, Default, Args, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SettingsArgs {
    /// Read settings from this file instead of /etc/paas/paasd.toml
    #[arg(long, env = "PAAS_SETTINGS", value_name = "FILE", global = true)]
    #[serde(skip)]
    settings: Option<PathBuf>,

    /// Where everything is kept [default: /var/lib/paas]
    #[arg(long, env = "PAAS_DATA_DIR", value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,

    /// The domain under which apps are served, as APP.DOMAIN [default: localhost]
    #[arg(long, env = "PAAS_DOMAIN", global = true)]
    domain: Option<String>,

    /// Where the router listens for HTTP [default: 0.0.0.0:80]
    #[arg(long, env = "PAAS_HTTP", value_name = "ADDRESS", global = true)]
    http: Option<SocketAddr>,

    /// Where the router listens for HTTPS [default: 0.0.0.0:443]
    #[arg(long, env = "PAAS_HTTPS", value_name = "ADDRESS", global = true)]
    https: Option<SocketAddr>,

    /// Where the API and git listen, in plain HTTP: keep it on loopback [default: 127.0.0.1:5050]
    #[arg(long, env = "PAAS_API", value_name = "ADDRESS", global = true)]
    api: Option<SocketAddr>,

    /// Where `heroku run` meets dynos, in TLS; paas itself needs only the API [default: 0.0.0.0:5000]
    #[arg(long, env = "PAAS_RENDEZVOUS", value_name = "ADDRESS", global = true)]
    rendezvous: Option<SocketAddr>,

    /// A Postgres to use instead of the embedded one
    #[arg(
        long,
        env = "PAAS_DATABASE_URL",
        value_name = "URL",
        hide_env_values = true,
        global = true
    )]
    database_url: Option<String>,

    /// The Docker engine's socket [default: /var/run/docker.sock]
    #[arg(long, env = "PAAS_DOCKER", value_name = "SOCKET", global = true)]
    docker: Option<PathBuf>,

    /// The addresses that apps get their networks from; two platforms on one machine need two [default: 10.210.0.0/15]
    #[arg(long, env = "PAAS_NETWORK_POOL", value_name = "SUBNET", global = true)]
    network_pool: Option<String>,

    /// A folder of extra CA certificates that builds and dynos trust [default: /usr/local/share/ca-certificates]
    #[arg(long, env = "PAAS_EXTRA_CA", value_name = "DIR", global = true)]
    extra_ca: Option<PathBuf>,

    /// How many builds run at the same time [default: 1]
    #[arg(long, env = "PAAS_CONCURRENT_BUILDS", value_name = "NUMBER", global = true)]
    concurrent_builds: Option<usize>,

    /// How many processors builds may use [default: all]
    #[arg(long, env = "PAAS_BUILD_CPUS", value_name = "NUMBER", global = true)]
    build_cpus: Option<u16>,

    /// How much memory a build may use, in MB [default: half of the machine's, shared by builds that run at the same time]
    #[arg(long, env = "PAAS_BUILD_MEMORY", value_name = "MB", global = true)]
    build_memory: Option<u64>,

    /// By how much a build may fill the disk, in MB [default: 10240]
    #[arg(long, env = "PAAS_BUILD_DISK", value_name = "MB", global = true)]
    build_disk: Option<u64>,

    /// How long a build may take, in seconds [default: 900]
    #[arg(long, env = "PAAS_BUILD_TIMEOUT", value_name = "SECONDS", global = true)]
    build_timeout: Option<u64>,

    /// Builds start while the disk is below this many percent full [default: 85]
    #[arg(long, env = "PAAS_BUILD_DISK_LIMIT", value_name = "PERCENT", global = true)]
    build_disk_limit: Option<u8>,

    /// Copy the images of releases out of the engine when they are this many seconds old; `none` keeps no copies [default: 600]
    #[arg(long, env = "PAAS_KEEP_IMAGES_AFTER", value_name = "SECONDS", global = true)]
    keep_images_after: Option<String>,

    /// The builder image of the cnb stack (Cloud Native Buildpacks), such as heroku/builder:24 [default: none]
    #[arg(long, env = "PAAS_CNB_BUILDER", value_name = "IMAGE", global = true)]
    cnb_builder: Option<String>,

    /// Fetch the sources of builds, and buildpacks, also from private addresses and over plain HTTP [default: no]
    #[arg(
        long,
        env = "PAAS_ALLOW_PRIVATE_SOURCES",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    allow_private_sources: Option<bool>,

    /// An address that leads here, a load balancer's too; may be repeated [default: this machine's]
    #[arg(
        long,
        env = "PAAS_PUBLIC_ADDRESS",
        value_name = "IP",
        value_delimiter = ',',
        global = true
    )]
    public_address: Vec<IpAddr>,

    /// A load balancer in front of the router, whose X-Forwarded headers are believed; may be repeated [default: none]
    #[arg(
        long,
        env = "PAAS_TRUSTED_PROXIES",
        value_name = "CIDR",
        value_delimiter = ',',
        global = true
    )]
    trusted_proxies: Vec<String>,

    /// Trusted proxies introduce each connection by the PROXY protocol, version 1 or 2 [default: no]
    #[arg(
        long,
        env = "PAAS_PROXY_PROTOCOL",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    proxy_protocol: Option<bool>,

    /// Where add-ons may be exposed to addresses outside, as [ADDRESS:]FIRST-LAST, such as 20000-20099 [default: nowhere]
    #[arg(long, env = "PAAS_ADDON_PORTS", value_name = "PORTS", global = true)]
    addon_ports: Option<String>,

    /// A bucket of S3 or of another that speaks its language: backups of add-ons go there, too [default: none]
    #[arg(long, env = "PAAS_BACKUP_BUCKET", value_name = "NAME", global = true)]
    backup_bucket: Option<String>,

    /// The address of the server that has the bucket [default: Amazon S3 in the region]
    #[arg(long, env = "PAAS_BACKUP_BUCKET_ENDPOINT", value_name = "URL", global = true)]
    backup_bucket_endpoint: Option<String>,

    /// The bucket's region, such as eu-central-1 [default, with an endpoint: us-east-1]
    #[arg(long, env = "PAAS_BACKUP_BUCKET_REGION", value_name = "REGION", global = true)]
    backup_bucket_region: Option<String>,

    /// What the names of backups begin with in the bucket, such as paas/backups [default: nothing]
    #[arg(long, env = "PAAS_BACKUP_BUCKET_PREFIX", value_name = "PREFIX", global = true)]
    backup_bucket_prefix: Option<String>,

    /// Log drains and webhooks may lead to this machine itself (127.0.0.1) [default: no]
    #[arg(
        long,
        env = "PAAS_LOCAL_DRAINS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    local_drains: Option<bool>,

    /// A DNS server to ask before certificates are ordered; may be repeated [default: this machine's]
    #[arg(
        long,
        env = "PAAS_DNS_SERVER",
        value_name = "IP[:PORT]",
        value_delimiter = ',',
        global = true
    )]
    dns_server: Vec<String>,

    /// A program that makes DNS records, run as PROGRAM present|cleanup NAME VALUE: wildcard certificates need one
    #[arg(
        long,
        env = "PAAS_DNS_HOOK",
        value_name = "PROGRAM",
        conflicts_with = "dns_route53",
        global = true
    )]
    dns_hook: Option<PathBuf>,

    /// Make DNS records in Amazon Route 53, with the instance's role or the AWS_* keys; in this hosted zone, else the one found
    #[arg(
        long,
        env = "PAAS_DNS_ROUTE53",
        value_name = "ZONE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ANY_ZONE,
        global = true
    )]
    dns_route53: Option<String>,

    /// The certificate authority's ACME directory; `none` orders no certificates [default: Let's Encrypt]
    #[arg(long, env = "PAAS_ACME_DIRECTORY", value_name = "URL", global = true)]
    acme_directory: Option<String>,

    /// Where orders are rehearsed first; `none` rehearses nothing [default: Let's Encrypt's staging, for Let's Encrypt]
    #[arg(long, env = "PAAS_ACME_STAGING_DIRECTORY", value_name = "URL", global = true)]
    acme_staging_directory: Option<String>,

    /// Another authority, for when the first is in trouble
    #[arg(long, env = "PAAS_ACME_FALLBACK_DIRECTORY", value_name = "URL", global = true)]
    acme_fallback_directory: Option<String>,

    /// Whom the authorities may write to
    #[arg(long, env = "PAAS_ACME_EMAIL", value_name = "ADDRESS", global = true)]
    acme_email: Option<String>,

    /// Extra CA certificates (PEM) to trust when talking to an authority
    #[arg(long, env = "PAAS_ACME_CA_FILE", value_name = "FILE", global = true)]
    acme_ca_file: Option<PathBuf>,

    /// A file with two lines from the first authority, if it wants accounts bound (EAB): key id and HMAC key
    #[arg(long, env = "PAAS_ACME_EAB_FILE", value_name = "FILE", global = true)]
    acme_eab_file: Option<PathBuf>,

    /// The same from the fallback authority
    #[arg(long, env = "PAAS_ACME_FALLBACK_EAB_FILE", value_name = "FILE", global = true)]
    acme_fallback_eab_file: Option<PathBuf>,

    /// Abort at this point of a deploy: for tests of recovery
    #[arg(long, env = "PAAS_FAILPOINT", hide = true, global = true)]
    #[serde(skip)]
    failpoint: Option<String>,
}

/// The settings in force.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The file that was asked for, for the router that this server starts.
    pub(crate) file_given: Option<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) domain: Hostname,
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) proxy_protocol: bool,
    pub(crate) local_drains: bool,
    /// `None`: no add-on is exposed.
    pub(crate) addon_ports: Option<PortRange>,
    /// `None`: backups stay on this machine.
    pub(crate) bucket: Option<BucketSettings>,
    pub(crate) api: SocketAddr,
    pub(crate) rendezvous: SocketAddr,
    /// `None`: the embedded server.
    pub(crate) database_url: Option<String>,
    pub(crate) docker: PathBuf,
    pub(crate) network_pool: Pool,
    pub(crate) extra_ca: PathBuf,
    pub(crate) concurrent_builds: usize,
    /// `None`: all.
    pub(crate) build_cpus: Option<u16>,
    /// `None`: a share of the machine's.
    pub(crate) build_memory_bytes: Option<u64>,
    pub(crate) build_disk_bytes: u64,
    pub(crate) build_timeout: Duration,
    pub(crate) build_disk_limit_percent: u8,
    /// `None`: there are no copies.
    pub(crate) keep_images_after: Option<Duration>,
    /// `None`: there is no `cnb` stack.
    pub(crate) cnb_builder: Option<ImageRef>,
    /// Whether sources are fetched from inside, too.
    pub(crate) allows_private_sources: bool,
    /// Empty: those of this machine.
    pub(crate) public_addresses: Vec<IpAddr>,
    /// Empty: those of this machine.
    pub(crate) dns_servers: Vec<SocketAddr>,
    pub(crate) dns_records: Option<DnsRecords>,
    /// `None`: certificates are uploaded, or come from our own authority.
    pub(crate) acme: Option<AcmeSettings>,
    pub(crate) failpoint: Option<String>,
}

/// How records are made in the DNS.
#[derive(Clone)]
pub(crate) enum DnsRecords {
    Hook(PathBuf),
    Route53(Route53Settings),
}

impl SettingsArgs {
    /// Reads the settings file and fills in the defaults.
    pub(crate) fn resolve(self) -> Result<Settings> {
        let file = self.read_file()?;
        let domain = self.domain.or(file.domain).unwrap_or_else(|| "localhost".to_owned());
        let any = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let api = self
            .api
            .or(file.api)
            .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 5050)));
        if !api.ip().is_loopback() {
            bail!(
                "--api {api} is reachable from other machines, in plain HTTP\n\
                 hint: keep it on 127.0.0.1; others reach the API through the router as api.{domain}"
            );
        }
        let acme = AcmeArgs {
            directory: self.acme_directory.or(file.acme_directory),
            staging_directory: self.acme_staging_directory.or(file.acme_staging_directory),
            fallback_directory: self.acme_fallback_directory.or(file.acme_fallback_directory),
            email: self.acme_email.or(file.acme_email),
            ca_file: self.acme_ca_file.or(file.acme_ca_file),
            eab_file: self.acme_eab_file.or(file.acme_eab_file),
            fallback_eab_file: self.acme_fallback_eab_file.or(file.acme_fallback_eab_file),
        };
        let bucket = BucketArgs {
            name: self.backup_bucket.or(file.backup_bucket),
            endpoint: self.backup_bucket_endpoint.or(file.backup_bucket_endpoint),
            region: self.backup_bucket_region.or(file.backup_bucket_region),
            prefix: self.backup_bucket_prefix.or(file.backup_bucket_prefix),
        };
        let proxy_protocol = self.proxy_protocol.or(file.proxy_protocol).unwrap_or(false);
        let trusted_proxies = trusted_proxies(&given_or(self.trusted_proxies, file.trusted_proxies), proxy_protocol)?;
        let http = self.http.or(file.http).unwrap_or_else(|| any(80));
        let https = self.https.or(file.https).unwrap_or_else(|| any(443));
        let rendezvous = self.rendezvous.or(file.rendezvous).unwrap_or_else(|| any(5000));
        let own_ports = [
            ("http", http),
            ("https", https),
            ("api", api),
            ("rendezvous", rendezvous),
        ];
        let data_dir = self
            .data_dir
            .or(file.data_dir)
            .unwrap_or_else(|| PathBuf::from("/var/lib/paas"));
        Ok(Settings {
            file_given: self.settings,
            data_dir: std::path::absolute(&data_dir).with_context(|| format!("resolving {}", data_dir.display()))?,
            domain: domain.parse().with_context(|| format!("--domain {domain}"))?,
            http,
            https,
            trusted_proxies,
            proxy_protocol,
            local_drains: self.local_drains.or(file.local_drains).unwrap_or(false),
            addon_ports: addon_ports(self.addon_ports.or(file.addon_ports).as_deref(), own_ports)?,
            bucket: bucket.resolve()?,
            api,
            rendezvous,
            database_url: self.database_url.or(file.database_url),
            docker: self
                .docker
                .or(file.docker)
                .unwrap_or_else(|| PathBuf::from("/var/run/docker.sock")),
            network_pool: parse_pool(
                self.network_pool
                    .or(file.network_pool)
                    .as_deref()
                    .unwrap_or(Pool::DEFAULT),
            )?,
            extra_ca: self
                .extra_ca
                .or(file.extra_ca)
                .unwrap_or_else(|| PathBuf::from("/usr/local/share/ca-certificates")),
            concurrent_builds: self.concurrent_builds.or(file.concurrent_builds).unwrap_or(1).max(1),
            build_cpus: self.build_cpus.or(file.build_cpus),
            build_memory_bytes: build_memory(self.build_memory.or(file.build_memory))?,
            build_disk_bytes: self.build_disk.or(file.build_disk).unwrap_or(10 * 1024) * 1024 * 1024,
            build_timeout: Duration::from_secs(self.build_timeout.or(file.build_timeout).unwrap_or(15 * 60).max(1)),
            keep_images_after: keep_images_after(self.keep_images_after.or(file.keep_images_after).as_deref())?,
            build_disk_limit_percent: self.build_disk_limit.or(file.build_disk_limit).unwrap_or(85),
            cnb_builder: cnb_builder(self.cnb_builder.or(file.cnb_builder))?,
            allows_private_sources: self
                .allow_private_sources
                .or(file.allow_private_sources)
                .unwrap_or(false),
            public_addresses: given_or(self.public_address, file.public_address),
            dns_servers: given_or(self.dns_server, file.dns_server)
                .iter()
                .map(|server| parse_dns_server(server))
                .collect::<Result<_>>()?,
            dns_records: match (self.dns_hook, self.dns_route53) {
                (None, None) => dns_records(file.dns_hook, file.dns_route53)?,
                (hook, zone) => dns_records(hook, zone)?,
            },
            acme: acme.resolve()?,
            failpoint: self.failpoint,
        })
    }

    fn read_file(&self) -> Result<Self> {
        let (path, required) = match &self.settings {
            Some(path) => (path.clone(), true),
            None => (PathBuf::from(SETTINGS_FILE), false),
        };
        match fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).with_context(|| format!("reading settings from {}", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && !required => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("reading settings from {}", path.display())),
        }
    }
}

fn trusted_proxies(given: &[String], proxy_protocol: bool) -> Result<Vec<Network>> {
    if proxy_protocol && given.is_empty() {
        bail!(
            "--proxy-protocol without --trusted-proxies: nobody may introduce a client\n\
             hint: name the addresses of the load balancer, like --trusted-proxies 10.0.0.0/24"
        );
    }
    let networks = given.iter();
    networks
        .map(|network| network.parse().context("--trusted-proxies"))
        .collect()
}

fn given_or<T>(given: Vec<T>, file: Vec<T>) -> Vec<T> {
    if given.is_empty() { file } else { given }
}

fn parse_pool(text: &str) -> Result<Pool> {
    let pool = || -> Result<Pool> { Ok(Pool::new(text.parse::<Subnet>()?)?) };
    pool().with_context(|| format!("--network-pool {text}"))
}

impl Settings {
    /// Where an app answers, as a person would type it.
    pub(crate) fn app_url(&self, app: &AppName) -> String {
        self.public_url(app.as_str())
    }

    /// Where an app is pushed to by those who cannot reach the loopback listener.
    pub(crate) fn git_url(&self, app: &AppName) -> String {
        format!("{}{app}.git", self.public_url("git"))
    }

    /// Where the API is reached through the router.
    pub(crate) fn api_url(&self) -> String {
        self.public_url("api")
    }

    /// With HTTPS where a public authority certifies our names; a browser would not trust our own.
    fn public_url(&self, label: &str) -> String {
        let host = self.domain.child(label);
        let (scheme, port, usual) = if self.has_public_certificates() {
            ("https", self.https.port(), 443)
        } else {
            ("http", self.http.port(), 80)
        };
        if port == usual {
            format!("{scheme}://{host}/")
        } else {
            format!("{scheme}://{host}:{port}/")
        }
    }

    /// Whether names below the platform's domain get certificates of a public authority.
    pub(crate) fn has_public_certificates(&self) -> bool {
        self.acme.is_some() && is_public_name(self.domain.as_str())
    }

    /// The host in `attach_url`: one that the platform has a certificate for. Where its names are only for this machine, the
    /// domain itself, because clients refuse a wildcard right below the top.
    pub(crate) fn rendezvous_host(&self) -> Hostname {
        match self.domain.parent() {
            Some(_) => self.domain.child("api"),
            None => self.domain.clone(),
        }
    }

    pub(crate) fn local_ca(&self) -> PathBuf {
        self.data_dir.join("local-ca")
    }

    /// An operator's own descriptions of add-ons.
    pub(crate) fn addons(&self) -> PathBuf {
        self.data_dir.join("addons")
    }

    /// Backups of add-ons, sealed.
    pub(crate) fn backups(&self) -> PathBuf {
        self.data_dir.join("backups")
    }

    /// Logs of add-ons, and copies that they begin with, sealed.
    pub(crate) fn archive(&self) -> PathBuf {
        self.data_dir.join("archive")
    }

    pub(crate) fn repositories(&self) -> PathBuf {
        self.data_dir.join("repositories")
    }

    pub(crate) fn sources(&self) -> PathBuf {
        self.data_dir.join("sources")
    }

    /// Images that were pushed, until they are released.
    pub(crate) fn registry(&self) -> PathBuf {
        self.data_dir.join("registry")
    }

    /// What was fetched of buildpacks that are not ours.
    pub(crate) fn buildpacks(&self) -> PathBuf {
        self.data_dir.join("buildpacks")
    }

    pub(crate) fn outputs(&self) -> PathBuf {
        self.data_dir.join("output")
    }

    /// Copies of the images of releases.
    pub(crate) fn images(&self) -> PathBuf {
        self.data_dir.join("images")
    }

    /// How full the disk may become while builds run: two thirds of the way from where they start no more to the end.
    pub(crate) fn build_disk_full_percent(&self) -> u64 {
        let start = u64::from(self.build_disk_limit_percent.min(100));
        start + (100 - start) * 2 / 3
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.data_dir.join("logs")
    }

    pub(crate) fn hooks(&self) -> PathBuf {
        self.data_dir.join("hooks")
    }

    pub(crate) fn router_socket(&self) -> PathBuf {
        self.data_dir.join("router.sock")
    }

    /// Where the router hands SSH over.
    pub(crate) fn ssh_socket(&self) -> PathBuf {
        self.data_dir.join("ssh.sock")
    }

    pub(crate) fn hook_socket(&self) -> PathBuf {
        self.data_dir.join("hook.sock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_have_https_addresses_where_a_public_authority_certifies_them() {
        let url = |domain: &str, directory: Option<&str>, ports: [u16; 2]| {
            let [http, https] = ports.map(|port| Some(SocketAddr::from(([0, 0, 0, 0], port))));
            let given = SettingsArgs {
                domain: Some(domain.to_owned()),
                acme_directory: directory.map(str::to_owned),
                http,
                https,
                ..SettingsArgs::default()
            };
            given.resolve().unwrap().app_url(&"hello".parse().unwrap())
        };
        assert_eq!(url("example.com", None, [80, 443]), "https://hello.example.com/");
        assert_eq!(
            url("example.com", None, [8080, 8443]),
            "https://hello.example.com:8443/"
        );
        assert_eq!(url("example.com", Some("none"), [80, 443]), "http://hello.example.com/");
        assert_eq!(url("localhost", None, [8080, 8443]), "http://hello.localhost:8080/");
    }
}

//! Debian's rsyslog: a real receiver of syslog over TCP and TLS.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::within;

const START_LIMIT: Duration = Duration::from_secs(30);

/// A running `rsyslogd`. Dropping it ends it.
pub struct Rsyslog {
    folder: TempDir,
    daemon: Child,
    port: u16,
    tls_port: u16,
}

impl Rsyslog {
    #[track_caller]
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("the folder of temporary files can be written");
        let path = folder.path();
        let authorities = path.join("authorities");
        fs::create_dir(&authorities).expect("the folder can be written");
        certify(path, &authorities);
        fs::write(path.join("conf"), configuration(path)).expect("the folder can be written");
        let daemon = Command::new("/usr/sbin/rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(path.join("conf"))
            .arg("-i")
            .arg(path.join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rsyslogd starts: integration/setup tests installs it");
        let port = |name: &str| {
            let read = || fs::read_to_string(path.join(name)).ok()?.trim().parse().ok();
            within(START_LIMIT, read).expect("rsyslogd listens")
        };
        Self {
            port: port("plain.port"),
            tls_port: port("tls.port"),
            folder,
            daemon,
        }
    }

    /// Where it takes syslog without TLS.
    pub fn url(&self) -> String {
        format!("syslog://127.0.0.1:{}", self.port)
    }

    /// Where it takes syslog with TLS.
    pub fn tls_url(&self) -> String {
        format!("syslog+tls://127.0.0.1:{}", self.tls_port)
    }

    /// The folder with the authority that has certified it.
    pub fn authorities(&self) -> PathBuf {
        self.folder.path().join("authorities")
    }

    /// What came without TLS: `HOST APP PROCESS FACILITY.SEVERITY MESSAGE` in each line.
    pub fn told(&self) -> String {
        self.read("plain.log")
    }

    /// What came with TLS.
    pub fn told_by_tls(&self) -> String {
        self.read("tls.log")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn certify(folder: &Path, authorities: &Path) {
    let authority_key = KeyPair::generate().expect("keys can be made");
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority
        .self_signed(&authority_key)
        .expect("a certificate can be signed");
    let key = KeyPair::generate().expect("keys can be made");
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address is a name");
    let certificate = params
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .expect("a certificate can be signed");
    for (path, text) in [
        (authorities.join("root.crt"), root.pem()),
        (folder.join("certificate.pem"), certificate.pem()),
        (folder.join("key.pem"), key.serialize_pem()),
    ] {
        fs::write(path, text).expect("the folder can be written");
    }
}

fn configuration(folder: &Path) -> String {
    let path = folder.display();
    let head = format!(
        r#"global(workDirectory="{path}" defaultNetstreamDriverCAFile="{path}/authorities/root.crt"
    defaultNetstreamDriverCertFile="{path}/certificate.pem" defaultNetstreamDriverKeyFile="{path}/key.pem")
module(load="imtcp")
template(name="told" type="string"
    string="%hostname% %app-name% %procid% %syslogfacility-text%.%syslogseverity-text% %msg%\n")
"#
    );
    let inputs = [
        ("plain", r#"streamDriver.name="ptcp" streamDriver.mode="0""#),
        (
            "tls",
            r#"streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="anon""#,
        ),
    ];
    let inputs = inputs.map(|(name, driver)| {
        format!(
            r#"ruleset(name="{name}") {{ action(type="omfile" file="{path}/{name}.log" template="told") }}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{path}/{name}.port" ruleset="{name}" {driver})
"#
        )
    });
    head + &inputs.concat()
}

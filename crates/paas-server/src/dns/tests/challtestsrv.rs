//! Against the name server of Pebble, which is not ours: `pebble-challtestsrv`.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};

use crate::dns::{AddressSource, DnsPublisher, Finding, PublicAddresses, Resolver, Verdict, hook::Hook};

const OURS: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const WWW: &str = "www.example.com";
const CHALLENGE: &str = "_acme-challenge.example.com";

/// The server, until dropped. Names have no address unless they are given one.
struct ChallTestSrv {
    child: Child,
    dns: SocketAddr,
    management: SocketAddr,
}

impl ChallTestSrv {
    async fn start() -> Self {
        for _ in 0..10 {
            let (dns, management) = (free_address(), free_address());
            let child = Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", "", "-defaultIPv6", ""])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", ""])
                .args(["-dns01", &dns.to_string(), "-management", &management.to_string()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("Debian's package pebble is installed");
            let mut server = Self { child, dns, management };
            for _ in 0..200 {
                if tokio::net::TcpStream::connect(management).await.is_ok()
                    && tokio::net::TcpStream::connect(dns).await.is_ok()
                {
                    return server;
                }
                // Somebody else took the port.
                if server.child.try_wait().unwrap().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        }
        panic!("pebble-challtestsrv does not start");
    }

    /// One command of its management interface.
    fn tell(&self, command: &str, body: &Value) {
        let done = Command::new("curl")
            .args(["-fsS", "--noproxy", "*", "-d", &body.to_string()])
            .arg(format!("http://{}/{command}", self.management))
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{command}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    async fn check(&self) -> Verdict {
        let ours = PublicAddresses {
            addresses: vec![IpAddr::V4(OURS)],
            source: AddressSource::Settings,
        };
        let resolver = Resolver::new(vec![self.dns]);
        resolver.check(&WWW.parse().unwrap(), &ours, &["letsencrypt.org"]).await
    }

    /// A publisher with a hook as an operator would write it.
    fn publisher(&self, directory: &Path) -> DnsPublisher {
        let program = directory.join("hook");
        let new = directory.join("new");
        let script = format!(
            "#!/bin/sh\nset -eu\n\
             case $1 in\n\
             present) exec curl -fsS --noproxy '*' -d \"{{\\\"host\\\":\\\"$2.\\\",\\\"value\\\":\\\"$3\\\"}}\" http://{0}/set-txt ;;\n\
             cleanup) exec curl -fsS --noproxy '*' -d \"{{\\\"host\\\":\\\"$2.\\\"}}\" http://{0}/clear-txt ;;\n\
             esac\n",
            self.management
        );
        fs::write(&new, script).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, &program).unwrap();
        DnsPublisher::with_hook(Hook::new(program), Resolver::new(vec![self.dns]))
    }
}

impl Drop for ChallTestSrv {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

#[tokio::test]
#[ignore = "needs pebble"]
async fn a_name_goes_from_nothing_to_right() {
    let server = ChallTestSrv::start().await;
    let host = format!("{WWW}.");
    let finding = |verdict| match verdict {
        Verdict::Wait(mut findings) if findings.len() == 1 => findings.remove(0),
        other => panic!("{other:?}"),
    };
    assert!(matches!(finding(server.check().await), Finding::NoRecord { .. }));

    server.tell("add-a", &json!({"host": host, "addresses": ["198.51.100.1"]}));
    assert!(matches!(finding(server.check().await), Finding::Elsewhere { .. }));

    server.tell("clear-a", &json!({"host": host}));
    server.tell("add-a", &json!({"host": host, "addresses": [OURS]}));
    assert_eq!(server.check().await, Verdict::PointsHere);

    server.tell("add-aaaa", &json!({"host": host, "addresses": ["2001:db8::1"]}));
    let stale = finding(server.check().await);
    assert!(matches!(stale, Finding::StaleAaaa { .. }));
    assert!(
        stale
            .to_string()
            .contains("Remove the AAAA record 2001:db8::1 of www.example.com")
    );
    server.tell("clear-aaaa", &json!({"host": host}));

    let policies = json!([{"tag": "issue", "value": "digicert.com"}]);
    server.tell("add-caa", &json!({"host": "example.com.", "policies": policies}));
    assert!(matches!(finding(server.check().await), Finding::CaaForbids { .. }));
    server.tell("clear-caa", &json!({"host": "example.com."}));

    server.tell("set-servfail", &json!({"host": host}));
    assert!(matches!(server.check().await, Verdict::Unknown(_)));
    server.tell("clear-servfail", &json!({"host": host}));
    assert_eq!(server.check().await, Verdict::PointsHere);
}

#[tokio::test]
#[ignore = "needs pebble"]
async fn an_alias_is_followed() {
    let server = ChallTestSrv::start().await;
    server.tell(
        "set-cname",
        &json!({"host": format!("{WWW}."), "target": "app.platform.example."}),
    );
    server.tell("add-a", &json!({"host": "app.platform.example.", "addresses": [OURS]}));
    assert_eq!(server.check().await, Verdict::PointsHere);
}

#[tokio::test]
#[ignore = "needs pebble"]
async fn a_hook_makes_a_proof_that_is_seen_and_takes_it_away() {
    let server = ChallTestSrv::start().await;
    let directory = tempfile::tempdir().unwrap();
    let publisher = server.publisher(directory.path());
    let values = ["a-_1".to_owned(), "b-_2".to_owned()];
    publisher.publish(CHALLENGE, &values).await.unwrap();
    let limit = Duration::from_secs(10);
    publisher.wait_visible(CHALLENGE, &values, limit).await.unwrap();
    publisher.remove(CHALLENGE, &values).await.unwrap();
    let gone = publisher
        .wait_visible(CHALLENGE, &values, Duration::from_millis(100))
        .await;
    assert!(gone.unwrap_err().to_string().contains("0 of 1 servers"));
}

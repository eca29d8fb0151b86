//! The two doors that Docker leaves open, closed.
//!
//! A container reaches every service of its host on the gateway's address, and everything that the host reaches: the cloud's
//! metadata service, the private LAN. Rules for our bridges (`ps-…`) refuse both. They are the same for every platform of a
//! machine, live in chains of our own, and are never removed: one platform's end must not open another's doors.
//!
//! ```text
//! INPUT        -i ps-+ ─▶ PAAS-INPUT    resolvers ✔   new, invalid ✘              (answers to the router pass)
//! DOCKER-USER  -i ps-+ ─▶ PAAS-FORWARD  answers ✔   same bridge ✔   resolvers ✔   private addresses ✘   the world ✔
//! ```
//!
//! Containers of two apps are kept apart by Docker itself and, because the addresses are private, by `PAAS-FORWARD` too.
//! Docker's embedded resolver asks from the container's side, so the real resolvers are let through. Our bridges have no
//! IPv6; should one get it, nothing passes.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    io,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::{Output, Stdio},
};

use thiserror::Error;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// Our rules on this machine.
#[derive(Debug, Clone)]
pub struct Firewall {
    resolvers: BTreeSet<Ipv4Addr>,
}

const INPUT: &str = "PAAS-INPUT";
const FORWARD: &str = "PAAS-FORWARD";
/// Every bridge of ours, and no other.
const BRIDGES: &str = "ps-+";
/// Link-local with the metadata service, the private ranges (RFC 1918), and carrier-grade NAT (RFC 6598).
const PRIVATE: [&str; 5] = [
    "169.254.0.0/16",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
];
/// The second one is what Docker reads where systemd's stub is the first.
const RESOLVER_FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

#[derive(Debug, Error)]
pub enum FirewallError {
    #[error("there is no {program}: install iptables (Debian: apt-get install iptables)")]
    NotInstalled { program: &'static str },
    #[error("{program} may not change the firewall: run paasd as root")]
    NotPermitted { program: &'static str },
    #[error("{program} {arguments}: {message}")]
    Refused {
        program: &'static str,
        arguments: String,
        status: Option<i32>,
        message: String,
    },
    #[error("cannot run {program}")]
    Run {
        program: &'static str,
        #[source]
        source: io::Error,
    },
}

/// IPv4 or IPv6, as the programs are called.
struct Table {
    program: &'static str,
    restore: &'static str,
}

const IPV4: Table = Table {
    program: "iptables",
    restore: "iptables-restore",
};
const IPV6: Table = Table {
    program: "ip6tables",
    restore: "ip6tables-restore",
};

impl Firewall {
    /// Rules for a machine that asks the resolvers of its `/etc/resolv.conf`.
    pub fn of_this_machine() -> Self {
        let texts = RESOLVER_FILES.map(|path| std::fs::read_to_string(Path::new(path)).unwrap_or_default());
        Self {
            resolvers: texts.iter().flat_map(|text| resolvers(text)).collect(),
        }
    }

    /// Makes the rules what they ought to be; whether anything had to be done.
    ///
    /// To be called again from time to time: other tools flush chains, and a restart of Docker moves rules.
    pub async fn ensure(&self) -> Result<bool, FirewallError> {
        let input = self.input_rules();
        let mut has_changed = IPV4.ensure_chain(INPUT, &input).await?;
        has_changed |= IPV4.ensure_jump("INPUT", INPUT).await?;
        // Without Docker's chain (its nftables backend, or `iptables: false`) the kernel's is as good.
        let parent = if IPV4.has_chain("DOCKER-USER").await? {
            "DOCKER-USER"
        } else {
            "FORWARD"
        };
        has_changed |= IPV4.ensure_chain(FORWARD, &self.forward_rules()).await?;
        has_changed |= IPV4.ensure_jump(parent, FORWARD).await?;
        Ok(has_changed | Self::ensure_ipv6().await?)
    }

    /// Nothing passes. A machine without IPv6 needs no rules for it.
    async fn ensure_ipv6() -> Result<bool, FirewallError> {
        match IPV6.has_chain("INPUT").await {
            Ok(_) => {}
            Err(FirewallError::NotPermitted { program }) => return Err(FirewallError::NotPermitted { program }),
            Err(_) => return Ok(false),
        }
        let mut has_changed = false;
        for (parent, chain) in [("INPUT", INPUT), ("FORWARD", FORWARD)] {
            has_changed |= IPV6.ensure_chain(chain, &["-j DROP".to_owned()]).await?;
            has_changed |= IPV6.ensure_jump(parent, chain).await?;
        }
        Ok(has_changed)
    }

    fn input_rules(&self) -> Vec<String> {
        let mut rules = self.resolver_rules();
        rules.push("-m conntrack --ctstate INVALID,NEW -j DROP".to_owned());
        rules
    }

    fn forward_rules(&self) -> Vec<String> {
        let mut rules = vec![
            "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN".to_owned(),
            // Dynos of one app, when the kernel shows bridged packets to iptables.
            "-m physdev --physdev-is-bridged -j RETURN".to_owned(),
        ];
        rules.extend(self.resolver_rules());
        for range in PRIVATE {
            rules.push(format!("-d {range} -j REJECT --reject-with icmp-admin-prohibited"));
        }
        rules
    }

    fn resolver_rules(&self) -> Vec<String> {
        let rule = |resolver: &Ipv4Addr, protocol| {
            format!("-d {resolver}/32 -p {protocol} -m {protocol} --dport 53 -j RETURN")
        };
        self.resolvers
            .iter()
            .flat_map(|resolver| ["udp", "tcp"].map(|protocol| rule(resolver, protocol)))
            .collect()
    }
}

impl Table {
    /// Makes the chain exactly these rules, all at once.
    async fn ensure_chain(&self, chain: &str, rules: &[String]) -> Result<bool, FirewallError> {
        if self.has_exactly(chain, rules).await? {
            return Ok(false);
        }
        let mut text = format!("*filter\n:{chain} - [0:0]\n");
        for rule in rules {
            writeln!(text, "-A {chain} {rule}").expect("a string takes everything");
        }
        text.push_str("COMMIT\n");
        self.run(self.restore, &["--wait", "--noflush"], Some(text)).await?;
        Ok(true)
    }

    async fn has_exactly(&self, chain: &str, rules: &[String]) -> Result<bool, FirewallError> {
        if !self.has_chain(chain).await? {
            return Ok(false);
        }
        let listed = self.run(self.program, &["--wait", "-S", chain], None).await?;
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let prefix = format!("-A {chain} ");
        let there: Vec<_> = listed.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        Ok(there == rules)
    }

    /// Makes sure that what our bridges send goes through the chain, before any other rule.
    async fn ensure_jump(&self, parent: &str, chain: &str) -> Result<bool, FirewallError> {
        let rule = ["-i", BRIDGES, "-j", chain];
        if self.holds(&[&["--wait", "-C", parent], &rule[..]].concat()).await? {
            return Ok(false);
        }
        self.run(
            self.program,
            &[&["--wait", "-I", parent, "1"], &rule[..]].concat(),
            None,
        )
        .await?;
        Ok(true)
    }

    async fn has_chain(&self, chain: &str) -> Result<bool, FirewallError> {
        self.holds(&["--wait", "-S", chain]).await
    }

    /// Whether the program says yes.
    async fn holds(&self, arguments: &[&str]) -> Result<bool, FirewallError> {
        match self.run(self.program, arguments, None).await {
            Ok(_) => Ok(true),
            Err(FirewallError::Refused { status, message, .. }) if is_no(status, &message) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn run(
        &self,
        program: &'static str,
        arguments: &[&str],
        input: Option<String>,
    ) -> Result<Output, FirewallError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => FirewallError::NotInstalled { program },
            _ => FirewallError::Run { program, source },
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        if let (Some(text), Some(mut stdin)) = (input, child.stdin.take()) {
            stdin.write_all(text.as_bytes()).await.map_err(failed)?;
        }
        let output = child.wait_with_output().await.map_err(failed)?;
        if output.status.success() {
            return Ok(output);
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        if message.contains("Permission denied") || message.contains("must be root") {
            return Err(FirewallError::NotPermitted { program });
        }
        Err(FirewallError::Refused {
            program,
            arguments: arguments.join(" "),
            status: output.status.code(),
            message,
        })
    }
}

/// Whether a refusal is an answer: no such chain or rule. The words for it differ too much to go by.
fn is_no(status: Option<i32>, message: &str) -> bool {
    status == Some(1) || message.contains("does not exist")
}

/// The name servers that a `resolv.conf` names. Those on loopback are nobody's from a container.
fn resolvers(text: &str) -> Vec<Ipv4Addr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver"))
        .filter_map(|address| match address.trim().parse() {
            Ok(IpAddr::V4(address)) if !address.is_loopback() => Some(address),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resolvers_that_containers_can_reach_are_let_through() {
        let text = "# generated\nsearch example.com\nnameserver 127.0.0.53\nnameserver\t10.0.0.2\n\
                    nameserver fe80::1%eth0\n nameserver 169.254.169.253 \noptions ndots:1\n";
        assert_eq!(
            resolvers(text),
            [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(169, 254, 169, 253)]
        );
    }

    #[test]
    fn the_resolver_comes_before_the_private_range_it_is_in() {
        let firewall = Firewall {
            resolvers: BTreeSet::from([Ipv4Addr::new(10, 0, 0, 2)]),
        };
        let rules = firewall.forward_rules();
        let position = |part: &str| rules.iter().position(|rule| rule.contains(part)).unwrap();
        assert!(position("-d 10.0.0.2/32 -p udp") < position("-d 10.0.0.0/8"));
        assert!(position("-d 10.0.0.2/32 -p tcp") < position("-d 10.0.0.0/8"));
        assert!(firewall.input_rules().last().unwrap().ends_with("DROP"));
    }
}

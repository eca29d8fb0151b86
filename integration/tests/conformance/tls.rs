//! testssl and sslyze: TLS 1.2 and 1.3 with today's ciphers, and no hole that has a name.

use std::{fs, process::Command};

use paas_integration::{Output, Python};
use paas_router::Limits;
use serde_json::Value;

use crate::edge::{Edge, HOST};

/// What testssl calls a finding although it says nothing about the router: there is no DNS and no public log for a name of
/// a test, and nobody staples since Let's Encrypt ended OCSP. Among ciphers that are all good the client may choose, as
/// Mozilla's "intermediate" has it: it knows whether its processor has AES.
const NOT_OURS: [&str; 7] = [
    "cipher_order",
    "DNS_CAArecord",
    "OCSP_stapling",
    "cert_mustStapleExtension",
    "certificate_transparency",
    "cert_chain_of_trust",
    "BREACH",
];

#[test]
#[ignore = "needs testssl.sh from Debian"]
fn testssl_has_no_finding() {
    let edge = Edge::start(Limits::default());
    let report = edge.file("testssl.json");
    let mut command = Command::new("testssl");
    command
        .args([
            "--quiet",
            "--sneaky",
            "--warnings",
            "off",
            "--color",
            "0",
            "--ip",
            "127.0.0.1",
        ])
        // Protocols, the server's preference, vulnerabilities, the server's defaults.
        .args(["-p", "-P", "-U", "-S", "--add-ca"])
        .arg(edge.authority())
        .arg("--jsonfile")
        .arg(&report)
        .arg(format!("{HOST}:{}", edge.https().port()));
    let output = Output::of(&mut command, "");
    let report = fs::read_to_string(report).unwrap_or_else(|error| panic!("no report ({error}): {output:?}"));
    let findings: Vec<Value> = serde_json::from_str(&report).expect("a report");
    assert!(findings.len() > 30, "{output:?}");
    let word = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let bad: Vec<String> = findings
        .iter()
        // A warning is what the tool could not look at, for want of something of its own.
        .filter(|finding| !matches!(word(finding, "severity").as_str(), "OK" | "INFO" | "WARN"))
        .filter(|finding| !NOT_OURS.iter().any(|id| word(finding, "id").starts_with(id)))
        .map(|finding| {
            format!(
                "{} {}: {}",
                word(finding, "severity"),
                word(finding, "id"),
                word(finding, "finding")
            )
        })
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}

#[test]
#[ignore = "needs sslyze from PyPI"]
fn sslyze_finds_what_mozilla_calls_intermediate() {
    let edge = Edge::start(Limits::default());
    let python = Python::with("sslyze", &[&["sslyze==6.3.1"]]);
    let mut command = python.command();
    command
        .args(["-m", "sslyze", "--mozilla_config", "intermediate", "--certinfo_ca_file"])
        .arg(edge.authority())
        .arg(format!("{HOST}:{}{{127.0.0.1}}", edge.https().port()));
    let output = Output::of(&mut command, "");
    output.expect_success().expect("OK - Compliant");
}

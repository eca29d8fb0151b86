//! Autobahn's WebSocket fuzzing client: through the router, each case must end as it does without it.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use paas_integration::{Output, Python};
use paas_router::Limits;

use crate::edge::Edge;

/// Framing, pings, reserved bits, opcodes, fragments, UTF-8, closes, fragmentation by the sender. Left out are the cases
/// of 16 MiB, which are about speed, and those of compression, which our echo does not offer.
const CASES: &str = "1.*,2.*,3.*,4.*,5.*,6.*,7.*,10.*";
/// As many as the suite has of them.
const NUMBER: usize = 247;

/// Behaviour, and behaviour at the close.
type Verdicts = BTreeMap<String, (String, String)>;

#[test]
#[ignore = "needs Debian's lib2to3 and autobahntestsuite from PyPI"]
fn every_case_of_autobahn_ends_through_the_router_as_it_does_without() {
    let edge = Edge::start(Limits::default());
    let python = Python::with(
        "autobahn",
        &[
            &[
                "setuptools<81",
                "wheel",
                "twisted",
                "txaio",
                "six",
                "pyopenssl",
                "service_identity",
            ],
            // The suite's own requirements are of another time; so is the way in which it is packed.
            &[
                "--no-deps",
                "--no-build-isolation",
                "autobahn==0.10.9",
                "autobahntestsuite==25.10.1",
            ],
        ],
    );
    let urls = [
        format!("ws://{}", edge.origin.address),
        format!("ws://{}", edge.http()),
        format!("wss://{}", edge.https()),
    ];
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/autobahn/fuzz.py");
    let mut run = python.command();
    run.arg(fuzz).arg(python.folder().join("suite")).arg(CASES).args(&urls);
    let output = Output::of(&mut run, "");
    let verdicts: Vec<Verdicts> = serde_json::from_str(&output.expect_success().stdout).expect("verdicts");
    let [direct, routed, secured] = verdicts.try_into().expect("a verdict for each server");
    assert_eq!(direct.len(), NUMBER, "{output:?}");

    let mut counts = HashMap::<&str, usize>::new();
    for (behaviour, _) in direct.values() {
        *counts.entry(behaviour).or_default() += 1;
    }
    // What it is compared with must be worth it.
    assert!(counts.get("OK").is_some_and(|passed| *passed > 230), "{counts:?}");
    for (case, verdict) in &direct {
        let verdict = essence(verdict);
        for (way, verdicts) in [("", &routed), (" with TLS", &secured)] {
            let found = verdicts.get(case).map(essence);
            assert_eq!(found, Some(verdict), "case {case} through the router{way}");
        }
    }
}

/// A verdict without what the moment decides: where a message is followed by a frame that ends all, an echo that gets both in
/// one piece may end before it has answered the message (`NON-STRICT`: passed, too), and in how many pieces bytes come is
/// nobody's promise.
fn essence((behaviour, close): &(String, String)) -> (&str, &str) {
    let behaviour = match behaviour.as_str() {
        "NON-STRICT" => "OK",
        other => other,
    };
    (behaviour, close)
}

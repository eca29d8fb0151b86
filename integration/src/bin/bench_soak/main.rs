//! Visitors of every kind, while an app is deployed, configured, restarted and scaled without end, and its certificate is
//! renewed every minute. Nobody may notice, and the router may not grow.

mod client;
mod ledger;
mod memory;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use paas_integration::{App, Options, PebbleOptions, Platform, within};
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde_json::json;
use tokio::{
    runtime::Runtime,
    time::{Instant as TokioInstant, sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    client::{Kind, Place, Visitor},
    ledger::Ledger,
    memory::Memory,
};

const MINUTES: u64 = 10;
const NAME: &str = "www.example.com";
/// Renewed after two thirds of it.
const VALIDITY: Duration = Duration::from_mins(1);
/// DNS, order, validation, certificate.
const SOON: Duration = Duration::from_mins(1);
/// Nothing that a visitor does takes that long by itself.
const LIMIT: Duration = Duration::from_mins(1);
const SAMPLE: Duration = Duration::from_secs(2);
const TELL: Duration = Duration::from_secs(30);

fn main() -> Result<ExitCode> {
    let length = Duration::from_secs(minutes()? * 60);
    let platform = Platform::with(Options {
        authority: Some(PebbleOptions {
            validity: VALIDITY,
            ..PebbleOptions::default()
        }),
        ..Options::default()
    });
    let app = platform.app("hello");
    deploy(&app, 0)?;
    let body = json!({ "hostname": NAME, "sni_endpoint": null }).to_string();
    platform.call("POST", "/apps/hello/domains", &body).expect_status(201);
    let visitor = platform.visitor();
    within(SOON, || visitor.visit(NAME).ok()).context("the domain serves over HTTPS")?;
    let router = platform.router().context("the router runs")?.id;

    let runtime = Runtime::new()?;
    let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
    let tracker = TaskTracker::new();
    let place = Place {
        http: platform.http(),
        https: platform.https(),
        plain_host: app.host(),
        host: NAME.to_owned(),
        // Whoever resumes a session is not shown a certificate.
        tls1: trust(&platform, b"http/1.1", Resumption::disabled())?,
        tls2: trust(&platform, b"h2", Resumption::default())?,
        tracker: tracker.clone(),
        ledger: ledger.clone(),
    };
    let visitors = TaskTracker::new();
    for kind in Kind::ALL {
        let (count, pause) = kind.visitors();
        for _ in 0..count {
            let visiting = keep_visiting(Visitor::new(kind, place.clone()), pause, stop.clone());
            visitors.spawn_on(visiting, runtime.handle());
        }
    }

    let mut memory = Memory::default();
    let changes = thread::scope(|scope| {
        let changing = scope.spawn(|| change(&app, length));
        let (mut told, begun) = (Instant::now(), Instant::now());
        while !changing.is_finished() {
            memory.sample(router);
            if told.elapsed() >= TELL {
                told = Instant::now();
                // Nobody may be there to read it.
                let _ = writeln!(
                    io::stderr(),
                    "{:>5} s: {} visits, {} failed, {} certificates",
                    begun.elapsed().as_secs(),
                    ledger.visits(),
                    ledger.failures(),
                    ledger.certificates()
                );
            }
            thread::sleep(SAMPLE);
        }
        changing.join().expect("changes do not panic by themselves")
    });
    stop.cancel();
    visitors.close();
    runtime.block_on(async { timeout(LIMIT, visitors.wait()).await })?;
    runtime.shutdown_background();
    let changes = changes?;

    let mut out = io::stdout();
    writeln!(
        out,
        "{} deploys, {} changes besides, {} certificates\n",
        changes.deploys,
        changes.others,
        ledger.certificates()
    )?;
    ledger.print(&mut out)?;
    memory.print(&mut out)?;
    let is_same = platform.router().is_some_and(|now| now.id == router);
    let problems = [
        (ledger.failures() > 0).then_some("requests failed"),
        (!ledger.idle().is_empty()).then_some("a kind of visitor did nothing"),
        (!memory.is_flat()).then_some("the router's memory grows"),
        (!is_same).then_some("the router is another process"),
        (length > 3 * VALIDITY && ledger.certificates() < 2).then_some("the certificate was not renewed"),
    ];
    let mut problems = problems.into_iter().flatten().peekable();
    let code = if problems.peek().is_some() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    };
    for problem in problems {
        writeln!(out, " !     {problem}")?;
    }
    Ok(code)
}

fn minutes() -> Result<u64> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(MINUTES),
        ["--minutes", number] => number.parse().context("the number of minutes"),
        _ => anyhow::bail!("usage: integration/bench/soak [--minutes {MINUTES}]"),
    }
}

fn trust(platform: &Platform, protocol: &[u8], resumption: Resumption) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(platform.pebble().root().as_bytes())?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    config.resumption = resumption;
    Ok(Arc::new(config))
}

async fn keep_visiting(mut visitor: Visitor, pause: Duration, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let begun = TokioInstant::now();
        let failure = match timeout(LIMIT, visitor.visit()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(_) => Some(format!("no end within {LIMIT:?}")),
        };
        visitor.note(begun.elapsed(), failure);
        sleep(pause).await;
    }
}

#[derive(Default)]
struct Changes {
    deploys: u64,
    others: u64,
}

/// Changes the app until the time is up.
fn change(app: &App<'_>, length: Duration) -> Result<Changes> {
    let begun = Instant::now();
    let mut changes = Changes::default();
    for round in 1_u64.. {
        let greeting = format!("ROUND={round}");
        let steps: [&[&str]; 4] = [
            &["ps:scale", "web=3"],
            &["config:set", &greeting],
            &["ps:restart"],
            &["ps:scale", "web=1"],
        ];
        deploy(app, round)?;
        changes.deploys += 1;
        for step in steps {
            if begun.elapsed() >= length {
                return Ok(changes);
            }
            let output = app.paas(step);
            ensure!(output.code == 0, "{step:?}: {output:?}");
            changes.others += 1;
            thread::sleep(SAMPLE);
        }
    }
    Ok(changes)
}

fn deploy(app: &App<'_>, round: u64) -> Result<()> {
    let server = include_str!("server.py").replace("TEXT = \"0\"", &format!("TEXT = \"{round}\""));
    let output = app.write("server.py", &server).push();
    ensure!(output.code == 0, "a push failed: {output:?}");
    Ok(())
}

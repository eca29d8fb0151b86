//! How long a deploy takes, against the least that it could take, and where the time goes.
//!
//! A deploy: `git push` of a one-line change with unchanged dependencies, until the new release answers through the router.
//! The floor: `git push` of such a change into a bare repository, then `docker create` and `docker start` of the image that
//! the deploy before has made, with the same command, until that answers. Both in turns, on one machine, in one run.

use std::{
    env,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use paas_integration::{App, Output, Platform, eventually, request};
use serde_json::Value;

const RUNS: usize = 12;
const AIM: f64 = 2.0;
const LIMIT: Duration = Duration::from_mins(2);
/// Between two looks whether the new code answers.
const LOOK: Duration = Duration::from_millis(2);
/// What a push says when a step is over, and which step that was.
const STEPS: [(&str, &str); 6] = [
    ("Building on", "git push, source received"),
    ("detected", "build container started, source unpacked"),
    ("Packing the slug", "buildpack run, build container ended, report read"),
    ("Done:", "image made (copy, commit)"),
    ("Launching...", "release recorded"),
    ("deployed", "dyno started, probed, swapped"),
];

/// What was over when, in order.
type Steps = Vec<(&'static str, Duration)>;

fn main() -> Result<()> {
    let runs = env::args().nth(1).map_or(Ok(RUNS), |word| word.parse());
    let runs = runs.context("the number of runs")?;
    let mut out = io::stdout();
    let platform = Platform::start();
    let app = platform.app("hello");
    app.fixture("hello-python");
    app.push().expect_success();
    let repository = platform.work().join("floor.git");
    let path = repository.to_str().context("the path is text")?;
    app.git(&["init", "--quiet", "--bare", path]).expect_success();
    app.git(&["remote", "add", "floor", path]).expect_success();
    app.git(&["push", "--quiet", "floor", "main"]).expect_success();

    let (mut deploys, mut floors) = (Vec::new(), Vec::new());
    // The first run warms up what every later one finds warm.
    for run in 0..=runs {
        let deploy = deploy(&platform, &app, &change(&app, &format!("deploy-{run}"))?)?;
        eventually("the dyno of before is gone", LIMIT, || {
            platform.engine().containers().len() == 1
        });
        change(&app, &format!("floor-{run}"))?;
        let floor = floor(&platform, &app)?;
        // The platform's `main` is behind by the floor's commit: the next push brings both.
        if run > 0 {
            writeln!(
                out,
                "{run:3}  deploy {:.3?}  floor {:.3?}",
                total(&deploy),
                total(&floor)
            )?;
            deploys.push(deploy);
            floors.push(floor);
        }
    }
    let deploy = show(&mut out, "deploy: push to the first 200 of the new release", &deploys)?;
    let floor = show(
        &mut out,
        "floor: push to a bare repository, docker create and start, first 200",
        &floors,
    )?;
    let ratio = deploy.as_secs_f64() / floor.as_secs_f64();
    writeln!(out, "\nratio {ratio:.2}, aim {AIM:.1}")?;
    Ok(())
}

/// Changes one line, commits, and gives the text that the page then begins with.
fn change(app: &App<'_>, text: &str) -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("apps/hello-python/app.py");
    let code = std::fs::read_to_string(path)?;
    app.write("app.py", &code.replace("\"Hello\"", &format!("{text:?}")));
    app.commit();
    Ok(format!("{text} from"))
}

fn deploy(platform: &Platform, app: &App<'_>, page: &str) -> Result<Steps> {
    let begun = Instant::now();
    let mut push = app
        .command(Path::new("git"))
        .args(["push", "paas", "main"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let words = push.stderr.take().context("standard error was piped")?;
    let words = thread::spawn(move || {
        let lines = BufReader::new(words).lines().map_while(Result::ok);
        lines.map(|line| (begun.elapsed(), line)).collect::<Vec<_>>()
    });
    let host = app.host();
    let answered = until(begun, || {
        page_of(platform.http(), &host).is_some_and(|body| body.starts_with(page))
    })?;
    let status = push.wait()?;
    let words = words.join().ok().context("reading the push's words")?;
    anyhow::ensure!(status.success(), "the push failed: {words:#?}");

    let mut steps = Steps::new();
    for (mark, name) in STEPS {
        let at = words.iter().find(|(_, line)| line.contains(mark));
        // The router may answer before the push says so.
        let at = at
            .with_context(|| format!("no {mark:?} in {words:#?}"))?
            .0
            .min(answered);
        steps.push((name, at));
    }
    steps.push(("first 200", answered));
    Ok(steps)
}

fn floor(platform: &Platform, app: &App<'_>) -> Result<Steps> {
    let engine = platform.engine();
    let dyno = engine.dyno("web.1").context("web.1 runs")?;
    let inspected = engine.docker(&["inspect", &dyno.id]).json();
    let (config, networks) = (&inspected[0]["Config"], &inspected[0]["NetworkSettings"]["Networks"]);
    let (network, settings) = networks
        .as_object()
        .and_then(|all| all.iter().next())
        .context("a network")?;
    let address = far_from(settings["IPAddress"].as_str().context("an address")?)?;
    let mut arguments = vec!["create", "--network", network, "--ip", &address];
    for variable in strings(&config["Env"]) {
        arguments.extend(["--env", variable]);
    }
    arguments.extend(["--user", config["User"].as_str().context("a user")?]);
    arguments.extend(["--workdir", config["WorkingDir"].as_str().context("a folder")?]);
    arguments.extend(["--entrypoint", inspected[0]["Path"].as_str().context("a program")?]);
    arguments.push(inspected[0]["Image"].as_str().context("an image")?);
    arguments.extend(strings(&inspected[0]["Args"]));
    let to: SocketAddr = format!("{address}:5000").parse()?;

    let begun = Instant::now();
    Output::of(app.command(Path::new("git")).args(["push", "floor", "main"]), "").expect_success();
    let pushed = begun.elapsed();
    let created = engine.docker(&arguments);
    let container = created.expect_success().stdout.trim().to_owned();
    let created = begun.elapsed();
    engine.docker(&["start", &container]);
    let started = begun.elapsed();
    let answered = until(begun, || page_of(to, "floor").is_some());
    engine.docker(&["rm", "--force", &container]).expect_success();
    let answered = answered?;
    Ok(vec![
        ("git push", pushed),
        ("docker create", created),
        ("docker start", started),
        ("first 200", answered),
    ])
}

fn strings(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str)
}

/// An address of the same network that no dyno has: the engine gives them out from the other end.
fn far_from(address: &str) -> Result<String> {
    let (network, host) = address.rsplit_once('.').context("an IPv4 address")?;
    let host: u8 = host.parse()?;
    // A network of an app is a /28 at the least.
    Ok(format!("{network}.{}", (host | 0x0f) - 1))
}

fn page_of(to: SocketAddr, host: &str) -> Option<String> {
    let answer = request(to, "GET", "/", &[("Host", host)], "")?;
    (answer.status == 200).then_some(answer.body)
}

fn until(begun: Instant, mut holds: impl FnMut() -> bool) -> Result<Duration> {
    while !holds() {
        anyhow::ensure!(begun.elapsed() < LIMIT, "nothing within {LIMIT:?}");
        thread::sleep(LOOK);
    }
    Ok(begun.elapsed())
}

fn total(steps: &Steps) -> Duration {
    steps.last().map_or(Duration::ZERO, |(_, at)| *at)
}

/// How long a step took by itself.
fn took(steps: &Steps, index: usize) -> Duration {
    let before = index.checked_sub(1).map_or(Duration::ZERO, |before| steps[before].1);
    steps[index].1.saturating_sub(before)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn show(out: &mut impl Write, what: &str, runs: &[Steps]) -> Result<Duration> {
    let totals: Vec<_> = runs.iter().map(total).collect();
    let (fastest, slowest) = (totals.iter().min(), totals.iter().max());
    let (fastest, slowest) = fastest.zip(slowest).context("at least one run")?;
    let middle = median(totals.clone());
    writeln!(out, "\n{what}")?;
    writeln!(
        out,
        "  median {middle:.3?} of {} runs, from {fastest:.3?} to {slowest:.3?}",
        runs.len()
    )?;
    for (index, (name, _)) in runs[0].iter().enumerate() {
        let took = median(runs.iter().map(|steps| took(steps, index)).collect());
        writeln!(out, "  {took:>10.1?}  {name}")?;
    }
    Ok(middle)
}

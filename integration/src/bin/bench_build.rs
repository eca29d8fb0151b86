//! How long builds take by language, beside `docker build` of the same tree, and where the time goes.
//!
//! Three kinds: cold (nothing of the app was built before), unchanged (the same tree once more), and a change of one line
//! with unchanged dependencies. A build of ours lasts from `git push` to the finished image; one of Docker's is the whole
//! command, on the image that ours runs in, with its layer cache. Both in turns, on one machine, in one run.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use paas_integration::{App, Platform};

const RUNS: usize = 5;
const AIM: f64 = 1.2;
/// What the platform may add to the app's own work.
const AIM_BESIDE: Duration = Duration::from_secs(2);

struct Language {
    name: &'static str,
    fixture: &'static str,
    /// The file that gets one line more, and what comes before and after a text that nothing obeys.
    change: (&'static str, &'static str, &'static str),
    /// The stack's image for it.
    image: &'static str,
    /// Everything after `FROM` and `WORKDIR`: dependencies first, as one does it.
    dockerfile: &'static str,
}

const LANGUAGES: [Language; 8] = [
    Language {
        name: "python",
        fixture: "flask",
        change: ("app.py", "# ", ""),
        image: "build",
        dockerfile: "COPY requirements.txt .\nRUN uv venv .venv && uv pip install -r requirements.txt\nCOPY . .\n",
    },
    Language {
        name: "nodejs",
        fixture: "hello-node",
        change: ("server.js", "// ", ""),
        image: "build",
        dockerfile: "COPY package.json package-lock.json ./\nRUN npm ci --omit=dev\nCOPY . .\n",
    },
    Language {
        name: "ruby",
        fixture: "ruby-plain",
        change: ("server.rb", "# ", ""),
        image: "build-ruby",
        dockerfile: "COPY Gemfile Gemfile.lock ./\nRUN bundle install\nCOPY . .\n",
    },
    Language {
        name: "go",
        fixture: "go-vendored",
        change: ("cmd/web/main.go", "// ", ""),
        image: "build-go",
        dockerfile: "ENV PATH=/opt/go/bin:$PATH\nCOPY . .\nRUN go build -o bin/ ./...\n",
    },
    Language {
        name: "php",
        fixture: "php-composer",
        change: ("src/Front.php", "// ", ""),
        image: "build-php",
        dockerfile: "COPY composer.json composer.lock ./\nCOPY packages packages\n\
                     RUN composer install --no-dev --no-autoloader --no-scripts\nCOPY . .\n\
                     RUN composer dump-autoload --optimize\n",
    },
    Language {
        name: "java",
        fixture: "java-spring",
        change: ("src/main/java/com/example/Hello.java", "// ", ""),
        image: "build-java",
        dockerfile: "COPY pom.xml .\nRUN mvn --batch-mode dependency:go-offline\nCOPY . .\n\
                     RUN mvn --batch-mode -DskipTests package\n",
    },
    Language {
        name: "rust",
        fixture: "rust-crates",
        change: ("src/main.rs", "// ", ""),
        image: "build-rust",
        dockerfile: "ENV PATH=/opt/rust/bin:$PATH RUSTUP_HOME=/opt/rustup\nCOPY Cargo.toml Cargo.lock ./\n\
                     RUN mkdir src && echo 'fn main() {}' > src/main.rs && cargo build --release\nCOPY . .\n\
                     RUN touch src/main.rs && cargo build --release\n",
    },
    Language {
        name: "static",
        fixture: "hello-static",
        change: ("public/about.html", "<!-- ", " -->"),
        image: "build",
        dockerfile: "COPY . .\n",
    },
];

/// One build of ours.
struct Built {
    /// Until the image was there.
    whole: Duration,
    /// What the build log says of its steps, in seconds.
    steps: Vec<(String, f64)>,
    /// Until the release was live.
    live: Duration,
}

fn main() -> Result<()> {
    let mut words = env::args().skip(1);
    let runs = words.next().map_or(Ok(RUNS), |word| word.parse());
    let runs = runs.context("the number of runs")?;
    let chosen: Vec<_> = words.collect();
    let mut out = io::stdout();
    let platform = Platform::start();
    let mut slowest: f64 = 0.0;
    for language in &LANGUAGES {
        if chosen.is_empty() || chosen.iter().any(|name| name == language.name) {
            slowest = slowest.max(measure(&platform, language, runs, &mut out)?);
        }
    }
    writeln!(
        out,
        "\nlargest ratio of a change of one line {slowest:.2}, aim {AIM:.1}"
    )?;
    Ok(())
}

/// Tells the ratio for a change of one line.
fn measure(platform: &Platform, language: &Language, runs: usize, out: &mut impl Write) -> Result<f64> {
    let Language { name, fixture, .. } = language;
    // The compilers of a language are installed for its first app: that is no part of any build after it.
    let first = platform.app(&format!("first-{name}"));
    first.fixture(fixture);
    push(&first)?;
    first.paas(&["ps:scale", "web=0"]).expect_success();

    let app = platform.app(&format!("app-{name}"));
    app.fixture(fixture);
    let docker = Docker::new(platform, language)?;
    writeln!(out, "\n{name} ({fixture})")?;
    let cold = push(&app)?;
    let beside = docker.build(app.tree(), true)?;
    show(out, "cold", std::slice::from_ref(&cold), &[beside])?;

    let (mut ours, mut docks) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        ours.push(push(&app)?);
        docks.push(docker.build(app.tree(), false)?);
    }
    show(out, "unchanged", &ours, &docks)?;

    let (file, before, after) = language.change;
    let text = fs::read_to_string(app.tree().join(file))?;
    let (mut ours, mut docks) = (Vec::new(), Vec::new());
    for run in 0..runs {
        app.write(file, &format!("{text}{before}{run}{after}\n"));
        // In turns: whoever comes second finds the files in memory.
        if run % 2 == 0 {
            ours.push(push(&app)?);
            docks.push(docker.build(app.tree(), false)?);
        } else {
            docks.push(docker.build(app.tree(), false)?);
            ours.push(push(&app)?);
        }
    }
    let ratio = show(out, "one line", &ours, &docks)?;
    docker.remove()?;
    app.paas(&["ps:scale", "web=0"]).expect_success();
    Ok(ratio)
}

fn push(app: &App<'_>) -> Result<Built> {
    app.commit();
    let begun = Instant::now();
    let mut push = app
        .command(Path::new("git"))
        .args(["push", "paas", "main"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let words = push.stderr.take().context("standard error was piped")?;
    let (mut said, mut image) = (String::new(), None);
    for line in BufReader::new(words).lines() {
        let line = line?;
        if let Some((_, steps)) = line.split_once("-----> Done in ") {
            image = Some((begun.elapsed(), steps_of(steps)));
        }
        said.push_str(&line);
        said.push('\n');
    }
    anyhow::ensure!(push.wait()?.success(), "the push failed: {said}");
    let (whole, steps) = image.with_context(|| format!("no sum of the steps in {said}"))?;
    Ok(Built {
        whole,
        steps,
        live: begun.elapsed(),
    })
}

/// Reads `5.3s: detect 0.1s, compile 4.1s`.
fn steps_of(line: &str) -> Vec<(String, f64)> {
    let steps = line.split_once(": ").map_or("", |(_, steps)| steps).split(", ");
    steps
        .filter_map(|step| {
            let (name, seconds) = step.trim().split_once(' ')?;
            Some((name.to_owned(), seconds.trim_end_matches('s').parse().ok()?))
        })
        .collect()
}

/// The same app as Docker builds it.
struct Docker {
    dockerfile: PathBuf,
    tag: String,
}

impl Docker {
    fn new(platform: &Platform, language: &Language) -> Result<Self> {
        let dockerfile = platform.work().join(format!("{}.Dockerfile", language.name));
        let (image, rest) = (language.image, language.dockerfile);
        let base = format!("FROM paas/stack-12:{image}\nUSER root\nWORKDIR /app\n");
        fs::write(&dockerfile, base + rest)?;
        Ok(Self {
            dockerfile,
            tag: format!("paas-bench-{}", language.name),
        })
    }

    fn build(&self, tree: &Path, is_cold: bool) -> Result<Duration> {
        let mut command = Command::new("docker");
        command.args(["build", "--quiet", "--tag", &self.tag, "--file"]);
        command.arg(&self.dockerfile);
        if is_cold {
            command.arg("--no-cache");
        }
        fs::write(tree.join(".dockerignore"), ".git\n")?;
        let begun = Instant::now();
        let output = command.arg(tree).output()?;
        let took = begun.elapsed();
        fs::remove_file(tree.join(".dockerignore"))?;
        let words = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "docker build failed: {words}");
        Ok(took)
    }

    fn remove(&self) -> Result<()> {
        let removed = Command::new("docker").args(["image", "rm", &self.tag]).output()?;
        anyhow::ensure!(removed.status.success(), "the image {} stays behind", self.tag);
        Ok(())
    }
}

fn show(out: &mut impl Write, what: &str, ours: &[Built], docker: &[Duration]) -> Result<f64> {
    let whole = median(ours.iter().map(|built| built.whole).collect());
    let live = median(ours.iter().map(|built| built.live).collect());
    let beside = median(docker.to_vec());
    let own = |built: &Built| {
        let seconds = built.steps.iter().filter(|(name, _)| name == "compile");
        Duration::from_secs_f64(seconds.map(|(_, seconds)| seconds).sum())
    };
    let over = median(
        ours.iter()
            .map(|built| built.whole.saturating_sub(own(built)))
            .collect(),
    );
    let ratio = whole.as_secs_f64() / beside.as_secs_f64();
    let verdict = if over <= AIM_BESIDE { "" } else { " (too much)" };
    writeln!(
        out,
        "  {what:<10} {whole:>9.2?}  docker build {beside:>9.2?}  ratio {ratio:4.2}  beside the app's own work {over:.2?}{verdict}  \
         live after {live:.2?}"
    )?;
    let middle = ours
        .iter()
        .find(|built| built.whole == whole)
        .context("one is the median")?;
    let steps: Vec<_> = middle
        .steps
        .iter()
        .map(|(name, seconds)| format!("{name} {seconds:.1}"))
        .collect();
    writeln!(out, "             {}", steps.join(", "))?;
    Ok(ratio)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

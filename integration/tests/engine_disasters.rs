//! The engine is killed, alone and with everything else; it is one of the story's own.

use std::time::Duration;

use paas_integration::{App, Load, Options, OwnEngine, Platform, Target, eventually, within};

const SOON: Duration = Duration::from_mins(1);
/// How the reason of an answer from a stranger begins.
const WRONG: &str = "somebody else's answer";

#[test]
#[ignore = "needs docker"]
fn a_killed_engine_costs_no_request_and_what_was_wanted_meanwhile_happens_after_it() {
    OwnEngine::with(|engine| {
        let platform = on(engine);
        let app = dockerfile_app(&platform, "hello");
        app.push().expect_success();
        app.serves("hello one", SOON);
        let container = platform.engine().dyno("web.1");
        let load = Load::start(platform.http(), &[Target::new(app.host())]);

        engine.kill();
        app.paas(&["config:set", "GREETING=good day"]).expect_success();
        let answered = load.traffic().requests;
        eventually("the load goes on", SOON, || load.traffic().requests > answered + 400);
        assert_eq!(app.page("/"), "hello one", "nothing can start without an engine");
        load.expect_no_failure("the engine's death");

        engine.run();
        app.serves("good day one", SOON);
        app.runs(&["web.1"], SOON);
        assert_ne!(platform.engine().dyno("web.1"), container);
        load.expect_no_failure("the engine's return");

        app.says("two").push().expect_success();
        app.serves("good day two", SOON);
        load.stop().expect_all_answered();
    });
}

#[test]
#[ignore = "needs docker"]
fn after_a_power_cut_apps_serve_again_and_nobody_gets_an_answer_of_a_stranger() {
    OwnEngine::with(|engine| {
        let platform = on(engine);
        let apps = ["first", "second"].map(|name| {
            let app = dockerfile_app(&platform, name);
            app.says(name).push().expect_success();
            app.serves(&format!("hello {name}"), SOON);
            app
        });
        let targets = apps.each_ref().map(only_its_own);
        let load = Load::start(platform.http(), &targets);
        let addresses = apps.each_ref().map(|app| Address::of(&platform, engine, app));

        platform.cut_power();
        engine.cut_power();
        engine.run();
        // What a dyno's address was is given to a stranger before the platform is back, as engines do.
        let strangers = addresses.each_ref().map(|address| address.take(engine));
        platform.serve(&[]);
        for app in &apps {
            app.serves(&format!("hello {}", app.name()), SOON);
            app.runs(&["web.1"], SOON);
        }
        for stranger in &strangers {
            engine.docker(&["exec", stranger, "true"]).expect_success();
        }
        let now = apps.each_ref().map(|app| Address::of(&platform, engine, app));
        for (now, before) in now.iter().zip(&addresses) {
            assert_ne!(now, before, "the stranger has the address of before");
        }
        let answered = load.traffic().requests;
        eventually("the load goes on", SOON, || load.traffic().requests > answered + 400);

        let traffic = load.stop();
        let wrong: Vec<_> = traffic
            .failures
            .iter()
            .filter(|failure| failure.reason.contains(WRONG))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        for app in &apps {
            app.says(&format!("{} again", app.name())).push().expect_success();
            app.serves(&format!("hello {} again", app.name()), SOON);
        }
    });
}

fn on(engine: &OwnEngine) -> Platform {
    Platform::with(Options {
        docker: Some(engine.socket()),
        ..Options::default()
    })
}

/// The tiny app, built by the engine alone: there is no image for builds, and no registry.
fn dockerfile_app<'platform>(platform: &'platform Platform, name: &str) -> App<'platform> {
    let app = platform.app(name);
    app.remove("Procfile").remove("requirements.txt");
    app.write(
        "Dockerfile",
        "FROM paas/stack-12:run\nWORKDIR /app\nCOPY server.py .\nCMD [\"python3\", \"server.py\"]\n",
    );
    app
}

/// Nothing but the app's own page, or word of the router that it cannot be reached.
fn only_its_own(app: &App<'_>) -> Target {
    let page = format!("hello {}", app.name());
    Target::judged(app.host(), move |status, body| match status {
        200 if body == page => Ok(()),
        404 | 503 => Err(format!("status {status}")),
        status => Err(format!("{WRONG}: {status} {body:?}")),
    })
}

/// Where a dyno is.
#[derive(Debug, PartialEq, Eq)]
struct Address {
    network: String,
    address: String,
}

impl Address {
    #[track_caller]
    fn of(platform: &Platform, engine: &OwnEngine, app: &App<'_>) -> Self {
        let id = platform.sql(&format!(
            "select dynos.container from dynos join apps on apps.id = dynos.app where apps.name = '{}'",
            app.name()
        ));
        let format = "{{range $name, $network := .NetworkSettings.Networks}}{{$name}} {{$network.IPAddress}}{{end}}";
        let inspected = engine.docker(&["inspect", "--format", format, &id[0]]);
        inspected.expect_success();
        let (network, address) = inspected.stdout.trim().split_once(' ').expect("it is on one network");
        Self {
            network: network.to_owned(),
            address: address.to_owned(),
        }
    }

    /// Starts somebody else's container at this address, and gives its id.
    #[track_caller]
    fn take(&self, engine: &OwnEngine) -> String {
        let server = "import http.server, functools\n\
                      class Handler(http.server.BaseHTTPRequestHandler):\n\
                      \tdef do_GET(self):\n\
                      \t\tself.send_response(200)\n\
                      \t\tself.send_header('Content-Length', '8')\n\
                      \t\tself.end_headers()\n\
                      \t\tself.wfile.write(b'stranger')\n\
                      \tdo_HEAD = do_GET\n\
                      http.server.ThreadingHTTPServer(('', 5000), Handler).serve_forever()\n";
        let started = engine.docker(&[
            "run",
            "--detach",
            "--network",
            &self.network,
            "--ip",
            &self.address,
            "paas/stack-12:run",
            "python3",
            "-c",
            server,
        ]);
        started.expect_success();
        let stranger = started.stdout.trim().to_owned();
        let is_there = within(SOON, || {
            let asked = engine.docker(&["exec", &stranger, "python3", "-c", ASK]);
            (asked.code == 0).then_some(())
        });
        assert!(is_there.is_some(), "the stranger does not answer");
        stranger
    }
}

const ASK: &str = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:5000/')";

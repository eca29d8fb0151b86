//! `run`, and what else starts dynos that run once.

use std::{fmt::Write as _, time::Duration};

use paas_integration::{Heroku, Platform, eventually};

const SOON: Duration = Duration::from_mins(1);
const TEN_MEGABYTES: usize = 10 * 1024 * 1024;

#[test]
#[ignore = "needs docker, npm's heroku"]
fn commands_run_once_in_dynos_of_their_own() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    app.write(
        "Procfile",
        "web: python3 server.py\ngreet: echo greetings to\nconsole: echo console\n",
    );
    app.push().expect_success();

    let said = heroku.run(&["run", "-a", "hello", "--no-tty", "--", "echo", "it runs"]);
    said.expect_success().expect("up, run.");
    assert_eq!(said.stdout, "it runs\n");
    let env = heroku.run(&[
        "run",
        "--no-tty",
        "-a",
        "hello",
        "-e",
        "A=1;B=two",
        "-s",
        "Basic",
        "--type",
        "task",
        "--",
        "printenv",
        "A",
        "B",
        "DYNO",
    ]);
    assert!(env.expect_success().stdout.starts_with("1\ntwo\ntask."), "{env:?}");
    let failed = heroku.run(&["run", "-x", "-a", "hello", "--", "sh", "-c", "echo so far; exit 3"]);
    failed
        .expect_code(3)
        .expect("so far")
        .expect("Process exited with code 3");
    heroku.run(&["run", "-x", "-a", "hello", "true"]).expect_success();
    let greeting = heroku.run(&["run", "-a", "hello", "greet", "you"]);
    greeting.expect_success().expect("greetings to you");
    heroku
        .run(&["console", "-a", "hello"])
        .expect_success()
        .expect("console");
    heroku
        .run(&["rake", "-a", "hello", "-x"])
        .expect_code(127)
        .expect("rake: ");

    // The client reads and writes UTF-8, so that is what has to come through.
    let mut text = String::with_capacity(TEN_MEGABYTES + 100);
    let mut line = 0_u32;
    while text.len() < TEN_MEGABYTES {
        writeln!(text, "{line:08} grüße \u{4}\u{3}… {line:x}").expect("a text takes text");
        line += 1;
    }
    let echoed = heroku.run_reading(&["run", "--no-tty", "-a", "hello", "cat"], &text);
    echoed.expect_success();
    assert!(echoed.stdout == text, "{} bytes came back", echoed.stdout.len());

    let detached = heroku.run(&["run:detached", "-a", "hello", "--", "echo", "from afar"]);
    detached
        .expect_success()
        .expect("Run heroku logs --app hello --dyno run.");
    app.logs("]: from afar", SOON);
    let detached = heroku.run(&["run:detached", "-a", "hello", "sleep", "1000"]);
    let name = detached.expect_success().stdout.clone();
    let name = name
        .split_whitespace()
        .find(|word| word.starts_with("run."))
        .expect("its name");
    eventually("it is up", SOON, || {
        app.states().get(name).is_some_and(|state| state == "up")
    });
    heroku
        .run(&["ps", "-a", "hello"])
        .expect_success()
        .expect(&format!("{name} (Standard-1X): up"));
    heroku.run(&["ps:stop", name, "-a", "hello"]).expect_success();
    eventually("it is gone", SOON, || !app.states().contains_key(name));
    app.logs(&format!("heroku[{name}]: Process exited with status 143"), SOON);
    heroku.covers(&["console", "rake", "run", "run:detached"]);
}

#[test]
#[ignore = "needs docker, npm's heroku"]
fn a_person_sits_at_a_terminal_in_a_dyno() {
    let platform = Platform::start();
    let heroku = Heroku::user(&platform);
    let app = platform.app("hello");
    app.push().expect_success();

    let mut terminal = heroku.terminal(&["run", "-a", "hello", "bash"]);
    terminal
        .sees("up, run.", SOON)
        .types("stty size; echo is $((6 * 7))\r")
        .sees("40 120", SOON)
        .sees("is 42", SOON)
        // What Ctrl-C is to end has to be there: bash itself lets it pass between a line and its command.
        .types("sh -c 'echo now $((40 + 1)); exec sleep 1000'\r")
        .sees("now 41", SOON)
        .types("\x03")
        .sees("^C", SOON)
        .types("echo still $((40 + 2))\r")
        .sees("still 42", SOON)
        .types("exit\r");
    terminal.finish(SOON).expect_success();

    // Whoever goes hangs up.
    let mut terminal = heroku.terminal(&["run", "-a", "hello", "bash"]);
    terminal
        .sees("up, run.", SOON)
        .types("echo is $((6 * 7))\r")
        .sees("is 42", SOON);
    eventually("only this one is left", SOON, || app.states().len() == 2);
    drop(terminal);
    app.logs("Client connection closed. Sending SIGHUP to all processes", SOON);
    eventually("only the web dyno is left", SOON, || app.states().len() == 1);
    assert_eq!(platform.engine().containers().len(), 1);
    assert_eq!(heroku.strays(), Vec::<String>::new());
}

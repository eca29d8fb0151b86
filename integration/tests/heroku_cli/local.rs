//! `local`: what both clients do on a laptop is the same.

use std::fs;

use paas_integration::{Heroku, Output, Platform};

#[test]
#[ignore = "needs npm's heroku"]
fn a_procfile_runs_the_same_way_with_both_clients() {
    let platform = Platform::start();
    let folder = platform.work();
    let heroku = Heroku::stranger(&platform).in_folder(&folder);
    for (name, text) in [
        (
            "Procfile",
            "web: echo $FOREMAN_WORKER_NAME $PORT $GREETING; sleep 1\nworker: echo $PORT; exec sleep 100\nrelease: echo never\n",
        ),
        (".env", "# theirs\nGREETING='hello  you' # not this\n"),
        ("bad", "nonsense\n"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }

    let both = heroku.beside(&["local", "web=2,worker"]);
    both.expect_success();
    assert_eq!(said(&both.heroku), said(&both.paas), "{both:?}");
    for line in [
        "web.1 |  web.1 5006 hello you",
        "web.2 |  web.2 5007 hello you",
        "worker.1 |  5106",
    ] {
        assert!(said(&both.paas).contains(&line.to_owned()), "{both:?}");
    }
    let both = heroku.beside(&["local", "web", "-p", "7000"]);
    assert_eq!(said(&both.heroku), said(&both.paas), "{both:?}");

    let run = heroku.beside(&["local:run", "printenv", "GREETING"]);
    assert_eq!((run.heroku.code, run.paas.code), (0, 0));
    for output in [&run.heroku, &run.paas] {
        output.expect("hello  you");
    }
    let run = heroku.beside(&["local:run", "--", "sh", "-c", "exit 7"]);
    assert_eq!((run.heroku.code, run.paas.code), (7, 7), "{run:?}");

    let bad = heroku.beside(&["local", "-f", "bad"]);
    assert!(bad.heroku.code != 0 && bad.paas.code != 0, "{bad:?}");
    let none = heroku.beside(&["local", "-f", "none"]);
    assert!(none.heroku.code != 0 && none.paas.code != 0, "{none:?}");
    none.expect("No none found");
    heroku.run(&["local:version"]).expect_success();
    heroku.covers(&["local", "local:run", "local:version"]);
}

/// What the processes said, without times: in which order, they decide among themselves. Heroku's client makes the time and the
/// name together as wide as one of its times was, so that from ten to one o'clock its bars do not line up.
fn said(output: &Output) -> Vec<String> {
    let mut lines: Vec<_> = output
        .stdout
        .lines()
        .filter_map(|line| {
            let (label, words) = line.split_once(" | ")?;
            let (_, name) = label.split_once("M ").expect("lines begin with a time");
            Some(format!("{} | {words}", name.trim_end()))
        })
        .collect();
    lines.sort();
    lines
}

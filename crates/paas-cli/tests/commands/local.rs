use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::platform::Paas;

fn folder(files: &[(&str, &str)]) -> Paas {
    let paas = Paas::new();
    for (name, text) in files {
        fs::write(paas.directory().join(name), text).unwrap();
    }
    paas
}

/// The lines without their times, in the order of the alphabet: processes speak when they like.
fn lines(told: &str) -> Vec<String> {
    let without_time = |line: &str| {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some(time), Some("AM" | "PM"), Some(rest)) if time.contains(':') => rest.to_owned(),
            _ => line.to_owned(),
        }
    };
    let mut lines: Vec<_> = told.lines().map(without_time).collect();
    lines.sort();
    lines
}

#[test]
fn every_type_but_release_runs_with_its_port_and_the_variables_of_the_file() {
    let paas = folder(&[
        (
            "Procfile",
            "web: echo $GREETING $PORT; cat\nrelease: echo never\nworker: echo $FOREMAN_WORKER_NAME $PORT >&2; sleep 100\n",
        ),
        (".env", "GREETING='hello you' # a comment\n"),
    ]);
    let told = paas.run("local");
    let told = lines(&told);
    assert!(told.contains(&"exit: 0".to_owned()), "{told:?}");
    assert!(
        told.contains(&"[OKAY] Loaded ENV .env File as KEY=VALUE Format".to_owned()),
        "{told:?}"
    );
    assert!(told.contains(&"web.1    |  hello you 5006".to_owned()), "{told:?}");
    assert!(told.contains(&"web.1    Exited Successfully".to_owned()), "{told:?}");
    assert!(
        told.contains(&"[DONE] Killing all processes with signal SIGINT".to_owned()),
        "{told:?}"
    );
    assert!(
        told.iter().any(|line| line.starts_with("worker.1 Exited with")),
        "{told:?}"
    );
    assert!(!told.iter().any(|line| line.contains("never")), "{told:?}");
}

#[test]
fn quantities_ports_and_files_are_chosen() {
    let paas = folder(&[
        (
            "Other",
            // The first that ends takes the others with it: it waits until all have said what they are to say.
            "web: echo $PORT $A$B; touch $PORT; while [ ! -e 7000 ] || [ ! -e 7001 ] || [ ! -e 7100 ]; do sleep 0.05; done\n\
             worker: echo $PORT; touch $PORT; sleep 100\n",
        ),
        ("one.env", "A=one\nB=lost\n"),
        ("two.env", r#"{ "b": "two" }"#),
    ]);
    let told = paas.run("local web=2,worker -f Other -e one.env,two.env -p 7000");
    for line in ["web.1    |  7000 onetwo", "web.2    |  7001 onetwo", "worker.1 |  7100"] {
        assert!(lines(&told).contains(&line.to_owned()), "{told}");
    }
}

#[test]
fn the_process_that_ended_first_decides_about_the_exit_code() {
    let paas = folder(&[("Procfile", "web: sleep 100\nbad: sleep 0.1; exit 3\n")]);
    let told = paas.run("local");
    assert!(told.starts_with("exit: 3\n"), "{told}");
    assert!(told.contains("Exited with exit code 3"), "{told}");
}

#[test]
fn what_cannot_be_started_is_told() {
    insta::assert_snapshot!(folder(&[]).run("local"), @r"
    exit: 2
    --- stderr
     !    No Procfile found

    hint: add a Procfile to add process types, or pass `--start-cmd COMMAND`; see https://devcenter.heroku.com/articles/procfile
    ");
    insta::assert_snapshot!(folder(&[("Procfile", "web: x\nnonsense\n")]).run("local"), @r"
    exit: 2
    --- stderr
     !    Procfile, line 2: a line is `name: command`, and a name has letters, digits, - and _
    ");
    insta::assert_snapshot!(folder(&[("Procfile", "web: x\n")]).run("local worker"), @r"
    exit: 2
    --- stderr
     !    Warning: Procfile has no process type worker
     !    There is no process to start
    ");
    insta::assert_snapshot!(folder(&[("Procfile", "web: x\n")]).run("local -p 80"), @r"
    exit: 2
    --- stderr
     !    Port 80 is for root alone: choose one from 1024 on
    ");
    insta::assert_snapshot!(folder(&[("Procfile", "web: x\n"), (".env", "A='\n")]).run("local"), @r"
    exit: 2
    --- stderr
     !    .env, line 1: the quote is not closed
    ");
    insta::assert_snapshot!(folder(&[("Procfile", "web: x\n")]).run("local web=many"), @r"
    exit: 2
    --- stderr
     !    web=many does not say how many, such as web=2
    ");
}

#[test]
fn without_a_procfile_a_command_does() {
    let paas = folder(&[(".env", "A=b\n")]);
    let told = paas.run_with(&["local", "--start-cmd", "echo $A; exit 4"], "");
    assert!(told.starts_with("exit: 4\n--- stdout\nb\n"), "{told}");
}

#[test]
fn one_command_has_the_variables_and_its_arguments_as_they_are() {
    let paas = folder(&[(".env", "A=b\n")]);
    let told = paas.run_with(
        &["local:run", "sh", "-c", "echo \"$A $1\"; cat; exit 9", "sh", "$A 'x'"],
        "typed\n",
    );
    assert!(told.starts_with("exit: 9\n--- stdout\nb $A 'x'\ntyped\n"), "{told}");
    let told = paas.run("local:run -p 7777 printenv PORT");
    assert!(told.starts_with("exit: 0\n--- stdout\n7777\n"), "{told}");
    assert!(paas.run("local:run").starts_with("exit: 2\n"));
    assert!(paas.run("local:version").contains("paas 0."));
}

#[test]
fn an_interrupt_stops_all_of_them_and_whatever_they_have_started() {
    // The shell of `web` waits for a child of its own, which must not be left behind.
    let paas = folder(&[(
        "Procfile",
        "web: sleep 100 & echo child $!; wait; echo late\nworker: trap 'echo bye; exit 0' INT; echo ready; while :; do sleep 0.1; done\n",
    )]);
    let mut local = start(&paas);
    let mut told = BufReader::new(local.stdout.take().unwrap());
    let (mut child, mut ready) = (None, false);
    while child.is_none() || !ready {
        let mut line = String::new();
        assert_ne!(told.read_line(&mut line).unwrap(), 0, "it has ended");
        child = child.or_else(|| line.split("child ").nth(1)?.trim().parse().ok());
        ready |= line.contains("ready");
    }
    kill_process(Pid::from_child(&local), Signal::INT).unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("Killing all processes with signal SIGINT"), "{rest}");
    assert!(rest.contains("|  bye"), "{rest}");
    assert!(local.wait().unwrap().code().is_some(), "it ended by itself");
    let child: u32 = child.unwrap();
    let is_alive = || {
        // Nobody may have collected it: then it has no arguments any more.
        fs::read(format!("/proc/{child}/cmdline")).is_ok_and(|line| !line.is_empty())
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_alive() {
        assert!(Instant::now() < deadline, "{child} is still there");
        thread::sleep(Duration::from_millis(20));
    }
}

fn start(paas: &Paas) -> Child {
    Command::new(env!("CARGO_BIN_EXE_paas"))
        .arg("local")
        .current_dir(paas.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

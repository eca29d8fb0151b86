use insta::assert_snapshot;

use crate::{
    answers::{account, app},
    platform::{Answer, Paas},
};

fn in_repository() -> Paas {
    let paas = Paas::new();
    paas.git("init --quiet");
    paas
}

#[test]
fn creating_adds_the_remote_that_later_commands_read() {
    let paas = in_repository()
        .on("POST /apps", Answer::json(201, &app("hello")))
        .on("GET /apps/hello", app("hello"));
    assert_snapshot!(paas.run("create hello"), @r#"
    exit: 0
    --- stdout
    http://hello.localhost:8080/ | http://127.0.0.1:5050/hello.git
    --- stderr
    Creating hello... done
    --- requests
    POST /apps | {"name":"hello"}
    "#);
    assert_snapshot!(paas.git("remote -v"), @r"
    paas	http://127.0.0.1:5050/hello.git (fetch)
    paas	http://127.0.0.1:5050/hello.git (push)
    ");
    assert_snapshot!(paas.run("maintenance"), @r"
    exit: 0
    --- stdout
    off
    --- requests
    GET /apps/hello
    ");
}

#[test]
fn a_remote_that_leads_elsewhere_is_kept() {
    let paas = in_repository().on("POST /apps", Answer::json(201, &app("hello")));
    paas.git("remote add paas http://127.0.0.1:9/other.git");
    assert_snapshot!(paas.run("create hello"), @r#"
    exit: 0
    --- stdout
    http://hello.localhost:8080/ | http://127.0.0.1:5050/hello.git
    --- stderr
    Creating hello... done
     !    Warning: the git remote paas stays at http://127.0.0.1:9/other.git; to change it, run: paas git:remote -a hello
    --- requests
    POST /apps | {"name":"hello"}
    "#);
    assert_snapshot!(paas.git("remote get-url paas"), @r"
    http://127.0.0.1:9/other.git
    ");
}

#[test]
fn git_remote_points_a_remote_at_an_app() {
    let paas = in_repository()
        .on("GET /apps/hello", app("hello"))
        .on("GET /apps/other", app("other"));
    assert_snapshot!(paas.run("git:remote -a hello"), @r"
    exit: 0
    --- stdout
    set git remote paas to http://127.0.0.1:5050/hello.git
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("git:remote -a other -r staging"), @r"
    exit: 0
    --- stdout
    set git remote staging to http://127.0.0.1:5050/other.git
    --- requests
    GET /apps/other
    ");
    assert_snapshot!(paas.git("remote -v"), @r"
    paas	http://127.0.0.1:5050/hello.git (fetch)
    paas	http://127.0.0.1:5050/hello.git (push)
    staging	http://127.0.0.1:5050/other.git (fetch)
    staging	http://127.0.0.1:5050/other.git (push)
    ");
}

#[test]
fn several_remotes_need_a_choice() {
    let paas = in_repository().on("GET /apps/hello", app("hello"));
    paas.run("git:remote -a hello");
    paas.git("remote add paas-eu http://127.0.0.1:9/elsewhere.git");
    assert_snapshot!(paas.run("maintenance"), @r"
    exit: 0
    --- stdout
    off
    --- requests
    GET /apps/hello
    ");
    let paas = paas.on("GET /apps/second", app("second"));
    paas.run("git:remote -a second -r staging");
    assert_snapshot!(paas.run("maintenance"), @r"
    exit: 2
    --- stderr
     !    The git remotes of this directory name several apps: hello (paas), second (staging)

    hint: choose one with `-a APP` or `-r REMOTE`
    ");
    assert_snapshot!(paas.run("maintenance -r paas"), @r"
    exit: 0
    --- stdout
    off
    --- requests
    GET /apps/hello
    ");
    assert_snapshot!(paas.run("maintenance -r nope"), @r"
    exit: 2
    --- stderr
     !    The git remote nope does not exist or names no app

    hint: run `paas git:remote -a APP` to add a remote, or name the app with `-a APP`
    ");
}

#[test]
fn flag_goes_before_variable_and_variable_before_remote() {
    let paas = in_repository()
        .on("GET /apps/flag", app("flag"))
        .on("GET /apps/variable", app("variable"))
        .on("GET /apps/remote", app("remote"));
    paas.run("git:remote -a remote");
    assert!(paas.run("maintenance").contains("GET /apps/remote\n"));
    let paas = paas.set("PAAS_APP", "variable");
    assert!(paas.run("maintenance").contains("GET /apps/variable\n"));
    assert!(paas.run("maintenance -a flag").contains("GET /apps/flag\n"));
}

#[test]
fn destroying_and_renaming_take_the_remotes_along() {
    let paas = in_repository()
        .on("GET /apps/hello", app("hello"))
        .on("GET /apps/goodbye", app("goodbye"))
        .on("PATCH /apps/hello", app("goodbye"))
        .on("DELETE /apps/01234567-89ab-7def-8123-456789abcdef", app("goodbye"));
    paas.run("git:remote -a hello");
    paas.run("apps:rename goodbye");
    assert_snapshot!(paas.git("remote get-url paas"), @r"
    http://127.0.0.1:5050/goodbye.git
    ");
    paas.run("apps:destroy --confirm goodbye");
    assert_eq!(paas.git("remote"), "");
}

#[test]
fn git_remote_needs_a_repository() {
    let paas = Paas::new();
    assert_snapshot!(paas.run("git:remote -a hello"), @r"
    exit: 1
    --- stderr
     !    This directory is not a git repository

    hint: run `git init` first, or change to the app's checkout
    ");
}

#[test]
fn a_push_finds_the_token_without_asking() {
    let unknown = Answer::text(401, "text/plain", "").header("www-authenticate", "Basic realm=\"paas\"");
    let refs = "GET /hello.git/info/refs?service=git-upload-pack";
    let advertisement = "001e# service=git-upload-pack\n00000000";
    let paas = in_repository()
        .unset("PAAS_API_KEY")
        .set("GIT_TERMINAL_PROMPT", "0")
        .on("GET /account", account())
        .on("GET /apps/hello", app("hello"))
        .on(refs, unknown)
        .on(
            refs,
            Answer::text(200, "application/x-git-upload-pack-advertisement", advertisement),
        );
    paas.run_with(&["login", "--token"], "the-token\n");
    paas.run("git:remote -a hello");
    paas.git("ls-remote paas");
    assert_snapshot!(paas.requests(), @r"
    GET /hello.git/info/refs?service=git-upload-pack | no authorization
    GET /hello.git/info/refs?service=git-upload-pack | Basic ZGV2QGV4YW1wbGUuY29tOnRoZS10b2tlbg==
    ");
}

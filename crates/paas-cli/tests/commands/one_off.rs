use insta::assert_snapshot;

use crate::{
    answers::dyno,
    platform::{Answer, Paas},
};

#[test]
fn a_detached_dyno_is_asked_for_and_its_log_is_where_to_look() {
    let paas = Paas::new().on("POST /apps/hello/dynos", dyno("run.1234", "sleep 1", "starting"));
    assert_snapshot!(paas.run("run:detached sleep 1 -a hello -e A=1;B=two;C -s basic --type task"), @r#"
    exit: 0
    --- stdout
    Run paas logs --app hello --dyno run.1234 to view the output.
    --- stderr
     !    Warning: env flag C appears invalid. Avoid using ';' in values.
    Running sleep 1 on hello... done, run.1234
    --- requests
    POST /apps/hello/dynos | {"attach":false,"command":"sleep 1","env":{"A":"1","B":"two"},"size":"basic","type":"task"}
    "#);
}

#[test]
fn what_the_platform_refuses_is_told() {
    let refusal = Answer::error(422, "invalid_params", "The app has no code yet.");
    let paas = Paas::new().on("POST /apps/hello/dynos", refusal);
    assert_snapshot!(paas.run("run -x -a hello -- sh -c -x"), @r#"
    exit: 1
    --- stderr
    Running sh -c -x on hello... !
     !    The app has no code yet.
    --- requests
    POST /apps/hello/dynos | {"attach":true,"command":"sh -c -x","force_no_tty":true}
    "#);
    assert_snapshot!(paas.run("run"), @r"
    exit: 2
    --- stderr
     !    the following required arguments were not provided: <COMMAND>...

    hint: write `paas run -- <COMMAND>...`
    ");
}

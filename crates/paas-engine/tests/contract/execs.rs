//! Programs beside what a container runs already.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, future, stream};
use paas_engine::{ContainerId, ExecSpec, Input, Output};
use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    contract,
    world::{Program, World},
};

contract!(
    a_program_in_a_container_has_streams_and_an_end_of_its_own,
    a_program_is_only_run_where_something_runs,
    a_program_that_is_hung_up_on_ends_and_leaves_its_container_alone,
    programs_that_nobody_listens_to_hold_nothing_up_once_they_are_hung_up_on,
);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Runs a program with this input; how it ended, and what it said.
async fn exec(world: &World, id: &ContainerId, program: Program, input: Vec<Bytes>) -> (Option<i32>, Vec<u8>) {
    let (sender, mut receiver) = mpsc::channel::<Output>(4);
    let input = stream::iter(input).map(Input::from).boxed();
    let said = async {
        let mut said = Vec::new();
        while let Some(output) = receiver.recv().await {
            said.extend_from_slice(&output.bytes);
        }
        said
    };
    let spec = ExecSpec {
        command: program.command(),
        ..ExecSpec::default()
    };
    let run = world.engine.exec(id, &spec, input, sender, CancellationToken::new());
    let (code, said) = future::join(run, said).await;
    (code.unwrap(), said)
}

async fn a_program_in_a_container_has_streams_and_an_end_of_its_own(world: &World) {
    let container = world.engine.start(&world.spec("host", Program::Sleep)).await.unwrap();
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(100_003).collect();
    let input = vec![Bytes::from(block); 30];
    let (code, said) = exec(world, &container.id, Program::Copy, input.clone()).await;
    assert_eq!(code, Some(0));
    assert!(said == input.concat(), "{} bytes came out", said.len());
    assert_eq!(
        exec(world, &container.id, Program::Count, Vec::new()).await,
        (Some(0), b"one\ntwo\nthree\nfour\nfive\n".to_vec())
    );
    assert_eq!(exec(world, &container.id, Program::Exit3, Vec::new()).await.0, Some(3));
}

async fn a_program_is_only_run_where_something_runs(world: &World) {
    let spec = world.spec("ended", Program::Exit3);
    let id = world.engine.start(&spec).await.unwrap().id;
    world.until(&id, |container| !container.is_running()).await;
    assert_eq!(exec(world, &id, Program::Count, Vec::new()).await.0, None);
    let unknown = ContainerId::new("no-such-container");
    assert_eq!(exec(world, &unknown, Program::Count, Vec::new()).await.0, None);
}

async fn a_program_that_is_hung_up_on_ends_and_leaves_its_container_alone(world: &World) {
    let id = world
        .engine
        .start(&world.spec("host", Program::Sleep))
        .await
        .unwrap()
        .id;
    let (sender, mut receiver) = mpsc::channel::<Output>(4);
    let cancel = CancellationToken::new();
    let spec = ExecSpec {
        command: Program::Copy.command(),
        ..ExecSpec::default()
    };
    let input = stream::iter([Input::Bytes(Bytes::from_static(b"hello"))]).chain(stream::pending());
    let run = world.engine.exec(&id, &spec, input.boxed(), sender, cancel.clone());
    let hang_up = async {
        // It runs.
        assert_eq!(receiver.recv().await.unwrap().bytes, "hello");
        cancel.cancel();
    };
    let (code, ()) = future::join(run, hang_up).await;
    assert_eq!(code.unwrap(), Some(129));
    assert!(world.engine.inspect(&id).await.unwrap().unwrap().is_running());
}

async fn programs_that_nobody_listens_to_hold_nothing_up_once_they_are_hung_up_on(world: &World) {
    let container = world.engine.start(&world.spec("host", Program::Sleep)).await.unwrap();
    let spec = ExecSpec {
        command: Program::Flood.command(),
        ..ExecSpec::default()
    };
    let flood = async || {
        // Held, and never read.
        let (sender, receiver) = mpsc::channel::<Output>(4);
        let cancel = CancellationToken::new();
        let stdin = stream::pending().boxed();
        let run = world.engine.exec(&container.id, &spec, stdin, sender, cancel.clone());
        let hang_up = async {
            while receiver.len() < receiver.max_capacity() {
                sleep(LOOK_AGAIN).await;
            }
            cancel.cancel();
        };
        let (code, ()) = future::join(run, hang_up).await;
        assert_eq!(code.unwrap(), Some(129));
    };
    // Several, so that one's end is waited for while another's is held up.
    future::join_all((0..4).map(|_| flood())).await;
    let (code, said) = exec(world, &container.id, Program::Count, Vec::new()).await;
    assert_eq!((code, said.len()), (Some(0), 24));
}

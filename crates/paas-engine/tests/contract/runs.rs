//! Running to the end with streams attached.

use bytes::Bytes;
use futures_util::{StreamExt as _, future, stream};
use paas_engine::{ContainerSpec, EngineError, Exit, Input, Output, Result};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    contract,
    world::{Program, World},
};

contract!(
    what_goes_in_comes_out_byte_for_byte_and_its_end_is_seen,
    the_exit_code_and_the_last_words_arrive,
    a_receiver_that_went_away_does_not_stop_a_run,
    a_cancelled_run_ends,
    a_name_is_run_only_once,
    files_of_a_container_that_ended_can_be_read,
    a_run_that_is_hung_up_on_ends,
);

/// Runs with this input; the exit, and all that was said.
async fn run(world: &World, spec: &ContainerSpec, input: Vec<Bytes>) -> (Result<Exit>, Vec<u8>) {
    let (sender, receiver) = mpsc::channel::<Output>(4);
    let input = stream::iter(input).map(Input::from).boxed();
    let said = stream::unfold(receiver, |mut receiver| async {
        Some((receiver.recv().await?.bytes, receiver))
    });
    let said = said.fold(Vec::new(), |mut said, bytes| async move {
        said.extend_from_slice(&bytes);
        said
    });
    future::join(world.engine.run(spec, input, sender, CancellationToken::new()), said).await
}

async fn what_goes_in_comes_out_byte_for_byte_and_its_end_is_seen(world: &World) {
    let block: Vec<u8> = (0..=u8::MAX).cycle().take(100_003).collect();
    let input = vec![Bytes::from(block); 105];
    let (exit, said) = run(world, &world.spec("copy", Program::Copy), input.clone()).await;
    assert_eq!(exit.unwrap().code, 0);
    assert!(said == input.concat(), "{} bytes came out", said.len());
}

async fn the_exit_code_and_the_last_words_arrive(world: &World) {
    let (exit, said) = run(world, &world.spec("count", Program::Count), Vec::new()).await;
    assert_eq!(
        (exit.unwrap().code, &said[..]),
        (0, &b"one\ntwo\nthree\nfour\nfive\n"[..])
    );
    let (exit, said) = run(world, &world.spec("exit", Program::Exit3), Vec::new()).await;
    assert_eq!((exit.unwrap().code, &said[..]), (3, &b""[..]));
    let (exit, _) = run(world, &world.spec("missing", Program::Missing), Vec::new()).await;
    assert_eq!(exit.unwrap().code, 127);
    let (exit, _) = run(world, &world.spec("glutton", Program::Glutton), Vec::new()).await;
    assert!(exit.unwrap().out_of_memory);
}

async fn a_receiver_that_went_away_does_not_stop_a_run(world: &World) {
    let (sender, _) = mpsc::channel(1);
    let spec = world.spec("unheard", Program::Count);
    // The input never ends.
    let run = world
        .engine
        .run(&spec, stream::pending().boxed(), sender, CancellationToken::new());
    assert_eq!(run.await.unwrap().code, 0);
}

async fn a_cancelled_run_ends(world: &World) {
    let (sender, _receiver) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let spec = world.spec("cancelled", Program::Sleep);
    let mut hints = world.engine.hints();
    let cancel_when_it_runs = async {
        while hints.next().await.is_some() {
            let containers = world.engine.list().await.unwrap();
            if containers.iter().any(paas_engine::Container::is_running) {
                return cancel.cancel();
            }
        }
    };
    let run = world
        .engine
        .run(&spec, stream::pending().boxed(), sender, cancel.clone());
    let (exit, ()) = future::join(run, cancel_when_it_runs).await;
    assert_eq!(exit.unwrap().code, 143);
}

async fn a_name_is_run_only_once(world: &World) {
    let spec = world.spec("once", Program::Exit3);
    assert_eq!(run(world, &spec, Vec::new()).await.0.unwrap().code, 3);
    let error = run(world, &spec, Vec::new()).await.0.unwrap_err();
    assert!(matches!(error, EngineError::InUse { .. }), "{error}");
}

async fn files_of_a_container_that_ended_can_be_read(world: &World) {
    let spec = world.spec("archive", Program::Exit3);
    assert_eq!(run(world, &spec, Vec::new()).await.0.unwrap().code, 3);
    let id = world.engine.list().await.unwrap().remove(0).id;
    let tar = world.engine.archive(&id, "/etc/hostname").await.unwrap().unwrap();
    let parts: Vec<_> = tar.collect().await;
    assert!(parts.iter().map(|part| part.as_ref().unwrap().len()).sum::<usize>() > 0);
    assert!(world.engine.archive(&id, "/no/such/path").await.unwrap().is_none());
}

async fn a_run_that_is_hung_up_on_ends(world: &World) {
    let (sender, _receiver) = mpsc::channel(1);
    let spec = world.spec("hung-up", Program::Sleep);
    let mut hints = world.engine.hints();
    let hang_up_when_it_runs = async {
        while hints.next().await.is_some() {
            let containers = world.engine.list().await.unwrap();
            if let Some(running) = containers.iter().find(|container| container.is_running()) {
                return world.engine.hang_up(&running.id).await.unwrap();
            }
        }
    };
    let run = world
        .engine
        .run(&spec, stream::pending().boxed(), sender, CancellationToken::new());
    let (exit, ()) = future::join(run, hang_up_when_it_runs).await;
    assert_eq!(exit.unwrap().code, 129);
}

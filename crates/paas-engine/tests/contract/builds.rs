//! Dockerfiles that fail, on Docker: whose fault it is, and that a step cannot take the machine with it.

use std::collections::BTreeMap;

use bytes::Bytes;
use paas_core::ImageRef;
use paas_engine::{DockerfileBuild, EngineError, Environment, Image, Limits, Result};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::world::{World, bytes, tar};

const MEBIBYTE: u64 = 1024 * 1024;

/// Builds on the world's image with these steps; what the builder said, too. `cancel_at` words end the build.
async fn build(world: &World, steps: &str, cancel_at: Option<&str>) -> (Result<Image>, String) {
    let build = DockerfileBuild {
        dockerfile: "Dockerfile".to_owned(),
        tag: ImageRef::new(format!("paas-test-{}:built", world.platform)),
        app: None,
        labels: BTreeMap::new(),
        arguments: Environment::new().with("GREETING", "good morning"),
        limits: Limits {
            memory_bytes: 64 * MEBIBYTE,
            cpu_weight: 100,
            cpus: None,
            io_weight: None,
            pids: 64,
        },
        network: None,
        target: None,
    };
    let dockerfile = format!("FROM {}\n{steps}\n", world.image);
    let (sender, mut receiver) = mpsc::channel::<Bytes>(1);
    let cancel = CancellationToken::new();
    let listen = async {
        let mut said = String::new();
        while let Some(bytes) = receiver.recv().await {
            said.push_str(&String::from_utf8_lossy(&bytes));
            if cancel_at.is_some_and(|words| said.contains(words)) {
                cancel.cancel();
            }
        }
        said
    };
    let context = bytes(&tar(&[("Dockerfile", &dockerfile), ("hello", "world")]));
    let outcome = world.engine.build_image(&build, context, sender, cancel.clone());
    futures_util::future::join(outcome, listen).await
}

fn message(built: Result<Image>) -> String {
    match built {
        Err(EngineError::Build { message }) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_step_sees_its_arguments_and_the_context() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let steps = "ARG GREETING\nCOPY hello /hello\nRUN echo \"$GREETING $(cat /hello)\"";
            let (built, said) = build(world, steps, None).await;
            built.unwrap();
            assert!(said.contains("\ngood morning world\n"), "{said}");
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_step_that_fails_is_told_in_its_own_words() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let (built, said) = build(world, "RUN echo going down; exit 3", None).await;
            assert_eq!(
                message(built),
                "The command '/bin/sh -c echo going down; exit 3' returned a non-zero code: 3"
            );
            assert!(said.contains("going down"), "{said}");
            let (built, _) = build(world, "NO SUCH INSTRUCTION", None).await;
            assert!(message(built).to_lowercase().contains("unknown instruction"));
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_step_is_held_to_its_memory() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            // Without a line feed `tail` keeps all of it.
            let (built, said) = build(world, "RUN head -c 200000000 /dev/zero | tail -n 1 > /dev/null", None).await;
            assert!(message(built).contains("returned a non-zero code"), "{said}");
        })
        .await;
}

#[tokio::test]
#[ignore = "needs docker"]
async fn a_cancelled_build_ends() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let (built, _) = build(world, "RUN echo under way; sleep 1000", Some("under way\n")).await;
            assert!(matches!(built, Err(EngineError::Cancelled { .. })), "{built:?}");
        })
        .await;
}

//! Servers that nobody reaches: for a look at what is in a backup, or on its way to another version.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use paas_core::ImageRef;
use paas_engine::ContainerId;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::{
    run,
    step::{ASK_AGAIN, ASK_LIMIT, Place, READY_LIMIT, server},
    stream,
};
use crate::{
    addon::{Plan, Service},
    platform::Platform,
};

/// Starts one on no network, with what its scripts have to know, and waits until it answers.
pub(super) async fn start(
    platform: &Platform,
    (service, plan): (&Service, &Plan),
    place: Place<'_>,
    image: ImageRef,
    file: String,
) -> Result<ContainerId> {
    let engine = &platform.engine;
    let container = engine.start(&server(service, plan, place, image)).await?.id;
    run::give_credentials(engine, &container, file).await?;
    let begun = Instant::now();
    while let Err(error) = run::script(engine, &container, &service.kind.ready, ASK_LIMIT).await {
        let seen = engine.inspect(&container).await?;
        if !seen.is_some_and(|container| container.is_running()) {
            bail!("the scratch server has ended");
        }
        if begun.elapsed() > READY_LIMIT {
            return Err(error).context("the scratch server does not answer");
        }
        sleep(ASK_AGAIN).await;
    }
    Ok(container)
}

/// Runs a program to its end and gives all that it wrote. For as long as it takes.
pub(super) async fn said(pipe: stream::Pipe<'_>) -> Result<String> {
    let (sink, mut pieces) = mpsc::channel::<Bytes>(16);
    let listen = async {
        let mut said = Vec::new();
        while let Some(piece) = pieces.recv().await {
            said.extend_from_slice(&piece);
        }
        said
    };
    let (ended, said) = tokio::join!(stream::out_of(pipe, sink), listen);
    ended.map(|()| String::from_utf8_lossy(&said).into_owned())
}

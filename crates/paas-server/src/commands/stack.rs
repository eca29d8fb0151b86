//! `paasd stack`: makes the images that apps are built and run on.

use std::{io::Write, sync::Arc};

use anyhow::{Context, Result};
use bytes::Bytes;
use paas_build::Stack;
use tokio::sync::mpsc;

use super::{serve, stop_on_signal};
use crate::config::Settings;

pub(super) async fn run(settings: Settings) -> Result<()> {
    let stop = stop_on_signal()?;
    serve::make_data_dir(&settings)?;
    let engine = serve::connect_engine(&settings).await?;
    serve::shut_doors().await?;
    let network = serve::make_build_network(&settings, &*engine).await?;
    let stack = serve::stack_settings(&settings, network.name);
    let (output, mut lines) = mpsc::channel::<Bytes>(64);
    let print = async {
        while let Some(bytes) = lines.recv().await {
            // Whoever closed standard error does not want to read it.
            let _ = std::io::stderr().write_all(&bytes);
        }
    };
    let engine = Arc::clone(&engine);
    let (made, ()) = tokio::join!(Stack::ensure(&*engine, &stack, output, stop), print);
    made.context("making the stack images")?;
    Ok(())
}

//! Sources that are somewhere else.

use std::{io, path::PathBuf};

use paas_build::BuildError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::DeployError;
use crate::{
    outbound::{Connector, Policy},
    platform::Platform,
    source::{self, Address},
};

/// Fetches a source and makes a tar of it that is fit to be built: whoever asks removes it.
pub(in crate::control) async fn fetch(
    platform: &Platform,
    address: &Address,
    checksum: Option<String>,
    cancel: &CancellationToken,
) -> Result<PathBuf, DeployError> {
    let settings = &platform.settings;
    let id = Uuid::new_v4();
    let path = |kind: &str| settings.sources().join(format!("{id}.{kind}"));
    let (archive, scratch, tar) = (path("partial"), path("scratch.partial"), path("tar"));
    tokio::fs::create_dir_all(settings.sources()).await?;
    let connector = Connector::new(Policy::of_sources(settings), &settings.extra_ca).map_err(io::Error::other)?;
    tokio::select! {
        fetched = source::fetch(&connector, address, &archive) => { fetched?; }
        () = cancel.cancelled() => {
            // What is there already is swept later.
            let _ = tokio::fs::remove_file(&archive).await;
            return Err(BuildError::Cancelled.into());
        }
    }
    let target = tar.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        let unpacked = source::unpack(&archive, checksum.as_deref(), &scratch, &target);
        let _ = std::fs::remove_file(&archive);
        unpacked
    });
    unpacked.await.map_err(io::Error::other)??;
    Ok(tar)
}

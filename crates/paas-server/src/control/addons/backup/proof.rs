//! The proof of a backup: it is restored into a scratch server of its own, on no network, and what is there is counted.

use std::{io, path::PathBuf, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use paas_core::{AddonBackup, BackupProof};
use paas_engine::{ContainerId, ContainerState, EngineError, Role};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    super::{
        run, scratch,
        step::{APPLY_LIMIT, NOBODY_WAITS, Place},
        stream, tell,
    },
    SERVER_ENDED,
    fetch::make_whole,
    vault,
    work::require_room,
};
use crate::{
    addon::{Credentials, Service, is_found_out},
    platform::Platform,
};

/// What its containers and volumes are called, before the id of the backup.
const NAME: &str = "paas-proof-";
const PURPOSE: &str = "proof";
/// Of what was counted, so much is kept.
const MOST_WORDS: usize = 200;
/// Longer than any takes: others wait for their turn.
const LIMIT: Duration = Duration::from_hours(6);
/// A dump is packed: what comes out of it, with its indexes, may take so many times its room.
const SWELLS: u64 = 4;

/// Proves a backup whose proof was [announced](super::Transfers::begin_proof).
pub(super) async fn prove(platform: &Arc<Platform>, row: &AddonRow, backup: &AddonBackup) {
    let failed = attempt(platform, row, backup).await.err();
    let failed = failed.map(|error| (platform.clock.now(), format!("{error:#}")));
    platform.transfers.end_proof(backup.id, failed);
}

/// Proves a backup, and says what came of it. What the platform could not do says nothing about the backup, and is an error.
async fn attempt(platform: &Arc<Platform>, row: &AddonRow, backup: &AddonBackup) -> Result<()> {
    let cancel = platform.stop.child_token();
    let turn = cancel.run_until_cancelled(platform.transfers.proving.lock()).await;
    let _turn = turn.context(SERVER_ENDED)?;
    let proven = {
        let mut work = pin!(proof(platform, row, backup, &cancel));
        match timeout(LIMIT, &mut work).await {
            Ok(proven) => proven,
            Err(_) => {
                cancel.cancel();
                let _ = work.await;
                Err(anyhow!("it took longer than {} hours", LIMIT.as_secs() / 3600))
            }
        }
    };
    let removed = remove(platform, backup).await;
    let name = backup.name();
    if let Err(error) = removed {
        tracing::warn!(
            backup = name,
            error = format!("{error:#}"),
            "a scratch server is left for the next start"
        );
    }
    let proof = match proven {
        Ok(proof) => proof,
        Err(error) => {
            tracing::warn!(
                addon.name = %row.addon.name,
                backup = name,
                error = format!("{error:#}"),
                "a backup could not be proven; trying again"
            );
            return Err(error);
        }
    };
    let message = if proof.is_good {
        format!("Backup {name} proven: {}", proof.words)
    } else {
        tracing::error!(addon.name = %row.addon.name, backup = name, error = proof.words, "a backup is no good");
        format!("Backup {name} is no good: {}", proof.words)
    };
    // Whoever sees what came of it may ask for the next one.
    platform.transfers.end_proof(backup.id, None);
    let recorded = async {
        let mut conn = platform.store.connection().await?;
        store::addon_backup::set_proof(&mut conn, backup.id, &proof).await
    };
    if let Err(error) = recorded.await {
        tracing::warn!(%error, "what came of a proof could not be recorded");
        return Err(error).context("what came of it could not be recorded");
    }
    tell::log(platform, &row.addon, &message).await;
    Ok(())
}

/// Removes what proofs of a server before this one have left. What cannot be removed stays until the next start: it is in
/// nobody's way.
pub(super) async fn sweep(platform: &Platform) -> Result<()> {
    for container in platform.engine.list().await? {
        if matches!(&container.role, Some(Role::Task { purpose }) if purpose == PURPOSE)
            && let Err(error) = platform.engine.remove(&container.id).await
        {
            tracing::warn!(container.name, %error, "a scratch server of a proof could not be removed");
        }
    }
    for volume in platform.engine.volumes().await? {
        if volume.name.starts_with(NAME)
            && let Err(error) = platform.engine.remove_volume(&volume.name).await
        {
            tracing::warn!(volume.name, %error, "the volume of a proof could not be removed");
        }
    }
    Ok(())
}

async fn proof(
    platform: &Arc<Platform>,
    row: &AddonRow,
    backup: &AddonBackup,
    cancel: &CancellationToken,
) -> Result<BackupProof> {
    let told = |is_good, words: String| BackupProof {
        at: platform.clock.now(),
        is_good,
        words,
    };
    if let Err(error) = make_whole(platform, backup, cancel).await {
        return if is_found_out(&error) {
            Ok(told(false, format!("{error:#}")))
        } else {
            Err(error)
        };
    }
    let service = platform.catalogue.service(&backup.service);
    let service = service.context("its service has no description any more")?;
    let restore = service.kind.restore.as_ref().context("its service cannot restore")?;
    require_room(volumes(platform).await?, backup.bytes.saturating_mul(SWELLS))?;
    let container = start(platform, row, service, backup).await?;
    let pipe = |script| stream::Pipe {
        engine: &platform.engine,
        container: &container,
        script,
        transfer: *backup.id.as_uuid(),
        cancel,
    };
    let reader = vault(platform).open(backup.id).await?;
    if let Err(error) = stream::into(pipe(restore), reader.into_stream()).await {
        let error = blamed(platform, &container, cancel, error).await?;
        return Ok(told(false, format!("it cannot be restored: {error:#}")));
    }
    let Some(prove) = &service.kind.prove else {
        return Ok(told(true, "restored".to_owned()));
    };
    Ok(match scratch::said(pipe(prove)).await {
        Ok(words) => told(true, words.trim().chars().take(MOST_WORDS).collect()),
        Err(error) => {
            let error = blamed(platform, &container, cancel, error).await?;
            told(false, format!("what is in it cannot be counted: {error:#}"))
        }
    })
}

/// Where volumes are.
async fn volumes(platform: &Platform) -> Result<PathBuf> {
    Ok(PathBuf::from(platform.engine.data_dir().await?))
}

/// What a backup is blamed for; an error is the platform's own: it stops, the engine does not answer, a disk is full or cannot be
/// read, or the scratch server was taken away.
async fn blamed(
    platform: &Platform,
    container: &ContainerId,
    cancel: &CancellationToken,
    error: anyhow::Error,
) -> Result<anyhow::Error> {
    let is_ours = |cause: &(dyn std::error::Error + 'static)| cause.is::<EngineError>() || cause.is::<io::Error>();
    if crate::control::is_temporary(&error) || cancel.is_cancelled() || error.chain().any(is_ours) {
        return Err(error);
    }
    let words = format!("{error:#}").to_lowercase();
    if ["no space left", "disk full"].iter().any(|word| words.contains(word)) {
        return Err(error);
    }
    if let Err(full) = require_room(volumes(platform).await?, 0) {
        return Err(full.context(format!("{error:#}")));
    }
    let seen = platform.engine.inspect(container).await?;
    match seen.map(|container| container.state) {
        Some(ContainerState::Running { .. }) => Ok(error),
        Some(ContainerState::Exited(exit)) if exit.out_of_memory => {
            Ok(error.context("it needs more memory than the plan has"))
        }
        _ => Err(error.context("the scratch server was lost")),
    }
}

/// A server of the same kind and size, on a volume of its own.
async fn start(platform: &Platform, row: &AddonRow, service: &Service, backup: &AddonBackup) -> Result<ContainerId> {
    let engine = &platform.engine;
    let plan = service
        .plan(&row.addon.plan)
        .context("there is no such plan any more")?;
    let image = row.image.clone().context("its server was never made")?;
    let role = Role::Task {
        purpose: PURPOSE.to_owned(),
    };
    let name = name(backup);
    let place = Place {
        name: name.clone(),
        role,
        volume: name,
        version: &row.version,
        cpu_weight: NOBODY_WAITS,
    };
    let file = Credentials::invent().to_file() + &service.settings_file(&Values::new());
    let container = scratch::start(platform, (service, plan), place, image, file).await?;
    if let Some(apply) = &service.kind.apply {
        run::script(engine, &container, apply, APPLY_LIMIT).await?;
    }
    Ok(container)
}

async fn remove(platform: &Platform, backup: &AddonBackup) -> Result<()> {
    let name = name(backup);
    for container in platform.engine.list().await? {
        let is_ours = matches!(&container.role, Some(Role::Task { purpose }) if purpose == PURPOSE);
        if is_ours && container.name == name {
            platform.engine.remove(&container.id).await?;
        }
    }
    Ok(platform.engine.remove_volume(&name).await?)
}

fn name(backup: &AddonBackup) -> String {
    format!("{NAME}{}", backup.id)
}

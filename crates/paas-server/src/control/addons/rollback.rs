//! What another add-on held at a moment, on the volume of a new one.
//!
//! A scratch container fills the volume and goes: no server of the add-on is started before the row says that all of it is there.
//! What breaks off is begun again. The script knows by the volume what has broken off: our row may be an older copy's, and the volume that
//! of a server which has run ever since.

use std::{io, sync::Arc};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures_util::{
    StreamExt, TryStreamExt,
    stream::{self as streams, BoxStream},
};
use paas_core::{Addon, ArchiveFile, Id, LineageName};
use paas_engine::{ContainerId, ContainerSpec, Role};
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
    addon_rollback::Rollback,
};

use super::{
    AddonsController,
    archive::{archive_of, archiving},
    room, run,
    step::{Place, SERVES, server, volume},
    stream, tell,
};
use crate::{failpoint, platform::Platform};

const PURPOSE: &str = "rollback";
const FULL: &str =
    "what was held then is more than the disk has room for: see what takes room with paas disk, or destroy this add-on";
/// Behind the last file.
const END: &[u8] = b"end 0\n";

/// What is to be read, in order, and under which names.
type Files = Vec<(String, ArchiveFile)>;

impl AddonsController {
    pub(super) async fn roll_back(&self, row: &AddonRow) -> Result<()> {
        let platform = &self.platform;
        let mut conn = platform.store.connection().await?;
        let unfilled = store::addon_rollback::unfilled(&mut conn).await?;
        drop(conn);
        let Some(rollback) = unfilled.into_iter().find(|rollback| rollback.addon == row.addon.id) else {
            return Ok(());
        };
        let (lineage, files) = road(platform, row, &rollback).await?;
        let is_new = has_room(platform, (row, &rollback), (&lineage, &files)).await?;
        clear(platform, row.addon.id).await?;
        let container = self.scratch(row, &rollback).await?;
        failpoint::hit("rollback.before");
        let pipe = stream::Pipe {
            engine: &platform.engine,
            container: &container,
            script: &archiving(platform, row)?.replay,
            transfer: *row.addon.id.as_uuid(),
            cancel: &platform.stop,
        };
        let source = feed(platform, rollback.source, lineage, files);
        tokio::select! {
            filled = stream::into(pipe, source) => filled,
            () = self.is_given_up(row.addon.id) => bail!("it is being destroyed, or another server is at it"),
            () = room::until_used_up(platform) => {
                clear(platform, row.addon.id).await?;
                // On another one a server may have run since, where the rows are older than the volume.
                if is_new {
                    platform.engine.remove_volume(&volume(row)).await?;
                }
                bail!(FULL);
            }
        }
        .with_context(|| format!("going back to what {} held", rollback.source_name))?;
        clear(platform, row.addon.id).await?;
        failpoint::hit("rollback.after");
        let mut conn = platform.store.connection().await?;
        store::addon_rollback::mark_filled(&mut conn, row.addon.id, platform.clock.now()).await?;
        drop(conn);
        let (name, moment) = (&rollback.source_name, rollback.moment.format("%Y-%m-%d %H:%M:%S UTC"));
        tell::log(platform, &row.addon, &format!("It holds what {name} held at {moment}")).await;
        Ok(())
    }

    /// A container of the same image, in which nothing runs, on the add-on's volume and on no network.
    async fn scratch(&self, row: &AddonRow, rollback: &Rollback) -> Result<ContainerId> {
        let service = self.service(row)?;
        let plan = service
            .plan(&row.addon.plan)
            .context("there is no such plan any more")?;
        let image = self.image(row, service).await?;
        let role = Role::Task {
            purpose: PURPOSE.to_owned(),
        };
        let place = Place {
            name: name(row.addon.id),
            role,
            volume: volume(row),
            version: &row.version,
            cpu_weight: SERVES,
        };
        let spec = ContainerSpec {
            command: ["sleep", "infinity"].map(str::to_owned).to_vec(),
            ..server(service, plan, place, image)
        };
        let container = self.platform.engine.start(&spec).await?.id;
        let moment = rollback.moment.format("%Y-%m-%d %H:%M:%S%.6f+00");
        let credentials = self.credentials(row).await?;
        let file = credentials.to_file() + &service.settings_file(&Values::new());
        let file = format!("{file}ROLLBACK_TO='{moment}'\n");
        run::give_credentials(&self.platform.engine, &container, file).await?;
        Ok(container)
    }
}

/// Removes the scratch container of an add-on, if there is one.
pub(super) async fn clear(platform: &Platform, id: Id<Addon>) -> Result<()> {
    for container in platform.engine.list().await? {
        let is_ours = matches!(&container.role, Some(Role::Task { purpose }) if purpose == PURPOSE);
        if is_ours && container.name == name(id) {
            platform.engine.remove(&container.id).await?;
        }
    }
    Ok(())
}

/// What leads to the moment.
async fn road(platform: &Platform, row: &AddonRow, rollback: &Rollback) -> Result<(LineageName, Files)> {
    let lineages = archive_of(platform, rollback.source).lineages().await?;
    let roads = lineages
        .iter()
        // No other server reads it.
        .filter(|(name, _)| name.is_of(&row.version))
        .filter_map(|(name, lineage)| Some((name, lineage.road_to(rollback.moment)?)));
    let newest = roads.max_by_key(|(_, road)| road.base.at);
    let (name, road) = newest.with_context(|| {
        format!(
            "what {} held then cannot be gone back to any more. Destroy this add-on, and choose another moment",
            rollback.source_name
        )
    })?;
    let mut files = vec![("base".to_owned(), ArchiveFile::Base(road.base))];
    let segments = road.segments.iter();
    files.extend(segments.map(|archived| (archived.segment.to_string(), ArchiveFile::Segment(*archived))));
    Ok((name.clone(), files))
}

/// Refuses when there is none for what was there and what leads to it. `false` when it has a volume already.
async fn has_room(
    platform: &Platform,
    (row, rollback): (&AddonRow, &Rollback),
    (lineage, files): (&LineageName, &Files),
) -> Result<bool> {
    let name = volume(row);
    if platform
        .engine
        .volumes()
        .await?
        .iter()
        .any(|volume| volume.name == name)
    {
        // It was asked for before that was begun.
        return Ok(false);
    }
    let mut conn = platform.store.connection().await?;
    let used = store::addon::disk_bytes(&mut conn, rollback.source).await?;
    drop(conn);
    let mut bytes = used.unwrap_or_default();
    let archive = archive_of(platform, rollback.source);
    for (_, file) in files {
        bytes += archive.open(lineage, *file).await?.bytes();
    }
    room::require(platform, bytes).await?;
    Ok(true)
}

/// The files one after the other, each after its name and its size, and then a word that this was all.
fn feed(
    platform: &Arc<Platform>,
    source: Id<Addon>,
    lineage: LineageName,
    files: Files,
) -> BoxStream<'static, io::Result<Bytes>> {
    let platform = Arc::clone(platform);
    let files = streams::iter(files).then(move |(name, file)| {
        let (platform, lineage) = (Arc::clone(&platform), lineage.clone());
        async move {
            if matches!(file, ArchiveFile::Segment(_)) {
                failpoint::hit("rollback.amid");
            }
            let reader = archive_of(&platform, source).open(&lineage, file).await;
            let reader = reader.map_err(|error| io::Error::other(format!("{error:#}")))?;
            let line = Bytes::from(format!("{name} {}\n", reader.bytes()));
            io::Result::Ok(streams::once(async move { Ok(line) }).chain(reader.into_stream()))
        }
    });
    let end = streams::once(async { Ok(Bytes::from_static(END)) });
    files.try_flatten().chain(end).boxed()
}

fn name(id: Id<Addon>) -> String {
    format!("paas-rollback-{id}")
}

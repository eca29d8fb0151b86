//! Segments out of the spool of a server, into the archive, and only then away.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream as streams};
use paas_core::{ArchiveFile, ArchivedSegment, LineageName};
use paas_engine::ContainerId;
use paas_store::addon::AddonRow;
use tokio::{sync::mpsc, time::timeout};
use uuid::Uuid;

use super::{
    super::{container_of, stream},
    archive_of,
    frames::{Frames, together},
    has_room, is_living,
};
use crate::{failpoint, platform::Platform};

/// However slow the disks are.
const LIMIT: Duration = Duration::from_mins(10);
/// Whatever is in the spool, so much of it comes at once, and goes before the rest of it comes.
pub(super) const MOST_BYTES: u64 = 256 * 1024 * 1024;
const PIECES: usize = 16;
/// Names what is there, the oldest first, with its length and its time, and hands it over. What is not whole yet has a name that
/// begins with a dot.
const HAND_OVER: &str = r#"
cd "$spool" 2>/dev/null || exit 0
sent=0
for file in *; do
    [ -f "$file" ] || continue
    told=$(stat -c '%s %.3Y' "$file")
    echo "$file $told"
    cat "$file"
    sent=$((sent + ${told% *}))
    [ "$sent" -lt "$most" ] || break
done
"#;
const LET_GO: &str = r#"
cd "$spool"
while read -r file; do rm -f "./$file"; done
"#;

/// One file of a spool, as its server names it.
struct Spooled {
    name: String,
    lineage: LineageName,
    segment: ArchivedSegment,
    bytes: u64,
}

/// What is whole in the archive by now, and may go.
#[derive(Default)]
struct Kept {
    names: Vec<String>,
    bytes: u64,
}

/// Takes what is there, or the first of it. How many bytes that were.
pub(super) async fn empty(platform: &Platform, row: &AddonRow) -> Result<u64> {
    let id = row.addon.id;
    let turn = platform.archives.turn(id);
    let _turn = turn.lock().await;
    if !is_living(platform, id).await? {
        return Ok(0);
    }
    let container = container_of(platform, id).await?;
    let container = container.context("its server does not run")?;
    let mut kept = Kept::default();
    let taken = timeout(LIMIT, take(platform, row, &container, &mut kept)).await;
    failpoint::hit("segment.after");
    // However the rest of it went: what is there need not come again.
    let gone = timeout(LIMIT, let_go(platform, row, &container, &kept.names)).await;
    let late = || anyhow!("its log was not handed over within {} minutes", LIMIT.as_secs() / 60);
    taken.map_err(|_| late())??;
    gone.map_err(|_| late())??;
    Ok(kept.bytes)
}

async fn let_go(platform: &Platform, row: &AddonRow, container: &ContainerId, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let names = Bytes::from(names.join("\n") + "\n");
    let script = script(platform, row, LET_GO)?;
    let source = streams::once(async move { Ok(names) }).boxed();
    stream::into(pipe(platform, container, &script), source).await
}

/// Copies what is there into the archive.
async fn take(platform: &Platform, row: &AddonRow, container: &ContainerId, kept: &mut Kept) -> Result<()> {
    let script = script(platform, row, HAND_OVER)?;
    let (sink, pieces) = mpsc::channel(PIECES);
    let keep = async {
        let mut frames = Frames::new(pieces);
        while let Some(line) = frames.line().await? {
            let spooled = Spooled::parse(&line).with_context(|| format!("{line:?} is in the spool"))?;
            keep(platform, row, &mut frames, &spooled).await?;
            kept.bytes += spooled.bytes;
            kept.names.push(spooled.name);
        }
        anyhow::Ok(())
    };
    let (handed_over, taken) = tokio::join!(stream::out_of(pipe(platform, container, &script), sink), keep);
    together(handed_over, taken)
}

async fn keep(platform: &Platform, row: &AddonRow, frames: &mut Frames, spooled: &Spooled) -> Result<()> {
    has_room(platform, spooled.bytes)?;
    let archive = archive_of(platform, row.addon.id);
    let file = ArchiveFile::Segment(spooled.segment);
    let mut writer = archive.put(&spooled.lineage, file).await?;
    while writer.bytes() < spooled.bytes {
        let piece = frames.piece(spooled.bytes - writer.bytes()).await?;
        writer.write(&piece).await?;
    }
    failpoint::hit("segment.before");
    writer.finish().await.map(drop)
}

impl Spooled {
    /// `15-7710828948686417953.000000010000000000000004 729 1795316400.125`
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (name, bytes, at) = (words.next()?, words.next()?, words.next()?);
        let (lineage, segment) = name.split_once('.')?;
        let (seconds, rest) = at.split_once('.')?;
        let milliseconds: i64 = rest.parse().ok().filter(|_| rest.len() == 3)?;
        let at: DateTime<Utc> =
            DateTime::from_timestamp_millis(seconds.parse::<i64>().ok()?.checked_mul(1000)? + milliseconds)?;
        Some(Self {
            name: name.to_owned(),
            lineage: lineage.parse().ok()?,
            segment: ArchivedSegment {
                segment: segment.parse().ok()?,
                at,
            },
            bytes: bytes.parse().ok()?,
        })
    }
}

fn script(platform: &Platform, row: &AddonRow, script: &str) -> Result<String> {
    let service = platform.catalogue.service(&row.addon.service);
    let service = service.context("there is no description of it any more")?;
    Ok(format!(
        "spool='{}/spool'; most={MOST_BYTES}\n{script}",
        service.kind.data
    ))
}

fn pipe<'a>(platform: &'a Platform, container: &'a ContainerId, script: &'a str) -> stream::Pipe<'a> {
    stream::Pipe {
        engine: &platform.engine,
        container,
        script,
        // What a dead server left of it reads, and ends.
        transfer: Uuid::nil(),
        cancel: &platform.stop,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_server_puts_there_is_taken() {
        let line = "15-77.000000010000000000000004 729 1795316400.125";
        let spooled = Spooled::parse(line).unwrap();
        assert_eq!((spooled.lineage.as_str(), spooled.bytes), ("15-77", 729));
        assert_eq!(spooled.segment.at.timestamp_millis(), 1_795_316_400_125);
        for odd in [
            "",
            "lost+found 4096 1795316400.125",
            "../x.000000010000000000000004 729 1795316400.125",
            "15-77.000000010000000000000004 -1 1795316400.125",
            "15-77.000000010000000000000004 729 soon",
        ] {
            assert!(Spooled::parse(odd).is_none(), "{odd}");
        }
    }
}

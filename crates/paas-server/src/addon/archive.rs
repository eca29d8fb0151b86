//! The archive of an add-on at rest: sealed files in a folder for each lineage.
//!
//! Names say all there is to say: no row has to agree with them, and a copy of the folder and of the key is a whole archive. A file
//! has its name once all of it is on the disk, and never before.

use std::{collections::BTreeMap, io, path::PathBuf};

use anyhow::{Context, Result};
use paas_core::{Addon, ArchiveFile, Id, Lineage, LineageName};
use paas_store::Sealer;
use tokio::fs;

use super::{VaultReader, VaultWriter, vault};

const NOUN: &str = "addon archive";
/// A base is called so until it has its end.
const DRAFT: &str = "base.draft";

pub(crate) struct Archive<'a> {
    pub(crate) sealer: &'a Sealer,
    /// Where all archives are.
    pub(crate) folder: PathBuf,
    pub(crate) addon: Id<Addon>,
}

impl Archive<'_> {
    /// What there is. Of a cluster that was replaced by another one, the log goes on no more.
    pub(crate) async fn lineages(&self) -> Result<BTreeMap<LineageName, Lineage>> {
        let mut lineages = BTreeMap::new();
        for name in names(&self.own()).await? {
            let Ok(name) = name.parse::<LineageName>() else {
                continue;
            };
            let files = names(&self.own().join(name.as_str())).await?;
            // What is not whole has no such name.
            let files = files.iter().filter_map(|name| name.parse::<ArchiveFile>().ok());
            lineages.insert(name, Lineage::new(files));
        }
        Ok(lineages)
    }

    pub(crate) async fn put(&self, lineage: &LineageName, file: ArchiveFile) -> Result<VaultWriter> {
        self.write(lineage, &file.to_string()).await
    }

    /// For a base, which gets its name from its end.
    pub(crate) async fn draft(&self, lineage: &LineageName) -> Result<VaultWriter> {
        self.write(lineage, DRAFT).await
    }

    pub(crate) async fn finish(&self, writer: VaultWriter, lineage: &LineageName, file: ArchiveFile) -> Result<u64> {
        writer.finish_as(self.path(lineage, &file.to_string())).await
    }

    pub(crate) async fn open(&self, lineage: &LineageName, file: ArchiveFile) -> Result<VaultReader> {
        let path = self.path(lineage, &file.to_string());
        VaultReader::open(self.sealer, (NOUN, self.addon.as_uuid()), &path).await
    }

    /// No error when it is gone already.
    pub(crate) async fn remove(&self, lineage: &LineageName, file: ArchiveFile) -> Result<()> {
        let path = self.path(lineage, &file.to_string());
        is_gone(fs::remove_file(&path).await).with_context(|| format!("removing {}", path.display()))
    }

    /// Of bases that broke off. Whoever calls this knows that none is being made.
    pub(crate) async fn remove_drafts(&self) -> Result<()> {
        for name in names(&self.own()).await? {
            let path = self.own().join(name).join(DRAFT).with_extension(vault::DRAFT);
            is_gone(fs::remove_file(&path).await).with_context(|| format!("removing {}", path.display()))?;
        }
        Ok(())
    }

    pub(crate) async fn remove_all(&self) -> Result<()> {
        let path = self.own();
        is_gone(fs::remove_dir_all(&path).await).with_context(|| format!("removing {}", path.display()))
    }

    async fn write(&self, lineage: &LineageName, name: &str) -> Result<VaultWriter> {
        let folder = self.own().join(lineage.as_str());
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).await;
        made.with_context(|| format!("making {}", folder.display()))?;
        VaultWriter::create(self.sealer, (NOUN, self.addon.as_uuid()), folder.join(name)).await
    }

    fn path(&self, lineage: &LineageName, name: &str) -> PathBuf {
        self.own().join(lineage.as_str()).join(name)
    }

    fn own(&self) -> PathBuf {
        self.folder.join(self.addon.to_string())
    }
}

/// Of what is in a folder, if there is one.
async fn names(folder: &PathBuf) -> Result<Vec<String>> {
    let reading = || format!("reading {}", folder.display());
    let mut entries = match fs::read_dir(folder).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(reading)?,
    };
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.with_context(reading)? {
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

fn is_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        // What is no folder holds no file.
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn of_a_base_that_broke_off_nothing_is_left_and_all_else_stays() {
        let directory = tempfile::tempdir().unwrap();
        let sealer = Sealer::ephemeral();
        let archive = Archive {
            sealer: &sealer,
            folder: directory.path().to_owned(),
            addon: Id::from_uuid(Uuid::from_u128(7)),
        };
        archive.remove_drafts().await.unwrap();
        let lineage: LineageName = "15-77".parse().unwrap();
        let segment: ArchiveFile = "000000010000000000000004.1795316400125".parse().unwrap();
        let mut writer = archive.put(&lineage, segment).await.unwrap();
        writer.write(b"a log").await.unwrap();
        writer.finish().await.unwrap();
        let mut draft = archive.draft(&lineage).await.unwrap();
        draft.write(b"half of it").await.unwrap();
        drop(draft);
        let files = async || names(&archive.own().join(lineage.as_str())).await.unwrap();
        assert_eq!(files().await.len(), 2);
        archive.remove_drafts().await.unwrap();
        assert_eq!(files().await, [segment.to_string()]);
        archive.remove_drafts().await.unwrap();
    }
}

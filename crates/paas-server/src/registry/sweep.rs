//! Removing what no tag leads to, and uploads that nobody goes on with.

use std::{
    collections::HashSet,
    io,
    path::Path,
    time::{Duration, SystemTime},
};

use tokio::fs;

use super::{
    manifest::Manifest,
    name::{Digest, process_type},
    store::{Store, names_in},
};

/// A push says last what its layers are for; the slowest is done by then.
const UNUSED: Duration = Duration::from_hours(1);
/// For as long as somebody may come back to an upload that broke off.
const UNFINISHED: Duration = Duration::from_hours(24);

/// Looks through the files of all apps. `now` is the time by which files are dated: the machine's.
pub(crate) async fn sweep(root: &Path, now: SystemTime) -> io::Result<()> {
    for app in names_in(root).await? {
        let store = Store::at(root.join(app));
        sweep_app(&store, now).await?;
    }
    Ok(())
}

async fn sweep_app(store: &Store, now: SystemTime) -> io::Result<()> {
    let (mut manifests, mut blobs) = (HashSet::new(), HashSet::new());
    for kind in names_in(&store.tags()).await? {
        let Ok(kind) = process_type(&kind) else { continue };
        for tag in store.tag_names(&kind).await? {
            // What is taken away meanwhile keeps nothing, and is no reason to stop.
            let Some(hex) = found(fs::read_to_string(store.tags().join(kind.as_str()).join(tag)).await)? else {
                continue;
            };
            if let Ok(digest) = format!("sha256:{hex}").parse() {
                follow(store, digest, &mut manifests, &mut blobs).await;
            }
        }
    }
    remove_old(&store.manifests(), &manifests, now, UNUSED).await?;
    remove_old(&store.blobs(), &blobs, now, UNUSED).await?;
    remove_old(&store.uploads(), &HashSet::new(), now, UNFINISHED).await
}

/// Everything that a manifest leads to: an index leads to images, and an index in an index to nothing.
async fn follow(store: &Store, root: Digest, manifests: &mut HashSet<String>, blobs: &mut HashSet<String>) {
    let mut next = vec![root];
    while let Some(digest) = next.pop() {
        if !manifests.insert(digest.hex().to_owned()) {
            continue;
        }
        match store.stored(digest).await.map(|stored| stored.manifest) {
            Ok(Manifest::Image(image)) => {
                let parts = image.layers.iter().chain([&image.config]);
                blobs.extend(parts.map(|part| part.digest.hex().to_owned()));
            }
            Ok(Manifest::Index { images, .. }) => next.extend(images.into_iter().map(|entry| entry.digest)),
            Err(error) => tracing::warn!(%error, "a manifest that a tag leads to cannot be read"),
        }
    }
}

async fn remove_old(directory: &Path, kept: &HashSet<String>, now: SystemTime, age: Duration) -> io::Result<()> {
    for name in names_in(directory).await? {
        let path = directory.join(&name);
        if kept.contains(&name) {
            continue;
        }
        let Some(metadata) = found(fs::metadata(&path).await)? else {
            continue;
        };
        if now
            .duration_since(metadata.modified()?)
            .is_ok_and(|passed| passed > age)
        {
            found(fs::remove_file(&path).await)?;
        }
    }
    Ok(())
}

fn found<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        looked => looked.map(Some),
    }
}

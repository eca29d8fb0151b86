//! What is stored, what is not, and what goes.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

use axum::body::Body;
use futures_util::{TryStreamExt as _, stream};
use paas_core::{Id, ProcessType};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::{
    archive,
    error::RegistryError,
    name::Digest,
    store::{Store, names_in},
    sweep,
    upload::{Room, Uploads},
};

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";

struct Shelf {
    root: TempDir,
    store: Store,
    uploads: Uploads,
}

/// How often there is room, before there is none.
struct Looks(AtomicU32);

impl Room for Looks {
    async fn check(&self) -> Result<(), RegistryError> {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map(drop).map_err(|_| RegistryError::DiskFull)
    }
}

fn plenty() -> Looks {
    Looks(AtomicU32::new(u32::MAX))
}

impl Shelf {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            store: Store::of(root.path(), Id::from_uuid(uuid::Uuid::from_u128(1))),
            uploads: Uploads::default(),
            root,
        }
    }

    async fn push(&self, pieces: &[&'static str], digest: &Digest) -> Result<(), RegistryError> {
        let id = Uploads::begin(&self.store).await?;
        let turn = self.uploads.turn(id)?;
        let mut bytes = 0;
        for piece in pieces {
            bytes = turn
                .append(&self.store, Some(bytes), Body::from(*piece), &plenty())
                .await?;
        }
        self.store.keep_upload(id, digest).await
    }

    async fn blob(&self, content: &'static str) -> Digest {
        let digest = digest(content.as_bytes());
        self.push(&[content], &digest).await.unwrap();
        digest
    }

    /// Pushes an image under a tag, and gives its manifest's digest.
    async fn image(&self, tag: &str, config: &'static str) -> Digest {
        let (config, layer) = (self.blob(config).await, self.blob("layer").await);
        let manifest = manifest(&config, 2, &layer);
        self.put(tag, &manifest).await.unwrap()
    }

    async fn put(&self, reference: &str, manifest: &str) -> Result<Digest, RegistryError> {
        let reference = reference.parse()?;
        self.store
            .put_manifest(&ProcessType::web(), &reference, manifest.as_bytes())
            .await
    }
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::of_hash(&Sha256::digest(bytes))
}

fn manifest(config: &Digest, config_bytes: u64, layer: &Digest) -> String {
    json!({
        "schemaVersion": 2,
        "mediaType": DOCKER,
        "config": { "digest": config.to_string(), "size": config_bytes },
        "layers": [{ "digest": layer.to_string(), "size": 5 }],
    })
    .to_string()
}

#[tokio::test]
async fn a_blob_may_come_in_pieces_and_must_be_what_its_digest_says() {
    let shelf = Shelf::new();
    let whole = digest(b"some bytes");
    shelf.push(&["some ", "bytes"], &whole).await.unwrap();
    assert_eq!(shelf.store.blob_bytes(&whole).await.unwrap(), 10);

    let other = digest(b"other bytes");
    let refused = shelf.push(&["some bytes"], &other).await;
    assert!(matches!(refused, Err(RegistryError::WrongDigest)), "{refused:?}");
    assert!(matches!(
        shelf.store.blob_bytes(&other).await,
        Err(RegistryError::NoBlob)
    ));
    assert_eq!(names_in(&shelf.store.uploads()).await.unwrap(), [""; 0]);

    let id = Uploads::begin(&shelf.store).await.unwrap();
    let turn = shelf.uploads.turn(id).unwrap();
    assert!(matches!(shelf.uploads.turn(id), Err(RegistryError::UploadBusy)));
    let gap = turn.append(&shelf.store, Some(3), Body::from("x"), &plenty()).await;
    assert!(matches!(gap, Err(RegistryError::WrongRange(0))), "{gap:?}");
}

#[tokio::test]
async fn an_upload_ends_when_it_has_filled_the_disk() {
    const PIECE: usize = 16 * 1024 * 1024;
    let shelf = Shelf::new();
    let id = Uploads::begin(&shelf.store).await.unwrap();
    let turn = shelf.uploads.turn(id).unwrap();
    let piece = bytes::Bytes::from(vec![0; PIECE]);
    let pieces = stream::iter((0..5).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
    // There is room at the start, and none after 64 MiB.
    let room = Looks(AtomicU32::new(1));
    let full = turn.append(&shelf.store, None, Body::from_stream(pieces), &room).await;
    assert!(matches!(full, Err(RegistryError::DiskFull)), "{full:?}");
    assert_eq!(names_in(&shelf.store.uploads()).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn a_configuration_of_any_size_is_not_taken() {
    let shelf = Shelf::new();
    let (config, layer) = (shelf.blob("{}").await, shelf.blob("layer").await);
    let refused = shelf.put("latest", &manifest(&config, 5 << 20, &layer)).await;
    assert!(matches!(refused, Err(RegistryError::TooLarge { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_manifest_is_taken_when_all_that_it_names_is_here() {
    let shelf = Shelf::new();
    let (config, layer) = (shelf.blob("{}").await, shelf.blob("layer").await);
    let missing = digest(b"nothing");
    let refused = shelf.put("latest", &manifest(&config, 2, &missing)).await;
    assert!(matches!(refused, Err(RegistryError::MissingBlob(_))), "{refused:?}");
    let wrong_size = shelf.put("latest", &manifest(&config, 3, &layer)).await;
    assert!(
        matches!(wrong_size, Err(RegistryError::BadManifest(_))),
        "{wrong_size:?}"
    );
    let other_name = shelf.put(&missing.to_string(), &manifest(&config, 2, &layer)).await;
    assert!(matches!(other_name, Err(RegistryError::WrongDigest)), "{other_name:?}");
    for text in [
        "",
        "{}",
        r#"{"schemaVersion":1}"#,
        r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#,
    ] {
        let refused = shelf.put("latest", text).await;
        assert!(
            matches!(refused, Err(RegistryError::BadManifest(_))),
            "{text}: {refused:?}"
        );
    }
    shelf.put("latest", &manifest(&config, 2, &layer)).await.unwrap();
    let found = shelf.store.pushed(&ProcessType::web(), &config).await.unwrap();
    assert_eq!(found.unwrap().config.digest, config);
    let of_worker = shelf.store.pushed(&"worker".parse().unwrap(), &config).await.unwrap();
    assert_eq!(of_worker, None);
}

#[tokio::test]
async fn of_an_index_the_image_of_this_machine_is_released() {
    let shelf = Shelf::new();
    let machine = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let (ours, theirs) = (shelf.image("ours", "{}").await, shelf.image("theirs", "[]").await);
    let entry = |digest: &Digest, architecture: &str| json!({ "digest": digest.to_string(), "size": 1, "platform": { "architecture": architecture, "os": "linux" } });
    let index = |entries: &[serde_json::Value]| {
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }).to_string()
    };
    let both = index(&[entry(&theirs, "riscv64"), entry(&ours, machine)]);
    shelf.put("latest", &both).await.unwrap();
    let config = digest(b"{}");
    assert!(
        shelf
            .store
            .pushed(&ProcessType::web(), &config)
            .await
            .unwrap()
            .is_some()
    );

    let stored = shelf.put("other", &index(&[entry(&theirs, "riscv64")])).await.unwrap();
    let stored = shelf.store.stored(stored).await.unwrap();
    let none = shelf.store.image_of(stored).await.unwrap_err().to_string();
    assert!(none.contains(&format!("no image for linux/{machine}")), "{none}");
}

#[tokio::test]
async fn what_an_index_names_is_as_young_as_the_index() {
    let shelf = Shelf::new();
    let child = shelf.image("child", "{}").await;
    shelf
        .store
        .forget(&ProcessType::web(), &"child".parse().unwrap())
        .await
        .unwrap();
    let old = SystemTime::now() - Duration::from_hours(2);
    for folder in [shelf.store.manifests(), shelf.store.blobs()] {
        for name in names_in(&folder).await.unwrap() {
            let file = std::fs::File::options().append(true).open(folder.join(name)).unwrap();
            file.set_modified(old).unwrap();
        }
    }
    let entry = json!({ "digest": child.to_string(), "size": 1 });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry] }).to_string();
    // By its digest: no tag leads to it yet.
    let name = digest(index.as_bytes()).to_string();
    shelf.put(&name, &index).await.unwrap();
    sweep(shelf.root.path(), SystemTime::now()).await.unwrap();
    assert!(shelf.store.stored(child).await.is_ok());
    assert_eq!(names_in(&shelf.store.blobs()).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_no_tag_leads_to_goes_after_an_hour() {
    let shelf = Shelf::new();
    let first = shelf.image("latest", "{}").await;
    let second = shelf.image("latest", "[]").await;
    let unfinished = Uploads::begin(&shelf.store).await.unwrap();
    let after = |hours: u64| SystemTime::now() + Duration::from_secs(hours * 3600 + 60);

    sweep(shelf.root.path(), SystemTime::now()).await.unwrap();
    assert!(
        shelf.store.stored(first.clone()).await.is_ok(),
        "a push may be under way"
    );
    sweep(shelf.root.path(), after(1)).await.unwrap();
    assert!(matches!(
        shelf.store.stored(first).await,
        Err(RegistryError::NoManifest)
    ));
    assert!(shelf.store.stored(second).await.is_ok());
    let mut kept = [digest(b"[]"), digest(b"layer")].map(|digest| digest.hex().to_owned());
    kept.sort();
    assert_eq!(names_in(&shelf.store.blobs()).await.unwrap(), kept);
    assert!(
        shelf
            .uploads
            .turn(unfinished)
            .unwrap()
            .bytes(&shelf.store)
            .await
            .is_ok()
    );
    sweep(shelf.root.path(), after(24)).await.unwrap();
    let gone = shelf.uploads.turn(unfinished).unwrap().bytes(&shelf.store).await;
    assert!(matches!(gone, Err(RegistryError::NoUpload)), "{gone:?}");
}

#[tokio::test]
async fn an_image_becomes_an_archive_that_names_its_tag() {
    let shelf = Shelf::new();
    shelf.image("latest", "{}").await;
    let config = digest(b"{}");
    let image = shelf.store.pushed(&ProcessType::web(), &config).await.unwrap().unwrap();
    let bytes: Vec<_> = archive(&shelf.store, &image, "paas/pushed:x")
        .try_collect()
        .await
        .unwrap();
    let bytes = bytes.concat();
    let mut archive = tar::Archive::new(&*bytes);
    let names = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string());
    let layer = digest(b"layer");
    assert_eq!(
        names.collect::<Vec<_>>(),
        [
            format!("{}.json", config.hex()),
            format!("{}.tar", layer.hex()),
            "manifest.json".to_owned()
        ]
    );
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(r#""RepoTags":["paas/pushed:x"]"#), "{text}");
}

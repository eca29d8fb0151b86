//! What goes from the disk, what stays, and what comes back.

use std::{collections::BTreeSet, fs};

use chrono::TimeDelta;
use futures_util::{StreamExt, stream};
use paas_core::{DynoSize, ImageRef, ReleaseStatus};
use paas_engine::{AdoptedImage, Engine, Limits};
use paas_store::{StoreError, app::AppRow, new_id, release, slug};

use super::{
    super::{
        boot::Verdict,
        disk::{account, prune, rehearse},
        image,
        turns::BuildUnderWay,
    },
    server::{Server, is_dyno},
};

const PROCFILE: &str = "web: ./serve";

impl Server {
    async fn deploys(&self, app: &AppRow, times: u32) {
        for _ in 0..times {
            let pushed = self.push(app, PROCFILE).await;
            assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
        }
    }

    /// The image of a release.
    async fn image_of(&self, app: &AppRow, version: u32) -> ImageRef {
        let mut connection = self.platform.store.connection().await.unwrap();
        let version = paas_core::ReleaseVersion::new(version).unwrap();
        let row = release::by_version(&mut connection, app.app.id, version).await.unwrap();
        let id = row.unwrap().release.slug.unwrap();
        slug::get(&mut connection, id).await.unwrap().unwrap().image
    }

    /// An image of the app that no row names.
    async fn unnamed_image(&self, app: &AppRow, tag: &str) -> ImageRef {
        let image = AdoptedImage {
            tag: ImageRef::new(tag),
            app: app.app.id,
            labels: std::collections::BTreeMap::new(),
            limits: Limits::from(DynoSize::default()),
        };
        let archive = stream::empty().boxed();
        let made = self
            .engine
            .adopt_archive(&image, &ImageRef::new("loaded"), archive)
            .await;
        made.unwrap().id
    }

    async fn has(&self, image: &ImageRef) -> bool {
        self.engine.image(image).await.unwrap().is_some()
    }

    async fn roll_back(&self, app: &AppRow, version: u32) -> Result<u32, StoreError> {
        let store = &self.platform.store;
        let mut connection = store.connection().await.unwrap();
        let version = paas_core::ReleaseVersion::new(version).unwrap();
        let made = release::rollback(&mut connection, &store.sealer, app.app.id, version, self.stamp()).await?;
        self.platform.wake.notify_one();
        Ok(made.release.version.number())
    }

    /// Waits until the last dyno of before is gone, which needs its image.
    async fn runs_alone(&self, app: &AppRow, version: u32) {
        self.settles(app, &[&format!("web.1 v{version} up")]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_ten_releases_keep_their_images_and_a_rehearsal_changes_nothing() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    // The first two releases have no code.
    server.deploys(&app, 12).await;
    server.runs_alone(&app, 14).await;
    let [oldest, kept] = [server.image_of(&app, 3).await, server.image_of(&app, 5).await];

    let told = rehearse(&server.platform).await.unwrap();
    let words: BTreeSet<_> = told.iter().map(|item| item.kind.as_str()).collect();
    assert_eq!(words, BTreeSet::from(["image", "release"]));
    assert!(server.has(&oldest).await && server.status(&app, 3).await == ReleaseStatus::Succeeded);

    let gone = prune(&server.platform, None).await.unwrap();
    assert_eq!(gone, told);
    assert!(!server.has(&oldest).await && server.has(&kept).await);
    let statuses = [
        server.status(&app, 3).await,
        server.status(&app, 4).await,
        server.status(&app, 5).await,
    ];
    let expired = ReleaseStatus::Expired;
    assert_eq!(statuses, [expired.clone(), expired, ReleaseStatus::Succeeded]);
    server
        .logs(&app, "app[api]: Release v3 has expired: 10 newer ones are kept")
        .await;
    let refused = server.roll_back(&app, 3).await;
    assert!(matches!(refused, Err(StoreError::ReleaseExpired { .. })), "{refused:?}");
    assert_eq!(
        prune(&server.platform, None).await.unwrap(),
        [],
        "there is nothing more to remove"
    );
    let back = server.roll_back(&app, 5).await.unwrap();
    server.runs_alone(&app, back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_build_may_be_about_to_name_stays_until_the_build_has_ended() {
    let server = Server::new().await;
    let (app, other) = (server.app("hello").await, server.app("other").await);
    let idle = server.unnamed_image(&other, "paas/app-other:old").await;
    // Whoever makes or names an image of an app has its turn.
    let turn = server.platform.turns.app(other.app.id);
    let held = turn.lock().await;
    prune(&server.platform, None).await.unwrap();
    assert!(server.has(&idle).await);
    drop(held);
    let image = server.unnamed_image(&app, "paas/app-hello:old").await;
    // Old or not: the same source makes the same image.
    server.platform.clock.advance(TimeDelta::days(1));
    let build = new_id(server.platform.clock.now());
    let under_way = BuildUnderWay::new(&server.platform, app.app.id, build);
    prune(&server.platform, None).await.unwrap();
    assert!(server.has(&image).await && !server.has(&idle).await);
    // It asks for room itself, before it has made anything.
    let second = new_id(server.platform.clock.now());
    let queued = BuildUnderWay::new(&server.platform, app.app.id, second);
    prune(&server.platform, Some(build)).await.unwrap();
    assert!(server.has(&image).await, "another one is under way");
    drop(queued);
    prune(&server.platform, Some(build)).await.unwrap();
    assert!(!server.has(&image).await);
    drop(under_way);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_or_measured_keeps_nothing_else_from_going() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let stuck = server.unnamed_image(&app, "paas/app-hello:a").await;
    let unused = server.unnamed_image(&app, "paas/app-hello:b").await;
    let folder = server.platform.settings.logs().join(uuid::Uuid::new_v4().to_string());
    fs::create_dir_all(&folder).unwrap();
    server.engine.refuse("paas/app-hello:a");
    server.engine.refuse("disk");
    let gone = prune(&server.platform, None).await.unwrap();
    assert_eq!(gone.len(), 2, "{gone:?}");
    assert!(server.has(&stuck).await && !server.has(&unused).await && !folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn images_are_copied_while_the_disk_has_room_and_one_that_fails_stops_no_other() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.deploys(&app, 2).await;
    let [first, second] = [server.image_of(&app, 3).await, server.image_of(&app, 4).await];
    let copies = &server.platform.copies;
    // Where the first copy would be, there is no place for one.
    let name = first.as_str().trim_start_matches("sha256:");
    let partial = server.platform.settings.images().join(format!("{name}.partial"));
    fs::create_dir_all(partial.join("x")).unwrap();
    let ended = image::keep_all(&server.platform, TimeDelta::zero()).await.unwrap();
    assert_eq!(ended, image::Kept::All);
    assert!(!copies.has(&first) && copies.has(&second), "{name}");

    let full = Server::with(&["--build-disk-limit", "0"]).await;
    let app = full.app("hello").await;
    full.release(&app, &[("web", "./serve")]).await;
    let ended = image::keep_all(&full.platform, TimeDelta::zero()).await.unwrap();
    assert_eq!(ended, image::Kept::UntilDiskFull);
    assert!(!full.platform.copies.has(&full.image_of(&app, 3).await));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_somebody_removed_comes_back_out_of_its_copy() {
    let (server, router) = Server::start().await;
    let app = server.app("hello").await;
    server.deploys(&app, 2).await;
    server.runs_alone(&app, 4).await;
    image::keep_all(&server.platform, TimeDelta::zero()).await.unwrap();
    let old = server.image_of(&app, 3).await;
    assert!(server.platform.copies.has(&old));
    server.engine.remove_image(&old).await.unwrap();

    let back = server.roll_back(&app, 3).await.unwrap();
    server.runs_alone(&app, back).await;
    assert!(server.has(&old).await);
    assert!(!server.containers(&app, is_dyno).await.is_empty() && !router.get(&app).await.is_empty());
    // What runs is not pruned, nor is its copy.
    prune(&server.platform, None).await.unwrap();
    assert!(server.has(&old).await && server.platform.copies.has(&old));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_whose_image_is_gone_for_good_expires() {
    let (server, _router) = Server::start().await;
    let app = server.app("hello").await;
    server.deploys(&app, 2).await;
    server.runs_alone(&app, 4).await;
    let old = server.image_of(&app, 3).await;
    server.engine.remove_image(&old).await.unwrap();
    image::keep_all(&server.platform, TimeDelta::zero()).await.unwrap();
    assert_eq!(server.status(&app, 3).await, ReleaseStatus::Expired);
    server.logs(&app, "Release v3 has expired: its image was removed").await;
    assert_eq!(server.status(&app, 4).await, ReleaseStatus::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_apps_that_are_gone_go_and_what_is_not_ours_stays() {
    let server = Server::new().await;
    let app = server.app("hello").await;
    let settings = &server.platform.settings;
    let stranger = uuid::Uuid::new_v4();
    let (logs, repositories) = (settings.logs(), settings.repositories());
    let gone = [
        repositories.join(format!("{stranger}.git")),
        logs.join(stranger.to_string()),
    ];
    let kept = [
        repositories.join(format!("{}.git", app.app.id)),
        logs.join(app.app.id.to_string()),
        logs.join("lost+found"),
    ];
    for folder in gone.iter().chain(&kept) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("file"), "x".repeat(1000)).unwrap();
    }
    let output = settings.outputs().join(format!("{stranger}.log"));
    fs::create_dir_all(settings.outputs()).unwrap();
    fs::write(&output, "old words").unwrap();
    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(1);
    fs::File::options()
        .write(true)
        .open(&output)
        .unwrap()
        .set_modified(hour_ago)
        .unwrap();
    // That of a build whose row is about to be there.
    let begun = settings.outputs().join(format!("{}.log", uuid::Uuid::new_v4()));
    fs::write(&begun, "first words").unwrap();

    let account = account::account(&server.platform).await.unwrap();
    let named = |name| account.accounts.iter().find(|account| account.name == name).unwrap();
    assert_eq!((named("logs").bytes, named("logs").prunable_bytes), (3000, 1000));
    assert_eq!(named("repositories").prunable_bytes, 1000);
    let (_, name, bytes) = &account.apps[0];
    assert_eq!((name.as_str(), bytes.repository, bytes.logs), ("hello", 1000, 1000));
    assert!(!account.file_systems.is_empty());

    let pruned = prune(&server.platform, None).await.unwrap();
    assert_eq!(pruned.iter().map(|item| item.bytes).sum::<u64>(), 2009);
    assert!(gone.iter().all(|folder| !folder.exists()) && !output.exists() && begun.exists());
    assert!(kept.iter().all(|folder| folder.join("file").exists()));
}

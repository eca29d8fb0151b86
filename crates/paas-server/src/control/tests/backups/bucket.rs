//! A bucket that is down: the backup is good all the same, and somebody is told when that lasts.

use std::sync::Arc;

use paas_store::{
    addon_alarm::{self, Subject},
    addon_backup_object,
};

use super::*;
use crate::control::{BucketController, throw_backup_away};

const DOWN: [&str; 4] = [
    "--backup-bucket",
    "paas-backups",
    "--backup-bucket-endpoint",
    "http://127.0.0.1:1",
];

impl Server {
    async fn bucket_alarm(&self, row: &AddonRow) -> Option<String> {
        let mut connection = self.platform.store.connection().await.unwrap();
        addon_alarm::of_addon(&mut connection, row.addon.id).await.unwrap()
    }

    async fn objects(&self) -> Vec<paas_core::BackupObject> {
        let mut connection = self.platform.store.connection().await.unwrap();
        let bucket = self.platform.bucket.as_ref().unwrap().place();
        let server = self.platform.server;
        addon_backup_object::of_bucket(&mut connection, bucket, server)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_bucket_that_is_down_is_told_after_an_hour_and_holds_nothing_up() {
    let server = Server::with(&DOWN).await;
    server.run().await;
    let row = server.database().await;
    let backup = server.captured(&row).await;
    assert_eq!(backup.state, BackupState::Succeeded);
    let controller = BucketController::new(Arc::clone(&server.platform));
    for minutes in [0, 59] {
        server.platform.clock.advance(TimeDelta::minutes(minutes));
        assert!(!controller.pass().await.unwrap(), "it is there");
        assert_eq!(server.bucket_alarm(&row).await, None);
    }
    let objects = server.objects().await;
    assert_eq!((objects.len(), objects[0].failures), (1, 2));
    server.platform.clock.advance(TimeDelta::minutes(1));
    controller.pass().await.unwrap();
    let alarm = server.bucket_alarm(&row).await.unwrap();
    assert!(alarm.contains("no connection to http://127.0.0.1:1"), "{alarm}");

    // The disk has it.
    restore_backup(&server.platform, &row, backup.clone(), server.account.id)
        .await
        .unwrap();
    let restored = server.settled(&row).await;
    assert!(
        restored.iter().all(|one| one.state == BackupState::Succeeded),
        "{restored:?}"
    );
    for backup in restored {
        throw_backup_away(&server.platform, &backup, None).await.unwrap();
    }
    controller.pass().await.unwrap();
    assert_eq!(server.bucket_alarm(&row).await, None);
    // What may be in the bucket is remembered until it is not.
    assert!(server.objects().await.iter().any(|object| !object.is_wanted));
}

#[tokio::test]
async fn where_no_bucket_is_set_nothing_is_to_go_there() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    server.captured(&row).await;
    // There was one, and it was down.
    let mut connection = server.platform.store.connection().await.unwrap();
    let alarm = (Subject::Bucket, Some("down"));
    let now = server.platform.clock.now();
    addon_alarm::set(&mut connection, &row, alarm, now).await.unwrap();
    drop(connection);
    let controller = BucketController::new(Arc::clone(&server.platform));
    assert!(!controller.pass().await.unwrap());
    assert_eq!(server.bucket_alarm(&row).await, None);
}

#[tokio::test]
async fn a_backup_whose_copy_is_in_another_bucket_is_not_given_up() {
    let server = Server::new().await;
    server.run().await;
    let row = server.database().await;
    let backup = server.captured(&row).await;
    // The disk is not there, and the platform was started without its bucket.
    let place = ("https://s3.example.com/backups", server.platform.server);
    let now = server.platform.clock.now();
    let mut connection = server.platform.store.connection().await.unwrap();
    addon_backup_object::want(&mut connection, &backup, place, "key", now)
        .await
        .unwrap();
    addon_backup_object::mark_stored(&mut connection, place, backup.id, now)
        .await
        .unwrap();
    drop(connection);
    std::fs::remove_file(server.file(&backup)).unwrap();
    let words = server.gives_up_proof(&row, &backup).await;
    assert!(
        words.contains("It is in the bucket https://s3.example.com/backups"),
        "{words}"
    );
    assert_eq!(server.backups(&row).await.pop().unwrap().proof, None);
}

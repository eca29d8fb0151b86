//! Storing, reading, following, removing.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    time::Duration,
};

use futures_util::StreamExt;
use tokio_util::task::TaskTracker;

use super::*;

/// The files of the app's log, oldest first.
fn segments(directory: &TempDir) -> Vec<std::path::PathBuf> {
    let mut paths: Vec<_> = fs::read_dir(directory.path().join(APP.to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn lines_outlive_the_store_and_go_on_counting() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).append(APP, &[line("web.1", "one"), line("web.1", "two")]);
    let logs = open(directory.path());
    logs.append(APP, &[line("api", "three\nfour")]);
    assert_eq!(messages(&logs).await, ["one", "two", "three", "four"]);
    let other = Id::from_uuid(Uuid::from_u128(2));
    assert_eq!(logs.tail(other, 10, &Filter::default()).await.unwrap(), Tail::default());
}

#[tokio::test]
async fn a_tail_is_the_last_lines_that_the_filter_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let logs = open(directory.path());
    for number in 0..100 {
        let process = format!("web.{}", number % 2 + 1);
        logs.append(APP, &[line(&process, &number.to_string())]);
    }
    let filter = Filter {
        dyno: Some("web.1".to_owned()),
        ..Filter::default()
    };
    let tail = logs.tail(APP, 3, &filter).await.unwrap();
    let messages: Vec<_> = tail.lines.iter().map(|stored| stored.line.message.as_str()).collect();
    assert_eq!(messages, ["94", "96", "98"]);
    assert_eq!(tail.end, 100);
    let none = logs.tail(APP, 0, &filter).await.unwrap();
    assert_eq!((none.lines.len(), none.end), (0, 100));
}

#[tokio::test]
async fn a_torn_line_is_cut_off_and_the_next_one_takes_its_place() {
    for torn in [
        &b"4 2027-01-15T08:00:00.000000+00:00 app web.1 - half a li"[..],
        b"4 2027-01",
        b"\0\0\0\0\0\0\n",
        b"\xff\xfe\n",
        b"9 2027-01-15T08:00:00.000000+00:00 app web.1 - the ninth after the third\n",
    ] {
        let directory = tempfile::tempdir().unwrap();
        open(directory.path()).append(
            APP,
            &[line("web.1", "one"), line("web.1", "two"), line("web.1", "three")],
        );
        let path = segments(&directory).pop().unwrap();
        OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(torn)
            .unwrap();

        let logs = open(directory.path());
        assert_eq!(messages(&logs).await, ["one", "two", "three"], "{torn:?}");
        logs.append(APP, &[line("web.1", "four")]);
        assert_eq!(messages(&logs).await, ["one", "two", "three", "four"]);
        assert_eq!(messages(&open(directory.path())).await.len(), 4);
    }
}

#[tokio::test]
async fn a_log_that_is_too_large_loses_its_oldest_lines() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        bytes_per_app: 64 * 1024,
        ..Limits::default()
    };
    let logs = LogStore::open(directory.path().to_owned(), limits).unwrap();
    for number in 0..3000 {
        logs.append(APP, &[line("web.1", &format!("{number:050}"))]);
    }
    let bytes: u64 = segments(&directory)
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    assert!(bytes <= limits.bytes_per_app, "{bytes}");
    assert!(bytes > limits.bytes_per_app / 2, "{bytes}");
    let kept = messages(&logs).await;
    assert!(kept.len() > 200, "{}", kept.len());
    assert_eq!(kept.last().unwrap(), &format!("{:050}", 2999));
    // The beginning is gone, and a follower of the beginning gets what there is.
    let first = logs.follow(APP, 0, Filter::default()).boxed().next().await.unwrap();
    assert_eq!(first.line.message, kept[0]);
    assert_eq!(messages(&open(directory.path())).await, kept);
}

#[tokio::test]
async fn lines_that_are_too_old_are_removed() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits {
        age: TimeDelta::days(8),
        ..Limits::default()
    };
    let logs = LogStore::open(directory.path().to_owned(), limits).unwrap();
    for day in 0..8 {
        let mut line = line("web.1", &day.to_string());
        line.at = at(day * 25 * 3600);
        logs.append(APP, &[line]);
    }
    assert_eq!(messages(&logs).await.len(), 8);
    logs.prune(at(10 * 24 * 3600)).unwrap();
    assert_eq!(messages(&logs).await, ["1", "2", "3", "4", "5", "6", "7"]);
    logs.prune(at(365 * 24 * 3600)).unwrap();
    let tail = logs.tail(APP, 10, &Filter::default()).await.unwrap();
    assert!(tail.lines.is_empty());
    // Ids are never given twice, whatever was removed.
    assert_eq!(tail.end, 8);
    let logs = open(directory.path());
    logs.append(APP, &[line("web.1", "next")]);
    assert_eq!(logs.tail(APP, 1, &Filter::default()).await.unwrap().lines[0].id, 9);
}

#[tokio::test]
async fn nothing_falls_between_a_tail_and_what_follows_it() {
    let directory = tempfile::tempdir().unwrap();
    let logs = open(directory.path());
    let tracker = TaskTracker::new();
    let writer = Arc::clone(&logs);
    tracker.spawn_blocking(move || {
        for number in 1..=5000_u32 {
            writer.append(APP, &[line("web.1", &number.to_string())]);
        }
    });
    let mut followers = Vec::new();
    for _ in 0..8 {
        let logs = Arc::clone(&logs);
        followers.push(tracker.spawn(async move {
            let tail = logs.tail(APP, usize::MAX, &Filter::default()).await.unwrap();
            let seen: Vec<_> = tail.lines.iter().map(|stored| stored.id).collect();
            let rest = logs.follow(APP, tail.end, Filter::default()).map(|stored| stored.id);
            let rest: Vec<_> = rest.take(5000 - seen.len()).collect().await;
            [seen, rest].concat()
        }));
        tokio::task::yield_now().await;
    }
    for follower in followers {
        let seen = tokio::time::timeout(Duration::from_secs(30), follower)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(seen, (1..=5000).collect::<Vec<u64>>());
    }
}

#[tokio::test]
async fn a_follower_sees_only_what_its_filter_accepts_and_ends_with_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let logs = open(directory.path());
    let filter = Filter {
        dyno: Some("worker".to_owned()),
        ..Filter::default()
    };
    let mut follower = logs.follow(APP, 0, filter).boxed();
    logs.append(APP, &[line("web.1", "no"), line("worker.1", "yes")]);
    let stored = follower.next().await.unwrap();
    assert_eq!((stored.id, stored.line.message.as_str()), (2, "yes"));
    logs.remove(APP).await.unwrap();
    assert_eq!(follower.next().await, None);
    // A dyno that is still dying does not bring the log back.
    logs.append(APP, &[line("worker.1", "late")]);
    assert!(!directory.path().join(APP.to_string()).exists());
    assert_eq!(logs.tail(APP, 10, &Filter::default()).await.unwrap(), Tail::default());
}

#[tokio::test]
async fn many_apps_hold_few_files_open() {
    let directory = tempfile::tempdir().unwrap();
    let logs = open(directory.path());
    let apps: Vec<Id<App>> = (0..300).map(|number| Id::from_uuid(Uuid::from_u128(number))).collect();
    for round in 0..2 {
        for app in &apps {
            logs.append(*app, &[line("web.1", &round.to_string())]);
        }
    }
    let open_logs = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
        .filter(|path| path.starts_with(directory.path()))
        .count();
    assert!(open_logs <= 64, "{open_logs}");
    for app in [apps[0], apps[299]] {
        assert_eq!(logs.tail(app, 10, &Filter::default()).await.unwrap().lines.len(), 2);
    }
}

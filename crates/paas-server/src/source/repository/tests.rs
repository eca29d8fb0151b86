//! Against git's own server program.

use std::collections::BTreeMap;

use super::*;
use crate::testing::git_server::{GitServer, run_git};

async fn resolved(server: &GitServer, path: &str, reference: Option<&str>) -> Result<RemoteCommit, RepositoryError> {
    let scratch = server.folder.path().join(format!("refs-{}", uuid::Uuid::new_v4()));
    let resolved = resolve(&server.url(path), reference, true, &scratch).await;
    assert!(!scratch.exists());
    resolved
}

/// The files of the commit.
async fn fetched(commit: &RemoteCommit) -> Result<BTreeMap<String, String>, RepositoryError> {
    let work = tempfile::tempdir().unwrap();
    let tar = work.path().join("made.tar");
    fetch_commit(commit, true, work.path(), &tar).await?;
    let left = std::fs::read_dir(work.path()).unwrap().count();
    assert_eq!(left, 1, "the repository stays behind");
    let mut archive = tar::Archive::new(File::open(tar).unwrap());
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = String::new();
        io::Read::read_to_string(&mut entry, &mut content).unwrap();
        files.insert(entry.path().unwrap().display().to_string(), content);
    }
    Ok(files)
}

#[tokio::test]
async fn a_branch_a_tag_and_a_commit_are_found_and_fetched() {
    let served = GitServer::start().await;
    for (reference, commit, content) in [
        (None, &served.second, "two"),
        (Some("main"), &served.second, "two"),
        (Some("old"), &served.first, "one"),
        // The commit behind the tag, and not the tag.
        (Some("v1"), &served.first, "one"),
        (Some("refs/heads/old"), &served.first, "one"),
    ] {
        let found = resolved(&served, "pack/.git", reference).await.unwrap();
        assert_eq!(&found.id, commit, "{reference:?}");
        let files = fetched(&found).await.unwrap();
        assert_eq!(files["bin/detect"], content, "{reference:?}");
        assert!(files.keys().all(|path| path.starts_with("bin")), "{files:?}");
    }
}

#[tokio::test]
async fn a_commit_that_no_branch_ends_at_is_fetched_too() {
    let served = GitServer::start().await;
    run_git(&served.folder.path().join("pack"), &["branch", "-D", "old"]);
    run_git(&served.folder.path().join("pack"), &["tag", "-d", "v1"]);
    let found = resolved(&served, "pack/.git", Some(&served.first.clone()))
        .await
        .unwrap();
    assert_eq!(fetched(&found).await.unwrap()["bin/detect"], "one");

    let unknown = "0123456789abcdef0123456789abcdef01234567";
    let found = resolved(&served, "pack/.git", Some(unknown)).await.unwrap();
    let refused = fetched(&found).await.unwrap_err();
    assert!(refused.to_string().contains(unknown), "{refused}");
}

#[tokio::test]
async fn a_repository_that_has_moved_is_fetched_from_where_it_is() {
    let served = GitServer::start().await;
    let found = resolved(&served, "moved/pack/.git", None).await.unwrap();
    assert_eq!(found.place.to_string(), served.url("pack/.git"));
    assert_eq!(fetched(&found).await.unwrap()["bin/detect"], "two");

    // git itself follows nobody: where it is sent was not looked at.
    let place = Address::parse(&served.url("moved/pack/.git"), true).unwrap();
    let refused = fetched(&RemoteCommit { place, ..found }).await.unwrap_err();
    assert!(matches!(refused, RepositoryError::Git { .. }), "{refused}");
}

#[tokio::test]
async fn what_is_no_repository_or_has_no_such_branch_is_told() {
    let served = GitServer::start().await;
    let refused = resolved(&served, "pack/.git", Some("nowhere")).await.unwrap_err();
    assert!(
        refused.to_string().contains("no branch or tag \"nowhere\""),
        "{refused}"
    );
    let refused = resolved(&served, "pack/.git", Some("0123abc")).await.unwrap_err();
    assert!(refused.to_string().contains("all of its 40 digits"), "{refused}");
    let refused = resolved(&served, "nothing/.git", None).await.unwrap_err();
    assert!(
        matches!(refused, RepositoryError::Fetch(FetchError::Refused { .. })),
        "{refused}"
    );
}

#[tokio::test]
async fn an_inside_repository_is_not_asked() {
    let served = GitServer::start().await;
    let scratch = served.folder.path().join("refs");
    for (url, private) in [
        (format!("https://127.0.0.1:{}/pack/.git", served.port), true),
        (served.url("pack/.git"), false),
        ("file:///etc".to_owned(), false),
    ] {
        let refused = resolve(&url, None, false, &scratch).await.unwrap_err();
        let RepositoryError::Fetch(error) = refused else {
            panic!("{url}: {refused}");
        };
        assert_eq!(matches!(error, FetchError::Private { .. }), private, "{url}: {error}");
    }
    // Nor is it fetched when the name leads inside only now.
    let found = resolved(&served, "pack/.git", None).await.unwrap();
    let work = tempfile::tempdir().unwrap();
    let refused = fetch_commit(&found, false, work.path(), &work.path().join("x.tar")).await;
    assert!(matches!(
        refused.unwrap_err(),
        RepositoryError::Fetch(FetchError::Private { .. })
    ));
}

#[test]
fn what_a_server_announces_is_not_believed_blindly() {
    for bytes in [&b""[..], b"<html>", b"zzzz", b"fffe# service", b"0004", b"0000"] {
        assert_eq!(parse_refs(bytes), None, "{bytes:?}");
    }
}

#[test]
fn only_a_git_that_goes_where_it_is_told_is_new() {
    for new in [
        "git version 2.37.0",
        "git version 2.47.3\n",
        "git version 3.0",
        "git version 2.39.5 (Apple Git-154)",
    ] {
        assert!(is_new_git(new), "{new}");
    }
    for old in ["", "git version 2.34.1", "git version 1.99", "git: not found"] {
        assert!(!is_new_git(old), "{old}");
    }
}

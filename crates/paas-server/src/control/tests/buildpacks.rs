//! What a build is made with, and what it has to wait for.

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use paas_engine::Behaviour;
use paas_store::{
    app::{self, AppRow},
    build::{self, BuildRow},
};

use super::{
    super::{boot::Verdict, cancel},
    server::{Pushed, Server, is_build},
};
use crate::testing::git_server::GitServer;

/// The buildpacks that the builds of a server were told of.
fn told(server: &Server) -> Vec<String> {
    let heard = server.engine.heard(is_build);
    let line = |heard: Bytes| String::from_utf8_lossy(heard.split(|byte| *byte == b'\n').next().unwrap()).into_owned();
    let words = |line: String| line.split(' ').skip(2).collect::<Vec<_>>().join(" ");
    heard.into_iter().map(line).map(words).collect()
}

async fn choose(server: &Server, app: &AppRow, buildpacks: &[String]) {
    let mut connection = server.platform.store.connection().await.unwrap();
    app::set_buildpacks(&mut connection, app.app.id, buildpacks, server.stamp())
        .await
        .unwrap();
}

async fn newest(server: &Server, app: &AppRow) -> BuildRow {
    let mut connection = server.platform.store.connection().await.unwrap();
    build::latest(&mut connection, app.app.id).await.unwrap().unwrap()
}

async fn push_files(server: &Server, app: &AppRow, files: &[(&str, &str)]) -> Pushed {
    let deploy = server.submit_files(app, files).await;
    server.end_of(deploy).await
}

/// Nothing that runs: no router is needed.
const FILES: &[(&str, &str)] = &[("Procfile", "worker: ./work\n")];

#[tokio::test(flavor = "multi_thread")]
async fn buildpacks_are_fetched_for_a_build_once_and_what_was_used_is_recorded() {
    let git = GitServer::start().await;
    let archive = std::fs::File::create(git.folder.path().join("other.tgz")).unwrap();
    let mut tar = tar::Builder::new(GzEncoder::new(archive, Compression::fast()));
    tar.append_dir_all("bin", git.folder.path().join("pack/bin")).unwrap();
    tar.into_inner().unwrap().finish().unwrap();

    let server = Server::with(&["--allow-private-sources"]).await;
    server.run().await;
    let app = server.app("hello").await;
    let (repository, archive) = (git.url("pack/.git#main"), git.url("other.tgz"));
    choose(
        &server,
        &app,
        &[repository.clone(), "heroku/python".to_owned(), archive.clone()],
    )
    .await;
    let first = push_files(&server, &app, FILES).await;
    assert_eq!(first.verdict, Verdict::Accepted, "{}", first.output);
    let pinned = git.url(&format!("pack/.git#{}", git.second));
    for words in [
        format!(
            "-----> Fetching the buildpack {repository}\n       Commit {}; to keep to it, use {pinned}\n",
            &git.second[..12]
        ),
        format!("-----> Fetching the buildpack {archive}\n       SHA-256 "),
    ] {
        assert!(first.output.contains(&words), "{}", first.output);
    }
    let commands = told(&server);
    let words: Vec<_> = commands[0].split_whitespace().collect();
    assert!(
        words.len() == 3 && words[0].starts_with('@') && words[1] == "python" && words[2].starts_with('@'),
        "{words:?}"
    );
    let made = newest(&server, &app).await;
    assert_eq!(
        made.buildpacks,
        [repository.as_str(), "heroku/python", archive.as_str()]
    );
    assert_eq!(made.buildpack_versions[..2], [git.second.clone(), String::new()]);
    assert_eq!(made.buildpack_versions[2].len(), 64);

    // The second time the repository is asked for its branch alone, and a pinned commit for nothing.
    git.asked.lock().unwrap().clear();
    push_files(&server, &app, FILES).await;
    let asked = git.asked.lock().unwrap().split_off(0);
    assert_eq!(
        asked,
        ["GET /pack/.git/info/refs?service=git-upload-pack", "GET /other.tgz"]
    );
    choose(&server, &app, std::slice::from_ref(&pinned)).await;
    let third = push_files(&server, &app, FILES).await;
    assert_eq!(third.verdict, Verdict::Accepted, "{}", third.output);
    assert_eq!(*git.asked.lock().unwrap(), [""; 0]);
    assert_eq!(
        newest(&server, &app).await.buildpack_versions,
        std::slice::from_ref(&git.second)
    );
    let left: Vec<_> = std::fs::read_dir(server.platform.settings.sources()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sources_own_list_counts_when_nobody_has_chosen() {
    let server = Server::with(&[]).await;
    server.run().await;
    let app = server.app("hello").await;
    let files = [
        FILES[0],
        (
            ".buildpacks",
            "heroku/nodejs\nhttps://github.com/heroku/heroku-buildpack-python\n",
        ),
    ];
    let pushed = push_files(&server, &app, &files).await;
    assert!(
        pushed.output.contains("-----> Using the buildpacks in .buildpacks\n"),
        "{}",
        pushed.output
    );
    choose(&server, &app, &["heroku/static".to_owned()]).await;
    push_files(&server, &app, &files).await;
    assert_eq!(told(&server), ["nodejs python", "static"]);
    assert_eq!(newest(&server, &app).await.buildpacks, ["heroku/static"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_buildpack_that_cannot_be_had_ends_the_build_in_words() {
    let git = GitServer::start().await;
    let server = Server::with(&[]).await;
    server.run().await;
    let app = server.app("hello").await;
    for (name, words) in [
        (
            format!("https://127.0.0.1/pack#{}", git.first),
            "127.0.0.1 is inside of a private network",
        ),
        (git.url("pack/.git"), "must be a whole https URL"),
    ] {
        choose(&server, &app, std::slice::from_ref(&name)).await;
        let pushed = push_files(&server, &app, FILES).await;
        assert_eq!(pushed.verdict, Verdict::Rejected);
        let headline = format!(" !     The buildpack {name} could not be fetched: ");
        assert!(
            pushed.output.contains(&headline) && pushed.output.contains(words),
            "{}",
            pushed.output
        );
    }
    let pushed = push_files(&server, &app, &[FILES[0], (".buildpacks", "heroku/cobol\n")]).await;
    assert_eq!(pushed.verdict, Verdict::Rejected);
    assert!(git.asked.lock().unwrap().is_empty() && told(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_build_starts_on_a_disk_that_is_nearly_full() {
    let server = Server::with(&["--build-disk-limit", "0"]).await;
    server.run().await;
    let app = server.app("hello").await;
    let pushed = push_files(&server, &app, FILES).await;
    assert_eq!(pushed.verdict, Verdict::Rejected);
    assert!(
        pushed.output.contains(" % full: this build was not started."),
        "{}",
        pushed.output
    );
    assert!(pushed.output.contains("paas builds:cache:purge"), "{}", pushed.output);
    assert!(told(&server).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_names_too_many_buildpacks_has_none_of_them_fetched() {
    let git = GitServer::start().await;
    let server = Server::with(&["--allow-private-sources"]).await;
    server.run().await;
    let app = server.app("hello").await;
    let named = |count: usize| {
        let names = (0..count).map(|number| git.url(&format!("pack/.git#{number}")));
        names.collect::<Vec<_>>().join("\n")
    };
    let pushed = push_files(&server, &app, &[FILES[0], (".buildpacks", &named(21))]).await;
    assert_eq!(pushed.verdict, Verdict::Rejected);
    let words = " !     an app has at most 20 buildpacks, and 21 are named. Choose others: paas buildpacks:set\n";
    assert!(pushed.output.contains(words), "{}", pushed.output);
    assert!(git.asked.lock().unwrap().is_empty() && told(&server).is_empty());

    // One that is named again runs once.
    let twice = format!("{0}\nheroku/python\n{0}\n", git.url("pack/.git#main"));
    let pushed = push_files(&server, &app, &[FILES[0], (".buildpacks", &twice)]).await;
    assert_eq!(pushed.verdict, Verdict::Accepted, "{}", pushed.output);
    assert_eq!(newest(&server, &app).await.buildpacks.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_a_build_on_a_disk_that_is_nearly_full() {
    let git = GitServer::start().await;
    let server = Server::with(&["--build-disk-limit", "0", "--allow-private-sources"]).await;
    server.run().await;
    let app = server.app("hello").await;
    choose(&server, &app, &[git.url("pack/.git#main")]).await;
    let pushed = push_files(&server, &app, FILES).await;
    assert!(
        pushed.output.contains(" % full: this build was not started."),
        "{}",
        pushed.output
    );
    assert!(git.asked.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_waits_for_another_build_is_told_the_place_in_the_queue() {
    let server = Server::new().await;
    server.run().await;
    server.engine.teach(is_build, Behaviour::runs());
    let apps = [
        server.app("one").await,
        server.app("two").await,
        server.app("three").await,
    ];
    let first = server.submit_files(&apps[0], FILES).await;
    server.container(&apps[0], super::server::is_build_role).await;
    let second = server.submit_files(&apps[1], FILES).await;
    server.says(&second, "Number 1 in the queue\n").await;
    let third = server.submit_files(&apps[2], FILES).await;
    server.says(&third, "Number 2 in the queue\n").await;
    // One that waits gives up: the one behind it moves up.
    assert!(cancel(&server.platform, second.build));
    server.says(&third, "Number 1 in the queue\n").await;
    assert!(cancel(&server.platform, first.build));
    assert!(cancel(&server.platform, third.build));
    for deploy in [first, second, third] {
        assert_eq!(server.end_of(deploy).await.verdict, Verdict::Rejected);
    }
}

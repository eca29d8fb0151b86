//! Pushes that people make.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

#[tokio::test]
async fn a_push_is_built_and_can_be_cloned_back() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    let commit = client
        .commit(
            &[("Procfile", "web: ./run\n"), ("bin/run", "#!/bin/sh\n")],
            "Say hello\n\nAt length.",
        )
        .await;

    let said = client.push(&["main"]).await.unwrap();
    for line in [
        "remote: Compressing source files... done.",
        "remote: Building source:",
        "remote: -----> Python app detected",
        "remote: -----> Launching...",
        "remote: Verifying deploy... done.",
        "main -> main",
    ] {
        assert!(said.contains(line), "{line:?} is missing in:\n{said}");
    }
    let deploys = fixture.deploys();
    assert_eq!(deploys.len(), 1);
    assert_eq!(deploys[0].commit, commit);
    assert_eq!(deploys[0].subject, "Say hello");
    assert_eq!(deploys[0].email, "ada@example.com");
    assert_eq!(deploys[0].files["Procfile"], b"web: ./run\n");
    assert_eq!(deploys[0].files["bin/run"], b"#!/bin/sh\n");
    assert_eq!(fixture.main(), Some(commit));

    let url = fixture.url("hello");
    client.git(&["clone", "--quiet", &url, "copy"]).await.unwrap();
    let copied = client.path.join("copy/bin/run");
    assert_eq!(fs::read_to_string(copied).unwrap(), "#!/bin/sh\n");
    fixture.end().await;
}

#[tokio::test]
async fn a_second_push_sends_what_is_new_and_a_fetch_gets_it() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    client.commit(&[("Procfile", "web: one\n")], "One").await;
    client.push(&["main"]).await.unwrap();
    client
        .git(&["clone", "--quiet", &fixture.url("hello"), "copy"])
        .await
        .unwrap();

    let second = client.commit(&[("Procfile", "web: two\n")], "Two").await;
    client.push(&["main"]).await.unwrap();
    assert_eq!(fixture.deploys()[1].files["Procfile"], b"web: two\n");
    let fetched = client.git(&["-C", "copy", "pull", "--quiet", "--ff-only"]).await;
    fetched.unwrap();
    let head = client.git(&["-C", "copy", "rev-parse", "HEAD"]).await.unwrap();
    assert_eq!(head.trim(), second);
    fixture.end().await;
}

#[tokio::test]
async fn a_rejected_push_moves_nothing() {
    let fixture = Fixture::start().await;
    fixture.platform.verdict.set(false).unwrap();
    let client = fixture.client("client").await;
    client.commit(&[("Procfile", "web: ./run\n")], "Break it").await;
    let said = client.push(&["main"]).await.unwrap_err();
    for line in [
        "remote: -----> Python app detected",
        "remote:  !     Push rejected to hello.",
        "[remote rejected] main -> main (pre-receive hook declined)",
    ] {
        assert!(said.contains(line), "{line:?} is missing in:\n{said}");
    }
    assert_eq!(fixture.main(), None);
    fixture.end().await;
}

#[tokio::test]
async fn without_a_good_token_or_an_app_git_says_why() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    let bad = format!("http://anybody:wrong@{}/hello.git", fixture.address);
    let said = client.git(&["ls-remote", &bad]).await.unwrap_err();
    assert!(said.contains("Authentication failed"), "{said}");
    let said = client.git(&["ls-remote", &fixture.url("other")]).await.unwrap_err();
    assert!(said.contains("remote: Couldn't find that app"), "{said}");

    // What git asks first carries no credentials: the answer makes it ask for them.
    let mut stream = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    let request = "GET /hello.git/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
    assert!(
        answer.to_lowercase().contains("www-authenticate: basic realm="),
        "{answer}"
    );
    fixture.end().await;
}

#[tokio::test]
async fn other_refs_are_stored_and_main_cannot_be_deleted() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    client.commit(&[("Procfile", "web: ./run\n")], "One").await;
    client.git(&["tag", "v1"]).await.unwrap();
    let said = client.push(&["main:feature", "v1"]).await.unwrap();
    assert!(said.contains("Stored feature without a build"), "{said}");
    assert!(said.contains("Stored tags/v1 without a build"), "{said}");
    assert!(fixture.deploys().is_empty());

    let said = client.push(&["main", "main:another"]).await.unwrap();
    assert!(said.contains("Stored another without a build"), "{said}");
    assert_eq!(fixture.deploys().len(), 1);

    let said = client.push(&["--delete", "main"]).await.unwrap_err();
    assert!(said.contains("main cannot be deleted"), "{said}");
    assert!(fixture.main().is_some());
    client.push(&["--delete", "feature"]).await.unwrap();
    fixture.end().await;
}

#[tokio::test]
async fn large_pushes_come_in_chunks_and_long_questions_compressed() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    // More than git sends without chunks.
    let noise = noise();
    fs::write(client.path.join("noise"), &noise).unwrap();
    client.commit(&[("Procfile", "web: ./run\n")], "Noise").await;
    client.push(&["main"]).await.unwrap();
    assert_eq!(fixture.deploys()[0].files["noise"], noise);

    let mut refs = Vec::new();
    for number in 0..80 {
        let name = format!("branch-{number}");
        let subject = format!("Commit {number}");
        client.commit(&[("number", &name)], &subject).await;
        refs.push(format!("HEAD~{number}:refs/heads/{name}"));
    }
    let refs: Vec<_> = refs.iter().rev().map(String::as_str).collect();
    client.push(&refs).await.unwrap();
    // Eighty wants are more than a kilobyte, which git compresses in version 0 of the protocol.
    let url = fixture.url("hello");
    client
        .git(&["-c", "protocol.version=0", "clone", "--quiet", &url, "copy"])
        .await
        .unwrap();
    let branches = client.git(&["-C", "copy", "branch", "--remotes"]).await.unwrap();
    assert!(branches.contains("origin/branch-79"), "{branches}");
    fixture.end().await;
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_stop_its_push() {
    let fixture = Fixture::start().await;
    let gate = fixture.shut_gate();
    let client = fixture.client("client").await;
    let commit = client.commit(&[("Procfile", "web: ./run\n")], "One").await;
    let mut push = client.command(&["push", "paas", "main"]).spawn().unwrap();
    fixture.wait_for_deploys(1).await;
    push.kill().await.unwrap();
    assert_eq!(fixture.main(), None);
    gate.notify_one();
    eventually("the ref moves", || fixture.main().as_ref() == Some(&commit)).await;
    fixture.end().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    let commit = client.commit(&[("Procfile", "web: ./run\n")], "One").await;
    let credentials = BASE64_STANDARD.encode(format!(":{TOKEN}"));
    let head = format!(
        "POST /hello.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let line = format!(
        "{} {commit} refs/heads/main\0report-status side-band-64k",
        "0".repeat(40)
    );
    let body = format!("{:04x}{line}0000PACK\0\0\0\u{2}\0\0\0\u{3}", line.len() + 4);
    let mut stream = tokio::net::TcpStream::connect(fixture.address).await.unwrap();
    let chunk = format!("{head}{:x}\r\n{body}\r\n", body.len());
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let objects = fixture.git.repositories.path(fixture.platform.app.id).join("objects");
    let is_receiving = || {
        fs::read_dir(&objects)
            .into_iter()
            .flatten()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("tmp_objdir"))
    };
    eventually("git receives", is_receiving).await;
    drop(stream);
    eventually("git gives up", || !is_receiving()).await;
    assert!(fixture.deploys().is_empty());
    assert_eq!(fixture.main(), None);
    client.push(&["main"]).await.unwrap();
    assert_eq!(fixture.main(), Some(commit));
    fixture.end().await;
}

#[tokio::test]
async fn pushes_to_one_app_take_turns() {
    let fixture = Fixture::start().await;
    let gate = fixture.shut_gate();
    let (ada, bob) = (fixture.client("ada").await, fixture.client("bob").await);
    let adas = ada.commit(&[("Procfile", "web: ada\n")], "Ada's").await;
    bob.commit(&[("Procfile", "web: bob\n")], "Bob's").await;
    let first = ada.push(&["main"]);
    let second = async {
        fixture.wait_for_deploys(1).await;
        let mut push = bob
            .command(&["push", "--force", "paas", "main"])
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let mut stderr = push.stderr.take().unwrap();
        let waits = "Waiting for another push to hello to end";
        while !said.contains(waits) {
            let mut bytes = [0; 1024];
            let count = stderr.read(&mut bytes).await.unwrap();
            assert_ne!(count, 0, "{said}");
            said += &String::from_utf8_lossy(&bytes[..count]);
        }
        gate.notify_one();
        stderr.read_to_string(&mut said).await.unwrap();
        (push.wait().await.unwrap(), said)
    };
    let (first, (status, said)) = tokio::time::timeout(DEADLINE, async { tokio::join!(first, second) })
        .await
        .unwrap();
    first.unwrap();
    // The second one began before the first one's ref had moved: it would have replaced it unseen.
    assert!(!status.success());
    assert!(said.contains("Another push has moved refs/heads/main"), "{said}");
    assert_eq!(fixture.deploys().len(), 1);
    assert_eq!(fixture.main(), Some(adas));
    fixture.end().await;
}

#[tokio::test]
async fn a_stop_ends_a_push_with_a_word() {
    let fixture = Fixture::start().await;
    let _gate = fixture.shut_gate();
    let client = fixture.client("client").await;
    client.commit(&[("Procfile", "web: ./run\n")], "One").await;
    // Connections outlive the listener here: a stop must reach the pusher before it cuts the line.
    let push = client.push(&["main"]);
    let stop = async {
        fixture.wait_for_deploys(1).await;
        fixture.stop.cancel();
    };
    let (pushed, ()) = tokio::join!(push, stop);
    let said = pushed.unwrap_err();
    assert!(said.contains("The platform is restarting"), "{said}");
    assert_eq!(fixture.main(), None);
    fixture.end().await;
}

#[tokio::test]
async fn a_source_that_cannot_be_stored_is_rejected_with_the_reason() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    fs::write(client.path.join("noise"), noise()).unwrap();
    client.commit(&[("Procfile", "web: ./run\n")], "Noise").await;
    fs::remove_dir(&fixture.git.paths.sources).unwrap();
    // The hook is still writing when it is answered.
    let said = client.push(&["main"]).await.unwrap_err();
    assert!(said.contains("The platform could not store the source"), "{said}");
    assert_eq!(fixture.main(), None);
    fs::create_dir(&fixture.git.paths.sources).unwrap();
    client.push(&["main"]).await.unwrap();
    fixture.end().await;
}

#[tokio::test]
async fn a_build_that_cannot_begin_leaves_no_source_behind() {
    let fixture = Fixture::start().await;
    let client = fixture.client("client").await;
    client.commit(&[("Procfile", "web: ./run\n")], "One").await;
    fixture.platform.cannot_build.store(true, Ordering::Relaxed);
    let said = client.push(&["main"]).await.unwrap_err();
    assert!(said.contains("The platform cannot start a build right now"), "{said}");
    fixture.assert_clean();
    fixture.platform.cannot_build.store(false, Ordering::Relaxed);
    client.push(&["main"]).await.unwrap();
    fixture.end().await;
}

/// Three megabytes that no compression makes smaller.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state.to_be_bytes()[0]
    })
    .take(3_000_000)
    .collect()
}

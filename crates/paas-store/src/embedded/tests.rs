use std::{
    collections::HashSet,
    os::unix::fs::{MetadataExt, PermissionsExt},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{Sealer, Store, StoreError};

async fn start(data_dir: &Path) -> EmbeddedPostgres {
    EmbeddedPostgres::start(data_dir, EmbeddedOptions::default())
        .await
        .unwrap()
}

fn store(postgres: &EmbeddedPostgres) -> Store {
    Store::new(postgres.address(), Sealer::ephemeral())
}

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

async fn ask(store: &Store, question: &'static str) -> Result<String, StoreError> {
    let mut conn = store.connection().await?;
    Ok(sqlx::query_scalar(question).fetch_one(&mut *conn).await?)
}

async fn insert(store: &Store, number: i32) -> Result<(), StoreError> {
    let mut conn = store.connection().await?;
    sqlx::query("insert into acknowledged values ($1)")
        .bind(number)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

/// What the server says of itself when it does not run.
async fn cluster_state(postgres: &EmbeddedPostgres) -> String {
    let program = postgres.programs().join("pg_controldata");
    let output = postgres
        .cluster
        .owner
        .command(program)
        .arg(&postgres.cluster.data)
        .output()
        .await
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_server_listens_on_its_socket_alone_and_nobody_else_can_look_in() {
    let directory = TempDir::new().unwrap();
    let postgres = start(directory.path()).await;
    assert_eq!(
        ask(&store(&postgres), "select current_database()::text").await.unwrap(),
        "paas"
    );

    let tcp: HashSet<String> = ["tcp", "tcp6"]
        .iter()
        .flat_map(|table| {
            let table = fs::read_to_string(format!("/proc/{}/net/{table}", postgres.pid())).unwrap_or_default();
            let inode = |line: &str| line.split_whitespace().nth(9).map(|inode| format!("socket:[{inode}]"));
            table.lines().skip(1).filter_map(inode).collect::<Vec<_>>()
        })
        .collect();
    let descriptors = fs::read_dir(format!("/proc/{}/fd", postgres.pid())).unwrap().flatten();
    let links: Vec<_> = descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .collect();
    assert!(!links.is_empty());
    for link in links {
        assert!(!tcp.contains(link.to_string_lossy().as_ref()), "a TCP socket: {link:?}");
    }

    let base = directory.path().join("postgres");
    for path in [&base, &base.join("data"), &base.join("run"), &base.join("postgres.log")] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is open: {mode:o}", path.display());
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn not_even_the_user_that_runs_the_server_gets_in_when_it_is_not_us() {
    let directory = TempDir::new().unwrap();
    let postgres = start(directory.path()).await;
    let cluster = &postgres.cluster;
    let mut psql = cluster.owner.command(postgres.programs().join("psql"));
    let output = psql
        .arg("-h")
        .arg(&cluster.socket_directory)
        .args(["-U", ROLE, "-c", "select 1", DATABASE])
        .output();
    let output = output.await.unwrap();
    let is_us = cluster.owner.name == cluster.owner.client;
    assert_eq!(
        output.status.success(),
        is_us,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    if !is_us {
        assert!(String::from_utf8_lossy(&output.stderr).contains("Peer authentication failed"));
    }
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_running_server_is_adopted() {
    let directory = TempDir::new().unwrap();
    let first = start(directory.path()).await;
    let pid = first.pid();
    drop(first);
    let second = start(directory.path()).await;
    assert_eq!(second.pid(), pid);
    assert!(ask(&store(&second), "select 'answers'").await.is_ok());
    second.stop().await.unwrap();
    assert_eq!(
        Postmaster::of(&fs::canonicalize(directory.path().join("postgres/data")).unwrap()),
        Postmaster::None
    );
}

#[tokio::test]
async fn a_killed_server_comes_back_with_every_acknowledged_row() {
    let directory = TempDir::new().unwrap();
    let postgres = start(directory.path()).await;
    let (store, pid) = (store(&postgres), postgres.pid());
    let data = postgres.cluster.data.clone();
    let mut conn = store.connection().await.unwrap();
    sqlx::query("create table acknowledged (number integer primary key)")
        .execute(&mut *conn)
        .await
        .unwrap();
    drop(conn);
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let running = tracker.spawn(postgres.run(stop.clone()));

    let mut acknowledged = Vec::new();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut rows_after_kill = 0;
    for number in 0.. {
        assert!(Instant::now() < deadline, "the server did not come back");
        if number == 300 {
            kill(pid);
        }
        match insert(&store, number).await {
            Ok(()) => acknowledged.push(number),
            Err(error) => assert!(
                number >= 300 && matches!(error, StoreError::Unavailable(_)),
                "{number}: {error:?}"
            ),
        }
        rows_after_kill += i32::from(number > 300 && acknowledged.last() == Some(&number));
        if rows_after_kill >= 100 {
            break;
        }
    }

    let mut conn = store.connection().await.unwrap();
    let found: HashSet<i32> = sqlx::query_scalar("select number from acknowledged")
        .fetch_all(&mut *conn)
        .await
        .unwrap()
        .into_iter()
        .collect();
    let lost: Vec<_> = acknowledged.iter().filter(|number| !found.contains(number)).collect();
    assert!(lost.is_empty(), "lost {lost:?}");
    assert!(matches!(Postmaster::of(&data), Postmaster::Running(new) if new != pid));
    drop(conn);
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(Postmaster::of(&data), Postmaster::None);
}

#[tokio::test]
async fn a_killed_server_that_nobody_watched_is_started_again() {
    let directory = TempDir::new().unwrap();
    let postgres = start(directory.path()).await;
    let pid = postgres.pid();
    drop(postgres);
    kill(pid);
    let again = start(directory.path()).await;
    assert_ne!(again.pid(), pid);
    assert!(ask(&store(&again), "select 'answers'").await.is_ok());
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_server_that_was_adopted_comes_back() {
    let directory = TempDir::new().unwrap();
    let first = start(directory.path()).await;
    let adopted = start(directory.path()).await;
    let (store, pid, data) = (store(&adopted), adopted.pid(), adopted.cluster.data.clone());
    let (tracker, stop) = (TaskTracker::new(), CancellationToken::new());
    let running = tracker.spawn(adopted.run(stop.clone()));
    kill(pid);
    drop(first);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !matches!(Postmaster::of(&data), Postmaster::Running(new) if new != pid)
        || ask(&store, "select 'answers'").await.is_err()
    {
        assert!(Instant::now() < deadline, "the server did not come back");
        tokio::task::yield_now().await;
    }
    stop.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_stopped_server_was_shut_down_cleanly_and_starts_again() {
    let directory = TempDir::new().unwrap();
    let first = start(directory.path()).await;
    first.stop().await.unwrap();
    let second = start(directory.path()).await;
    let started = ask(&store(&second), "select pg_postmaster_start_time()::text").await;
    assert!(started.is_ok());
    let mut second = second;
    second.server.stop(&second.cluster).await.unwrap();
    let state = cluster_state(&second).await;
    assert!(
        state
            .lines()
            .any(|line| line.starts_with("Database cluster state:") && line.ends_with("shut down")),
        "{state}"
    );
}

#[tokio::test]
async fn a_database_of_another_major_version_is_refused_with_words() {
    let directory = TempDir::new().unwrap();
    start(directory.path()).await.stop().await.unwrap();
    let version = directory.path().join("postgres/data/PG_VERSION");
    let installed = fs::read_to_string(&version).unwrap().trim().to_owned();
    fs::write(&version, "9\n").unwrap();
    let error = EmbeddedPostgres::start(directory.path(), EmbeddedOptions::default())
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, EmbeddedError::OtherMajor { .. }), "{text}");
    for word in ["PostgreSQL 9", &installed, "pg_upgrade"] {
        assert!(text.contains(word), "{word} is missing: {text}");
    }
}

#[tokio::test]
async fn without_programs_the_error_says_what_to_install() {
    let directory = TempDir::new().unwrap();
    let options = EmbeddedOptions {
        programs: Some(directory.path().to_owned()),
        ..EmbeddedOptions::default()
    };
    let error = EmbeddedPostgres::start(directory.path(), options).await.unwrap_err();
    assert!(error.to_string().contains("apt-get install postgresql"), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let directory = TempDir::new().unwrap();
    let options = EmbeddedOptions {
        settings: vec![("shared_buffers".to_owned(), "nonsense".to_owned())],
        ..EmbeddedOptions::default()
    };
    let error = EmbeddedPostgres::start(directory.path(), options).await.unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    start(directory.path()).await.stop().await.unwrap();
}

#[tokio::test]
async fn a_data_dir_too_deep_for_a_socket_gets_a_short_one() {
    let directory = TempDir::new().unwrap();
    let deep = directory.path().join("d".repeat(60)).join("e".repeat(60));
    fs::create_dir_all(&deep).unwrap();
    for parent in [directory.path(), deep.parent().unwrap()] {
        fs::set_permissions(parent, fs::Permissions::from_mode(0o711)).unwrap();
    }
    let postgres = start(&deep).await;
    let socket = postgres.cluster.socket_directory.clone();
    assert!(socket.starts_with("/tmp"), "{}", socket.display());
    assert_eq!(fs::metadata(&socket).unwrap().mode() & 0o7777, 0o700);
    assert!(ask(&store(&postgres), "select 'answers'").await.is_ok());
    postgres.stop().await.unwrap();

    // Somebody else's directory in its place is not trusted.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o777)).unwrap();
    let error = EmbeddedPostgres::start(&deep, EmbeddedOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(error, EmbeddedError::SocketDirectory { .. }), "{error}");
    fs::remove_dir_all(socket).unwrap();
}

#[tokio::test]
async fn an_initdb_that_was_cut_short_is_done_again() {
    let directory = TempDir::new().unwrap();
    fs::create_dir_all(directory.path().join("postgres/data.new/base")).unwrap();
    fs::write(directory.path().join("postgres/data.new/PG_VERSION"), "15\n").unwrap();
    if rustix::process::geteuid().is_root() {
        // As the first start would have left it.
        fs::set_permissions(directory.path().join("postgres"), fs::Permissions::from_mode(0o700)).unwrap();
        let owner = Owner::of(&directory.path().join("postgres/data")).await.unwrap();
        owner.take(&directory.path().join("postgres")).unwrap();
    }
    let postgres = start(directory.path()).await;
    assert!(!directory.path().join("postgres/data.new").exists());
    postgres.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_that_the_server_cannot_pass_is_named() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedPostgres::start(&directory.path().join("below"), EmbeddedOptions::default())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains(&format!("chmod o+x {}", directory.path().display())),
        "{error}"
    );
}

#[tokio::test]
async fn the_pid_file_of_a_power_cut_does_not_keep_the_server_from_starting() {
    let directory = TempDir::new().unwrap();
    start(directory.path()).await.stop().await.unwrap();
    // After a reboot its number is another program's: here, ours.
    let path = directory.path().join("postgres/data/postmaster.pid");
    fs::write(&path, format!("{}\n", std::process::id())).unwrap();
    let postgres = start(directory.path()).await;
    assert!(ask(&store(&postgres), "select 'answers'").await.is_ok());
    postgres.stop().await.unwrap();
}

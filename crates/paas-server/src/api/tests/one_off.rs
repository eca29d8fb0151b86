//! One-off dynos and what runs beside dynos, from the request to the last log line.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use chrono::TimeDelta;
use http::StatusCode;
use paas_api::rendezvous::Frame;
use paas_core::{DynoSize, ImageRef, OneOff};
use paas_engine::{Behaviour, Container, ContainerSpec, Engine, Limits, OutputStream, Role};
use paas_store::{Stamp, app::AppRow, one_off, release::ReleaseRow};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    time::{sleep, timeout},
};

use super::server::{Server, server};
use crate::{
    control,
    rendezvous::{Target, receive},
};

/// Whatever is waited for comes within this time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

impl Server {
    /// An app with code, whose image the engine has.
    pub(super) async fn app_with_code(&self) -> (AppRow, ReleaseRow) {
        self.engine.add_image("paas/hello");
        let app = self.app("hello").await;
        let release = self
            .deploy(&app, &[("web", "bin/web"), ("worker", "bin/work --fast")])
            .await;
        (app, release)
    }

    async fn run(&self, body: Value) -> Value {
        let answer = self.post("/apps/hello/dynos", body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        answer.json()
    }

    /// Comes to a stream with its secret.
    fn come(&self, secret: &str, target: Option<Target>) -> Person {
        let host = self.platform.rendezvous.find(secret).expect("somebody waits");
        let (ours, theirs) = duplex(64 * 1024);
        let limits = self.platform.rendezvous.limits;
        let served = async move { receive(theirs, host, target, limits).await };
        self.platform.tracker.spawn(served);
        Person {
            stream: ours,
            buffer: BytesMut::new(),
        }
    }

    /// Comes to a dyno that was just made.
    fn attach(&self, dyno: &Value) -> Person {
        let url = dyno["attach_url"].as_str().unwrap();
        self.come(url.rsplit('/').next().unwrap(), None)
    }

    async fn until(&self, what: &str, holds: impl AsyncFn() -> bool) {
        let waited = timeout(PATIENCE, async {
            while !holds().await {
                sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(waited.await.is_ok(), "{what}");
    }

    async fn until_logged(&self, app: &AppRow, line: &str) {
        let has_line = async || self.log(app).await.contains(line);
        self.until(line, has_line).await;
    }

    async fn until_gone(&self) {
        let is_gone = async || self.get("/apps/hello/dynos").await.json() == json!([]);
        self.until("no dyno is left", is_gone).await;
        self.until("no container is left", async || self.containers().await.is_empty())
            .await;
    }

    async fn containers(&self) -> Vec<Container> {
        self.engine.list().await.unwrap()
    }

    /// The lines of one dyno, without their times.
    async fn lines_of(&self, app: &AppRow, dyno: &str) -> Vec<String> {
        let log = self.log(app).await;
        let of_dyno = log.lines().filter_map(|line| line.split_once(&format!("[{dyno}]: ")));
        of_dyno.map(|(_, message)| message.to_owned()).collect()
    }
}

/// The person's end of a stream.
struct Person {
    stream: DuplexStream,
    buffer: BytesMut,
}

#[derive(Debug, PartialEq, Eq)]
enum Seen {
    Output(String),
    Exit(i32),
    BrokenOff,
}

impl Person {
    async fn send(&mut self, frame: Frame<'_>) {
        let mut bytes = Vec::new();
        frame.write(&mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn see(&mut self) -> Seen {
        loop {
            let read = match Frame::read(&self.buffer).unwrap() {
                Some((Frame::Output(bytes) | Frame::ErrorOutput(bytes), length)) => {
                    Some((Seen::Output(String::from_utf8(bytes.to_vec()).unwrap()), length))
                }
                Some((Frame::Exit(code), length)) => Some((Seen::Exit(code), length)),
                _ => None,
            };
            if let Some((seen, length)) = read {
                self.buffer.advance(length);
                return seen;
            }
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.buffer)).await;
            if read.expect("something comes").unwrap() == 0 {
                return Seen::BrokenOff;
            }
        }
    }
}

#[tokio::test]
async fn a_one_off_dyno_talks_to_its_person_and_is_gone_afterwards() {
    let server = server().await;
    let (app, release) = server.app_with_code().await;
    server.engine.teach_command("bash", Behaviour::copies().saying("$ "));
    let env = json!({ "TERM": "xterm", "COLUMNS": 111, "LINES": 33, "SECRET": "hunter2" });
    let body = json!({ "attach": true, "command": "bash -l", "env": env, "size": "basic" });
    let dyno = server.run(body).await;
    let name = dyno["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("run."), "{name}");
    assert_eq!(
        (&dyno["state"], &dyno["size"], &dyno["type"], &dyno["command"]),
        (&json!("starting"), &json!("Basic"), &json!("run"), &json!("bash -l"))
    );
    assert_eq!(dyno["release"]["version"], json!(release.release.version.number()));
    let url = dyno["attach_url"].as_str().unwrap();
    assert!(url.starts_with("rendezvous://api.example.test:5000/"), "{url}");

    // Nothing runs before somebody is there, and nobody else can come.
    assert_eq!(server.containers().await, []);
    let mut person = server.attach(&dyno);
    assert!(
        server
            .platform
            .rendezvous
            .find(url.rsplit('/').next().unwrap())
            .is_none()
    );
    assert_eq!(person.see().await, Seen::Output("$ \n".to_owned()));
    let spec = server.engine.spec(&server.containers().await[0].id).unwrap();
    assert_eq!(spec.command.last().unwrap(), "bash -l");
    assert_eq!(
        (spec.environment.get("SECRET"), spec.environment.get("DYNO")),
        (Some("hunter2"), Some(&*name))
    );
    assert_eq!(spec.limits, Limits::from(DynoSize::Basic));
    let size = spec.terminal.unwrap();
    assert_eq!((size.columns, size.rows), (111, 33));

    let is_up = async || server.get("/apps/hello/dynos").await.column("state") == [json!("up")];
    server.until("it is up", is_up).await;
    let shown = server.get(&format!("/apps/hello/dynos/{name}")).await.ok();
    assert_eq!((&shown["name"], &shown["attach_url"]), (&json!(name), &Value::Null));
    person.send(Frame::Input(b"ls\n")).await;
    assert_eq!(person.see().await, Seen::Output("ls\n".to_owned()));
    // A terminal gets the character for it.
    person.send(Frame::EndOfInput).await;
    assert_eq!(person.see().await, Seen::Output("\u{4}".to_owned()));
    server.engine.crash(&server.containers().await[0].id, 0);
    assert_eq!(person.see().await, Seen::Exit(0));
    assert_eq!(person.see().await, Seen::BrokenOff);

    server.until_gone().await;
    assert_eq!(
        server.lines_of(&app, &name).await,
        [
            "Awaiting client",
            "Starting process with command `bash -l`",
            "State changed from starting to up",
            "Process exited with status 0",
            "State changed from up to complete",
        ]
    );
    let log = server.log(&app).await;
    assert!(
        log.contains("app[api]: Starting process with command `bash -l` by user ada@example.com"),
        "{log}"
    );
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test]
async fn without_a_terminal_streams_are_streams_and_the_exit_is_told() {
    let server = server().await;
    server.app_with_code().await;
    server.engine.teach_command("cat", Behaviour::copies());
    server
        .engine
        .teach_command("false", Behaviour::exits(3).complaining("no"));
    let dyno = server
        .run(json!({ "attach": true, "command": "cat", "force_no_tty": true }))
        .await;
    let mut person = server.attach(&dyno);
    person.send(Frame::Input(b"\x04\x03")).await;
    assert_eq!(person.see().await, Seen::Output("\u{4}\u{3}".to_owned()));
    person.send(Frame::EndOfInput).await;
    assert_eq!(person.see().await, Seen::Exit(0));

    let dyno = server
        .run(json!({ "attach": true, "command": "false", "force_no_tty": true }))
        .await;
    let mut person = server.attach(&dyno);
    assert_eq!(person.see().await, Seen::Output("no\n".to_owned()));
    assert_eq!(person.see().await, Seen::Exit(3));
    server.until_gone().await;
}

#[tokio::test]
async fn nobody_comes_is_r13() {
    let server = server().await;
    let (app, _) = server.app_with_code().await;
    let dyno = server.run(json!({ "attach": true, "command": "bash" })).await;
    server.until_gone().await;
    assert_eq!(
        server.lines_of(&app, dyno["name"].as_str().unwrap()).await,
        [
            "Awaiting client",
            "Error R13 (Attach error) -> Failed to attach to process",
            "State changed from starting to complete",
        ]
    );
    let url = dyno["attach_url"].as_str().unwrap();
    assert!(
        server
            .platform
            .rendezvous
            .find(url.rsplit('/').next().unwrap())
            .is_none()
    );
}

#[tokio::test]
async fn a_person_who_goes_hangs_up_and_what_does_not_care_is_r16() {
    let server = server().await;
    let (app, _) = server.app_with_code().await;
    server.engine.teach_command("sleep", Behaviour::runs().saying("here"));
    server
        .engine
        .teach_command("nohup", Behaviour::stubborn().saying("here"));
    let dyno = server.run(json!({ "attach": true, "command": "sleep 9" })).await;
    let mut person = server.attach(&dyno);
    assert_eq!(person.see().await, Seen::Output("here\n".to_owned()));
    drop(person);
    server.until_gone().await;
    let lines = server.lines_of(&app, dyno["name"].as_str().unwrap()).await;
    assert!(lines.contains(&"Client connection closed. Sending SIGHUP to all processes".to_owned()));
    assert!(
        lines.contains(&"Process exited with status 129".to_owned()),
        "{lines:?}"
    );

    let dyno = server.run(json!({ "attach": true, "command": "nohup sleep 9" })).await;
    let name = dyno["name"].as_str().unwrap();
    let mut person = server.attach(&dyno);
    assert_eq!(person.see().await, Seen::Output("here\n".to_owned()));
    drop(person);
    server
        .until_logged(
            &app,
            "Error R16 (Detached) -> An attached process is not responding to SIGHUP after its external connection was closed.",
        )
        .await;
    let is_up = async || server.get("/apps/hello/dynos").await.column("state") == [json!("up")];
    server.until("it goes on, as Heroku lets it", is_up).await;
    let stopped = server
        .post(&format!("/apps/hello/dynos/{name}/actions/stop"), json!({}))
        .await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED);
    server.until_gone().await;
    let lines = server.lines_of(&app, name).await;
    let stop = lines
        .iter()
        .position(|line| line == "Stopping all processes with SIGTERM")
        .unwrap();
    assert_eq!(
        lines[stop + 1..],
        [
            "Error R12 (Exit timeout) -> At least one process failed to exit within 30 seconds of SIGTERM",
            "Stopping remaining processes with SIGKILL",
            "Process exited with status 137",
            "State changed from up to complete",
        ]
    );
}

#[tokio::test]
async fn a_detached_dyno_talks_into_the_log_and_can_be_stopped() {
    let server = server().await;
    let (app, _) = server.app_with_code().await;
    server
        .engine
        .teach_command("report", Behaviour::exits(0).saying("42 rows"));
    server.engine.teach_command("work", Behaviour::runs());
    let dyno = server.run(json!({ "command": "report" })).await;
    assert_eq!(dyno["attach_url"], Value::Null);
    let name = dyno["name"].as_str().unwrap();
    server.until_gone().await;
    assert_eq!(
        server.lines_of(&app, name).await,
        [
            "Starting process with command `report`",
            "State changed from starting to up",
            "42 rows",
            "Process exited with status 0",
            "State changed from up to complete",
        ]
    );
    assert!(server.log(&app).await.contains(&format!("app[{name}]: 42 rows")));

    // A process type with arguments, under another name; and by its type all of them are stopped.
    let dyno = server
        .run(json!({ "command": "worker --once", "type": "scheduler" }))
        .await;
    let name = dyno["name"].as_str().unwrap();
    assert!(name.starts_with("scheduler."), "{name}");
    server.until_logged(&app, "State changed from starting to up").await;
    server
        .until("it runs", async || !server.containers().await.is_empty())
        .await;
    let spec = server.engine.spec(&server.containers().await[0].id).unwrap();
    assert_eq!(spec.command.last().unwrap(), "bin/work --fast --once");
    assert_eq!(spec.terminal, None);
    // Neither a restart of all dynos nor a release touches it.
    assert_eq!(server.delete("/apps/hello/dynos").await.status, StatusCode::ACCEPTED);
    assert_eq!(server.get("/apps/hello/dynos").await.column("name"), [json!(name)]);
    let stopped = server
        .post("/apps/hello/formations/scheduler/actions/stop", json!({}))
        .await;
    assert_eq!(stopped.status, StatusCode::ACCEPTED, "{}", stopped.text);
    server.until_gone().await;
    let lines = server.lines_of(&app, name).await;
    assert!(
        lines.contains(&"Process exited with status 143".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_dyno_ends_with_its_time_to_live() {
    let server = server().await;
    let (app, _) = server.app_with_code().await;
    server.engine.teach_command("sleep", Behaviour::runs());
    let dyno = server.run(json!({ "command": "sleep 9", "time_to_live": 1 })).await;
    server.until_gone().await;
    let lines = server.lines_of(&app, dyno["name"].as_str().unwrap()).await;
    assert!(
        lines.contains(&"Stopping all processes with SIGTERM".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_with_what_to_do() {
    let server = server().await;
    server.app("empty").await;
    let refused = server.post("/apps/empty/dynos", json!({ "command": "bash" })).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused.text.contains("no code yet"), "{}", refused.text);
    server.app_with_code().await;
    for (body, word) in [
        (json!({}), "command"),
        (json!({ "command": " " }), "Command is missing"),
        (json!({ "command": "a\0b" }), "NUL"),
        (json!({ "command": "x".repeat(70_000) }), "too long"),
        (json!({ "command": "bash", "size": "huge" }), "Dyno size"),
        (json!({ "command": "bash", "type": "a b" }), "Process type"),
        (json!({ "command": "bash", "type": "release" }), "release phase"),
        (
            json!({ "command": "bash", "env": { "A=B": "c" } }),
            "name of a variable",
        ),
        (json!({ "command": "bash", "env": { "A": "hunter\0" } }), "value of A"),
        (
            json!({ "command": "bash", "env": { "A": "x".repeat(70_000) } }),
            "too large",
        ),
    ] {
        let refused = server.post("/apps/hello/dynos", body.clone()).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert!(
            refused.text.contains(word) && !refused.text.contains("hunter"),
            "{}",
            refused.text
        );
    }
    server.engine.teach_command("sleep", Behaviour::runs());
    for _ in 0..OneOff::MOST_OF_AN_APP {
        server.run(json!({ "command": "sleep 1" })).await;
    }
    let refused = server.post("/apps/hello/dynos", json!({ "command": "sleep 1" })).await;
    assert!(refused.text.contains("Cannot run more than 50"), "{}", refused.text);
}

#[tokio::test]
async fn a_revoked_token_ends_what_it_has_opened() {
    let server = server().await;
    server.app_with_code().await;
    server.engine.teach_command("sleep", Behaviour::runs().saying("here"));
    let dyno = server.run(json!({ "attach": true, "command": "sleep 9" })).await;
    let mut person = server.attach(&dyno);
    assert_eq!(person.see().await, Seen::Output("here\n".to_owned()));
    let authorizations = server.get("/oauth/authorizations").await.column("id");
    let path = format!("/oauth/authorizations/{}", authorizations[0].as_str().unwrap());
    // Whose token it is, answers for itself once more.
    assert_eq!(server.delete(&path).await.status, StatusCode::OK);
    assert_eq!(person.see().await, Seen::BrokenOff);
    server
        .until("nothing runs any more", async || server.containers().await.is_empty())
        .await;
}

#[tokio::test]
async fn a_program_beside_a_dyno_comes_and_goes_alone() {
    let server = server().await;
    let (app, release) = server.app_with_code().await;
    server
        .engine
        .teach_command("exec bash", Behaviour::copies().saying("~ $"));
    server.engine.teach_command("perl", Behaviour::copies());
    let dyno = server.dyno_with_container(&app, &release).await;

    let answer = server
        .post("/apps/hello/dynos/web.1/actions/exec", json!({}))
        .await
        .ok();
    assert_eq!(answer["name"], json!("web.1"));
    let secret = answer["attach_path"]
        .as_str()
        .unwrap()
        .strip_prefix("/rendezvous/")
        .unwrap();
    let mut person = server.come(secret, None);
    assert_eq!(person.see().await, Seen::Output("~ $\n".to_owned()));
    drop(person);
    assert!(
        server
            .log(&app)
            .await
            .contains("Executing a shell in dyno web.1 by user ada@example.com")
    );

    let answer = server
        .post("/apps/hello/dynos/web.1/actions/forward", json!({}))
        .await
        .ok();
    let secret = answer["attach_path"]
        .as_str()
        .unwrap()
        .strip_prefix("/rendezvous/")
        .unwrap();
    for word in ["one", "two"] {
        let target = Target {
            host: "localhost".to_owned(),
            port: 5432,
        };
        let mut person = server.come(secret, Some(target));
        person.send(Frame::Input(word.as_bytes())).await;
        assert_eq!(person.see().await, Seen::Output(word.to_owned()));
        person.send(Frame::EndOfInput).await;
        assert_eq!(person.see().await, Seen::Exit(0));
    }
    assert!(server.engine.inspect(&dyno.id).await.unwrap().unwrap().is_running());

    let missing = server.post("/apps/hello/dynos/web.2/actions/exec", json!({})).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let plain = server.get(answer["attach_path"].as_str().unwrap()).await;
    assert_eq!(plain.status, StatusCode::BAD_REQUEST, "{}", plain.text);
    // Asking without an upgrade used nothing up.
    assert!(server.platform.rendezvous.find(secret).is_some());
    server.platform.sessions.end_all_of(app.app.id);
    server
        .until("the forwarding is over", async || {
            server.platform.rendezvous.find(secret).is_none()
        })
        .await;
}

#[tokio::test]
async fn the_next_server_adopts_what_talks_into_the_log_and_hangs_up_on_the_rest() {
    let server = server().await;
    let (app, release) = server.app_with_code().await;
    server.engine.teach_command("sleep", Behaviour::runs());
    let detached = server.left_one_off(&release, "run.1", false, true).await;
    server.left_one_off(&release, "run.2", true, true).await;
    server.left_one_off(&release, "run.3", true, false).await;
    server.left_one_off(&release, "run.4", false, false).await;
    control::resume_one_offs(&server.platform).await.unwrap();
    let names = async || server.get("/apps/hello/dynos").await.column("name") == [json!("run.1")];
    server.until("only the detached one is left", names).await;
    let detached = detached.unwrap();
    server.engine.say(&detached.id, OutputStream::Stdout, "still here");
    server.until_logged(&app, "app[run.1]: still here").await;
    server.engine.crash(&detached.id, 0);
    server.until_gone().await;
    let lines = server.lines_of(&app, "run.2").await;
    assert_eq!(
        lines.first().unwrap(),
        "Client connection closed. Sending SIGHUP to all processes"
    );
    let lines = server.lines_of(&app, "run.4").await;
    assert!(lines[0].starts_with("Error R99 (Platform error)"), "{lines:?}");
}

impl Server {
    /// A web dyno that is up, in a container that runs.
    pub(super) async fn dyno_with_container(&self, app: &AppRow, release: &ReleaseRow) -> Container {
        let id = self.dyno(release, "web.1").await;
        let role = Role::Dyno {
            app: app.app.id,
            dyno: id,
            attempt: 1,
            name: "web.1".parse().unwrap(),
            release: release.release.version,
        };
        let container = self.container(format!("paas-{id}-1"), role).await;
        let mut connection = self.platform.store.connection().await.unwrap();
        let found = paas_store::dyno::find(&mut connection, app.app.id, "web.1")
            .await
            .unwrap();
        let dyno = paas_core::Dyno {
            container: Some(container.id.as_str().to_owned()),
            ..found.unwrap()
        };
        paas_store::dyno::update(&mut connection, &dyno, self.tick())
            .await
            .unwrap();
        container
    }

    /// What a server before this one has left of a one-off dyno.
    async fn left_one_off(
        &self,
        release: &ReleaseRow,
        name: &str,
        is_attached: bool,
        has_container: bool,
    ) -> Option<Container> {
        let now = self.tick();
        let new = one_off::NewOneOff {
            id: paas_store::new_id(now),
            app: release.release.app,
            name: name.parse().unwrap(),
            release: release.release.id,
            size: DynoSize::default(),
            command: "sleep 9".to_owned(),
            is_attached,
            expires_at: now + TimeDelta::hours(1),
        };
        let container = format!("paas-run-{}", new.id);
        let role = Role::OneOff {
            app: new.app,
            name: new.name.clone(),
            release: release.release.version,
        };
        let stamp = Stamp {
            by: self.account.id,
            at: now,
        };
        let mut connection = self.platform.store.connection().await.unwrap();
        one_off::create(&mut connection, new, stamp).await.unwrap().unwrap();
        if !has_container {
            return None;
        }
        Some(self.container(container, role).await)
    }

    async fn container(&self, name: String, role: Role) -> Container {
        let command = vec!["sleep".to_owned()];
        let limits = Limits::from(DynoSize::default());
        let spec = ContainerSpec::new(name, role, ImageRef::new("paas/hello"), command, limits);
        self.engine.teach(|spec| spec.command == ["sleep"], Behaviour::runs());
        self.engine.start(&spec).await.unwrap()
    }
}

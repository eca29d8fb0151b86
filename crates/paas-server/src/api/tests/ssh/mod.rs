//! Heroku's exec manager, and SSH behind it.

mod copy;
mod leave;

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{HeaderValue, Method, StatusCode, header};
use paas_engine::{Behaviour, ContainerSpec, TerminalSize};
use russh::{
    Channel, ChannelMsg,
    client::{self, Handle, Msg},
    keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKeyOrCertificate, ssh_key::private::Ed25519Keypair},
};
use serde_json::{Value, json};
use tokio::{net::UnixStream, time::timeout};

use super::server::{Answer, Server, server};
use crate::ssh::Listener;

/// Whatever is waited for comes within this time, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client that goes on only with the key that it was told.
struct Client(String);

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        Ok(key.to_openssh().unwrap() == self.0)
    }
}

fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

impl Server {
    async fn reserve(&self, app: &str, dyno: &str, token: &str, client_key: &str) -> Answer {
        let mut request = self.request(Method::PUT, &format!("/api/v2/{dyno}"));
        let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{app}:{token}")));
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
        self.send(request.map(|_| Body::from(json!({ "client_key": client_key }).to_string())))
            .await
    }

    /// A dyno of the app `hello` that `key(1)` may come to by SSH.
    async fn reserved(&self) -> Value {
        let (app, release) = self.app_with_code().await;
        self.dyno_with_container(&app, &release).await;
        self.listen();
        let line = key(1).public_key().to_openssh().unwrap();
        self.reserve("hello", "web.1", &self.token, &line).await.ok()
    }

    /// Serves SSH from now on.
    fn listen(&self) {
        let listener = Listener::bind(Arc::clone(&self.platform)).unwrap();
        self.platform.tracker.spawn(listener.run());
    }

    /// Comes with a reservation and a key; `None` for who is not let in.
    async fn come_by_ssh(&self, reservation: &Value, key: PrivateKey) -> Option<Handle<Client>> {
        let stream = UnixStream::connect(self.platform.settings.ssh_socket()).await.unwrap();
        self.come_by(stream, reservation, key).await
    }

    async fn come_by(&self, stream: UnixStream, reservation: &Value, key: PrivateKey) -> Option<Handle<Client>> {
        let of = |field: &str| reservation[field].as_str().unwrap().to_owned();
        let client = Client(of("proxy_public_key"));
        // A reservation that ends in between is told by hanging up.
        let mut handle = client::connect_stream(Arc::default(), stream, client).await.ok()?;
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let shown = handle.authenticate_publickey(of("client_user"), key).await;
        shown.is_ok_and(|shown| shown.success()).then_some(handle)
    }
}

/// What a channel says until its end, and the exit status.
async fn all_of(channel: &mut Channel<Msg>) -> (String, Option<u32>) {
    let (mut said, mut status) = (Vec::new(), None);
    let read = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => said.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => status = Some(exit_status),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, read).await.expect("the channel ends");
    (String::from_utf8(said).unwrap(), status)
}

#[tokio::test]
async fn whoever_reserved_with_a_key_comes_to_the_dyno_by_ssh() {
    let server = server().await;
    let (app, release) = server.app_with_code().await;
    server.dyno_with_container(&app, &release).await;
    let behaviour = Behaviour::copies().saying("~ $");
    server.engine.teach_command("exec bash", behaviour);
    server
        .engine
        .teach_command("bin/fail", Behaviour::exits(3).saying("so far"));
    server.engine.teach_command("perl", Behaviour::copies());
    let ends_first = Behaviour::exits(0).saying("HTTP/1.0 200 OK");
    server.engine.teach_command("ends.first", ends_first);
    server.listen();

    let line = key(1).public_key().to_openssh().unwrap();
    let reservation = server.reserve("hello", "web.1", &server.token, &line).await.ok();
    assert_eq!(reservation["tunnel_host"], json!("api.example.test"));
    assert!(
        server
            .log(&app)
            .await
            .contains("Opening dyno web.1 for SSH by user ada@example.com")
    );
    let handle = server.come_by_ssh(&reservation, key(1)).await.expect("they are let in");

    let mut shell = handle.channel_open_session().await.unwrap();
    shell.request_pty(true, "xterm", 100, 30, 0, 0, &[]).await.unwrap();
    shell.request_shell(true).await.unwrap();
    shell.data_bytes(&b"ls"[..]).await.unwrap();
    shell.window_change(90, 20, 0, 0).await.unwrap();
    // Its input ends for a terminal with a character, which this program copies; then it goes with the channel.
    shell.eof().await.unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"ls\x04") {
        let message = timeout(PATIENCE, shell.wait()).await.unwrap();
        if let ChannelMsg::Data { data } = message.expect("more is said") {
            said.extend_from_slice(&data);
        }
    }
    assert!(said.starts_with(b"~ $\n"), "{said:?}");
    shell.close().await.unwrap();

    // Nobody has measured this terminal, and it is one all the same (RFC 4254 §6.2).
    let measured = Behaviour::exits(0).saying("80x24");
    let is_usual = |spec: &ContainerSpec| {
        spec.terminal == Some(TerminalSize::USUAL) && spec.command.iter().any(|word| word.contains("bin/measure"))
    };
    server.engine.teach(is_usual, measured);
    let mut unmeasured = handle.channel_open_session().await.unwrap();
    unmeasured.request_pty(true, "dumb", 0, 0, 0, 0, &[]).await.unwrap();
    unmeasured.exec(true, "bin/measure").await.unwrap();
    assert_eq!(all_of(&mut unmeasured).await, ("80x24\n".to_owned(), Some(0)));

    let mut failing = handle.channel_open_session().await.unwrap();
    failing.exec(true, "bin/fail").await.unwrap();
    assert_eq!(all_of(&mut failing).await, ("so far\n".to_owned(), Some(3)));

    let mut forwarded = handle
        .channel_open_direct_tcpip("localhost", 5432, "127.0.0.1", 1)
        .await
        .unwrap();
    forwarded.data_bytes(&b"select 1"[..]).await.unwrap();
    forwarded.eof().await.unwrap();
    assert_eq!(all_of(&mut forwarded).await, ("select 1".to_owned(), None));

    // The other side ends first, and the client hears of it.
    let mut forwarded = handle
        .channel_open_direct_tcpip("ends.first", 80, "127.0.0.1", 1)
        .await
        .unwrap();
    assert_eq!(all_of(&mut forwarded).await, ("HTTP/1.0 200 OK\n".to_owned(), None));

    let refused = handle.channel_open_session().await.unwrap();
    refused.request_subsystem(true, "netconf").await.unwrap();
    let (said, _) = all_of(&mut { refused }).await;
    assert_eq!(said, "");

    // The right to be there ends, and so does being there.
    server.platform.sessions.end_all_of(app.app.id);
    let is_over = async {
        while !handle.is_closed() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, is_over).await.expect("the connection ends");
    assert!(server.come_by_ssh(&reservation, key(1)).await.is_none());
}

#[tokio::test]
async fn without_the_key_or_the_right_nobody_comes_in() {
    let server = server().await;
    let (app, release) = server.app_with_code().await;
    server.dyno_with_container(&app, &release).await;
    server.listen();
    let line = key(1).public_key().to_openssh().unwrap();
    let reservation = server.reserve("hello", "web.1", &server.token, &line).await.ok();
    assert!(server.come_by_ssh(&reservation, key(2)).await.is_none());
    let mut other = reservation.clone();
    other["client_user"] = json!("root");
    assert!(server.come_by_ssh(&other, key(1)).await.is_none());

    let stranger = server.stranger("eve@example.com").await;
    for (app, dyno, token, key, status) in [
        ("hello", "web.1", &stranger, line.as_str(), StatusCode::FORBIDDEN),
        ("other", "web.1", &server.token, &line, StatusCode::NOT_FOUND),
        ("hello", "web.9", &server.token, &line, StatusCode::NOT_FOUND),
        (
            "hello",
            "web.1",
            &server.token,
            "no key",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let refused = server.reserve(app, dyno, token, key).await;
        assert_eq!(refused.status, status, "{}", refused.text);
    }
    let mut request = server.request(Method::GET, "/api/v2");
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("hello:{}", server.token)));
    let headers = request.headers_mut();
    headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&basic).unwrap());
    assert_eq!(server.send(request).await.ok(), json!([{ "dyno_name": "web.1" }]));
    // With a bearer token no app is named.
    assert_eq!(server.get("/api/v2").await.status, StatusCode::NOT_FOUND);
}

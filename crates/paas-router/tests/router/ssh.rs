//! Clients that speak SSH on the HTTP port.

use paas_router::Settings;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UnixListener},
    time::timeout,
};

use crate::support::{DEADLINE, TestDyno, World, quick, settings};

#[tokio::test]
async fn ssh_is_handed_over_byte_for_byte_and_http_goes_on() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::start_with(|directory| Settings {
        ssh: Some(directory.path().join("ssh.sock")),
        ..settings(directory, quick())
    })
    .await;
    world.serve(&[&dyno]).await;
    let listener = UnixListener::bind(world.directory.path().join("ssh.sock")).unwrap();
    // A client may say the same in one piece, or letter by letter.
    for pieces in [vec!["SSH-2.0-test\r\nmore"], vec!["S", "SH", "-2.0-test\r\n", "more"]] {
        let mut client = TcpStream::connect(world.addresses.http).await.unwrap();
        client.set_nodelay(true).unwrap();
        for piece in pieces {
            client.write_all(piece.as_bytes()).await.unwrap();
            tokio::task::yield_now().await;
        }
        let (mut server, _) = timeout(DEADLINE, listener.accept()).await.unwrap().unwrap();
        let mut heard = [0; 18];
        timeout(DEADLINE, server.read_exact(&mut heard)).await.unwrap().unwrap();
        assert_eq!(&heard, b"SSH-2.0-test\r\nmore");
        server.write_all(b"SSH-2.0-ours\r\n").await.unwrap();
        drop(server);
        let mut said = String::new();
        timeout(DEADLINE, client.read_to_string(&mut said))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(said, "SSH-2.0-ours\r\n");
    }
    assert_eq!(world.get("/").await.status, 200);
}

#[tokio::test]
async fn ssh_finds_a_closed_door_where_nobody_speaks_it() {
    let world = World::start(quick()).await;
    let mut client = TcpStream::connect(world.addresses.http).await.unwrap();
    client.write_all(b"SSH-2.0-test\r\n").await.unwrap();
    let mut said = Vec::new();
    // Closed with bytes unread, a connection may be reset.
    let read = timeout(DEADLINE, client.read_to_end(&mut said)).await.unwrap();
    assert!(read.is_err() || said.is_empty(), "{said:?}");
}

#[tokio::test]
async fn a_method_that_begins_like_ssh_is_http() {
    let dyno = TestDyno::echoing_heads().await;
    let world = World::serving(quick(), &[&dyno]).await;
    let answer = world
        .send("SEARCH / HTTP/1.1\r\nHost: hello.test\r\nConnection: close\r\n\r\n")
        .await;
    assert_eq!(answer.status, 200);
}

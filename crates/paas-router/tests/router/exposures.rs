//! Add-ons that addresses outside may come to.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use chrono::{TimeDelta, Utc};
use paas_router::{
    Limits,
    feed::{Exposure, ExposureTls, Report, ServerEntry, Table},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    support::{DEADLINE, World, id_of, own_loopback, quick},
    tls::{certificate, client, server},
};

/// What a client of PostgreSQL asks for first.
const ASKS_FOR_TLS: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A server that says how it is called, and then what it hears.
async fn named(world: &World, name: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tracker = world.tracker.clone();
    world.tracker.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tracker.spawn(async move {
                let _ = stream.write_all(name.as_bytes()).await;
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
        }
    });
    address
}

/// A port that is free, most likely for a while.
async fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((own_loopback(), 0)).await.unwrap();
    listener.local_addr().unwrap()
}

fn exposed(listen: SocketAddr, address: SocketAddr) -> Exposure {
    Exposure {
        addon: id_of("database"),
        app: id_of("hello"),
        name: "postgresql-curved-12345".to_owned(),
        listen,
        server: Some(ServerEntry {
            container: address.to_string(),
            address,
        }),
        allowed: vec!["127.0.0.1/32".to_owned()],
        ends_at: wall_clock() + TimeDelta::hours(1),
        tls: ExposureTls::Postgres,
        connections: 2,
    }
}

fn wall_clock() -> chrono::DateTime<Utc> {
    std::time::SystemTime::now().into()
}

async fn publish(world: &World, exposures: &[Exposure]) {
    world
        .publish(Table {
            exposures: exposures.to_vec(),
            certificates: vec![Arc::new(certificate("api.test"))],
            ..Table::default()
        })
        .await;
}

/// A connection that the router has let in; its door may open a moment after the table.
async fn enter(listen: SocketAddr, name: &str) -> TcpStream {
    timeout(DEADLINE, async {
        loop {
            if let Ok(stream) = from("127.0.0.1", listen, name).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("a door in time")
}

async fn from(source: &str, listen: SocketAddr, name: &str) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(source.parse::<IpAddr>().unwrap(), 0))?;
    let mut stream = socket.connect(listen).await?;
    stream.write_all(&ASKS_FOR_TLS).await?;
    let mut said = vec![0; name.len() + ASKS_FOR_TLS.len()];
    stream.read_exact(&mut said).await?;
    assert_eq!(said, [name.as_bytes(), &ASKS_FOR_TLS].concat());
    Ok(stream)
}

async fn is_closed(stream: &mut TcpStream) {
    let mut byte = [0];
    let read = timeout(DEADLINE, stream.read(&mut byte))
        .await
        .expect("the router closes");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}

async fn is_echoed(stream: &mut TcpStream) {
    stream.write_all(b"!").await.unwrap();
    let mut byte = [0];
    timeout(DEADLINE, stream.read_exact(&mut byte)).await.unwrap().unwrap();
    assert_eq!(&byte, b"!");
}

#[tokio::test]
async fn an_exposed_add_on_is_for_addresses_that_are_allowed() {
    let mut world = World::start(quick()).await;
    let listen = free_port().await;
    let mut exposure = exposed(listen, named(&world, "one").await);
    publish(&world, std::slice::from_ref(&exposure)).await;
    let mut inside = enter(listen, "one").await;
    is_echoed(&mut inside).await;

    // All of 127.0.0.0/8 is this machine.
    for _ in 0..3 {
        assert!(from("127.0.0.2", listen, "one").await.is_err());
    }
    let Report::TurnedAway { name, peer, more, .. } = world.event().await else {
        panic!("a stranger is told of");
    };
    assert_eq!(
        (&*name, peer.to_string(), more),
        ("postgresql-curved-12345", "127.0.0.2".to_owned(), 0)
    );

    // Whoever has enough connections has to wait.
    let mut second = enter(listen, "one").await;
    assert!(from("127.0.0.1", listen, "one").await.is_err());

    // Connections outlive a change of the table, and of the server behind the door.
    exposure.server = Some(ServerEntry {
        container: "another".to_owned(),
        address: named(&world, "two").await,
    });
    publish(&world, std::slice::from_ref(&exposure)).await;
    is_echoed(&mut inside).await;
    drop(second);
    second = enter(listen, "two").await;
    is_echoed(&mut second).await;

    // Who is not allowed any more goes at once.
    exposure.allowed = vec!["127.0.0.2/32".to_owned()];
    publish(&world, std::slice::from_ref(&exposure)).await;
    is_closed(&mut inside).await;
    is_closed(&mut second).await;
    let mut other = from("127.0.0.2", listen, "two").await.unwrap();
    publish(&world, &[]).await;
    is_closed(&mut other).await;
    timeout(DEADLINE, async {
        while TcpStream::connect(listen).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the port closes");
}

#[tokio::test]
async fn silence_ends_a_connection() {
    let world = World::start(Limits {
        exposure_idle: Duration::from_millis(300),
        ..quick()
    })
    .await;
    let listen = free_port().await;
    let exposure = exposed(listen, named(&world, "one").await);
    publish(&world, &[exposure]).await;
    let mut silent = enter(listen, "one").await;
    is_closed(&mut silent).await;
}

#[tokio::test]
async fn an_exposure_ends_by_itself() {
    let mut world = World::start(quick()).await;
    let (listen, forever) = (free_port().await, free_port().await);
    let address = named(&world, "one").await;
    let with_room = |addon, listen| Exposure {
        addon: id_of(addon),
        connections: 1000,
        ..exposed(listen, address)
    };
    let (mut ending, lasting) = (with_room("database", listen), with_room("other", forever));
    publish(&world, &[ending.clone(), lasting.clone()]).await;
    let mut inside = enter(listen, "one").await;
    ending.ends_at = wall_clock() + TimeDelta::seconds(5);
    publish(&world, &[ending.clone(), lasting.clone()]).await;
    is_echoed(&mut inside).await;
    // The feeder never says that it is over.
    is_closed(&mut inside).await;
    assert!(from("127.0.0.1", listen, "one").await.is_err());
    let _still = enter(forever, "one").await;
    // Nobody is called a stranger who only came too late.
    assert!(from("127.0.0.2", forever, "one").await.is_err());
    let Report::TurnedAway { peer, .. } = world.event().await else {
        panic!("a stranger is told of");
    };
    assert_eq!(peer.to_string(), "127.0.0.2");
}

#[tokio::test]
async fn a_port_that_somebody_else_has_is_told_of() {
    let mut world = World::start(quick()).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut exposure = exposed(taken.local_addr().unwrap(), named(&world, "one").await);
    publish(&world, std::slice::from_ref(&exposure)).await;
    // It is tried again with the next table at the latest.
    exposure.connections = 3;
    publish(&world, std::slice::from_ref(&exposure)).await;
    let Report::NoPort { name, listen, .. } = world.event().await else {
        panic!("a port that cannot be had is told of");
    };
    assert_eq!((&*name, listen), ("postgresql-curved-12345", exposure.listen));
}

#[tokio::test]
async fn the_router_puts_its_own_tls_around_a_server_that_has_none() {
    let world = World::start(quick()).await;
    let listen = free_port().await;
    let exposure = Exposure {
        tls: ExposureTls::Router,
        ..exposed(listen, named(&world, "cache").await)
    };
    let shown = Arc::new(certificate("api.test"));
    let table = Table {
        exposures: vec![exposure],
        certificates: vec![shown.clone()],
        ..Table::default()
    };
    world.publish(table).await;
    let config = Arc::new(client(&shown.chain_pem, &[]));
    let mut stream = timeout(DEADLINE, async {
        loop {
            if let Ok(stream) = TcpStream::connect(listen).await {
                return stream;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    // In the clear nothing reaches it.
    stream.write_all(b"PING\r\n").await.unwrap();
    is_refused(&mut stream).await;
    let stream = TcpStream::connect(listen).await.unwrap();
    let mut stream = TlsConnector::from(config)
        .connect(server("api.test"), stream)
        .await
        .unwrap();
    stream.write_all(b"PING").await.unwrap();
    let mut said = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut said)).await.unwrap().unwrap();
    assert_eq!(&said, b"cachePING");
}

/// An alert, and the end.
async fn is_refused(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut said))
        .await
        .expect("the router closes");
    assert!(!String::from_utf8_lossy(&said).contains("cache"));
}

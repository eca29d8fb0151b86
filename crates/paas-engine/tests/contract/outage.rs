//! An engine that goes away and comes back: a proxy before Docker's socket that can be cut, because the real one is not ours
//! to stop.

use std::{path::PathBuf, time::Duration};

use futures_util::StreamExt as _;
use paas_engine::{DockerEngine, Engine as _, EngineError};
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::world::{Program, SOCKET, World};

/// Docker's socket under another name.
struct Proxy {
    path: PathBuf,
    connections: CancellationToken,
    tracker: TaskTracker,
}

impl Proxy {
    fn new(path: PathBuf) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let connections = CancellationToken::new();
        let tracker = TaskTracker::new();
        let (alive, tasks) = (connections.clone(), tracker.clone());
        tracker.spawn(connections.clone().run_until_cancelled_owned(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let pass = async move {
                    let mut docker = UnixStream::connect(SOCKET).await.unwrap();
                    copy_bidirectional(&mut client, &mut docker).await.ok();
                };
                tasks.spawn(alive.clone().run_until_cancelled_owned(pass));
            }
        }));
        Self {
            path,
            connections,
            tracker,
        }
    }

    /// Breaks every connection and takes no new one.
    async fn cut(self) -> PathBuf {
        self.connections.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        std::fs::remove_file(&self.path).unwrap();
        self.path
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs docker"]
async fn an_outage_ends_no_hints_and_loses_no_output() {
    World::docker()
        .await
        .keeps(async |world: &World| {
            let path = std::env::temp_dir().join(format!("paas-test-{}.sock", world.platform));
            let proxy = Proxy::new(path);
            let engine = DockerEngine::connect(&proxy.path, &world.platform).await.unwrap();
            let mut hints = engine.hints();
            hints.next().await.unwrap();
            let container = engine.start(&world.spec("outlives", Program::Stubborn)).await.unwrap();
            hints.next().await.unwrap();
            let mut logs = engine.logs(&container.id, None);
            let ready = logs.next().await.unwrap().unwrap();
            assert_eq!(&ready.bytes[..], b"ready");

            let path = proxy.cut().await;
            let error = logs.next().await.unwrap().unwrap_err();
            assert!(error.is_temporary(), "{error:?}");
            assert!(logs.next().await.is_none());
            let error = engine.list().await.unwrap_err();
            assert!(matches!(error, EngineError::Unavailable { .. }), "{error:?}");
            // Hints of before the outage may still be there; then there is nothing to say.
            while tokio::time::timeout(Duration::from_millis(500), hints.next())
                .await
                .is_ok()
            {}

            let proxy = Proxy::new(path);
            hints.next().await.unwrap();
            assert_eq!(engine.list().await.unwrap(), std::slice::from_ref(&container));
            let mut logs = engine.logs(&container.id, Some(ready.position));
            engine.remove(&container.id).await.unwrap();
            assert!(logs.next().await.is_none());
            while !engine.list().await.unwrap().is_empty() {
                hints.next().await.unwrap();
            }
            proxy.cut().await;
        })
        .await;
}

//! What is in an add-on, copied into another one: a dump on its way to a restore, with nothing kept in between.
//!
//! Like a shell it belongs to a person's stream and ends with it. What breaks off is never taken for the end of a dump. Whether it
//! leaves the target as it was is its service's business: Postgres restores beside what is there and swaps the two, `MariaDB` fills
//! the original table by table after a trial beside it, and `MongoDB` replaces collection by collection. One thing at a time is put
//! into a server: `restore` holds a lock there.

use std::sync::Arc;

use paas_engine::{ContainerId, Output, OutputStream};
use uuid::Uuid;

use super::stream::{Pipe, through};
use crate::{
    control::beside::visitor,
    platform::Platform,
    rendezvous::{Invitation, Visitor},
    sessions::Session,
};

/// After so many bytes whoever waits is told how many there were.
const WORD_BYTES: u64 = 1024 * 1024;

/// A program that dumps, one that restores, and where they are.
pub(crate) struct Copy {
    pub(crate) from: (ContainerId, String),
    pub(crate) to: (ContainerId, String),
    pub(crate) invitation: Invitation,
    pub(crate) session: Session,
}

/// Copies for whoever comes.
pub(crate) fn copy(platform: &Arc<Platform>, copy: Copy) {
    let platform = Arc::clone(platform);
    platform.tracker.clone().spawn(async move {
        let Copy {
            from,
            to,
            mut invitation,
            session,
        } = copy;
        if let Some(visitor) = visitor(&platform, &mut invitation, &session).await {
            serve(&platform, (&from, &to), visitor, &session).await;
        }
    });
}

async fn serve(
    platform: &Platform,
    (from, to): (&(ContainerId, String), &(ContainerId, String)),
    visitor: Visitor,
    session: &Session,
) {
    let Visitor {
        stdin: _stdin,
        output,
        gone,
        exit,
        target: _,
    } = visitor;
    let transfer = Uuid::new_v4();
    let [dumping, restoring] = [from, to].map(|(container, script)| Pipe {
        engine: &platform.engine,
        container,
        script,
        transfer,
        cancel: &gone,
    });
    let (mut said, words) = (0, output.clone());
    let tell = move |passed: u64| {
        if passed >= said + WORD_BYTES {
            said = passed;
            let bytes = format!("{passed}\n").into();
            let stream = OutputStream::Stdout;
            // A word that finds no room is not waited for.
            let _ = words.try_send(Output { stream, bytes });
        }
    };
    let watch = async {
        tokio::select! {
            () = session.ended().cancelled() => {}
            () = platform.stop.cancelled() => {}
        }
        gone.cancel();
        std::future::pending::<()>().await;
    };
    let ended = tokio::select! {
        ended = through(dumping, restoring, tell) => ended,
        () = watch => return,
    };
    let trouble = ended.err().map(|error| format!("{error:#}"));
    if let Some(trouble) = &trouble {
        let bytes = format!("{trouble}\n").into();
        let stream = OutputStream::Stderr;
        // Whoever has gone need not know.
        let _ = output.send(Output { stream, bytes }).await;
    }
    let _ = exit.send(i32::from(trouble.is_some()));
}

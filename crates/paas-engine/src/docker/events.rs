//! Hints: Docker's events, with nothing left of them but that there was one.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use bollard::{
    models::EventMessage,
    query_parameters::{EventsOptionsBuilder, InspectContainerOptions},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};

use super::DockerEngine;

/// How long to wait before asking again, doubled each time nobody answers.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// How long the engine may take to put down an end that it has announced.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);
/// Only what changes what `list` would say: an exec is an event too.
const EVENTS: [&str; 6] = ["create", "start", "die", "destroy", "pause", "unpause"];

enum State {
    Disconnected { delay: Duration },
    Listening(BoxStream<'static, ()>),
}

pub(super) fn hints(engine: DockerEngine) -> BoxStream<'static, ()> {
    let start = State::Disconnected { delay: Duration::ZERO };
    stream::unfold((engine, start), |(engine, mut state)| async move {
        loop {
            state = match state {
                State::Disconnected { delay } => {
                    tokio::time::sleep(delay).await;
                    // Taken before anybody can look: Docker repeats what happened since, so that nothing falls between.
                    let since = SystemTime::now();
                    match engine.docker.ping().await {
                        Ok(_) => {
                            let listening = State::Listening(events(&engine, since));
                            return Some(((), (engine, listening)));
                        }
                        Err(error) => {
                            tracing::debug!(%error, "the engine does not answer; asking again");
                            State::Disconnected {
                                delay: (delay * 2).clamp(FIRST_DELAY, LONGEST_DELAY),
                            }
                        }
                    }
                }
                State::Listening(mut events) => match events.next().await {
                    Some(()) => return Some(((), (engine, State::Listening(events)))),
                    None => State::Disconnected { delay: FIRST_DELAY },
                },
            };
        }
    })
    .boxed()
}

/// Events of our containers since then, until the connection breaks.
fn events(engine: &DockerEngine, since: SystemTime) -> BoxStream<'static, ()> {
    let mut filters: HashMap<String, Vec<String>> = engine.labels.filter();
    filters.insert("type".to_owned(), vec!["container".to_owned()]);
    filters.insert("event".to_owned(), EVENTS.map(str::to_owned).to_vec());
    let since = since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let since = format!("{}.{:09}", since.as_secs(), since.subsec_nanos());
    let options = EventsOptionsBuilder::new().since(&since).filters(&filters).build();
    let engine = engine.clone();
    engine
        .docker
        .events(Some(options))
        .take_while(|event| std::future::ready(event.is_ok()))
        .then(move |event| {
            let engine = engine.clone();
            async move {
                if let Ok(event) = event {
                    settle(&engine, event).await;
                }
            }
        })
        .boxed()
}

/// Docker tells of an end about a tenth of a second before its list of containers knows: whoever looks at once sees the
/// container running, and gets no second hint. An inspection waits for the lock that is held until the list is right.
async fn settle(engine: &DockerEngine, event: EventMessage) {
    let container = event.actor.and_then(|actor| actor.id);
    if let (Some("die"), Some(container)) = (event.action.as_deref(), container) {
        let inspected = engine
            .docker
            .inspect_container(&container, None::<InspectContainerOptions>);
        // That it is there no more, or that the engine is slow, is the next look's to find out.
        let _ = tokio::time::timeout(SETTLE_LIMIT, inspected).await;
    }
}

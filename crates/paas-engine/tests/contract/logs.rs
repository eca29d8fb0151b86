//! Reading what containers say.

use futures_util::StreamExt as _;
use paas_engine::{LogPosition, OutputStream};

use crate::{
    contract,
    world::{Program, World},
};

contract!(
    output_comes_in_order_and_ends_with_the_container,
    resuming_after_any_position_gives_exactly_the_rest,
    output_of_a_running_container_comes_live,
    a_container_that_is_gone_says_nothing,
);

const WORDS: [&str; 5] = ["one", "two", "three", "four", "five"];

async fn output_comes_in_order_and_ends_with_the_container(world: &World) {
    let container = world.engine.start(&world.spec("count", Program::Count)).await.unwrap();
    let chunks = world.read(&container.id, None).await;
    let words: Vec<_> = chunks.iter().map(|chunk| &chunk.bytes[..]).collect();
    assert_eq!(words, WORDS.map(str::as_bytes));
    assert!(
        chunks
            .iter()
            .all(|chunk| chunk.stream == OutputStream::Stdout && !chunk.is_partial)
    );
    assert!(
        chunks.is_sorted_by(|one, two| one.position < two.position),
        "{chunks:?}"
    );
}

async fn resuming_after_any_position_gives_exactly_the_rest(world: &World) {
    let container = world.engine.start(&world.spec("resume", Program::Count)).await.unwrap();
    let all = world.read(&container.id, None).await;
    assert_eq!(all.len(), WORDS.len());
    for (index, chunk) in all.iter().enumerate() {
        let written: LogPosition = chunk.position.to_string().parse().unwrap();
        assert_eq!(world.read(&container.id, Some(written)).await, all[index + 1..]);
    }
}

async fn output_of_a_running_container_comes_live(world: &World) {
    let container = world
        .engine
        .start(&world.spec("live", Program::Stubborn))
        .await
        .unwrap();
    let mut logs = world.engine.logs(&container.id, None);
    assert_eq!(&logs.next().await.unwrap().unwrap().bytes[..], b"ready");
    world.engine.remove(&container.id).await.unwrap();
    assert!(logs.next().await.is_none());
}

async fn a_container_that_is_gone_says_nothing(world: &World) {
    let container = world.engine.start(&world.spec("gone", Program::Count)).await.unwrap();
    world.engine.remove(&container.id).await.unwrap();
    assert_eq!(world.read(&container.id, None).await, []);
}

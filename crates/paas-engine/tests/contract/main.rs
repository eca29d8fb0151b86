//! What every engine promises, asked of each: the fake always, Docker where there is one.
//!
//! A test that only one engine passes is a lie of the other. What only Docker can show (isolation, limits) is in `docker`.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod builds;
mod containers;
mod docker;
mod execs;
mod images;
mod logs;
mod networks;
mod outage;
mod runs;
mod world;

/// One promise, asked of both engines.
macro_rules! contract {
    ($($promise:ident),+ $(,)?) => {
        mod fake {
            $(#[tokio::test]
            async fn $promise() {
                $crate::world::World::fake().keeps(super::$promise).await;
            })+
        }

        mod docker {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs docker"]
            async fn $promise() {
                $crate::world::World::docker().await.keeps(super::$promise).await;
            })+
        }
    };
}
pub(crate) use contract;

//! Looks beside work that takes long, whether anybody still wants it.

use std::time::Duration;

use anyhow::Result;
use paas_core::{Addon, AddonState, Id};
use paas_store as store;
use tokio::time::sleep;

use super::AddonsController;

/// Between two looks.
pub(super) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Comes to an end when there is something to be seen, and gives that. Who cannot look sees nothing.
pub(super) async fn until_seen<T, F: Future<Output = Result<Option<T>>>>(look: impl Fn() -> F) -> T {
    loop {
        if let Ok(Some(seen)) = look().await {
            return seen;
        }
        sleep(LOOK_AGAIN).await;
    }
}

impl AddonsController {
    /// Comes to an end when the add-on is destroyed, or another server has it. Until then it stays ours.
    pub(super) async fn is_given_up(&self, id: Id<Addon>) {
        until_seen(|| async {
            if !self.lease(id).await? {
                return Ok(Some(()));
            }
            let mut conn = self.platform.store.connection().await?;
            let row = store::addon::by_id(&mut conn, id).await?;
            let is_going = row.is_none_or(|row| row.addon.state == AddonState::Deprovisioning);
            Ok(is_going.then_some(()))
        })
        .await;
    }
}

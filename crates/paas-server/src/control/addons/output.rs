//! What the servers of add-ons say, for the apps that use them: `app[postgres.12345]: [DATABASE] …`

use std::collections::HashSet;

use anyhow::Result;
use chrono::TimeDelta;
use paas_core::{Addon, Id, SeenAddonState};
use paas_engine::ContainerId;
use paas_store as store;

use super::{AddonsController, Seen};
use crate::{addon::Logged, logs::Shared};

/// What was said longer ago is not told anew where nobody remembers how far it was.
const REMEMBERED: TimeDelta = TimeDelta::hours(1);

impl AddonsController {
    /// Follows each server for each app that uses it, but not where a task is at work: what is listed may be gone.
    pub(super) async fn share_output(&self, seen: &Seen, busy: &HashSet<Id<Addon>>) -> Result<()> {
        let (collector, now) = (&self.platform.collector, self.platform.clock.now());
        let mut wanted = HashSet::new();
        for row in &seen.rows {
            let id = row.addon.id;
            let service = self.platform.catalogue.service(&row.addon.service);
            let Some(logged) = service.and_then(|service| service.kind.log.as_ref()) else {
                continue;
            };
            let containers = seen.containers.get(&id).into_iter().flatten();
            for container in containers.filter(|container| container.state != SeenAddonState::Created) {
                let container = ContainerId::new(container.container.clone());
                for app in seen.apps.get(&id).into_iter().flatten() {
                    let pair = (container.clone(), *app);
                    if collector.is_followed(*app, &container) {
                        wanted.insert(pair);
                        continue;
                    }
                    if busy.contains(&id) {
                        continue;
                    }
                    let mut conn = self.platform.store.connection().await?;
                    let attachments = store::addon_attachment::list_of_addon(&mut conn, id).await?;
                    drop(conn);
                    // Who has a credential with rights of its own does not see what others say.
                    let mut attachments = attachments.iter().map(|row| &row.attachment);
                    let attachment = attachments.find(|one| one.app == *app && one.namespace.is_none());
                    let Some(attachment) = attachment else { continue };
                    let how = Shared {
                        process: process(logged, id),
                        prefix: format!("[{}] ", attachment.name),
                        without: logged.without.clone(),
                        since: attachment.created_at.max(now - REMEMBERED),
                    };
                    collector.share(*app, &container, how);
                    wanted.insert(pair);
                }
            }
        }
        collector.share_no_others(&wanted);
        Ok(())
    }
}

/// With a number that is the add-on's own for as long as there is one.
fn process(logged: &Logged, id: Id<Addon>) -> String {
    let number = id.as_uuid().as_u128() % 100_000;
    logged.process.replace("{number}", &number.to_string())
}

//! What a server has to learn and to forget while it runs: settings, and credentials besides its own.

use anyhow::{Context, Result};
use paas_core::{AddonCredential, CredentialState};
use paas_engine::ContainerId;
use paas_store::{
    self as store,
    addon::{AddonRow, Values},
};

use super::{AddonsController, run, step::APPLY_LIMIT, tell};
use crate::addon::{Credentials, Service};

impl AddonsController {
    /// One after the other. Each may be repeated: whoever dies in between begins again.
    pub(super) async fn teach(&self, row: &AddonRow, container: &ContainerId) -> Result<()> {
        let service = self.service(row)?;
        let own = self.credentials(row).await?;
        let chosen = self.give(row, service, (container, &own)).await?;
        self.configure(row, service, (container, &chosen)).await?;
        let mut conn = self.platform.store.connection().await?;
        let credentials = store::addon_credential::list(&mut conn, row.addon.id).await?;
        drop(conn);
        // One that its server refuses keeps none of the others from it.
        let mut taught = Ok(());
        for credential in credentials {
            let done = match credential.state {
                CredentialState::Active => Ok(()),
                CredentialState::Revoking => self.revoke(service, container, &credential).await,
                CredentialState::Provisioning | CredentialState::Rotating => {
                    self.grant(service, container, (&own, &credential)).await
                }
            };
            taught = taught.and(done);
        }
        taught?;
        let mut conn = self.platform.store.connection().await?;
        Ok(store::addon::clear_trouble(&mut conn, row.addon.id).await?)
    }

    /// Tells its server the settings that it was given.
    pub(super) async fn configure(
        &self,
        row: &AddonRow,
        service: &Service,
        (container, chosen): (&ContainerId, &Values),
    ) -> Result<()> {
        if let Some(script) = &service.kind.configure {
            run::script(&self.platform.engine, container, script, APPLY_LIMIT)
                .await
                .context("telling its server its settings")?;
        }
        let mut conn = self.platform.store.connection().await?;
        Ok(store::addon::mark_configured(&mut conn, row.addon.id, chosen).await?)
    }

    async fn grant(
        &self,
        service: &Service,
        container: &ContainerId,
        (own, credential): (&Credentials, &AddonCredential),
    ) -> Result<()> {
        let platform = &self.platform;
        let script = service.kind.grant.as_ref();
        let script = script.with_context(|| format!("{} has one credential only", service.name))?;
        let mut conn = platform.store.connection().await?;
        let known = store::addon_credential::secret(&mut conn, &platform.store.sealer, credential.id).await?;
        drop(conn);
        let Some(known) = known else { return Ok(()) };
        let theirs = own.of_user(known);
        run::telling(&platform.engine, container, (script, theirs.to_role()), APPLY_LIMIT)
            .await
            .with_context(|| format!("telling its server the credential {}", credential.name))?;
        let config = theirs.config(service, credential.addon);
        let mut conn = platform.store.connection().await?;
        let (sealer, now) = (&platform.store.sealer, platform.clock.now());
        let known = theirs.user_values();
        let releases = store::addon_credential::settle(&mut conn, sealer, credential, (&known, &config), now).await?;
        drop(conn);
        tell::released(platform, releases).await;
        platform.wake_webhooks.notify_one();
        Ok(())
    }

    async fn revoke(&self, service: &Service, container: &ContainerId, credential: &AddonCredential) -> Result<()> {
        let platform = &self.platform;
        if let Some(script) = &service.kind.revoke {
            let role = format!("ROLE={}\n", credential.name);
            run::telling(&platform.engine, container, (script, role), APPLY_LIMIT)
                .await
                .with_context(|| format!("letting its server forget the credential {}", credential.name))?;
        }
        let mut conn = platform.store.connection().await?;
        Ok(store::addon_credential::delete(&mut conn, credential.id).await?)
    }
}

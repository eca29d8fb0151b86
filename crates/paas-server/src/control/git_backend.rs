//! What a push asks of the rest of the platform.

use std::{io, sync::Arc};

use async_trait::async_trait;
use futures_util::StreamExt;
use http::HeaderMap;
use paas_core::{App, Permission, Scope};
use paas_store::{self as store, account::Account};
use tokio::sync::oneshot;

use super::{
    boot::Verdict,
    deploy::{self, BuildSource, NewBuild},
};
use crate::{
    api,
    git::{Admission, Backend, Deploying, Expected, NewSource, Refusal, Service},
    platform::Platform,
    sessions::Holder,
};

pub(crate) struct GitBackend(pub(crate) Arc<Platform>);

#[async_trait]
impl Backend for GitBackend {
    async fn admit(&self, headers: &HeaderMap, name: Option<&str>, wanted: Service) -> Result<Admission, Refusal> {
        let (account, authorization) = api::authenticate(&self.0, headers).await.map_err(|error| {
            if error.is_unavailable() {
                Refusal::Unavailable
            } else {
                Refusal::Unauthenticated
            }
        })?;
        let scope = match wanted {
            Service::UploadPack => Scope::Read,
            Service::ReceivePack => Scope::Write,
        };
        if !Scope::any_covers(&authorization.scope, scope) {
            return Err(Refusal::Forbidden(format!(
                "The scope of this token does not allow it: it takes {}. See `paas authorizations`.",
                scope.as_str()
            )));
        }
        let name = name.ok_or(Refusal::NotFound)?;
        let mut conn = self.0.store.connection().await.map_err(|error| unavailable(&error))?;
        let found = store::app::find(&mut conn, name)
            .await
            .map_err(|error| unavailable(&error))?;
        let app = found.ok_or(Refusal::NotFound)?.app;
        let holder = Holder {
            account: account.id,
            authorization: authorization.id,
            app: app.id,
        };
        let session = self.0.sessions.begin(holder);
        self.check(&app, &account).await?;
        Ok(Admission {
            app,
            account,
            session: Some(session),
        })
    }

    /// Not while anything else of the app is under way, nor while others wait for the machine: then this push waits, too.
    fn expect(&self, app: &App) -> Option<Expected> {
        let (platform, app) = (Arc::clone(&self.0), app.id);
        if platform.turns.is_busy(app) || !platform.turns.slots.has_free() {
            return None;
        }
        let build = store::new_id(platform.clock.now());
        let given_up = platform.stop.child_token();
        let push = given_up.clone().drop_guard();
        self.0.tracker.spawn(async move {
            platform.builder.expect(app, build, given_up).await;
        });
        Some(Expected { build, _push: push })
    }

    async fn deploy(&self, source: NewSource) -> Result<Deploying, Refusal> {
        // A push takes a while: whoever lost access meanwhile deploys nothing.
        self.check(&source.app, &source.account).await?;
        let NewSource {
            app,
            account,
            tar,
            commit,
            subject,
            build,
        } = source;
        let build = build.unwrap_or_else(|| store::new_id(self.0.clock.now()));
        let new = NewBuild {
            app,
            actor: account,
            source: BuildSource::Tar(tar),
            commit: Some(commit),
            description: Some(subject),
            buildpacks: None,
            blob: None,
        };
        let deploy = deploy::submit_as(&self.0, build, new)
            .await
            .map_err(|error| unavailable(&error))?;
        let output = match self.0.outputs.follow(*deploy.build.as_uuid()).await {
            Ok(Some(output)) => output.boxed(),
            Ok(None) => futures_util::stream::once(async { Err(io::Error::from(io::ErrorKind::NotFound)) }).boxed(),
            Err(error) => futures_util::stream::once(async { Err(error) }).boxed(),
        };
        let (tell, accepted) = oneshot::channel();
        self.0.tracker.spawn(async move {
            if let Ok(verdict) = deploy.verdict.await {
                // The pusher may be gone.
                let _ = tell.send(verdict == Verdict::Accepted);
            }
        });
        Ok(Deploying { output, accepted })
    }
}

impl GitBackend {
    /// Code is fetched and pushed by those who deploy (Dev Center, *App Permissions and Allowed Actions*).
    async fn check(&self, app: &App, account: &Account) -> Result<(), Refusal> {
        let standing = async {
            let mut conn = self.0.store.connection().await?;
            store::collaborator::standing(&mut conn, app.id, account.id).await
        };
        let permissions = standing.await.map_err(|error| unavailable(&error))?.permissions();
        if permissions.contains(Permission::Deploy) {
            Ok(())
        } else if permissions.is_empty() {
            Err(Refusal::NotFound)
        } else {
            Err(Refusal::Forbidden(format!(
                "You do not have the deploy permission on the app {0}. Those who manage it can give it to you: see `paas access \
                 -a {0}`.",
                app.name
            )))
        }
    }
}

fn unavailable(error: &store::StoreError) -> Refusal {
    tracing::warn!(%error, "a push could not be looked up");
    Refusal::Unavailable
}

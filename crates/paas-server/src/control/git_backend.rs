//! What a push asks of the rest of the platform.

use std::{io, sync::Arc};

use async_trait::async_trait;
use futures_util::StreamExt;
use http::HeaderMap;
use paas_core::App;
use paas_store::{self as store, account::Account};
use tokio::sync::oneshot;

use super::{
    boot::Verdict,
    deploy::{self, BuildSource, NewBuild},
};
use crate::{
    api,
    git::{Backend, Deploying, NewSource, Refusal},
    platform::Platform,
};

pub(crate) struct GitBackend(pub(crate) Arc<Platform>);

#[async_trait]
impl Backend for GitBackend {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Account, Refusal> {
        api::authenticate(&self.0, headers).await.map_err(|error| {
            if error.is_unavailable() {
                Refusal::Unavailable
            } else {
                Refusal::Unauthenticated
            }
        })
    }

    async fn app(&self, name: &str, account: &Account) -> Result<App, Refusal> {
        let found = async {
            let mut conn = self.0.store.connection().await?;
            store::app::find(&mut conn, name).await
        };
        match found.await {
            Ok(Some(row)) if row.owner.id == account.id => Ok(row.app),
            Ok(_) => Err(Refusal::NotFound),
            Err(error) => Err(unavailable(&error)),
        }
    }

    async fn deploy(&self, source: NewSource) -> Result<Deploying, Refusal> {
        let NewSource {
            app,
            account,
            tar,
            commit,
            subject,
        } = source;
        let new = NewBuild {
            app,
            actor: account,
            source: BuildSource::Tar(tar),
            commit: Some(commit),
            description: Some(subject),
            buildpacks: None,
            blob: None,
        };
        let deploy = deploy::submit(&self.0, new)
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

fn unavailable(error: &store::StoreError) -> Refusal {
    tracing::warn!(%error, "a push could not be looked up");
    Refusal::Unavailable
}

//! The builds of a deploy: which of the three ways it is, and what all of them need.

use bytes::Bytes;
use paas_build::{BuildError, BuildRequest, Built, Source, Stack};
use paas_core::{App, ConfigVars, Id};
use paas_store as store;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Buildpacks, DeployError, QUEUED_OUTPUT, Task};
use crate::output::OutputWriter;

impl Task<'_> {
    /// The stack that the app is built for, whatever it runs on.
    pub(super) async fn build_stack(&self, app: Id<App>) -> Result<String, DeployError> {
        let mut conn = self.platform.store.connection().await?;
        let row = store::app::by_id(&mut conn, app).await?;
        Ok(row.map(|row| row.build_stack).unwrap_or_default())
    }

    /// Builds with these buildpacks, or without any by the builder of Cloud Native Buildpacks.
    pub(super) async fn build(
        &mut self,
        source: &Source,
        buildpacks: Option<&Buildpacks>,
        is_container: bool,
    ) -> Result<Built, DeployError> {
        let builder = &self.platform.builder;
        let _slot = self.wait_for_slot().await?;
        let config = self.prepare().await?;
        let commit = self.new.commit.clone();
        let request = BuildRequest {
            app: self.new.app.id,
            build: self.id,
            source,
            config: &config,
            commit: commit.as_deref(),
            is_container,
            buildpacks: buildpacks.map_or(&[], |buildpacks| &buildpacks.packs),
        };
        match buildpacks {
            Some(_) => {
                self.with_stack(|lines, cancel| builder.build(request, lines, cancel))
                    .await
            }
            None => {
                self.written_down(|lines, cancel| async move { Ok(builder.build_cnb(request, lines, cancel).await?) })
                    .await
            }
        }
    }

    /// Looks whether there is room for a build, and reads the config that it gets.
    async fn prepare(&mut self) -> Result<ConfigVars, DeployError> {
        let platform = self.platform;
        self.check_disk().await?;
        let mut conn = platform.store.connection().await?;
        Ok(match store::release::head(&mut conn, self.new.app.id).await? {
            Some(head) => store::release::config(&mut conn, &platform.store.sealer, head.release.id).await?,
            None => ConfigVars::default(),
        })
    }

    /// Does work that needs the stack, and writes down what it says.
    pub(in crate::control) async fn with_stack<T, W>(
        &mut self,
        work: impl FnOnce(mpsc::Sender<Bytes>, CancellationToken) -> W,
    ) -> Result<T, DeployError>
    where
        W: Future<Output = Result<T, BuildError>>,
    {
        let platform = self.platform;
        self.written_down(|lines, cancel| async move {
            // Made on first need: a minute or two, which the pusher gets to see.
            let made = Stack::ensure(&*platform.engine, &platform.stack, lines.clone(), cancel.clone()).await;
            if made.is_err() && cancel.is_cancelled() {
                return Err(BuildError::Cancelled.into());
            }
            made?;
            Ok(work(lines, cancel).await?)
        })
        .await
    }

    /// Does work on the network of builds, and writes down what it says.
    async fn written_down<T, W>(
        &mut self,
        work: impl FnOnce(mpsc::Sender<Bytes>, CancellationToken) -> W,
    ) -> Result<T, DeployError>
    where
        W: Future<Output = Result<T, DeployError>>,
    {
        let platform = self.platform;
        let network = platform.engine.ensure_network(&platform.build_network).await;
        network.map_err(anyhow::Error::from)?;
        let (lines, written) = mpsc::channel::<Bytes>(QUEUED_OUTPUT);
        let work = work(lines, self.under_way.cancel.clone());
        let (done, ()) = tokio::join!(work, write(&mut self.output, written));
        done
    }
}

/// Writes down what a build says, to its end.
async fn write(output: &mut OutputWriter, mut written: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = written.recv().await {
        if let Err(error) = output.write(&bytes).await {
            tracing::warn!(%error, "the output of a build could not be written");
        }
    }
}

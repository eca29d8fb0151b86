//! An app's tests, run where it is built: with its compilers and development packages, behind the limits of a build.
//!
//! Heroku CI runs them in a one-off dyno of a slug that `bin/test-compile` has made. Here nothing is packed in between, and
//! nothing is released. What a test run keeps for the next one lies beside the cache of builds: development packages are no
//! part of any slug.

use bytes::Bytes;
use paas_core::{App, Id};
use paas_engine::ContainerSpec;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{BuildError, BuildRequest, Builder, output::Console, report, sweep};

/// How an app is tested, and what its tests find in their environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tests {
    /// `scripts.test-setup` of the `app.json`: before the tests.
    pub setup: Option<String>,
    /// `scripts.test`: in place of the buildpack's `bin/test`.
    pub command: Option<String>,
    /// What tells the tests where they run; no secrets.
    pub environment: Vec<(String, String)>,
}

impl Tests {
    /// Commands are files of the kit: no argv shows them, and no shell of ours reads them.
    pub(crate) fn files(&self) -> Vec<(&'static str, &str)> {
        let files = [("setup", &self.setup), ("test", &self.command)];
        files
            .into_iter()
            .filter_map(|(name, command)| Some((name, command.as_deref()?)))
            .collect()
    }

    /// Makes a test run of what would be a build.
    pub(crate) fn prepare(&self, app: Id<App>, spec: &mut ContainerSpec) {
        for volume in &mut spec.volumes {
            volume.volume = sweep::test_cache_volume(app);
        }
        let mut environment = std::mem::take(&mut spec.environment)
            .with("TESTS", "/tmp/tests")
            .with("CI", "true")
            // No layer is made, so none can be left out.
            .with("KNOWN_LAYERS", "");
        for (key, value) in &self.environment {
            environment = environment.with(key, value);
        }
        spec.environment = environment;
    }
}

impl Builder {
    /// Builds the app as its tests need it, runs them, and tells with which status they ended.
    ///
    /// Everything that is said on the way goes to `output`, as with [`Builder::build`].
    pub async fn test(
        &self,
        request: BuildRequest<'_>,
        tests: &Tests,
        output: mpsc::Sender<Bytes>,
        cancel: CancellationToken,
    ) -> Result<i32, BuildError> {
        let console = Console::new(output);
        let result = self.test_and_remove(&request, tests, &console, &cancel).await;
        let result = self.end(&request, result, &console, &cancel).await;
        if let Ok(status) = result {
            let words = if status == 0 {
                "tests completed successfully"
            } else {
                "tests failed"
            };
            console.header(words).await;
        }
        result
    }

    async fn test_and_remove(
        &self,
        request: &BuildRequest<'_>,
        tests: &Tests,
        console: &Console,
        cancel: &CancellationToken,
    ) -> Result<i32, BuildError> {
        let done = self.run_buildpacks(request, Some(tests), console, cancel).await?;
        let status = report::tests(&done.result);
        self.remove(&done.container).await;
        status.ok_or(BuildError::Broken { code: 0 })
    }
}

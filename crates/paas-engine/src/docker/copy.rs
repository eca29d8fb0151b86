//! Images as archives: out of the engine, and in again under the same ids.

use bollard::{body_try_stream, query_parameters::ImportImageOptionsBuilder};
use futures_util::StreamExt as _;
use paas_core::ImageRef;

use super::{DockerEngine, error::Explain as _, input::Watched};
use crate::{ByteStream, Result};

const LOADING: &str = "loading an image";

impl DockerEngine {
    pub(super) async fn export(&self, image: &ImageRef) -> Result<Option<ByteStream>> {
        if self.inspect_image(image).await?.is_none() {
            return Ok(None);
        }
        let archive = self.patient.export_image(image.as_str());
        Ok(Some(archive.map(|part| part.map_err(std::io::Error::other)).boxed()))
    }

    pub(super) async fn load(&self, archive: ByteStream) -> Result<()> {
        let input = Watched::default();
        let body = body_try_stream(input.watch(archive));
        let options = ImportImageOptionsBuilder::new().quiet(true).build();
        let mut progress = Box::pin(self.patient.import_image(options, body, None));
        while let Some(next) = progress.next().await {
            input.blame(next.explain(self, LOADING).map(drop), LOADING)?;
        }
        Ok(())
    }
}

//! Named volumes.

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};
use paas_core::{App, Id};

use super::{
    DockerEngine,
    error::{self, Explain as _},
    labels,
};
use crate::{EngineError, Result, Volume};

impl DockerEngine {
    /// Makes the volume with our labels: one that Docker makes by itself for a mount has none.
    pub(super) async fn ensure_volume(&self, name: &str, app: Option<Id<App>>) -> Result<()> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(self.labels.of([], app)),
            ..VolumeCreateRequest::default()
        };
        let created = self.docker.create_volume(request).await;
        let volume = created.explain(self, "creating a volume")?;
        self.require_ours(name, &volume)
    }

    pub(super) async fn list_volumes(&self) -> Result<Vec<Volume>> {
        let options = ListVolumesOptionsBuilder::new().filters(&self.labels.filter()).build();
        let listed = self.docker.list_volumes(Some(options)).await;
        let volumes = listed.explain(self, "listing volumes")?.volumes.unwrap_or_default();
        Ok(volumes
            .into_iter()
            .map(|volume| Volume {
                app: labels::app(&volume.labels),
                name: volume.name,
            })
            .collect())
    }

    pub(super) async fn delete_volume(&self, name: &str) -> Result<()> {
        let inspected = self.docker.inspect_volume(name).await;
        let Some(volume) = inspected.explain_if_found(self, "inspecting a volume")? else {
            return Ok(());
        };
        self.require_ours(name, &volume)?;
        match self.docker.remove_volume(name, None::<RemoveVolumeOptions>).await {
            Err(error) if error::status(&error) == Some(409) => Err(EngineError::InUse {
                what: format!("volume {name}"),
            }),
            other => other.explain_if_found(self, "removing a volume").map(drop),
        }
    }

    fn require_ours(&self, name: &str, volume: &bollard::models::Volume) -> Result<()> {
        if self.labels.are_ours(&volume.labels) {
            return Ok(());
        }
        Err(EngineError::Foreign {
            what: format!("volume {name}"),
        })
    }
}

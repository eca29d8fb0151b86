//! Buildpacks that an app is set to use: none, because every build detects its own.

use paas_api::BuildpackInstallation;

use super::{auth::OwnApp, page::Page};

pub(super) async fn list(_: OwnApp) -> Page<BuildpackInstallation> {
    Page::whole(Vec::new())
}

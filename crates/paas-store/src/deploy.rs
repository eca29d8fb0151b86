//! A deploy: a finished build becomes a release, in one step.

use paas_core::{Build, Id, Slug};

use crate::{PgConnection, Sealer, Stamp, StoreError, release::ReleaseRow};

/// A build that ended well.
#[derive(Debug, Clone)]
pub struct Deploy {
    pub build: Id<Build>,
    pub slug: Slug,
    /// What the release is called: `Deploy 1a2b3c4d`.
    pub description: String,
}

/// Stores the slug, ends the build, makes the release (pending when the slug has a `release` process, else succeeded) and
/// the formation of new process types: `web` at one dyno, others at none. Fails with [`StoreError::BuildEnded`] when the build
/// lost its lease, with [`StoreError::AppGone`] when the app was destroyed.
pub async fn deploy(
    conn: &mut PgConnection,
    sealer: &Sealer,
    deploy: Deploy,
    stamp: Stamp,
) -> Result<ReleaseRow, StoreError> {
    let _ = (conn, sealer, deploy, stamp);
    unimplemented!()
}

//! Why a deploy ends early, and what is said of it.

use std::io;

use paas_build::{BuildError, StackError, UnknownBuildpack};
use paas_store::StoreError;
use thiserror::Error;

use crate::{
    control::{buildpack::BuildpackError, container::ImageError, disk::DiskNearlyFull},
    source::{ArchiveError, FetchError},
};

#[derive(Debug, Error)]
pub(in crate::control) enum DeployError {
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    UnknownBuildpack(#[from] UnknownBuildpack),
    #[error(transparent)]
    Buildpack(#[from] BuildpackError),
    #[error(transparent)]
    Disk(#[from] DiskNearlyFull),
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("make the stack's images")]
    Stack(#[from] StackError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("write the build's output")]
    Output(#[from] io::Error),
    #[error(transparent)]
    Other(#[from] anyhow::Error),
    #[error("the server stops, or the app is destroyed")]
    Abandoned,
}

impl DeployError {
    /// Whether it is no fault of the source, nor of whoever sent it: the operator has to know.
    pub(in crate::control) const fn is_ours(&self) -> bool {
        match self {
            Self::Build(_)
            | Self::UnknownBuildpack(_)
            | Self::Buildpack(_)
            | Self::Fetch(_)
            | Self::Archive(_)
            | Self::Image(_)
            | Self::Abandoned => false,
            Self::Disk(_) | Self::Stack(_) | Self::Store(_) | Self::Output(_) | Self::Other(_) => true,
        }
    }

    /// What to say of it where nothing was said yet, without a full stop.
    pub(in crate::control) fn words(&self) -> Option<String> {
        Some(match self {
            Self::Build(_) | Self::Disk(_) => return None,
            Self::UnknownBuildpack(error) => format!("{error}. Choose others: paas buildpacks:set"),
            Self::Buildpack(error) => format!("{error}. Choose others with paas buildpacks:set, or try again later"),
            Self::Image(error) => format!("The image cannot be deployed: {error}"),
            Self::Fetch(FetchError::Disk(_)) | Self::Archive(ArchiveError::Disk(_)) => {
                "The source could not be written to the platform's disk; its log says why. Try again later".to_owned()
            }
            Self::Fetch(error) => format!("The source could not be fetched: {error}"),
            Self::Archive(error) => format!("The source cannot be used: {error}"),
            Self::Abandoned => {
                "The server stops, or the app was destroyed: a release goes live when the server is back".to_owned()
            }
            _ => "The platform could not finish this; its log says why. Try again".to_owned(),
        })
    }
}

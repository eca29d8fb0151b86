//! A slug: what a build made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, ResourceRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slug {
    pub blob: SlugBlob,
    pub buildpack_provided_description: Option<String>,
    pub checksum: Option<String>,
    pub commit: Option<String>,
    pub commit_description: Option<String>,
    pub created_at: Time,
    pub deleted_at: Option<Time>,
    pub id: Uuid,
    pub process_types: BTreeMap<String, String>,
    pub size: Option<u64>,
    pub stack: NamedRef,
    pub updated_at: Time,
}

/// `POST /apps/{app}/slugs`
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NewSlug {
    #[serde(default)]
    pub buildpack_provided_description: Option<String>,
    #[serde(default)]
    pub checksum: Option<String>,
    #[serde(default)]
    pub commit: Option<String>,
    #[serde(default)]
    pub commit_description: Option<String>,
    pub process_types: BTreeMap<String, String>,
    #[serde(default)]
    pub stack: Option<ResourceRef>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlugBlob {
    pub method: String,
    pub url: String,
}

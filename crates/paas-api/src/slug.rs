//! A slug: what a build made.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{NamedRef, Time};

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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlugBlob {
    pub method: String,
    pub url: String,
}

//! A hostname that an app answers to.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, NamedRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub acm_status: Option<String>,
    pub acm_status_reason: Option<String>,
    pub app: AppRef,
    pub cname: Option<String>,
    pub created_at: Time,
    pub hostname: String,
    pub id: Uuid,
    /// `heroku` for the name that the platform gave, `custom` for the others.
    pub kind: String,
    pub sni_endpoint: Option<NamedRef>,
    /// `none`, `pending`, `succeeded` or `failed`.
    pub status: String,
    pub updated_at: Time,
}

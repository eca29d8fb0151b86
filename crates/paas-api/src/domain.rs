//! A hostname that an app answers to.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{AppRef, NamedRef, ResourceRef, Time};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// `pending`, `dns-verified`, `in-progress`, `cert issued`, `failing` or `failed`. Null: nobody has looked at it yet, or
    /// its certificate is not managed.
    pub acm_status: Option<String>,
    /// What is in the way: what DNS lacks, or the authority's own words.
    pub acm_status_reason: Option<String>,
    /// Where an A or AAAA record has to point. Not in Heroku's schema: its addresses change, this machine's do not.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    pub app: AppRef,
    /// What clients show as the DNS target: a name for a CNAME record, or the address where none can be.
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

/// `POST /apps/{app}/domains`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    pub hostname: String,
    /// The name or id of an SNI endpoint; null for the managed certificate.
    #[serde(default)]
    pub sni_endpoint: Option<ResourceRef>,
}

/// `PATCH /apps/{app}/domains/{domain}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainUpdate {
    /// Null takes it away, so leaving it out is no way to say anything.
    #[serde(deserialize_with = "Option::deserialize")]
    pub sni_endpoint: Option<ResourceRef>,
}

//! Automated certificate management.

use serde::{Deserialize, Serialize};

use crate::Time;

/// `PATCH /apps/{app}/acm`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmUpdate {
    pub acm_refresh: bool,
}

/// How the certificate of one domain is doing: `GET /apps/{app}/acm`, which Heroku does not have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmDomain {
    /// Orders that came to nothing since the last certificate.
    pub attempts: u32,
    /// When the certificate in use ends.
    pub expires_at: Option<Time>,
    pub hostname: String,
    /// When an authority was last asked.
    pub last_try_at: Option<Time>,
    /// When something happens next by itself: a look at DNS, an order, a renewal.
    pub next_try_at: Option<Time>,
    /// What is in the way: what DNS lacks, or the authority's own words.
    pub reason: Option<String>,
    /// As `acm_status` of the domain.
    pub status: Option<String>,
}

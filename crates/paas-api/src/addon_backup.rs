//! Backups, in the shape of Heroku's data API.

use serde::{Deserialize, Deserializer, Serialize, de};
use uuid::Uuid;

use crate::{Secret, Time};

/// A copy of what is in an add-on, a copy put back, or one that goes from one add-on into another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Of which it is, or into which it was put back: names change.
    pub addon_id: Uuid,
    /// Of one whose bytes are there, where the platform has a bucket.
    #[serde(default)]
    pub bucket: Option<TransferBucket>,
    pub canceled_at: Option<Time>,
    pub created_at: Time,
    pub finished_at: Option<Time>,
    pub from_name: String,
    /// `pg_dump`, or `gof3r` when it is put back.
    pub from_type: String,
    /// `manual`, `scheduled`, `before restore`, `last`, `restore`, `copy`.
    pub kind: String,
    pub logs: Vec<TransferLog>,
    /// `b001`
    pub name: String,
    pub num: u32,
    pub processed_bytes: u64,
    /// Of one that was restored into a scratch server.
    pub proof: Option<TransferProof>,
    pub schedule: Option<ScheduleRef>,
    pub source_bytes: u64,
    pub started_at: Option<Time>,
    pub succeeded: Option<bool>,
    pub to_name: String,
    pub to_type: String,
    /// What a restore takes, of a backup whose bytes are there. It opens nothing by itself.
    #[serde(default)]
    pub to_url: Option<String>,
    pub updated_at: Time,
    pub uuid: Uuid,
    pub warnings: u32,
}

/// What the line of a log begins with that says why a proof was given up.
pub const UNPROVEN: &str = "could not be proven: ";

/// The add-on whose schedule it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRef {
    pub uuid: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferLog {
    pub created_at: Time,
    pub message: String,
}

/// What a scratch server said of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferProof {
    pub created_at: Time,
    /// `3 tables, 120 rows`, or what was wrong.
    pub message: String,
    pub succeeded: bool,
}

/// Whether it is in the bucket, besides the platform's disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferBucket {
    /// Why it is not there yet, if it was tried.
    pub message: Option<String>,
    /// `None`: not yet.
    pub stored_at: Option<Time>,
}

/// `GET /client/v11/databases/{addon}`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseInfo {
    pub addon: String,
    pub info: Vec<DatabaseFact>,
    pub name: String,
    pub plan: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseFact {
    pub name: String,
    pub values: Vec<String>,
}

/// An address that is its own permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicUrl {
    pub expires_at: Time,
    pub url: String,
}

/// `POST /client/v11/databases/{addon}/restores`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRestore {
    pub backup_url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
}

/// `POST /client/v11/databases/{addon}/transfers`: both by their addresses, as the config vars of an app have them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTransfer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_name: Option<String>,
    pub from_url: Secret,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_name: Option<String>,
    pub to_url: Secret,
}

/// `POST /client/v11/databases/{addon}/transfer-schedules`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSchedule {
    pub hour: Hour,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule_name: Option<String>,
    #[serde(default = "utc")]
    pub timezone: String,
}

/// `2`, or `"02"` as Heroku's command sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Hour(pub u32);

/// When an add-on is copied each day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    pub hour: u32,
    pub minute: u32,
    pub name: String,
    pub timezone: String,
    pub uuid: Uuid,
}

impl<'de> Deserialize<'de> for Hour {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "an hour from 0 to 23")]
        enum Form {
            Text(String),
            Number(u32),
        }
        match Form::deserialize(deserializer)? {
            Form::Number(hour) => Ok(Self(hour)),
            Form::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| de::Error::custom("an hour is a number from 0 to 23")),
        }
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

//! The columns of a backup.

use chrono::{DateTime, Utc};
use paas_core::{AddonBackup, BackupKind, BackupProof, BackupState};
use uuid::Uuid;

use crate::{
    StoreError,
    column::{corrupt, unsigned},
};

const NOUN: &str = "addon backup";

pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) addon: Uuid,
    pub(super) addon_name: String,
    pub(super) copied_from: Option<Uuid>,
    pub(super) copied_from_name: Option<String>,
    pub(super) service: String,
    pub(super) app: Uuid,
    pub(super) app_name: String,
    pub(super) number: i32,
    pub(super) kind: String,
    pub(super) state: String,
    pub(super) bytes: i64,
    pub(super) reason: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) finished_at: Option<DateTime<Utc>>,
    pub(super) proved_at: Option<DateTime<Utc>>,
    pub(super) is_proof_good: Option<bool>,
    pub(super) proof: Option<String>,
}

/// The word in the column.
pub(super) const fn word(state: &BackupState) -> &'static str {
    match state {
        BackupState::Running => "running",
        BackupState::Succeeded => "succeeded",
        BackupState::Failed { .. } => "failed",
        BackupState::Canceled => "canceled",
    }
}

impl TryFrom<Row> for AddonBackup {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let kind = BackupKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind);
        let proof = match (row.proved_at, row.is_proof_good, row.proof) {
            (Some(at), Some(is_good), Some(words)) => Some(BackupProof { at, is_good, words }),
            _ => None,
        };
        Ok(Self {
            id: row.id.into(),
            addon: row.addon.into(),
            addon_name: row.addon_name,
            copied_from: row.copied_from.map(Into::into),
            copied_from_name: row.copied_from_name,
            service: row.service,
            app: row.app.into(),
            app_name: row.app_name,
            number: unsigned(NOUN, row.number)?,
            kind: kind.ok_or_else(|| corrupt(NOUN, &row.kind))?,
            state: match row.state.as_str() {
                "running" => BackupState::Running,
                "succeeded" => BackupState::Succeeded,
                "failed" => BackupState::Failed {
                    reason: row.reason.unwrap_or_default(),
                },
                "canceled" => BackupState::Canceled,
                other => return Err(corrupt(NOUN, other)),
            },
            bytes: unsigned(NOUN, row.bytes)?,
            proof,
            created_at: row.created_at,
            finished_at: row.finished_at,
        })
    }
}

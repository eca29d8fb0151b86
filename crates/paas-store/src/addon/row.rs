//! The columns of an add-on.

use chrono::{DateTime, Utc};
use paas_core::{Addon, ImageRef};
use uuid::Uuid;

use super::AddonRow;
use crate::{
    StoreError,
    column::{parse, unsigned},
};

const NOUN: &str = "addon";

pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) app: Uuid,
    pub(super) app_name: String,
    pub(super) name: String,
    pub(super) service: String,
    pub(super) plan: String,
    pub(super) state: String,
    pub(super) suffixes: Vec<String>,
    pub(super) image: Option<String>,
    pub(super) version: String,
    pub(super) volume: Option<String>,
    pub(super) generation: i32,
    pub(super) is_rotating: bool,
    pub(super) failures: i32,
    pub(super) retry_at: Option<DateTime<Utc>>,
    pub(super) trouble: Option<String>,
    pub(super) backup_alarm: Option<String>,
    pub(super) has_farewell: bool,
    pub(super) created_by: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for AddonRow {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            addon: Addon {
                id: row.id.into(),
                app: row.app.into(),
                name: parse(NOUN, &row.name)?,
                service: row.service,
                plan: row.plan,
                state: parse(NOUN, &row.state)?,
                created_at: row.created_at,
                updated_at: row.updated_at,
            },
            app_name: row.app_name,
            suffixes: row.suffixes,
            image: row.image.map(ImageRef::new),
            version: row.version,
            volume: row.volume,
            generation: unsigned(NOUN, row.generation)?,
            is_rotating: row.is_rotating,
            failures: unsigned(NOUN, row.failures)?,
            retry_at: row.retry_at,
            trouble: row.trouble,
            backup_alarm: row.backup_alarm,
            has_farewell: row.has_farewell,
            created_by: row.created_by.into(),
        })
    }
}

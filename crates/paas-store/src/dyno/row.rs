//! The columns of a dyno, and the state that they spell.

use chrono::{DateTime, Utc};
use paas_core::{Crash, Dyno, DynoName, DynoState, Endpoint};
use uuid::Uuid;

use crate::{
    StoreError,
    column::{corrupt, parse, release_version, stop_reason, unsigned},
};

pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) app: Uuid,
    pub(super) release: Uuid,
    pub(super) version: i32,
    pub(super) release_served: bool,
    pub(super) process_type: String,
    pub(super) index: i32,
    pub(super) size: String,
    pub(super) attempt: i32,
    pub(super) failures: i32,
    pub(super) state: String,
    pub(super) state_since: DateTime<Utc>,
    pub(super) endpoint_container: Option<String>,
    pub(super) endpoint_address: Option<String>,
    pub(super) crash_exit_code: Option<i32>,
    pub(super) crash_out_of_memory: Option<bool>,
    pub(super) crash_boot_timeout: Option<bool>,
    pub(super) crash_retry_at: Option<DateTime<Utc>>,
    pub(super) stop_reason: Option<String>,
    pub(super) container: Option<String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) is_condemned: bool,
}

/// A state, column by column: those of other states are null.
#[derive(Default)]
pub(super) struct StateColumns {
    pub(super) state: &'static str,
    pub(super) endpoint_container: Option<String>,
    pub(super) endpoint_address: Option<String>,
    pub(super) crash_exit_code: Option<i32>,
    pub(super) crash_out_of_memory: Option<bool>,
    pub(super) crash_boot_timeout: Option<bool>,
    pub(super) crash_retry_at: Option<DateTime<Utc>>,
    pub(super) stop_reason: Option<&'static str>,
}

impl StateColumns {
    pub(super) fn of(state: &DynoState) -> Self {
        match state {
            DynoState::Starting { since: _ } => Self {
                state: "starting",
                ..Self::default()
            },
            DynoState::Up { since: _, endpoint } => Self {
                state: "up",
                endpoint_container: endpoint.as_ref().map(|endpoint| endpoint.container.clone()),
                endpoint_address: endpoint.as_ref().map(|endpoint| endpoint.address.to_string()),
                ..Self::default()
            },
            DynoState::Crashed(Crash {
                at: _,
                exit_code,
                out_of_memory,
                boot_timeout,
                retry_at,
            }) => Self {
                state: "crashed",
                crash_exit_code: *exit_code,
                crash_out_of_memory: Some(*out_of_memory),
                crash_boot_timeout: Some(*boot_timeout),
                crash_retry_at: Some(*retry_at),
                ..Self::default()
            },
            DynoState::Stopping { since: _, why } => Self {
                state: "stopping",
                stop_reason: Some(why.as_str()),
                ..Self::default()
            },
        }
    }
}

impl TryFrom<Row> for Dyno {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let state = state(&row)?;
        Ok(Self {
            id: row.id.into(),
            app: row.app.into(),
            name: DynoName {
                process_type: parse("dyno", &row.process_type)?,
                index: unsigned("dyno", row.index)?,
            },
            release: row.release.into(),
            version: release_version(row.version)?,
            release_served: row.release_served,
            size: parse("dyno", &row.size)?,
            attempt: unsigned("dyno", row.attempt)?,
            failures: unsigned("dyno", row.failures)?,
            state,
            is_condemned: row.is_condemned,
            container: row.container,
            created_at: row.created_at,
        })
    }
}

fn state(row: &Row) -> Result<DynoState, StoreError> {
    let since = row.state_since;
    match row.state.as_str() {
        "starting" => Ok(DynoState::Starting { since }),
        "up" => {
            let endpoint = match (&row.endpoint_container, &row.endpoint_address) {
                (Some(container), Some(address)) => Some(Endpoint {
                    container: container.clone(),
                    address: parse("dyno", address)?,
                }),
                _ => None,
            };
            Ok(DynoState::Up { since, endpoint })
        }
        "crashed" => Ok(DynoState::Crashed(Crash {
            at: since,
            exit_code: row.crash_exit_code,
            out_of_memory: row.crash_out_of_memory.unwrap_or(false),
            boot_timeout: row.crash_boot_timeout.unwrap_or(false),
            retry_at: row.crash_retry_at.ok_or_else(|| corrupt("dyno", "crashed"))?,
        })),
        "stopping" => {
            let why = row.stop_reason.as_deref().ok_or_else(|| corrupt("dyno", "stopping"))?;
            Ok(DynoState::Stopping {
                since,
                why: stop_reason(why)?,
            })
        }
        other => Err(corrupt("dyno", other)),
    }
}

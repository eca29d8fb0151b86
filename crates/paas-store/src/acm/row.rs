//! The state machine of a name, in columns.

use chrono::{DateTime, Utc};
use paas_core::{Acm, AcmState, Authority, Id, RenewalWindow};
use uuid::Uuid;

use super::{ManagedName, OpenOrder};
use crate::{
    Sealed, StoreError,
    column::{corrupt, integer, parse, unsigned},
};

const NOUN: &str = "acm";

pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) hostname: String,
    pub(super) app: Option<Uuid>,
    pub(super) state: String,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) checks: i32,
    pub(super) verified_at: Option<DateTime<Utc>>,
    pub(super) authority: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) order_url: Option<String>,
    pub(super) ordered_at: Option<DateTime<Utc>>,
    pub(super) order_key: Option<Vec<u8>>,
    pub(super) ledger_entry: Option<i64>,
    pub(super) reason: Option<String>,
    pub(super) attempts: i32,
    pub(super) failing_since: Option<DateTime<Utc>>,
    pub(super) tried_at: Option<DateTime<Utc>>,
    pub(super) outages: i32,
    pub(super) is_rehearsed: bool,
    pub(super) production_rests_until: Option<DateTime<Utc>>,
    pub(super) issued_by: Option<String>,
    pub(super) window_start: Option<DateTime<Utc>>,
    pub(super) window_end: Option<DateTime<Utc>>,
    pub(super) window_due_at: Option<DateTime<Utc>>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

/// What is written of a state.
pub(super) struct Columns {
    pub(super) state: &'static str,
    pub(super) due_at: Option<DateTime<Utc>>,
    pub(super) checks: i32,
    pub(super) verified_at: Option<DateTime<Utc>>,
    pub(super) authority: Option<&'static str>,
    pub(super) order_url: Option<String>,
    pub(super) ordered_at: Option<DateTime<Utc>>,
    pub(super) reason: Option<String>,
    pub(super) attempts: i32,
    pub(super) failing_since: Option<DateTime<Utc>>,
    pub(super) tried_at: Option<DateTime<Utc>>,
    pub(super) outages: i32,
    pub(super) is_rehearsed: bool,
    pub(super) production_rests_until: Option<DateTime<Utc>>,
    pub(super) issued_by: Option<&'static str>,
    pub(super) window_start: Option<DateTime<Utc>>,
    pub(super) window_end: Option<DateTime<Utc>>,
    pub(super) changed_at: DateTime<Utc>,
}

impl Columns {
    pub(super) fn of(acm: &Acm) -> Self {
        let Acm {
            state,
            changed_at,
            reason,
            attempts,
            failing_since,
            tried_at,
            outages,
            is_rehearsed,
            production_rests_until,
            issued_by,
            window,
        } = acm.clone();
        let mut columns = Self {
            state: state.as_str(),
            due_at: acm.next_at(),
            checks: 0,
            verified_at: None,
            authority: None,
            order_url: None,
            ordered_at: None,
            reason,
            attempts: integer(attempts),
            failing_since,
            tried_at,
            outages: integer(outages),
            is_rehearsed,
            production_rests_until,
            issued_by: issued_by.map(Authority::as_str),
            window_start: window.map(|window| window.start),
            window_end: window.map(|window| window.end),
            changed_at,
        };
        match state {
            AcmState::Waiting { checks, .. } => columns.checks = integer(checks),
            AcmState::Verified { at, .. } => columns.verified_at = Some(at),
            AcmState::Ordering {
                authority,
                order_url,
                since,
                ..
            } => {
                columns.authority = Some(authority.as_str());
                columns.order_url = Some(order_url);
                columns.ordered_at = Some(since);
            }
            AcmState::Issued { .. } | AcmState::Failing { .. } | AcmState::Failed | AcmState::Local => {}
        }
        columns
    }
}

impl TryFrom<Row> for ManagedName {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let state = state(&row)?;
        let order = match (row.directory, row.ledger_entry, row.order_key) {
            (Some(directory), Some(ledger_entry), Some(key)) => Some(OpenOrder {
                directory,
                ledger_entry,
                key: Sealed(key),
            }),
            _ => None,
        };
        let window = row.window_start.zip(row.window_end);
        Ok(Self {
            id: Id::from_uuid(row.id),
            hostname: parse(NOUN, &row.hostname)?,
            app: row.app.map(Id::from_uuid),
            acm: Acm {
                state,
                changed_at: row.updated_at,
                reason: row.reason,
                attempts: unsigned(NOUN, row.attempts)?,
                failing_since: row.failing_since,
                tried_at: row.tried_at,
                outages: unsigned(NOUN, row.outages)?,
                is_rehearsed: row.is_rehearsed,
                production_rests_until: row.production_rests_until,
                issued_by: row.issued_by.as_deref().map(authority).transpose()?,
                window: window.map(|(start, end)| RenewalWindow { start, end }),
            },
            order,
            window_due_at: row.window_due_at,
            created_at: row.created_at,
        })
    }
}

fn state(row: &Row) -> Result<AcmState, StoreError> {
    let state = match (row.state.as_str(), row.due_at) {
        ("waiting", Some(check_at)) => AcmState::Waiting {
            checks: unsigned(NOUN, row.checks)?,
            check_at,
        },
        ("verified", Some(order_at)) => AcmState::Verified {
            at: row.verified_at.ok_or_else(|| corrupt(NOUN, &row.state))?,
            order_at,
        },
        ("ordering", Some(look_at)) => match (&row.authority, &row.order_url, row.ordered_at) {
            (Some(name), Some(order_url), Some(since)) => AcmState::Ordering {
                authority: authority(name)?,
                order_url: order_url.clone(),
                since,
                look_at,
            },
            _ => return Err(corrupt(NOUN, &row.state)),
        },
        ("issued", Some(renew_at)) => AcmState::Issued { renew_at },
        ("failing", Some(retry_at)) => AcmState::Failing { retry_at },
        ("failed", None) => AcmState::Failed,
        ("local", None) => AcmState::Local,
        _ => return Err(corrupt(NOUN, &row.state)),
    };
    Ok(state)
}

fn authority(text: &str) -> Result<Authority, StoreError> {
    Authority::ALL
        .into_iter()
        .find(|authority| authority.as_str() == text)
        .ok_or_else(|| corrupt(NOUN, text))
}

//! From columns to types, and back. A column that no longer reads is an error, never a default.

use std::str::FromStr;

use paas_core::{BuildFailure, BuildStatus, Id, ReleaseFailure, ReleaseStatus, ReleaseVersion, StopReason};
use uuid::Uuid;

use crate::StoreError;

/// Reads a name that was valid when it was stored.
pub(crate) fn parse<T: FromStr>(noun: &'static str, text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|_| corrupt(noun, text))
}

/// Reads a number that a constraint keeps from being negative.
pub(crate) fn unsigned<T, N>(noun: &'static str, number: N) -> Result<T, StoreError>
where
    T: TryFrom<N>,
    N: Copy + ToString,
{
    T::try_from(number).map_err(|_| corrupt(noun, &number.to_string()))
}

/// Writes a number that is far below the column's ceiling by the rules of its noun.
pub(crate) fn integer(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(crate) fn release_version(version: i32) -> Result<ReleaseVersion, StoreError> {
    u32::try_from(version)
        .ok()
        .and_then(ReleaseVersion::new)
        .ok_or_else(|| corrupt("release", &version.to_string()))
}

pub(crate) fn release_status(status: &str, failure: Option<&str>) -> Result<ReleaseStatus, StoreError> {
    const FAILURES: [ReleaseFailure; 2] = [ReleaseFailure::ReleasePhase, ReleaseFailure::Boot];
    match (status, failure) {
        ("pending", None) => Ok(ReleaseStatus::Pending),
        ("succeeded", None) => Ok(ReleaseStatus::Succeeded),
        ("expired", None) => Ok(ReleaseStatus::Expired),
        ("failed", Some(why)) => {
            let why = FAILURES.into_iter().find(|failure| failure.as_str() == why);
            let why = why.ok_or_else(|| corrupt("release", status))?;
            Ok(ReleaseStatus::Failed { why })
        }
        _ => Err(corrupt("release", status)),
    }
}

pub(crate) fn build_status(status: &str, failure: Option<&str>, slug: Option<Uuid>) -> Result<BuildStatus, StoreError> {
    const FAILURES: [BuildFailure; 3] = [
        BuildFailure::Rejected,
        BuildFailure::LeaseExpired,
        BuildFailure::Cancelled,
    ];
    match (status, failure, slug) {
        ("pending", None, None) => Ok(BuildStatus::Pending),
        ("succeeded", None, Some(slug)) => Ok(BuildStatus::Succeeded {
            slug: Id::from_uuid(slug),
        }),
        ("failed", Some(why), None) => {
            let why = FAILURES.into_iter().find(|failure| failure.as_str() == why);
            let why = why.ok_or_else(|| corrupt("build", status))?;
            Ok(BuildStatus::Failed { why })
        }
        _ => Err(corrupt("build", status)),
    }
}

pub(crate) fn stop_reason(text: &str) -> Result<StopReason, StoreError> {
    const REASONS: [StopReason; 5] = [
        StopReason::ScaledDown,
        StopReason::Replaced,
        StopReason::Abandoned,
        StopReason::Unwanted,
        StopReason::Idle,
    ];
    REASONS
        .into_iter()
        .find(|reason| reason.as_str() == text)
        .ok_or_else(|| corrupt("dyno", text))
}

pub(crate) fn corrupt(noun: &'static str, value: &str) -> StoreError {
    StoreError::Corrupt {
        noun,
        value: value.to_owned(),
    }
}

//! A run of an app's tests. Heroku has them in pipelines; here they are an app's.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{IdRef, SourceBlob, Time, UserRef};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRun {
    pub actor_email: String,
    pub app: IdRef,
    pub commit_branch: String,
    pub commit_message: String,
    pub commit_sha: String,
    pub created_at: Time,
    pub id: Uuid,
    /// Why the tests did not come to their end.
    pub message: Option<String>,
    pub number: i32,
    pub status: TestRunStatus,
    pub updated_at: Time,
    pub user: UserRef,
}

/// One of the containers of a run. There is one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestNode {
    pub created_at: Time,
    pub error_status: Option<TestRunStatus>,
    pub exit_code: Option<i32>,
    pub id: Uuid,
    pub index: u32,
    pub message: Option<String>,
    /// Plain text, live until the tests end. The URL itself is the permission. What was set up is part of it.
    pub output_stream_url: String,
    pub setup_stream_url: String,
    pub status: TestRunStatus,
    pub test_run: IdRef,
    pub updated_at: Time,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestRunStatus {
    Pending,
    Building,
    Cancelled,
    Succeeded,
    Failed,
    Errored,
}

/// `POST /apps/{app}/test-runs`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTestRun {
    pub commit_branch: String,
    pub commit_message: String,
    pub commit_sha: String,
    pub source_blob: SourceBlob,
}

/// `PATCH /apps/{app}/test-runs/{test-run}`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestRunUpdate {
    pub status: TestRunStatus,
}

impl TestRunStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Building => "building",
            Self::Cancelled => "cancelled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Errored => "errored",
        }
    }
}

impl fmt::Display for TestRunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

//! Why the buildpacks of a builder made no image.

use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CnbError {
    /// No operator has set one.
    #[error("there is no builder for the cnb stack")]
    NoBuilder,
    /// The platform's operator has set it.
    #[error("the builder {name} cannot be used: {problem}")]
    BadBuilder { name: String, problem: String },
    #[error("no buildpacks of the builder {name} recognise the app")]
    NoGroup { name: String },
    #[error("project.toml: {problem}")]
    BadProject { problem: String },
    #[error("the lifecycle of the builder failed")]
    LifecycleFailed,
    #[error("the lifecycle's image is broken: {problem}")]
    BadExport { problem: String },
}

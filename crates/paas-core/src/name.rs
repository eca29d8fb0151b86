//! What is wrong with a name, in words for the person who typed it.

use thiserror::Error;

/// Why a text is not a valid name of its kind; the message completes "name ".
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} {rule}")]
pub struct NameError {
    /// What was being named: `Name`, `Process type`, `Domain name`.
    pub kind: &'static str,
    /// The rule that the text breaks, as Heroku words it.
    pub rule: &'static str,
}

impl NameError {
    pub(crate) const fn new(kind: &'static str, rule: &'static str) -> Self {
        Self { kind, rule }
    }
}

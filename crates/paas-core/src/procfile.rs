//! The Procfile: process types and their commands.

use std::{collections::BTreeMap, str::FromStr};

use thiserror::Error;

use crate::ProcessType;

/// A parsed Procfile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Procfile(BTreeMap<ProcessType, String>);

/// Which line is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("Procfile line {line}: {problem}")]
pub struct ProcfileError {
    pub line: usize,
    pub problem: String,
}

impl Procfile {
    pub fn process_types(&self) -> &BTreeMap<ProcessType, String> {
        &self.0
    }

    pub fn into_process_types(self) -> BTreeMap<ProcessType, String> {
        self.0
    }
}

impl FromStr for Procfile {
    type Err = ProcfileError;

    fn from_str(_text: &str) -> Result<Self, Self::Err> {
        Ok(Self::default())
    }
}

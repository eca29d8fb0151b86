//! Config vars: one flat object, in the order of its keys. Values are secrets, so `Debug` shows keys only.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

/// `GET /apps/{app}/config-vars`: stable in order, because `heroku config:edit` compares two answers.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigVars(pub BTreeMap<String, String>);

/// `PATCH /apps/{app}/config-vars`: `null` removes a key.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigVarsUpdate(pub BTreeMap<String, Option<String>>);

impl fmt::Debug for ConfigVars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for ConfigVarsUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

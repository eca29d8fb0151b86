//! An order and what has become of it.

use std::fmt;

use super::{Problem, Validation};

/// An order, by its address at the authority: all that has to be stored of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OrderUrl(String);

/// What the authority says about an order now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderState {
    /// Names have to be validated: one entry for each name of the order. When none of them is
    /// [`Wanted`](super::ValidationState::Wanted), the authority is at work: look again in a few seconds.
    Validate(Vec<Validation>),
    /// Every name is validated: finalize.
    Ready,
    /// The authority makes the certificate: look again in a few seconds.
    Processing,
    /// The certificate, leaf first.
    Issued { chain_pem: String },
    /// Nothing will come of this order.
    Failed(Problem),
}

impl OrderUrl {
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

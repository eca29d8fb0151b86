//! The formation: how many dynos of each process type, and how large.

use std::str::FromStr;

use crate::{DynoSize, NameError};

/// How one process type is scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scale {
    pub quantity: u32,
    pub size: DynoSize,
}

/// The most dynos of one process type: what Heroku allows a type on Standard dynos.
const MAXIMUM_QUANTITY: u32 = 100;

/// What `ps:scale` asks for: `2`, `+1` or `-1`. The real CLI sends all three as strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuantityChange {
    To(u32),
    By(i64),
}

impl QuantityChange {
    /// The quantity after the change; a decrease stops at zero.
    pub fn apply(self, current: u32) -> Result<u32, NameError> {
        let wanted = match self {
            Self::To(quantity) => i64::from(quantity),
            Self::By(difference) => i64::from(current).saturating_add(difference).max(0),
        };
        u32::try_from(wanted)
            .ok()
            .filter(|quantity| *quantity <= MAXIMUM_QUANTITY)
            .ok_or(NameError::new("Quantity", "cannot be more than 100"))
    }
}

impl FromStr for QuantityChange {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NameError::new("Quantity", "must be a number such as 2, +1 or -1");
        if text.starts_with(['+', '-']) {
            text.parse().map(Self::By).map_err(|_| error())
        } else {
            text.parse().map(Self::To).map_err(|_| error())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_absolute_or_relative() {
        let apply = |text: &str, current| text.parse::<QuantityChange>().unwrap().apply(current);
        assert_eq!(apply("2", 5), Ok(2));
        assert_eq!(apply("+1", 5), Ok(6));
        assert_eq!(apply("-9", 5), Ok(0));
        assert!(apply("101", 0).is_err());
        assert!(apply("+9223372036854775807", 5).is_err());
        for bad in ["", "two", "+", "--1", "1.5", "99999999999999999999"] {
            assert!(bad.parse::<QuantityChange>().is_err(), "{bad:?} was accepted");
        }
    }
}

//! Dyno sizes: how much of the machine one dyno may use.

use std::{fmt, str::FromStr};

use crate::NameError;

/// A dyno size, by Heroku's name (Dev Center, *Dyno Types*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum DynoSize {
    Eco,
    Basic,
    #[default]
    Standard1X,
    Standard2X,
    PerformanceM,
    PerformanceL,
}

const MEBIBYTE: u64 = 1024 * 1024;

impl DynoSize {
    pub const ALL: [Self; 6] = [
        Self::Eco,
        Self::Basic,
        Self::Standard1X,
        Self::Standard2X,
        Self::PerformanceM,
        Self::PerformanceL,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eco => "Eco",
            Self::Basic => "Basic",
            Self::Standard1X => "Standard-1X",
            Self::Standard2X => "Standard-2X",
            Self::PerformanceM => "Performance-M",
            Self::PerformanceL => "Performance-L",
        }
    }

    /// The memory quota; a dyno that exceeds it is killed (R15).
    pub const fn memory_bytes(self) -> u64 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 512 * MEBIBYTE,
            Self::Standard2X => 1024 * MEBIBYTE,
            Self::PerformanceM => 2560 * MEBIBYTE,
            Self::PerformanceL => 14 * 1024 * MEBIBYTE,
        }
    }

    /// The share of a busy CPU, in the engine's units (1024 is an ordinary container's).
    pub const fn cpu_weight(self) -> u32 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 512,
            Self::Standard2X => 1024,
            Self::PerformanceM => 2048,
            Self::PerformanceL => 4096,
        }
    }

    /// The limit of processes and threads together.
    pub const fn pids(self) -> u32 {
        match self {
            Self::Eco | Self::Basic | Self::Standard1X => 256,
            Self::Standard2X => 512,
            Self::PerformanceM => 16_384,
            Self::PerformanceL => 32_768,
        }
    }
}

impl FromStr for DynoSize {
    type Err = NameError;

    /// Case does not count: `heroku ps:resize web=standard-2x` is as good as `Standard-2X`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|size| size.as_str().eq_ignore_ascii_case(text))
            .ok_or(NameError::new(
                "Dyno size",
                "must be one of Eco, Basic, Standard-1X, Standard-2X, Performance-M, Performance-L",
            ))
    }
}

impl fmt::Display for DynoSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_any_case() {
        for size in DynoSize::ALL {
            assert_eq!(size.as_str().parse(), Ok(size));
            assert_eq!(size.as_str().to_lowercase().parse(), Ok(size));
        }
        for bad in ["", "standard", "1X", "Standard 1X", "private-s"] {
            assert!(bad.parse::<DynoSize>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn a_larger_size_never_gets_less() {
        assert!(DynoSize::ALL.is_sorted_by_key(|size| size.memory_bytes()));
        assert!(DynoSize::ALL.is_sorted_by_key(|size| size.cpu_weight()));
        assert!(DynoSize::ALL.is_sorted_by_key(|size| size.pids()));
    }
}

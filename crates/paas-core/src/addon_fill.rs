//! How full the disk of an add-on is, and when people are told.

/// So many percent of what its plan has are worth a word, each once.
const WORTH_A_WORD: [u8; 3] = [80, 95, 100];

/// The bytes of an add-on's volume beside what its plan has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddonFill {
    pub used_bytes: u64,
    pub plan_bytes: u64,
}

impl AddonFill {
    /// Whole percent, rounded down; more than 100 where a plan is exceeded.
    pub fn percent(self) -> u64 {
        self.used_bytes.saturating_mul(100) / self.plan_bytes.max(1)
    }

    /// The last of the marks that it has reached.
    pub fn mark(self) -> Option<u8> {
        let percent = self.percent();
        WORTH_A_WORD.into_iter().rfind(|mark| u64::from(*mark) <= percent)
    }

    /// What has to be said to somebody who was told of `before`: a mark that is higher. Whoever makes room is told again later.
    pub fn news(self, before: Option<u8>) -> Option<u8> {
        self.mark().filter(|mark| before.is_none_or(|before| *mark > before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(used_bytes: u64) -> AddonFill {
        AddonFill {
            used_bytes,
            plan_bytes: 1000,
        }
    }

    #[test]
    fn each_mark_is_told_once_on_the_way_up() {
        let mut before = None;
        let mut told = Vec::new();
        for used in [0, 799, 800, 940, 951, 990, 1000, 1500, 700, 810] {
            told.extend(fill(used).news(before));
            before = fill(used).mark();
        }
        assert_eq!(told, [80, 95, 100, 80]);
        assert_eq!(fill(1500).percent(), 150);
    }
}

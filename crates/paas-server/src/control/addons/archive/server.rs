//! What a server says of its own log. An archive by itself cannot know that nothing comes any more: where the newest segments were let
//! go, or none is handed on, no gap shows in what is there.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result};
use paas_core::{Lineage, LineageName, WalSegment};
use paas_store::addon::AddonRow;

use super::{
    super::{container_of, run},
    archiving,
};
use crate::platform::Platform;

const LIMIT: Duration = Duration::from_secs(30);
const FAILING: &str = "failing";
const WELL: &str = "well";

#[derive(Debug)]
pub(super) struct Told {
    lineage: LineageName,
    /// The last one that it has handed on, or let go.
    last: Option<WalSegment>,
    pub(super) is_failing: bool,
}

/// `None` of a kind that says nothing.
pub(super) async fn ask(platform: &Platform, row: &AddonRow) -> Result<Option<Told>> {
    let Some(script) = &archiving(platform, row)?.state else {
        return Ok(None);
    };
    let container = container_of(platform, row.addon.id).await?;
    let container = container.context("its server does not run")?;
    let said = run::answer(&platform.engine, &container, script, LIMIT).await?;
    Told::parse(&said)
        .map(Some)
        .with_context(|| format!("its server says {said:?} of its log"))
}

impl Told {
    /// `15-7710828948686417953 000000010000000000000004 well`, with `-` where there is no segment yet.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (lineage, last, state) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            lineage: lineage.parse().ok()?,
            last: match last {
                "-" => None,
                segment => Some(segment.parse().ok()?),
            },
            is_failing: match state {
                FAILING => true,
                WELL => false,
                _ => return None,
            },
        })
    }

    /// Whether something is missing behind all that was archived. The spool has to have been emptied since it was asked.
    pub(super) fn shows_gap(&self, lineages: &BTreeMap<LineageName, Lineage>) -> bool {
        let lineage = lineages.get(&self.lineage);
        lineage
            .zip(self.last)
            .is_some_and(|(lineage, last)| lineage.lacks(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_read_counts() {
        let told = Told::parse("15-77 000000010000000000000004 well\n").unwrap();
        assert_eq!((told.lineage.as_str(), told.is_failing), ("15-77", false));
        let fresh = Told::parse("15-77 - failing").unwrap();
        assert_eq!((fresh.last, fresh.is_failing), (None, true));
        assert!(!fresh.shows_gap(&BTreeMap::new()));
        for odd in ["", "15-77", "15-77 4 well", "15-77 -", "15-77 - soon", "../x - well"] {
            assert!(Told::parse(odd).is_none(), "{odd}");
        }
    }
}

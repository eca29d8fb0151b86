//! How full a disk is, in words.

use paas_core::AddonFill;
use paas_store::addon::AddonRow;

use super::Plan;

const GIBIBYTE: u64 = 1024 * 1024 * 1024;

impl Plan {
    pub(crate) const fn disk_bytes(&self) -> u64 {
        self.size.disk_gib * GIBIBYTE
    }
}

/// What somebody reads whose disk fills up.
pub(crate) fn fill_in_words(fill: AddonFill, row: &AddonRow) -> String {
    let (name, plan) = (&row.addon.name, &row.addon.plan);
    format!(
        "Its disk is {} % full: {} MB of the {} GB of {plan}. Make room, or give it more with paas addons:upgrade {name} PLAN",
        fill.percent(),
        fill.used_bytes / (1024 * 1024),
        fill.plan_bytes / GIBIBYTE,
    )
}

//! What all connections of a router have in common.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{guests::Guests, reports::ReportQueue, settings::Limits, table::Tables, visitor::Proxies};

pub(crate) struct Shared {
    pub(crate) limits: Limits,
    /// Where clients find us over TLS; `None` when they do not.
    pub(crate) https_port: Option<u16>,
    /// Where SSH goes.
    pub(crate) ssh: Option<PathBuf>,
    pub(crate) proxies: Proxies,
    pub(crate) guests: Arc<Guests>,
    pub(crate) tables: Tables,
    pub(crate) reports: ReportQueue,
    /// Client connections and tunnels: what a stop waits for.
    pub(crate) inbound: TaskTracker,
    /// Connections to dynos: they end with the last that uses them.
    pub(crate) outbound: TaskTracker,
    /// Set before `stop`, and quicker to look at.
    pub(crate) is_stopping: AtomicBool,
    /// No new connections; those that are finish their request.
    pub(crate) stop: CancellationToken,
    /// The time to finish is over.
    pub(crate) abort: CancellationToken,
}

impl Shared {
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

//! What all parts of the control plane share.

use std::sync::{Arc, atomic::AtomicBool};

use paas_build::{Builder, StackSettings};
use paas_core::{App, Id, LogLine, LogSource};
use paas_engine::{Engine, NetworkSpec};
use paas_store::Store;
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

use crate::{
    addon::{Bucket, Catalogue},
    clock::Clock,
    config::Settings,
    control::{Archives, LastAccount, OneOffs, Transfers, Turns},
    dns::AddressFinder,
    image_copies::ImageCopies,
    logs::{Collector, LogStore},
    output::Outputs,
    rendezvous::Rendezvous,
    sessions::Sessions,
    ssh::Ssh,
};

/// The parts that API, git and controllers work with. Shared as `Arc<Platform>`; holds no state of its own that a
/// restart would miss.
pub(crate) struct Platform {
    pub(crate) settings: Settings,
    /// Who we are in leases, and whose files these are. Read once: what cannot be read later makes nobody somebody else.
    pub(crate) server: Uuid,
    pub(crate) clock: Clock,
    pub(crate) store: Store,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) builder: Builder,
    /// What builds reach the package registries through. Somebody may prune it away between two of them.
    pub(crate) build_network: NetworkSpec,
    /// How the images are made that builds need.
    pub(crate) stack: StackSettings,
    /// The add-ons that people may have.
    pub(crate) catalogue: Catalogue,
    pub(crate) logs: Arc<LogStore>,
    pub(crate) collector: Collector,
    pub(crate) outputs: Arc<Outputs>,
    /// Images of releases, for when the engine has lost them.
    pub(crate) copies: Arc<ImageCopies>,
    /// What took room on the disk when somebody last asked.
    pub(crate) disk: LastAccount,
    pub(crate) turns: Turns,
    /// The one-off dynos that this process looks after.
    pub(crate) one_offs: OneOffs,
    /// Where people meet what was started for them.
    pub(crate) rendezvous: Arc<Rendezvous>,
    /// What people hold open, to be ended when they lose the right to it.
    pub(crate) sessions: Arc<Sessions>,
    /// Who may come to a dyno by SSH.
    pub(crate) ssh: Ssh,
    /// Where DNS records have to point.
    pub(crate) addresses: AddressFinder,
    /// Tells the controller to look again. Carries no facts.
    pub(crate) wake: Notify,
    /// The same for the controller of the certificates.
    pub(crate) wake_certificates: Notify,
    /// The same for the controller of the add-ons.
    pub(crate) wake_addons: Notify,
    /// Backups that are taken and put back.
    pub(crate) transfers: Transfers,
    /// Where backups go, too, if anywhere.
    pub(crate) bucket: Option<Bucket>,
    /// Who is at the archive of which add-on.
    pub(crate) archives: Archives,
    /// The same for what sends logs on.
    pub(crate) wake_log_drains: Notify,
    /// The same for what tells webhooks.
    pub(crate) wake_webhooks: Notify,
    /// Changes after each pass of the controller: whoever waits for an effect looks again.
    pub(crate) passes: watch::Sender<u64>,
    /// Whether the router has every change of a pass: `false` from the start of one until it has ended well.
    pub(crate) is_settled: AtomicBool,
    pub(crate) tracker: TaskTracker,
    pub(crate) stop: CancellationToken,
}

impl Platform {
    /// Writes a line about an app into its log: `heroku[web.1]: State changed from starting to up`.
    pub(crate) fn log(&self, app: Id<App>, source: LogSource, process: &str, message: impl Into<String>) {
        let line = LogLine {
            at: self.clock.now(),
            source,
            process: process.to_owned(),
            message: message.into(),
        };
        self.logs.append(app, &[line]);
    }
}

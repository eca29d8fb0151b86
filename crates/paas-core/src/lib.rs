//! Heroku's nouns, their rules, the state machines and the planner.
//!
//! Everything here is pure: no clock, no randomness, no I/O, no async. Time and identifiers come in as arguments, so
//! that whatever is hard to reason about can be simulated (see `simulation`). Nothing here knows how a thing is stored,
//! sent or run.

mod id;
mod image;
mod name;
mod network;

mod acm;
mod addon;
mod addon_archive;
mod addon_backup;
mod addon_backup_object;
mod addon_credential;
mod addon_exposure;
mod addon_fill;
mod addon_provider;
mod addon_upgrade;
mod app;
mod build;
mod config;
mod domain;
mod dyno;
mod feature;
mod formation;
mod hostname;
mod log;
mod log_drain;
mod log_input;
mod moment;
mod one_off;
mod permission;
mod process_type;
mod procfile;
mod release;
mod role;
mod size;
mod slug;
mod team;
mod webhook;

#[cfg(test)]
mod fixture;
mod observe;
mod plan;
mod route;
mod routing;
#[cfg(test)]
mod simulation;
mod sleep;
mod slots;

pub use acm::{
    Acm, AcmState, AcmStep, Authorities, Authority, Blocked, DnsVerdict, Failure, Fault, Held, LEDGER_KEPT, Ledger,
    LedgerEntry, OrderKind, RenewalWindow, is_public_name, registered_domain, warning,
};
pub use addon::{
    Addon, AddonName, AddonState, AddonStep, AddonWanted, Attachment, AttachmentName, SeenAddon, SeenAddonState,
};
pub use addon_archive::{ArchiveBase, ArchiveFile, ArchivedSegment, Lineage, LineageName, Moments, Road, WalSegment};
pub use addon_backup::{
    AddonBackup, BackupKind, BackupProof, BackupSchedule, BackupState, BackupTurn, backup_to_prove, is_backup_overdue,
    newest_good, surplus_backups,
};
pub use addon_backup_object::{
    BackupObject, OBJECT_PART, ObjectAlarm, ObjectPart, ObjectStep, ObjectTrouble, missing_objects, next_object_step,
    object_alarm, object_parts,
};
pub use addon_credential::{AddonCredential, CredentialName, CredentialState};
pub use addon_exposure::{
    AddonExposure, AllowList, AllowListError, PortRange, PortRangeError, TermError, end_of_exposure,
};
pub use addon_fill::AddonFill;
pub use addon_provider::{AddonProvider, KnownResource, ResourceStep, ResourceWanted};
pub use addon_upgrade::{AddonUpgrade, UpgradeState, compare_versions};
pub use app::{App, AppName, CNB_STACK, CONTAINER_STACK};
pub use build::{Build, BuildFailure, BuildStatus};
pub use config::{ConfigError, ConfigKey, ConfigVars};
pub use domain::DomainName;
pub use dyno::{Backoff, Crash, DynoName, DynoState, Endpoint, StopReason};
pub use feature::{Feature, Features};
pub use formation::{QuantityChange, Scale};
pub use hostname::Hostname;
pub use id::Id;
pub use image::ImageRef;
pub use log::{LogLine, LogSource};
pub use log_drain::{
    ClosedAddress, DrainHost, DrainScheme, DrainUrl, check_drain_address, logplex_frame, overflow_line, syslog_frame,
};
pub use log_input::{InputLine, LogInputError, log_input};
pub use moment::{moment, span, time_zone};
pub use name::NameError;
pub use network::{Network, NotANetwork};
pub use observe::{BOOT_LIMIT, Observation, SeenContainer, SeenState, observe};
pub use one_off::{OneOff, expand_command, process_type_of};
pub use permission::{Permission, Permissions, Scope};
pub use plan::{AppWanted, Dyno, Step, Target, plan};
pub use process_type::ProcessType;
pub use procfile::{Procfile, ProcfileError};
pub use release::{Release, ReleaseFailure, ReleaseStatus, ReleaseVersion};
pub use role::{Role, Standing, TeamAction};
pub use route::{AppRoutes, Backend, RouteState, routes};
pub use routing::{Routing, page_url};
pub use size::DynoSize;
pub use slug::Slug;
pub use team::TeamName;
pub use webhook::{WebhookAnswer, WebhookEntity, WebhookLevel, WebhookOutcome, WebhookUrl};

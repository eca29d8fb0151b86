//! The wire: Platform API v3 JSON as it crosses between command and server, and nothing else.
//!
//! Every field that Heroku's schema has is always there: `null` rather than missing, nested summaries rather than ids
//! alone, timestamps in UTC to the second. Requests are structs of their own; fields that are not asked for are left
//! out of their JSON. Nothing here decides, stores or talks: the rules of names and numbers are `paas-core`'s.

mod account;
mod acm;
mod addon;
mod addon_attachment;
mod addon_backup;
mod addon_credential;
mod addon_exposure;
mod addon_provider;
mod addon_service;
mod addon_upgrade;
mod app;
mod app_feature;
mod app_setup;
mod app_transfer;
mod build;
mod buildpack_installation;
mod collaborator;
mod config_var;
mod data_store;
mod disk;
mod domain;
mod dyno;
mod dyno_size;
mod error;
mod exec;
mod formation;
mod key;
mod log_drain;
mod log_session;
mod login;
mod oauth_authorization;
mod oauth_client;
mod oauth_token;
mod plan;
mod range;
mod rate_limit;
mod reference;
mod region;
mod release;
pub mod rendezvous;
mod routing;
mod secret;
mod session;
mod slug;
mod sni_endpoint;
mod source;
mod stack;
mod team;
mod team_app;
mod team_feature;
mod team_member;
mod test_run;
mod time;
mod two_factor;
mod webhook;

pub use account::{Account, AccountUpdate};
pub use acm::{AcmDomain, AcmUpdate};
pub use addon::{
    Addon, AddonClient, AddonCopy, AddonQuestion, AddonRemoval, AddonUpdate, AttachmentOfNewAddon, BillingEntity,
    NewAddon,
};
pub use addon_attachment::{AddonAttachment, AddonOfAttachment, AttachmentQuestion, NewAddonAttachment};
pub use addon_backup::{
    DatabaseFact, DatabaseInfo, Hour, NewRestore, NewSchedule, NewTransfer, PublicUrl, Schedule, ScheduleRef, Transfer,
    TransferBucket, TransferLog, TransferProof, UNPROVEN,
};
pub use addon_credential::{AddonConfig, AddonCredential, CredentialRotation, CredentialUser, NewCredential};
pub use addon_exposure::{AddonExposure, NewAddonExposure};
pub use addon_provider::{AddonProvider, AddonSso, NewAddonProvider, ProviderConfig, ProviderConfigVar};
pub use addon_service::AddonService;
pub use addon_upgrade::{AddonUpgradeStatus, NewAddonUpgrade};
pub use app::{App, AppFilter, AppIds, AppUpdate, NewApp};
pub use app_feature::{AppFeature, AppFeatureUpdate};
pub use app_setup::{AppSetup, NewAppSetup, Postdeploy, SetupApp, SetupOverrides};
pub use app_transfer::{AppTransfer, AppTransferUpdate, NewAppTransfer};
pub use build::{Build, BuildLine, BuildResult, BuildStatus, BuildSummary, NewBuild, NewImage, SourceBlob};
pub use buildpack_installation::{
    Buildpack, BuildpackChoice, BuildpackInstallation, BuildpackInstallations, BuildpackRef,
};
pub use collaborator::{Collaborator, CollaboratorUpdate, CollaboratorUser, NewCollaborator, Permission};
pub use config_var::{ConfigVars, ConfigVarsUpdate};
pub use data_store::{DataFact, DataStore, DatabaseReset, Said, WaitStatus};
pub use disk::{AppDisk, Disk, DiskAccount, DiskPrune, FileSystem, NewDiskPrune, PrunedItem};
pub use domain::{Domain, DomainUpdate, NewDomain};
pub use dyno::{Dyno, DynoState, EnvValue, NewDyno, NewExec, NewForward, ReleaseOfDyno, Rendezvous};
pub use dyno_size::DynoSize;
pub use error::{ErrorBody, ErrorId};
pub use exec::{ExecReservation, NewExecReservation, ReservedDyno};
pub use formation::{Formation, FormationBatch, FormationUpdate, Quantity};
pub use key::{Key, NewKey};
pub use log_drain::{AddonOfDrain, ExtendedLogDrain, LogDrain, NewLogDrain};
pub use log_session::{LogSession, NewLogSession};
pub use login::{Login, LoginResult, NewLogin};
pub use oauth_authorization::{
    AccessToken, Authorization, AuthorizationUpdate, AuthorizationUser, ClientCredentials, ClientRef, NewAuthorization,
};
pub use oauth_client::{NewOauthClient, OauthClient, OauthClientUpdate};
pub use oauth_token::{OauthRefusal, OauthToken};
pub use plan::{Plan, Price};
pub use range::{Order, PageRange};
pub use rate_limit::RateLimit;
pub use reference::{AppRef, IdRef, NamedRef, ResourceRef, UserRef};
pub use region::{Provider, Region};
pub use release::{Artifact, NewRelease, Release, ReleaseStatus};
pub use routing::{Routing, RoutingUpdate, RuleChange};
pub use secret::Secret;
pub use session::Session;
pub use slug::{NewSlug, Slug, SlugBlob};
pub use sni_endpoint::{NewSniEndpoint, SniEndpoint, SslCert};
pub use source::{Source, SourceUrls};
pub use stack::Stack;
pub use team::{NewTeam, Team, TeamUpdate};
pub use team_app::{NewTeamApp, TeamApp, TeamAppUpdate, TeamOfApp};
pub use team_feature::TeamFeature;
pub use team_member::{TeamMember, TeamMemberUpdate, TeamMemberUser};
pub use test_run::{NewTestRun, TestNode, TestRun, TestRunStatus, TestRunUpdate};
pub use time::Time;
pub use two_factor::{NewTwoFactor, PASSWORD, TWO_FACTOR_CODE, TwoFactor, TwoFactorConfirmation};
pub use webhook::{
    EventOfDelivery, NewWebhook, WEBHOOK_SECRET, WEBHOOK_SIGNATURE, Webhook, WebhookAttempt, WebhookDelivery,
    WebhookEvent, WebhookMetadata, WebhookNotification, WebhookOfDelivery, WebhookPayload, WebhookRef, WebhookUpdate,
};

/// What every request says it wants.
pub const ACCEPT: &str = "application/vnd.heroku+json; version=3";

//! Why a question got no answer.

use paas_core::{ConfigError, ConfigKey, NameError, ProcessType, ReleaseVersion};
use thiserror::Error;

use crate::SealError;

/// Why the store did not do what it was asked to.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The server is away, starting, or too busy: ask again. The API answers 503.
    #[error("the database does not answer")]
    Unavailable(#[source] sqlx::Error),
    /// A bug, or a schema of another version.
    #[error("query the database")]
    Query(#[source] sqlx::Error),
    #[error("read the address of the database")]
    BadAddress(#[source] sqlx::Error),
    #[error("migrate the database")]
    Migrate(#[source] sqlx::migrate::MigrateError),
    /// A row that this version cannot read.
    #[error("{noun} row holds {value:?}, which this version cannot read")]
    Corrupt { noun: &'static str, value: String },
    #[error(transparent)]
    Seal(#[from] SealError),

    /// It holds a NUL character, which Postgres keeps in no text.
    #[error("a text cannot be kept")]
    BadText,
    #[error("name is already taken")]
    NameTaken,
    #[error("email is already taken")]
    EmailTaken,
    /// Somebody has uploaded this SSH key before.
    #[error("key is already taken")]
    KeyTaken,
    /// Another app has it, or an app of somebody else has the wildcard above it or a name below it.
    #[error("domain name is already taken")]
    DomainTaken,
    /// It was removed in the meantime.
    #[error("the domain is gone")]
    DomainGone,
    /// It was removed in the meantime, or is another app's.
    #[error("the certificate is gone")]
    CertificateGone,
    #[error("the app has this drain already")]
    DrainTaken,
    #[error("the app has as many drains as it may")]
    TooManyDrains,
    /// It was removed in the meantime.
    #[error("the drain is gone")]
    DrainGone,
    #[error("the app has as many webhooks as it may")]
    TooManyWebhooks,
    /// It was removed in the meantime.
    #[error("the webhook is gone")]
    WebhookGone,
    #[error("the add-on is gone")]
    AddonGone,
    #[error("the credential is gone")]
    CredentialGone,
    /// Add-ons of it are there.
    #[error("the provider has add-ons")]
    ProviderInUse,
    /// Two would get in each other's way.
    #[error("another backup or restore of this add-on is running")]
    BackupRunning,
    /// What is put into its server now would be in neither version.
    #[error("an upgrade of this add-on is under way")]
    UpgradeRunning,
    /// The app has another attachment of this name.
    #[error("attachment name is already taken")]
    AttachmentTaken,
    /// The add-on has another credential of this name.
    #[error("credential name is already taken")]
    CredentialTaken,
    /// The app that pays for an add-on uses it.
    #[error("the last attachment of an add-on to its own app stays")]
    LastAttachment,
    /// They are an add-on's.
    #[error("these config vars are set by add-ons")]
    AttachedConfig { keys: Vec<ConfigKey> },
    /// Somebody has set it by hand.
    #[error("config var {key} is set already")]
    ConfigTaken { key: ConfigKey },
    /// Another build of the app has not ended.
    #[error("a build of this app is pending")]
    BuildPending,
    /// The build ended, or lost its lease, before it could be released.
    #[error("the build has already ended")]
    BuildEnded,
    /// The app was destroyed in the meantime.
    #[error("the app is gone")]
    AppGone,
    #[error("the team is gone")]
    TeamGone,
    /// Its admins and members bring apps into a team, and nobody else.
    #[error("apps come into a team by its admins and members")]
    NotInTeam,
    #[error("the team still owns apps")]
    TeamHasApps,
    /// A team without one could not be changed any more.
    #[error("the last admin of a team stays")]
    LastAdmin,
    #[error("is a collaborator already")]
    CollaboratorTaken,
    /// Another transfer of the app waits for an answer.
    #[error("a transfer of this app is pending")]
    TransferPending,
    /// It was accepted, declined or taken back before, or the app has a new owner.
    #[error("the transfer has already ended")]
    TransferEnded,
    #[error("the app has no process type {process_type}")]
    UnknownProcessType { process_type: ProcessType },
    #[error(transparent)]
    Config(ConfigError),
    #[error(transparent)]
    Quantity(NameError),
    #[error("the app has no release {version}")]
    UnknownRelease { version: ReleaseVersion },
    /// It has no slug, did not succeed, or its image is gone.
    #[error("release {version} cannot be rolled back to")]
    NotEligible { version: ReleaseVersion },
    #[error("release {version} has expired")]
    ReleaseExpired { version: ReleaseVersion },
}

impl From<sqlx::Error> for StoreError {
    /// Sorts what went wrong: the server is away, somebody was faster, or it is a bug.
    fn from(error: sqlx::Error) -> Self {
        let Some(database) = error.as_database_error() else {
            return if is_connection_lost(&error) {
                Self::Unavailable(error)
            } else {
                Self::Query(error)
            };
        };
        match database.constraint() {
            Some("addons_name_unique" | "apps_name_unique" | "certificates_name_unique" | "teams_name_unique") => {
                return Self::NameTaken;
            }
            Some("addon_attachments_name_unique") => return Self::AttachmentTaken,
            Some("addon_credentials_name_unique") => return Self::CredentialTaken,
            Some("domains_hostname_unique") => return Self::DomainTaken,
            Some("accounts_email_unique") => return Self::EmailTaken,
            Some("keys_sha256_unique") => return Self::KeyTaken,
            Some("builds_pending_unique") => return Self::BuildPending,
            Some("collaborators_unique") => return Self::CollaboratorTaken,
            Some("app_transfers_pending_unique") => return Self::TransferPending,
            Some("apps_team_fkey") => return Self::TeamHasApps,
            _ => {}
        }
        // PostgreSQL, *Appendix A*: character_not_in_repertoire, untranslatable_character.
        if matches!(database.code().as_deref(), Some("22021" | "22P05")) {
            return Self::BadText;
        }
        if database.code().is_some_and(|code| is_unavailable(&code)) {
            Self::Unavailable(error)
        } else {
            Self::Query(error)
        }
    }
}

fn is_connection_lost(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}

/// SQLSTATEs that pass by themselves (PostgreSQL, *Appendix A*): connection exceptions, insufficient resources (a full disk
/// among them), operator intervention (shutting down, starting), lock not available, and serialization trouble.
fn is_unavailable(code: &str) -> bool {
    ["08", "53", "57P", "40"].iter().any(|class| code.starts_with(class)) || code == "55P03"
}

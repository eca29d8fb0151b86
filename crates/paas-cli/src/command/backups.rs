//! The verbs for copies of what is in add-ons.

use clap::Subcommand;

use crate::{addon_backup, app_context::Context, error::Result, postgres};

#[derive(Debug, Subcommand)]
pub(super) enum BackupVerb {
    /// List the backups of an app's add-ons, and what was restored
    #[command(name = "pg:backups")]
    Backups(addon_backup::ListArgs),
    /// Back up a database, or another add-on
    #[command(name = "pg:backups:capture")]
    Capture(addon_backup::CaptureArgs),
    /// Stop a backup or a restore
    #[command(name = "pg:backups:cancel")]
    Cancel(addon_backup::OneArgs),
    /// Remove a backup
    #[command(name = "pg:backups:delete")]
    Delete(addon_backup::DeleteArgs),
    /// Get a backup as a file
    #[command(name = "pg:backups:download")]
    Download(addon_backup::DownloadArgs),
    /// Show a backup
    #[command(name = "pg:backups:info")]
    Info(addon_backup::OneArgs),
    /// Restore a backup into a scratch server, and count what is there
    #[command(name = "pg:backups:prove")]
    Prove(addon_backup::OneArgs),
    /// Put a backup back
    #[command(name = "pg:backups:restore")]
    Restore(addon_backup::RestoreArgs),
    /// Back up a database every day at a time
    #[command(name = "pg:backups:schedule")]
    Schedule(addon_backup::ScheduleArgs),
    /// Show when add-ons are backed up
    #[command(name = "pg:backups:schedules")]
    Schedules(addon_backup::SchedulesArgs),
    /// Back up a database no more by itself
    #[command(name = "pg:backups:unschedule")]
    Unschedule(postgres::DatabaseArgs),
    /// Show an address from which a backup can be fetched for an hour
    #[command(name = "pg:backups:url", visible_alias = "pg:backups:public-url")]
    Url(addon_backup::OneArgs),
}

pub(super) fn dispatch(verb: &BackupVerb, context: &Context) -> Result<()> {
    match verb {
        BackupVerb::Backups(args) => addon_backup::list(args, context),
        BackupVerb::Capture(args) => addon_backup::capture(args, context),
        BackupVerb::Cancel(args) => addon_backup::cancel(args, context),
        BackupVerb::Delete(args) => addon_backup::delete(args, context),
        BackupVerb::Download(args) => addon_backup::download(args, context),
        BackupVerb::Info(args) => addon_backup::info(args, context),
        BackupVerb::Prove(args) => addon_backup::prove(args, context),
        BackupVerb::Restore(args) => addon_backup::restore(args, context),
        BackupVerb::Schedule(args) => addon_backup::schedule(args, context),
        BackupVerb::Schedules(args) => addon_backup::schedules(args, context),
        BackupVerb::Unschedule(args) => addon_backup::unschedule(args, context),
        BackupVerb::Url(args) => addon_backup::url(args, context),
    }
}

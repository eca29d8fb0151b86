//! The verbs for what is in databases.

use clap::Subcommand;

use crate::{
    app_context::Context,
    error::Result,
    postgres::{self, copy, credential, local, rollback, setting, upgrade},
    redis,
};

#[derive(Debug, Subcommand)]
pub(super) enum DataVerb {
    /// Show the Postgres databases of an app
    #[command(name = "pg:info", visible_alias = "pg")]
    PgInfo(postgres::DatabaseArgs),
    /// Talk to a database
    #[command(name = "pg:psql", visible_alias = "psql")]
    PgPsql(postgres::PsqlArgs),
    /// Wait until databases can be used
    #[command(name = "pg:wait")]
    PgWait(postgres::DatabaseArgs),
    /// Make a database the main one of an app
    #[command(name = "pg:promote")]
    PgPromote(postgres::DatabaseArgs),
    /// Copy a database over another one
    #[command(name = "pg:copy")]
    PgCopy(copy::CopyArgs),
    /// Put what a database held at a moment into a new one
    #[command(name = "pg:rollback")]
    PgRollback(rollback::RollbackArgs),
    /// Upgrade a database to a newer version of its server
    #[command(name = "pg:upgrade:run", visible_alias = "pg:upgrade")]
    PgUpgradeRun(upgrade::RunArgs),
    /// Load a copy of a database into a server of a newer version, to see
    #[command(name = "pg:upgrade:dryrun")]
    PgUpgradeDryRun(upgrade::TryArgs),
    /// Choose the version of an upgrade, with a dry run
    #[command(name = "pg:upgrade:prepare")]
    PgUpgradePrepare(upgrade::TryArgs),
    /// Wait until an upgrade is over
    #[command(name = "pg:upgrade:wait")]
    PgUpgradeWait(postgres::DatabaseArgs),
    /// Cancel an upgrade
    #[command(name = "pg:upgrade:cancel")]
    PgUpgradeCancel(postgres::DatabaseArgs),
    /// List the credentials of a database
    #[command(name = "pg:credentials")]
    PgCredentials(credential::ListArgs),
    /// Make a credential with rights of its own
    #[command(name = "pg:credentials:create")]
    PgCredentialsCreate(credential::NamedArgs),
    /// Destroy a credential
    #[command(name = "pg:credentials:destroy")]
    PgCredentialsDestroy(credential::DestroyArgs),
    /// Give the default credential back what was its own
    #[command(name = "pg:credentials:repair-default")]
    PgCredentialsRepair(credential::RepairArgs),
    /// Give a credential another password
    #[command(name = "pg:credentials:rotate")]
    PgCredentialsRotate(credential::RotateArgs),
    /// Show the address of a database, password and all
    #[command(name = "pg:credentials:url")]
    PgCredentialsUrl(credential::UrlArgs),
    /// Copy a database to one that this machine reaches
    #[command(name = "pg:pull")]
    PgPull(local::TransferArgs),
    /// Copy a database that this machine reaches into an empty one
    #[command(name = "pg:push")]
    PgPush(local::TransferArgs),
    /// Empty a database
    #[command(name = "pg:reset")]
    PgReset(postgres::ConfirmedArgs),
    /// Show what a database is doing
    #[command(name = "pg:ps")]
    PgPs(postgres::VerboseArgs),
    /// Cancel a query
    #[command(name = "pg:kill")]
    PgKill(postgres::KillArgs),
    /// End all connections
    #[command(name = "pg:killall")]
    PgKillall(postgres::DatabaseArgs),
    /// Show who holds locks
    #[command(name = "pg:locks")]
    PgLocks(postgres::DatabaseArgs),
    /// Show who waits for whom
    #[command(name = "pg:blocking")]
    PgBlocking(postgres::DatabaseArgs),
    /// Show the queries that took longest together
    #[command(name = "pg:outliers")]
    PgOutliers(postgres::DatabaseArgs),
    /// Show the queries that have run for minutes
    #[command(name = "pg:long-running-queries")]
    PgLongRunning(postgres::DatabaseArgs),
    /// Show how often what is read is in memory
    #[command(name = "pg:cache-hit")]
    PgCacheHit(postgres::DatabaseArgs),
    /// Show how often indexes are used
    #[command(name = "pg:index-usage")]
    PgIndexUsage(postgres::DatabaseArgs),
    /// Show the extensions that there are
    #[command(name = "pg:extensions")]
    PgExtensions(postgres::DatabaseArgs),
    /// Show how a database is set up
    #[command(name = "pg:settings")]
    PgSettings(postgres::DatabaseArgs),
    /// Log execution plans of queries
    #[command(name = "pg:settings:auto-explain")]
    PgSettingsAutoExplain(setting::SettingArgs),
    /// Log plans with their actual run times: every query is measured
    #[command(name = "pg:settings:auto-explain:log-analyze")]
    PgSettingsAutoExplainLogAnalyze(setting::SettingArgs),
    /// Log plans with their use of buffers
    #[command(name = "pg:settings:auto-explain:log-buffers")]
    PgSettingsAutoExplainLogBuffers(setting::SettingArgs),
    /// Choose how plans are logged: text, xml, json or yaml
    #[command(name = "pg:settings:auto-explain:log-format")]
    PgSettingsAutoExplainLogFormat(setting::SettingArgs),
    /// Log plans of what takes so many milliseconds; -1 is none
    #[command(name = "pg:settings:auto-explain:log-min-duration")]
    PgSettingsAutoExplainLogMinDuration(setting::SettingArgs),
    /// Log plans of statements inside functions
    #[command(name = "pg:settings:auto-explain:log-nested-statements")]
    PgSettingsAutoExplainLogNestedStatements(setting::SettingArgs),
    /// Log plans with their triggers
    #[command(name = "pg:settings:auto-explain:log-triggers")]
    PgSettingsAutoExplainLogTriggers(setting::SettingArgs),
    /// Log plans with all details
    #[command(name = "pg:settings:auto-explain:log-verbose")]
    PgSettingsAutoExplainLogVerbose(setting::SettingArgs),
    /// Log who connects to a database
    #[command(name = "pg:settings:log-connections")]
    PgSettingsLogConnections(setting::SettingArgs),
    /// Log who waits long for a lock
    #[command(name = "pg:settings:log-lock-waits")]
    PgSettingsLogLockWaits(setting::SettingArgs),
    /// Log statements that take so many milliseconds; -1 is none
    #[command(name = "pg:settings:log-min-duration-statement")]
    PgSettingsLogMinDurationStatement(setting::SettingArgs),
    /// Log statements that end in an error of this weight
    #[command(name = "pg:settings:log-min-error-statement")]
    PgSettingsLogMinErrorStatement(setting::SettingArgs),
    /// Log statements: none, ddl, mod or all
    #[command(name = "pg:settings:log-statement")]
    PgSettingsLogStatement(setting::SettingArgs),
    /// Count calls of functions: none, pl or all
    #[command(name = "pg:settings:track-functions")]
    PgSettingsTrackFunctions(setting::SettingArgs),
    /// Begin the statistics of a database anew
    #[command(name = "pg:stats-reset")]
    PgStatsReset(postgres::DatabaseArgs),
    /// Look for what is usually wrong
    #[command(name = "pg:diagnose")]
    PgDiagnose(postgres::DatabaseArgs),
    /// Show the Redis add-ons of an app
    #[command(name = "redis:info", visible_alias = "redis")]
    RedisInfo(redis::InfoArgs),
    /// Talk to Redis
    #[command(name = "redis:cli")]
    RedisCli(redis::RedisArgs),
    /// Show the address of Redis, password and all, or change it
    #[command(name = "redis:credentials")]
    RedisCredentials(redis::CredentialsArgs),
    /// Choose which events Redis tells
    #[command(name = "redis:keyspace-notifications")]
    RedisNotifications(redis::NotificationsArgs),
    /// Choose what goes when the memory of Redis is full
    #[command(name = "redis:maxmemory")]
    RedisMaxmemory(redis::MaxmemoryArgs),
    /// Make a Redis the main one of an app
    #[command(name = "redis:promote")]
    RedisPromote(redis::RedisArgs),
    /// Begin the statistics of Redis anew
    #[command(name = "redis:stats-reset")]
    RedisStatsReset(redis::ConfirmedArgs),
    /// Choose when idle connections to Redis end
    #[command(name = "redis:timeout")]
    RedisTimeout(redis::TimeoutArgs),
    /// Wait until Redis can be used
    #[command(name = "redis:wait")]
    RedisWait(redis::RedisArgs),
}

pub(super) fn dispatch(verb: &DataVerb, context: &Context) -> Result<()> {
    match verb {
        DataVerb::PgInfo(args) => postgres::info(args, context),
        DataVerb::PgPsql(args) => postgres::psql(args, context),
        DataVerb::PgWait(args) => postgres::wait(args, context),
        DataVerb::PgPromote(args) => postgres::promote(args, context),
        DataVerb::PgCopy(args) => copy::copy(args, context),
        DataVerb::PgRollback(args) => rollback::rollback(args, context),
        DataVerb::PgUpgradeRun(args) => upgrade::run(args, context),
        DataVerb::PgUpgradeDryRun(args) => upgrade::dry_run(args, context),
        DataVerb::PgUpgradePrepare(args) => upgrade::prepare(args, context),
        DataVerb::PgUpgradeWait(args) => upgrade::wait(args, context),
        DataVerb::PgUpgradeCancel(args) => upgrade::cancel(args, context),
        DataVerb::PgCredentials(args) => credential::list(args, context),
        DataVerb::PgCredentialsCreate(args) => credential::create(args, context),
        DataVerb::PgCredentialsDestroy(args) => credential::destroy(args, context),
        DataVerb::PgCredentialsRepair(args) => credential::repair(args, context),
        DataVerb::PgCredentialsRotate(args) => credential::rotate(args, context),
        DataVerb::PgCredentialsUrl(args) => credential::url(args, context),
        DataVerb::PgPull(args) => local::pull(args, context),
        DataVerb::PgPush(args) => local::push(args, context),
        DataVerb::PgReset(args) => postgres::reset(args, context),
        DataVerb::PgPs(args) => postgres::ps(args, context),
        DataVerb::PgKill(args) => postgres::kill(args, context),
        DataVerb::PgKillall(args) => postgres::killall(args, context),
        DataVerb::PgLocks(args) => postgres::locks(args, context),
        DataVerb::PgBlocking(args) => postgres::blocking(args, context),
        DataVerb::PgOutliers(args) => postgres::outliers(args, context),
        DataVerb::PgLongRunning(args) => postgres::long_running(args, context),
        DataVerb::PgCacheHit(args) => postgres::cache_hit(args, context),
        DataVerb::PgIndexUsage(args) => postgres::index_usage(args, context),
        DataVerb::PgExtensions(args) => postgres::extensions(args, context),
        DataVerb::PgSettings(args) => setting::list(args, context),
        DataVerb::PgSettingsAutoExplain(args) => setting::choose(args, "auto_explain", context),
        DataVerb::PgSettingsAutoExplainLogAnalyze(args) => setting::choose(args, "auto_explain.log_analyze", context),
        DataVerb::PgSettingsAutoExplainLogBuffers(args) => setting::choose(args, "auto_explain.log_buffers", context),
        DataVerb::PgSettingsAutoExplainLogFormat(args) => setting::choose(args, "auto_explain.log_format", context),
        DataVerb::PgSettingsAutoExplainLogMinDuration(args) => {
            setting::choose(args, "auto_explain.log_min_duration", context)
        }
        DataVerb::PgSettingsAutoExplainLogNestedStatements(args) => {
            setting::choose(args, "auto_explain.log_nested_statements", context)
        }
        DataVerb::PgSettingsAutoExplainLogTriggers(args) => setting::choose(args, "auto_explain.log_triggers", context),
        DataVerb::PgSettingsAutoExplainLogVerbose(args) => setting::choose(args, "auto_explain.log_verbose", context),
        DataVerb::PgSettingsLogConnections(args) => setting::choose(args, "log_connections", context),
        DataVerb::PgSettingsLogLockWaits(args) => setting::choose(args, "log_lock_waits", context),
        DataVerb::PgSettingsLogMinDurationStatement(args) => {
            setting::choose(args, "log_min_duration_statement", context)
        }
        DataVerb::PgSettingsLogMinErrorStatement(args) => setting::choose(args, "log_min_error_statement", context),
        DataVerb::PgSettingsLogStatement(args) => setting::choose(args, "log_statement", context),
        DataVerb::PgSettingsTrackFunctions(args) => setting::choose(args, "track_functions", context),
        DataVerb::PgStatsReset(args) => postgres::reset_stats(args, context),
        DataVerb::PgDiagnose(args) => postgres::diagnose(args, context),
        DataVerb::RedisInfo(args) => redis::info(args, context),
        DataVerb::RedisCli(args) => redis::cli(args, context),
        DataVerb::RedisCredentials(args) => redis::credentials(args, context),
        DataVerb::RedisNotifications(args) => redis::notifications(args, context),
        DataVerb::RedisMaxmemory(args) => redis::maxmemory(args, context),
        DataVerb::RedisPromote(args) => redis::promote(args, context),
        DataVerb::RedisStatsReset(args) => redis::reset_stats(args, context),
        DataVerb::RedisTimeout(args) => redis::timeout(args, context),
        DataVerb::RedisWait(args) => redis::wait(args, context),
    }
}

//! The verbs for what is in databases.

use clap::Subcommand;

use crate::{app_context::Context, error::Result, postgres, redis};

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
    /// Show the address of a database, password and all
    #[command(name = "pg:credentials", visible_alias = "pg:credentials:url")]
    PgCredentials(postgres::DatabaseArgs),
    /// Give a database another password
    #[command(name = "pg:credentials:rotate")]
    PgCredentialsRotate(postgres::ConfirmedArgs),
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
    /// Look for what is usually wrong
    #[command(name = "pg:diagnose")]
    PgDiagnose(postgres::DatabaseArgs),
    /// Show the Redis add-ons of an app
    #[command(name = "redis:info", visible_alias = "redis")]
    RedisInfo(redis::RedisArgs),
    /// Talk to Redis
    #[command(name = "redis:cli")]
    RedisCli(redis::RedisArgs),
}

pub(super) fn dispatch(verb: &DataVerb, context: &Context) -> Result<()> {
    match verb {
        DataVerb::PgInfo(args) => postgres::info(args, context),
        DataVerb::PgPsql(args) => postgres::psql(args, context),
        DataVerb::PgWait(args) => postgres::wait(args, context),
        DataVerb::PgPromote(args) => postgres::promote(args, context),
        DataVerb::PgCredentials(args) => postgres::credentials(args, context),
        DataVerb::PgCredentialsRotate(args) => postgres::rotate(args, context),
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
        DataVerb::PgSettings(args) => postgres::settings(args, context),
        DataVerb::PgDiagnose(args) => postgres::diagnose(args, context),
        DataVerb::RedisInfo(args) => redis::info(args, context),
        DataVerb::RedisCli(args) => redis::cli(args, context),
    }
}

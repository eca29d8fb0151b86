//! Help by topics: forty verbs in one list tell a newcomer nothing.

use std::fmt::Write;

use clap::Command;

/// Topics in the order of a newcomer's day, with the verbs of each.
const TOPICS: [(&str, &[&str]); 20] = [
    (
        "Account",
        &[
            "login",
            "logout",
            "auth:whoami",
            "auth:token",
            "auth:password",
            "auth:2fa",
            "auth:2fa:enable",
            "auth:2fa:disable",
            "auth:2fa:generate-recovery-codes",
            "keys",
            "keys:add",
            "keys:remove",
            "keys:clear",
        ],
    ),
    (
        "Tokens",
        &[
            "authorizations",
            "authorizations:create",
            "authorizations:info",
            "authorizations:update",
            "authorizations:rotate",
            "authorizations:revoke",
            "sessions",
            "sessions:destroy",
            "clients",
            "clients:create",
            "clients:info",
            "clients:update",
            "clients:rotate",
            "clients:destroy",
        ],
    ),
    (
        "Apps",
        &[
            "apps",
            "create",
            "apps:info",
            "apps:rename",
            "open",
            "apps:destroy",
            "apps:diff",
            "apps:errors",
            "git:remote",
            "git:clone",
            "git:credentials",
        ],
    ),
    (
        "Config vars",
        &["config", "config:set", "config:get", "config:unset", "config:edit"],
    ),
    (
        "Dynos",
        &["ps", "ps:scale", "ps:type", "ps:restart", "ps:stop", "ps:wait"],
    ),
    (
        "Commands in dynos",
        &[
            "run",
            "run:detached",
            "console",
            "rake",
            "ps:exec",
            "ps:copy",
            "ps:forward",
            "ps:socks",
        ],
    ),
    ("Logs", &["logs", "drains", "drains:add", "drains:remove"]),
    (
        "Add-ons",
        &[
            "addons",
            "addons:create",
            "addons:info",
            "addons:wait",
            "addons:attach",
            "addons:detach",
            "addons:rename",
            "addons:upgrade",
            "addons:expose",
            "addons:unexpose",
            "addons:destroy",
            "addons:open",
            "addons:docs",
            "addons:plans",
            "addons:services",
            "addons:providers",
            "addons:providers:add",
            "addons:providers:remove",
        ],
    ),
    (
        "Databases",
        &[
            "pg:info",
            "pg:psql",
            "pg:wait",
            "pg:promote",
            "pg:copy",
            "pg:rollback",
            "pg:upgrade:run",
            "pg:upgrade:dryrun",
            "pg:upgrade:prepare",
            "pg:upgrade:wait",
            "pg:upgrade:cancel",
            "pg:credentials",
            "pg:credentials:create",
            "pg:credentials:destroy",
            "pg:credentials:repair-default",
            "pg:credentials:rotate",
            "pg:credentials:url",
            "pg:pull",
            "pg:push",
            "pg:reset",
            "pg:ps",
            "pg:kill",
            "pg:killall",
            "pg:locks",
            "pg:blocking",
            "pg:outliers",
            "pg:long-running-queries",
            "pg:cache-hit",
            "pg:index-usage",
            "pg:extensions",
            "pg:settings",
            "pg:settings:auto-explain",
            "pg:settings:auto-explain:log-analyze",
            "pg:settings:auto-explain:log-buffers",
            "pg:settings:auto-explain:log-format",
            "pg:settings:auto-explain:log-min-duration",
            "pg:settings:auto-explain:log-nested-statements",
            "pg:settings:auto-explain:log-triggers",
            "pg:settings:auto-explain:log-verbose",
            "pg:settings:log-connections",
            "pg:settings:log-lock-waits",
            "pg:settings:log-min-duration-statement",
            "pg:settings:log-min-error-statement",
            "pg:settings:log-statement",
            "pg:settings:track-functions",
            "pg:stats-reset",
            "pg:diagnose",
            "pg:backups",
            "pg:backups:capture",
            "pg:backups:cancel",
            "pg:backups:delete",
            "pg:backups:download",
            "pg:backups:info",
            "pg:backups:prove",
            "pg:backups:restore",
            "pg:backups:schedule",
            "pg:backups:schedules",
            "pg:backups:unschedule",
            "pg:backups:url",
            "redis:info",
            "redis:cli",
            "redis:credentials",
            "redis:keyspace-notifications",
            "redis:maxmemory",
            "redis:promote",
            "redis:stats-reset",
            "redis:timeout",
            "redis:wait",
        ],
    ),
    (
        "Webhooks",
        &[
            "webhooks",
            "webhooks:add",
            "webhooks:info",
            "webhooks:update",
            "webhooks:remove",
            "webhooks:deliveries",
            "webhooks:deliveries:info",
            "webhooks:events",
            "webhooks:events:info",
        ],
    ),
    (
        "Releases and builds",
        &[
            "releases",
            "releases:info",
            "releases:output",
            "releases:retry",
            "rollback",
            "builds",
            "builds:create",
            "builds:info",
            "builds:output",
            "builds:cancel",
            "builds:cache:purge",
            "ci",
            "ci:run",
            "ci:info",
            "ci:cancel",
        ],
    ),
    (
        "Buildpacks and stacks",
        &[
            "buildpacks",
            "buildpacks:set",
            "buildpacks:add",
            "buildpacks:remove",
            "buildpacks:clear",
            "buildpacks:search",
            "buildpacks:info",
            "stacks",
            "stack:set",
        ],
    ),
    (
        "Images",
        &[
            "container:login",
            "container:push",
            "container:pull",
            "container:release",
            "container:rm",
            "container:run",
            "image:deploy",
        ],
    ),
    (
        "Domains",
        &[
            "domains",
            "domains:add",
            "domains:wait",
            "domains:info",
            "domains:update",
            "domains:remove",
            "domains:clear",
        ],
    ),
    (
        "Certificates",
        &[
            "certs",
            "certs:add",
            "certs:update",
            "certs:generate",
            "certs:info",
            "certs:remove",
            "certs:auto",
            "certs:auto:enable",
            "certs:auto:disable",
            "certs:auto:refresh",
        ],
    ),
    (
        "Features and routing",
        &[
            "features",
            "features:info",
            "features:enable",
            "features:disable",
            "labs",
            "labs:info",
            "labs:enable",
            "labs:disable",
            "routing",
            "routing:set",
            "routing:unset",
        ],
    ),
    ("Your machine", &["local", "local:run", "local:version"]),
    (
        "Access and teams",
        &[
            "access",
            "access:add",
            "access:update",
            "access:remove",
            "teams",
            "teams:create",
            "teams:destroy",
            "members",
            "members:add",
            "members:set",
            "members:remove",
            "apps:transfer",
            "apps:transfers",
            "apps:transfers:accept",
            "apps:transfers:decline",
            "apps:transfers:cancel",
            "apps:lock",
            "apps:unlock",
            "apps:join",
            "apps:leave",
        ],
    ),
    ("Maintenance", &["maintenance", "maintenance:on", "maintenance:off"]),
    (
        "Platform",
        &[
            "disk",
            "disk:prune",
            "regions",
            "heroku",
            "completion",
            "version",
            "help",
        ],
    ),
];

/// What `paas` alone says.
pub(crate) fn overview(command: &Command) -> String {
    let mut text = String::from("Push to deploy, on your own machine.\n\nUsage: paas COMMAND [-a APP]\n");
    for (topic, verbs) in TOPICS {
        _ = writeln!(text, "\n{topic}");
        for verb in verbs {
            text += &entry(command, verb);
        }
    }
    text += "\nRun `paas help COMMAND` for the flags of a command. The app is the one of `-a APP`, of PAAS_APP, or of the git\n\
             remote `paas` of the current directory. PAAS_URL says where the platform's API answers.\n";
    text
}

/// The verbs below a topic's own: `ps:scale` … for `ps`. Empty when there are none.
pub(crate) fn related(command: &Command, name: &str) -> String {
    let prefix = format!("{name}:");
    let verbs = command
        .get_subcommands()
        .map(Command::get_name)
        .filter(|verb| verb.starts_with(&prefix));
    verbs.map(|verb| entry(command, verb)).collect()
}

fn entry(command: &Command, verb: &str) -> String {
    let about = command.find_subcommand(verb).and_then(Command::get_about);
    let about = about.map(ToString::to_string).unwrap_or_default();
    format!("  {verb:<19} {about}\n")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::command::Cli;

    #[test]
    fn every_verb_is_in_one_topic() {
        let command = Cli::command();
        let mut verbs: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
        let mut listed: Vec<_> = TOPICS.iter().flat_map(|(_, verbs)| verbs.iter().copied()).collect();
        verbs.sort_unstable();
        listed.sort_unstable();
        assert_eq!(verbs, listed);
    }

    #[test]
    fn every_verb_says_what_it_does_in_one_line() {
        Cli::command().debug_assert();
        for verb in Cli::command().get_subcommands() {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(
                !about.is_empty() && about.len() < 80 && !about.contains('\n'),
                "{}: {about:?}",
                verb.get_name()
            );
        }
    }
}

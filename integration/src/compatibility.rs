//! Which commands of Heroku's client work here: `docs/heroku-compatibility.md`, made from the stories.
//!
//! A command works when a story has run it and looked at what came of it: the story says so with [`Heroku::covers`]. What is
//! different with us, and what cannot work, is told here, in words for who comes from Heroku.
//!
//! [`Heroku::covers`]: crate::Heroku::covers

use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// Every command of the client, hidden ones too.
const COMMANDS: &str = include_str!("heroku/commands.txt");

/// Commands that work, and do something else than on Heroku.
const DIFFERS: [(&str, &str); 24] = [
    (
        "addons:create",
        "services and plans have Heroku's names, and cost nothing; `-- --fork DATABASE` holds what another one holds; no `--follow`",
    ),
    ("addons:docs", "shows Heroku's page about the service"),
    (
        "apps:create",
        "the remote is `https://git.<domain>/<app>.git`; there is one region",
    ),
    ("apps:stacks", "the stacks are those of the platform"),
    (
        "buildpacks",
        "without a choice of your own, the platform finds the buildpack at each push, as Heroku does",
    ),
    ("buildpacks:add", OWN_BUILDPACKS),
    ("buildpacks:set", OWN_BUILDPACKS),
    (
        "certs:auto:enable",
        "the platform orders from its own certificate authority, Let's Encrypt unless told otherwise",
    ),
    ("container:login", REGISTRY),
    ("container:logout", REGISTRY),
    ("container:pull", REGISTRY),
    ("container:push", REGISTRY),
    ("container:release", REGISTRY),
    ("container:rm", REGISTRY),
    ("container:run", REGISTRY),
    (
        "features",
        "the list is the platform's own, with `hsts` and `https-redirect` besides Heroku's",
    ),
    (
        "logs",
        "the log keeps 16 MB and 30 days; a tail goes on after a restart of the platform that takes less than ten seconds",
    ),
    (
        "pg:credentials:rotate",
        "the old password ends at once, for every credential; connections that are open stay",
    ),
    (
        "pg:backups:download",
        "fetches over HTTPS alone: `HEROKU_HOST` has to begin so, too",
    ),
    ("ps:copy", SSH),
    ("ps:exec", SSH),
    ("ps:forward", SSH),
    ("ps:socks", SSH),
    ("regions", "there is one: the machine of the platform"),
];

/// Commands that cannot work, by the beginning of their names.
const CANNOT: [(&str, &str); 42] = [
    (
        "addons:open",
        "wants a page at an address of its own, which only its apps have; `paas` opens it over the API",
    ),
    ("apps:errors", FIXED_HOST),
    ("apps:favorites", FIXED_HOST),
    ("ci:rerun", FIXED_HOST),
    ("ci:run", FIXED_HOST),
    ("dashboard", FIXED_HOST),
    ("notifications", FIXED_HOST),
    ("pg:diagnose", FIXED_HOST),
    ("pg:bloat", DIRECT),
    ("pg:blocking", DIRECT),
    ("pg:cache-hit", DIRECT),
    ("pg:calls", DIRECT),
    ("pg:extensions", DIRECT),
    ("pg:fdwsql", DIRECT),
    ("pg:index-size", DIRECT),
    ("pg:index-usage", DIRECT),
    ("pg:kill", DIRECT),
    ("pg:locks", DIRECT),
    ("pg:long-running-queries", DIRECT),
    ("pg:mandelbrot", DIRECT),
    ("pg:outliers", DIRECT),
    ("pg:ps", DIRECT),
    ("pg:psql", DIRECT),
    ("pg:pull", DIRECT),
    ("pg:push", DIRECT),
    ("pg:records-rank", DIRECT),
    ("pg:seq-scans", DIRECT),
    ("pg:table-indexes-size", DIRECT),
    ("pg:table-size", DIRECT),
    ("pg:total-index-size", DIRECT),
    ("pg:total-table-size", DIRECT),
    ("pg:unused-indexes", DIRECT),
    ("pg:user-connections", DIRECT),
    ("pg:vacuum-stats", DIRECT),
    ("pipelines:connect", FIXED_HOST),
    ("pipelines:diff", FIXED_HOST),
    ("pipelines:setup", FIXED_HOST),
    ("ps:autoscale:", FIXED_HOST),
    ("redis:cli", DIRECT),
    (
        "redis:upgrade",
        "there is one version of Redis here; the platform says so",
    ),
    ("run:inside", "is for Heroku's Fir generation only"),
    (
        "spaces",
        "there are no Private Spaces: the platform is private as it is",
    ),
];

const OWN_BUILDPACKS: &str = "names such as `heroku/python` mean the platform's own; any other buildpack is fetched from its https address at each build";
const REGISTRY: &str = "wants `HEROKU_HOST=localhost.<domain>`, which `paas heroku` sets; see containers.md";
const SSH: &str = "wants the router on port 80, and `HEROKU_EXEC_URL`; `paas` does it over the API";
const DIRECT: &str =
    "talks to the database at its own address, which only its apps have; `paas` does what matters of it over the API";
const FIXED_HOST: &str = "asks a host of Heroku's that is written into the client";

/// Commands that want something that the platform does not have yet, by the beginning of their names. A story that covers one
/// takes it out of here.
const NOT_YET: [(&str, &str); 9] = [
    (
        "ci",
        "test runs belong to an app here, and not to a pipeline: `paas ci:run`",
    ),
    (
        "data",
        "is for Heroku's Advanced databases, which have an API of their own",
    ),
    ("pg:links", "there are no links"),
    ("pg:unfollow", "there are no followers"),
    ("pg", ADD_ONS),
    ("pipelines", "there are no pipelines"),
    ("redis", ADD_ONS),
    ("reviewapps", "there are no review apps"),
    ("usage", ADD_ONS),
];

const ADD_ONS: &str = "nobody has brought it to the platform's own add-ons yet";

/// Commands that need nothing of a platform, by the beginning of their names.
const LOCAL: [&str; 7] = [
    "accounts",
    "autocomplete",
    "certs:generate",
    "local",
    "mcp:start",
    "repl",
    "version",
];

/// What a user of the client finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Works,
    Differs(&'static str),
    Cannot(&'static str),
    Local,
    NotYet(&'static str),
    /// Nobody has tried it.
    Unknown,
}

/// The names of all commands, as the client's own manifest has them.
pub fn commands() -> BTreeSet<&'static str> {
    COMMANDS.lines().collect()
}

/// The page, from the texts of the stories. An error says which claim cannot be.
pub fn page(stories: &Path) -> Result<String, String> {
    let covered = covered(stories)?;
    let mut groups: Vec<(&str, Vec<(&str, Verdict)>)> = Vec::new();
    for command in commands() {
        let group = command.split(':').next().unwrap_or(command);
        let row = (command, verdict(command, &covered)?);
        match groups.last_mut() {
            Some((last, rows)) if *last == group => rows.push(row),
            _ => groups.push((group, vec![row])),
        }
    }
    Ok(render(&groups))
}

/// The commands that stories say they cover.
fn covered(stories: &Path) -> Result<BTreeSet<String>, String> {
    let mut covered = BTreeSet::new();
    for entry in fs::read_dir(stories).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        for claim in text.split(".covers(&[").skip(1) {
            let (list, _) = claim.split_once(']').ok_or("a list has an end")?;
            covered.extend(list.split('"').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let known = commands();
    match covered.iter().find(|command| !known.contains(command.as_str())) {
        Some(unknown) => Err(format!("a story covers {unknown:?}, which is no command of the client")),
        None => Ok(covered),
    }
}

fn verdict(command: &str, covered: &BTreeSet<String>) -> Result<Verdict, String> {
    let is_below = |name: &str| command == name || command.starts_with(&format!("{}:", name.trim_end_matches(':')));
    let cannot = CANNOT.iter().find(|(name, _)| is_below(name)).map(|(_, why)| *why);
    let differs = DIFFERS.iter().find(|(name, _)| *name == command).map(|(_, how)| *how);
    match (covered.contains(command), cannot, differs) {
        (true, Some(_), _) => Err(format!("a story covers {command:?}, which cannot work")),
        (true, None, Some(how)) => Ok(Verdict::Differs(how)),
        (true, None, None) => Ok(Verdict::Works),
        (false, Some(why), _) => Ok(Verdict::Cannot(why)),
        (false, None, _) if LOCAL.iter().any(|name| is_below(name)) => Ok(Verdict::Local),
        (false, None, _) => {
            let missing = NOT_YET.iter().find(|(name, _)| is_below(name));
            Ok(missing.map_or(Verdict::Unknown, |(_, what)| Verdict::NotYet(what)))
        }
    }
}

fn render(groups: &[(&str, Vec<(&str, Verdict)>)]) -> String {
    let mut page = String::from(
        "\
# Heroku's command-line client

Made from the stories in `integration/tests/heroku_cli`, which run npm's `heroku` 11.10 against a real platform: do not edit.
",
    );
    for (group, rows) in groups {
        let _ = write!(page, "\n## {group}\n\n| command | |\n|---|---|\n");
        for (command, verdict) in rows {
            let words = match verdict {
                Verdict::Works => "works".to_owned(),
                Verdict::Differs(how) => format!("works; {how}"),
                Verdict::Cannot(why) => format!("cannot: {why}"),
                Verdict::Local => "needs no platform".to_owned(),
                Verdict::NotYet(what) => format!("not yet: {what}"),
                Verdict::Unknown => "not tried yet".to_owned(),
            };
            let _ = writeln!(page, "| `{command}` | {words} |");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_works_when_a_story_covers_it() {
        let covered = BTreeSet::from(["apps".to_owned(), "regions".to_owned()]);
        assert_eq!(verdict("apps", &covered), Ok(Verdict::Works));
        assert!(matches!(verdict("regions", &covered), Ok(Verdict::Differs(_))));
        assert_eq!(verdict("apps:info", &covered), Ok(Verdict::Unknown));
        assert!(matches!(verdict("pg:links", &covered), Ok(Verdict::NotYet(_))));
        assert_eq!(verdict("local:run", &covered), Ok(Verdict::Local));
        assert!(matches!(
            verdict("ps:autoscale:enable", &covered),
            Ok(Verdict::Cannot(_))
        ));
        assert!(matches!(verdict("pg:psql", &covered), Ok(Verdict::Cannot(_))));
        assert_eq!(verdict("ci:run", &BTreeSet::from(["ci:run".to_owned()])).ok(), None);
    }

    #[test]
    fn every_word_is_about_a_command_of_the_client() {
        let commands = commands();
        for (name, _) in DIFFERS {
            assert!(commands.contains(name), "{name}");
        }
        let prefixes = CANNOT.iter().chain(&NOT_YET).map(|(name, _)| *name);
        for name in prefixes.chain(LOCAL) {
            assert!(commands.iter().any(|command| command.starts_with(name)), "{name}");
        }
    }
}

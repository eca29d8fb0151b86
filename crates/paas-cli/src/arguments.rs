//! Commands inside of commands: `paas run rake db:migrate -a hello`.
//!
//! Flags of ours may come before, after and between the words of the command, as with Heroku's client; what looks like a flag and
//! is none of ours belongs to the command, and so does everything behind `--`.

use std::ffi::OsString;

/// The flags of a verb that takes a command.
struct Flags {
    verbs: &'static [&'static str],
    with_value: &'static [&'static str],
    alone: &'static [&'static str],
}

const COMMON: [&str; 5] = ["-a", "--app", "-r", "--remote", "--url"];
const HELP: [&str; 2] = ["-h", "--help"];

const VERBS: [Flags; 3] = [
    Flags {
        verbs: &["run", "rake", "run:rake"],
        with_value: &["-e", "--env", "-s", "--size", "--type"],
        alone: &["-x", "--exit-code", "--no-tty", "--no-notify", "--no-launcher"],
    },
    Flags {
        verbs: &["run:detached"],
        with_value: &["-e", "--env", "-s", "--size", "--type"],
        alone: &["-t", "--tail", "--no-launcher"],
    },
    Flags {
        verbs: &["ps:exec"],
        with_value: &["-d", "--dyno"],
        alone: &["--status", "--ssh"],
    },
];

/// Verbs behind which Heroku's `--url` is not the platform's, and what that flag is called here.
const OTHER_URLS: [(&str, &str); 3] = [
    ("clients:update", "--redirect-uri"),
    ("webhooks:add", "--to"),
    ("webhooks:update", "--to"),
];

/// Puts the flags of ours in front of the command, and `--` between them.
pub(crate) fn sorted(arguments: Vec<OsString>) -> Vec<OsString> {
    let arguments = renamed(arguments);
    let flags = |word: &OsString| {
        let word = word.to_str()?;
        VERBS.iter().find(|flags| flags.verbs.contains(&word))
    };
    // The verb is the first word that is neither a flag nor the value of one.
    let mut position = 1;
    while arguments.get(position).is_some_and(|word| word == "--url") {
        position += 2;
    }
    let Some(flags) = arguments.get(position).and_then(flags) else {
        return arguments;
    };
    let mut arguments = arguments.into_iter();
    let mut ours: Vec<OsString> = arguments.by_ref().take(position + 1).collect();
    let mut words = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--" {
            words.extend(arguments);
            break;
        }
        let text = argument.to_str().unwrap_or_default();
        if COMMON.contains(&text) || flags.with_value.contains(&text) {
            ours.push(argument);
            ours.extend(arguments.next());
        } else if HELP.contains(&text) && words.is_empty() || flags.alone.contains(&text) || flags.is_joined(text) {
            ours.push(argument);
        } else {
            words.push(argument);
        }
    }
    if !words.is_empty() {
        ours.push("--".into());
        ours.extend(words);
    }
    ours
}

/// Tells the URL that a verb is about from the one where the platform is.
fn renamed(arguments: Vec<OsString>) -> Vec<OsString> {
    let of = |word: &OsString| OTHER_URLS.iter().find(|(verb, _)| word == verb).map(|(_, name)| *name);
    let Some((position, name)) = arguments
        .iter()
        .enumerate()
        .find_map(|(position, word)| Some((position, of(word)?)))
    else {
        return arguments;
    };
    let rename = |(index, word): (usize, OsString)| match word.to_str() {
        Some("--url") if index > position => name.into(),
        Some(text) if index > position && text.starts_with("--url=") => text.replacen("--url", name, 1).into(),
        _ => word,
    };
    arguments.into_iter().enumerate().map(rename).collect()
}

/// The words of a command as one line for a shell, quoted as Heroku's client does it.
pub(crate) fn command_line(words: &[String]) -> String {
    if let [line] = words {
        return line.clone();
    }
    let quoted = words.iter().map(|word| {
        if word.contains([' ', '"']) {
            format!("\"{}\"", word.replace('"', "\\\""))
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

impl Flags {
    /// `--app=hello`
    fn is_joined(&self, text: &str) -> bool {
        let name = text.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| name.starts_with("--") && (COMMON.contains(&name) || self.with_value.contains(&name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(line: &str) -> String {
        let sorted = sorted(line.split(' ').map(OsString::from).collect());
        let words: Vec<_> = sorted.into_iter().map(|word| word.into_string().unwrap()).collect();
        words.join(" ")
    }

    #[test]
    fn flags_of_ours_come_out_of_a_command_and_others_stay() {
        for (typed, meant) in [
            ("paas run bash -a hello", "paas run -a hello -- bash"),
            ("paas run -a hello ls -la", "paas run -a hello -- ls -la"),
            (
                "paas --url http://x run ls --app=b -x",
                "paas --url http://x run --app=b -x -- ls",
            ),
            ("paas run -x -- sh -c -a", "paas run -x -- sh -c -a"),
            (
                "paas run:detached sleep 1 --tail",
                "paas run:detached --tail -- sleep 1",
            ),
            ("paas ps:exec -d web.2 -- node -i", "paas ps:exec -d web.2 -- node -i"),
            ("paas run --help", "paas run --help"),
            ("paas run rake --help", "paas run -- rake --help"),
            ("paas run", "paas run"),
            ("paas apps -a hello", "paas apps -a hello"),
        ] {
            assert_eq!(sort(typed), meant);
        }
    }

    #[test]
    fn the_url_of_a_receiver_is_not_that_of_the_platform() {
        for (typed, meant) in [
            (
                "paas --url http://x webhooks:add -a hello --url https://y",
                "paas --url http://x webhooks:add -a hello --to https://y",
            ),
            (
                "paas clients:update 1 --url=https://y",
                "paas clients:update 1 --redirect-uri=https://y",
            ),
            ("paas apps --url http://x", "paas apps --url http://x"),
        ] {
            assert_eq!(sort(typed), meant);
        }
    }

    #[test]
    fn words_are_quoted_as_heroku_s_client_does_it() {
        let line = |words: &[&str]| command_line(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(line(&["rake test"]), "rake test");
        assert_eq!(line(&["sh", "-c", "exit 3"]), "sh -c \"exit 3\"");
        assert_eq!(line(&["echo", "say \"hi\""]), "echo \"say \\\"hi\\\"\"");
    }
}

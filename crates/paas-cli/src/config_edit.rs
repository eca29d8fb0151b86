//! Config vars in an editor.

use std::{collections::BTreeMap, fs, io::Write, process::Command};

use clap::Args;
use paas_api::ConfigVarsUpdate;

use crate::{
    app_context::{AppArgs, Context},
    config_var::{read, replace, shell_line},
    error::{Error, Result},
    output::Style,
};

#[derive(Debug, Args)]
pub(crate) struct EditArgs {
    /// Edit the value of this one alone
    key: Option<String>,
    #[command(flatten)]
    app: AppArgs,
    /// Update without asking
    #[arg(short, long)]
    yes: bool,
}

type Vars = BTreeMap<String, String>;

/// `config:edit`: what is added, changed or removed in the editor is so on the app, unless somebody else was faster.
pub(crate) fn edit(args: &EditArgs, context: &Context) -> Result<()> {
    let app = args.app.name(context)?;
    let before = context
        .output
        .action("Fetching config", || read(&app, context), |_| String::new())?;
    let after = match &args.key {
        Some(key) => {
            let value = before.get(key).map(String::as_str).unwrap_or_default();
            let mut edited = in_editor(value, "", context)?;
            // Editors end a text with a line end.
            if !value.ends_with('\n') && edited.ends_with('\n') {
                edited.pop();
            }
            let mut after = before.clone();
            after.insert(key.clone(), edited);
            after
        }
        None => {
            let text: String = before
                .iter()
                .map(|(key, value)| shell_line(key, value) + "\n")
                .collect();
            parse(&in_editor(&text, ".sh", context)?)?
        }
    };
    if before == after {
        return context.output.warning("no changes to config");
    }
    show(&before, &after, context)?;
    if !args.yes {
        let question = format!("Update config on {app} with these values? (y/n) ");
        let answer = context.output.ask(&question, "a confirmation", "--yes")?;
        if !matches!(answer.to_lowercase().as_str(), "y" | "yes") {
            return Err(Error::Absent("Nothing was changed".to_owned()));
        }
    }
    let verify = || match read(&app, context)? {
        now if now == before => Ok(()),
        _ => Err(Error::Absent("Config changed on server. Refusing to update".to_owned())),
    };
    context
        .output
        .action("Verifying new config", verify, |()| String::new())?;
    replace(&app, &changes(&before, &after), context)
}

/// What differs; a `None` is removed.
fn changes(before: &Vars, after: &Vars) -> ConfigVarsUpdate {
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    let removed = removed.map(|key| (key.clone(), None));
    let set = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let set = set.map(|(key, value)| (key.clone(), Some(value.clone())));
    ConfigVarsUpdate(removed.chain(set).collect())
}

fn show(before: &Vars, after: &Vars, context: &Context) -> Result<()> {
    let output = context.output;
    output.line("\nConfig Diff:")?;
    let keys: std::collections::BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys.into_iter().filter(|key| before.get(*key) != after.get(*key)) {
        for (mark, style, value) in [('-', Style::Red, before.get(key)), ('+', Style::Green, after.get(key))] {
            if let Some(value) = value {
                output.line(output.paint(style, &format!("{mark} {}", shell_line(key, value))))?;
            }
        }
    }
    output.line("")
}

/// The text as it is when the editor has ended. Only its owner can read the file meanwhile.
fn in_editor(text: &str, suffix: &str, context: &Context) -> Result<String> {
    let editor = context.config.editor.as_deref().unwrap_or("vi");
    let mut words = editor.split_whitespace();
    let program = words.next().unwrap_or("vi");
    let mut file = tempfile::Builder::new()
        .prefix("paas-config-")
        .suffix(suffix)
        .tempfile()?;
    file.write_all(text.as_bytes())?;
    file.flush()?;
    // An editor may put another file in the place of this one: it is found again by its path.
    let path = file.into_temp_path();
    let failed = |source: std::io::Error| Error::File {
        path: program.to_owned(),
        source,
    };
    let ended = Command::new(program).args(words).arg(&path).status().map_err(failed)?;
    if !ended.success() {
        return Err(failed(std::io::Error::other(
            "the editor failed, so nothing was changed",
        )));
    }
    Ok(fs::read_to_string(&path)?)
}

/// Reads `KEY=value` lines, with values quoted as a shell has them or not at all.
fn parse(text: &str) -> Result<Vars> {
    let mut vars = Vars::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.lines().next().unwrap_or_default();
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            rest = rest.get(line.len() + 1..).unwrap_or_default();
            continue;
        }
        let Some((key, behind)) = rest.split_once('=').filter(|(key, _)| !key.contains('\n')) else {
            return Err(Error::Usage(format!("Invalid line: {line}")));
        };
        let (value, behind) =
            unquoted(behind).ok_or_else(|| Error::Usage(format!("The value of {key} has a quote without end")))?;
        vars.insert(key.trim().trim_start_matches("export ").to_owned(), value);
        rest = behind;
    }
    Ok(vars)
}

/// A value up to the end of its line, and what comes behind that (POSIX, *Shell Command Language* §2.2).
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '\n' => return Some((value, &text[place + 1..])),
            '\'' => loop {
                match characters.next()?.1 {
                    '\'' => break,
                    other => value.push(other),
                }
            },
            '"' => loop {
                match characters.next()?.1 {
                    '"' => break,
                    '\\' => match characters.next()?.1 {
                        'n' => value.push('\n'),
                        other => value.push(other),
                    },
                    other => value.push(other),
                }
            },
            '\\' => value.push(characters.next()?.1),
            '\r' => {}
            other => value.push(other),
        }
    }
    Some((value, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_for_the_editor_is_read_back() {
        let values = [
            "",
            "plain",
            "it's",
            "a b",
            "$HOME `id` \"x\" \\",
            "line\nline\n",
            "#",
            "=",
            "é",
        ];
        let before: Vars = (0..)
            .zip(values)
            .map(|(n, value)| (format!("KEY{n}"), value.to_owned()))
            .collect();
        let text: String = before
            .iter()
            .map(|(key, value)| shell_line(key, value) + "\n")
            .collect();
        assert_eq!(parse(&text).unwrap(), before);
    }

    #[test]
    fn what_people_write_is_understood() {
        let vars = parse("# note\n\nA=1\nexport B=\"two\\nlines\"\nC=a=b\nD=").unwrap();
        let vars: Vec<_> = vars.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(vars, [("A", "1"), ("B", "two\nlines"), ("C", "a=b"), ("D", "")]);
        assert!(parse("no equals sign").is_err());
        assert!(parse("A='without end\n").is_err());
    }

    #[test]
    fn only_what_differs_is_sent() {
        let vars = |text: &str| parse(text).unwrap();
        let ConfigVarsUpdate(update) = changes(&vars("A=1\nB=2\nC=3\n"), &vars("A=1\nB=two\nD=4\n"));
        let update: Vec<_> = update.into_iter().collect();
        let set = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        assert_eq!(update, [set("B", "two"), ("C".to_owned(), None), set("D", "4")]);
    }
}
